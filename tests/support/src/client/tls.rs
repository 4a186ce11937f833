//! TLS connections with every choice a test may need.

use std::net::SocketAddr;
use std::pin::Pin;

use openssl::ssl::{Ssl, SslContext, SslMethod, SslVerifyMode, SslVersion};
use tokio::net::TcpStream;
use tokio_openssl::SslStream;

use crate::certificates::Identity;
use crate::{Gateway, in_time};

/// What the client offers. The default: `h2`, `localhost`, everything verified.
#[derive(Clone)]
pub struct Options {
    /// Each with its length byte first.
    pub alpn: &'static [u8],
    pub server_name: Option<String>,
    pub version: Option<SslVersion>,
    /// Such as `RSA-PSS+SHA256`.
    pub signature_algorithms: Option<&'static str>,
    pub groups: Option<&'static str>,
    pub identity: Option<Identity>,
    pub verify: bool,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            alpn: b"\x02h2",
            server_name: Some("localhost".into()),
            version: None,
            signature_algorithms: None,
            groups: None,
            identity: None,
            verify: true,
        }
    }
}

impl Options {
    pub fn http1() -> Options {
        Options {
            alpn: b"\x08http/1.1",
            ..Options::default()
        }
    }
}

/// Connects to listener 0 of the gateway.
///
/// # Errors
/// The handshake's.
pub async fn connect(
    gateway: &Gateway,
    options: &Options,
) -> Result<SslStream<TcpStream>, openssl::ssl::Error> {
    let ssl = session(gateway, options);
    let stream = tcp(gateway.address()).await;
    handshake(ssl, stream).await
}

pub async fn tcp(address: SocketAddr) -> TcpStream {
    let stream = in_time("a TCP connection", TcpStream::connect(address)).await;
    let stream = stream.unwrap_or_else(|error| panic!("{address}: {error}"));
    stream.set_nodelay(true).expect("no delay");
    stream
}

/// On a connection that is there already.
///
/// # Errors
/// The handshake's.
pub async fn handshake(
    ssl: Ssl,
    stream: TcpStream,
) -> Result<SslStream<TcpStream>, openssl::ssl::Error> {
    let mut stream = SslStream::new(ssl, stream).expect("a stream");
    in_time("a TLS handshake", Pin::new(&mut stream).connect()).await?;
    Ok(stream)
}

/// A client's session as the options have it.
pub fn session(gateway: &Gateway, options: &Options) -> Ssl {
    session_in(&context(gateway, options), options)
}

/// A session of a context that many share.
pub fn session_in(context: &SslContext, options: &Options) -> Ssl {
    let mut ssl = Ssl::new(context).expect("a session");
    if let Some(name) = &options.server_name {
        ssl.set_hostname(name).expect("SNI");
        if options.verify {
            ssl.param_mut().set_host(name).expect("a name to verify");
        }
    }
    ssl
}

/// What sessions of the same options share. Not an `SslConnector`, which reads all of
/// the system's authorities each time.
pub fn context(gateway: &Gateway, options: &Options) -> SslContext {
    let mut builder = SslContext::builder(SslMethod::tls_client()).expect("a context");
    builder.set_verify(match options.verify {
        true => SslVerifyMode::PEER,
        false => SslVerifyMode::NONE,
    });
    let authority = gateway.authority().certificate().clone();
    builder
        .cert_store_mut()
        .add_cert(authority)
        .expect("a root");
    builder.set_alpn_protos(options.alpn).expect("ALPN");
    if let Some(version) = options.version {
        builder.set_min_proto_version(Some(version)).expect("set");
        builder.set_max_proto_version(Some(version)).expect("set");
    }
    if let Some(algorithms) = options.signature_algorithms {
        builder.set_sigalgs_list(algorithms).expect("algorithms");
    }
    if let Some(groups) = options.groups {
        builder.set_groups_list(groups).expect("groups");
    }
    if let Some(identity) = &options.identity {
        builder
            .set_certificate(&identity.certificate)
            .expect("a certificate");
        builder.set_private_key(&identity.key).expect("a key");
        for intermediate in &identity.intermediates {
            builder
                .add_extra_chain_cert(intermediate.clone())
                .expect("added");
        }
    }
    builder.build()
}
