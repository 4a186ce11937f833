//! A byte stream to an endpoint: TCP, and TLS where the cluster has it.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use openssl::error::ErrorStack;
use openssl::ssl::{SslConnector, SslMethod, SslVerifyMode};
use openssl::x509::store::X509StoreBuilder;
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_openssl::SslStream;

use super::params::{Protocol, TcpKeepalive, UpstreamTls};

/// The TLS context of a cluster: built once, cheap to clone, usable by all workers.
#[derive(Clone)]
pub struct TlsConnector {
    connector: SslConnector,
    server_name: Option<String>,
    verify: bool,
    protocol: Protocol,
}

impl TlsConnector {
    /// Errors: OpenSSL refuses a root, the certificate or its key.
    pub fn new(tls: &UpstreamTls, protocol: Protocol) -> Result<Self, ErrorStack> {
        let mut builder = SslConnector::builder(SslMethod::tls_client())?;
        if !tls.roots.is_empty() {
            let mut store = X509StoreBuilder::new()?;
            for root in &tls.roots {
                store.add_cert(root.clone())?;
            }
            builder.set_cert_store(store.build());
        }
        if !tls.verify {
            builder.set_verify(SslVerifyMode::NONE);
        }
        if let Some((chain, key)) = &tls.identity {
            let mut chain = chain.iter();
            if let Some(leaf) = chain.next() {
                builder.set_certificate(leaf)?;
            }
            for issuer in chain {
                builder.add_extra_chain_cert(issuer.clone())?;
            }
            builder.set_private_key(key)?;
            builder.check_private_key()?;
        }
        builder.set_alpn_protos(match protocol {
            Protocol::H2c => b"\x02h2",
            Protocol::Http1 => b"\x08http/1.1",
        })?;
        Ok(TlsConnector {
            connector: builder.build(),
            server_name: tls.server_name.clone(),
            verify: tls.verify,
            protocol,
        })
    }

    async fn connect(&self, tcp: TcpStream, host: &str) -> io::Result<SslStream<TcpStream>> {
        let name = self.server_name.as_deref().unwrap_or(host);
        let ssl = self
            .connector
            .configure()?
            .verify_hostname(self.verify)
            .into_ssl(name)?;
        let mut stream = SslStream::new(ssl, tcp)?;
        if let Err(error) = Pin::new(&mut stream).connect().await {
            let verified = stream.ssl().verify_result();
            return Err(if verified == openssl::x509::X509VerifyResult::OK {
                io::Error::other(error)
            } else {
                io::Error::other(format!("{error}: {verified}"))
            });
        }
        if self.protocol == Protocol::H2c && stream.ssl().selected_alpn_protocol() != Some(b"h2") {
            return Err(io::Error::other("the peer does not offer h2 by ALPN"));
        }
        Ok(stream)
    }
}

/// Connects to `address`; `host` is verified and sent as SNI if the cluster has TLS
/// without a name of its own. The caller bounds the time.
pub(super) async fn connect(
    address: SocketAddr,
    host: &str,
    keepalive: Option<TcpKeepalive>,
    tls: Option<&TlsConnector>,
) -> io::Result<Stream> {
    let tcp = TcpStream::connect(address).await?;
    // Writes are whole turns already; Nagle could only delay their last segment.
    tcp.set_nodelay(true)?;
    if let Some(keepalive) = keepalive {
        // tcp(7) counts in whole seconds and refuses zero.
        let second = Duration::from_secs(1);
        SockRef::from(&tcp).set_tcp_keepalive(
            &socket2::TcpKeepalive::new()
                .with_time(keepalive.time.max(second))
                .with_interval(keepalive.interval.max(second))
                .with_retries(keepalive.probes.max(1)),
        )?;
    }
    match tls {
        None => Ok(Stream::Plain(tcp)),
        Some(tls) => Ok(Stream::Tls(Box::new(tls.connect(tcp, host).await?))),
    }
}

pub(super) enum Stream {
    Plain(TcpStream),
    Tls(Box<SslStream<TcpStream>>),
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Plain(io) => Pin::new(io).poll_read(cx, buf),
            Stream::Tls(io) => Pin::new(io.as_mut()).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Stream::Plain(io) => Pin::new(io).poll_write(cx, buf),
            Stream::Tls(io) => Pin::new(io.as_mut()).poll_write(cx, buf),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Stream::Plain(io) => Pin::new(io).poll_write_vectored(cx, bufs),
            Stream::Tls(io) => Pin::new(io.as_mut()).poll_write_vectored(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        matches!(self, Stream::Plain(_))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Plain(io) => Pin::new(io).poll_flush(cx),
            Stream::Tls(io) => Pin::new(io.as_mut()).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Plain(io) => Pin::new(io).poll_shutdown(cx),
            Stream::Tls(io) => Pin::new(io.as_mut()).poll_shutdown(cx),
        }
    }
}
