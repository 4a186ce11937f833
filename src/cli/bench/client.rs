//! One client: it connects, does a handshake, and goes.
//!
//! Certificates are not verified: what a client does costs the load's CPUs only. The
//! server's signature is, as TLS wants it.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use openssl::pkey::Id;
use openssl::ssl::{
    Ssl, SslContext, SslContextBuilder, SslMethod, SslRef, SslSession, SslSessionCacheMode,
    SslVerifyMode, SslVersion,
};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_openssl::SslStream;

use super::case::{Case, Curve, Version};
use super::error::Error;

/// For a handshake with a server that answers at all.
const PATIENCE: Duration = Duration::from_secs(10);
/// For the end of the connection, after the handshake.
const FAREWELL: Duration = Duration::from_secs(1);

/// Who closes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Closer {
    /// The server, once it is done with the handshake.
    Server,
    /// The client: the server would wait for requests.
    Client,
}

/// What the clients of a case have in common.
#[derive(Clone)]
pub struct Client {
    context: SslContext,
    /// Takes the session that is resumed. The other context must not: one that keeps
    /// sessions marks each as used up by its first resumption in TLS 1.3.
    first: Option<SslContext>,
    address: SocketAddr,
    /// Sent as SNI.
    name: Option<String>,
    closer: Closer,
    /// Key exchanges with these curves are not the case's; None: no other is offered.
    curves: Option<Vec<&'static Curve>>,
    /// The session the server gave, which every handshake resumes.
    given: Arc<Mutex<Option<SslSession>>>,
}

impl Client {
    /// # Errors
    /// OpenSSL does not know the group.
    pub fn new(
        case: &Case,
        address: SocketAddr,
        name: &str,
        closer: Closer,
    ) -> Result<Client, Error> {
        let given = Arc::new(Mutex::new(None));
        let first = match case.resumed {
            true => {
                let mut first = context(case)?;
                let mode = SslSessionCacheMode::CLIENT | SslSessionCacheMode::NO_INTERNAL;
                first.set_session_cache_mode(mode);
                let given = given.clone();
                first.set_new_session_callback(move |_, session| {
                    *given.lock().unwrap_or_else(PoisonError::into_inner) = Some(session);
                });
                Some(first.build())
            }
            false => None,
        };
        Ok(Client {
            context: context(case)?.build(),
            first,
            address,
            // RFC 6066: addresses are not names.
            name: name.parse::<IpAddr>().is_err().then(|| name.to_owned()),
            closer,
            curves: (case.version == Version::Tls12).then(|| case.curves()),
            given,
        })
    }

    /// Gets a session to resume, if that is what the case is about.
    pub async fn prepare(&self) -> io::Result<()> {
        let Some(first) = &self.first else {
            return Ok(());
        };
        self.connect(first, None).await?;
        match self.session() {
            Some(_) => Ok(()),
            None => Err(io::Error::other("the server gives no session to resume")),
        }
    }

    /// A handshake; gives how long it took, from the connection's first packet on.
    pub async fn handshake(&self) -> io::Result<Duration> {
        let session = self.session();
        let (took, reused) = self.connect(&self.context, session.as_ref()).await?;
        if reused == self.first.is_some() {
            return Ok(took);
        }
        // A connection that broke may have spoilt it.
        self.prepare().await?;
        Err(io::Error::other("the server did not resume the session"))
    }

    fn session(&self) -> Option<SslSession> {
        let given = self.given.lock().unwrap_or_else(PoisonError::into_inner);
        given.clone()
    }

    async fn connect(
        &self,
        context: &SslContext,
        session: Option<&SslSession>,
    ) -> io::Result<(Duration, bool)> {
        let mut ssl = Ssl::new(context)?;
        if let Some(name) = &self.name {
            ssl.set_hostname(name)?;
        }
        if let Some(session) = session {
            qat_sys::client::set_session(&mut ssl, session)?;
        }
        let since = Instant::now();
        let handshake = async {
            let tcp = TcpStream::connect(self.address).await?;
            tcp.set_nodelay(true)?;
            // Reset at the end: thousands of closed connections would keep their ports
            // for a minute each (TIME_WAIT).
            tcp.set_zero_linger()?;
            let mut stream = SslStream::new(ssl, Open(tcp))?;
            let connected = Pin::new(&mut stream).connect().await;
            connected.map_err(|error| error.into_io_error().unwrap_or_else(io::Error::other))?;
            io::Result::Ok(stream)
        };
        let overdue = |_| io::Error::from(io::ErrorKind::TimedOut);
        let mut stream = timeout(PATIENCE, handshake).await.map_err(overdue)??;
        let took = since.elapsed();
        let reused = stream.ssl().session_reused();
        if !reused && !self.is_the_exchange(stream.ssl()) {
            return Err(io::Error::other("the server chose another key exchange"));
        }
        // A reset before the server has read all of the handshake would fail it there.
        let _ = timeout(FAREWELL, self.leave(&mut stream)).await;
        Ok((took, reused))
    }

    /// Whether the keys were exchanged with the case's group.
    fn is_the_exchange(&self, ssl: &SslRef) -> bool {
        let Some(curves) = &self.curves else {
            return true;
        };
        // There is none if the client sent a secret under the server's RSA key.
        let Ok(key) = ssl.peer_tmp_key() else {
            return false;
        };
        key.id() != Id::EC || !curves.iter().any(|curve| curve.bits == key.bits())
    }

    /// Closes both ways, so that the session stays good; tickets arrive on the way.
    async fn leave(&self, stream: &mut SslStream<Open>) {
        if self.closer == Closer::Client {
            let _ = stream.shutdown().await;
        }
        let mut unread = [0; 512];
        while stream.read(&mut unread).await.is_ok_and(|read| read > 0) {}
        if self.closer == Closer::Server {
            let _ = stream.shutdown().await;
        }
    }
}

fn context(case: &Case) -> Result<SslContextBuilder, Error> {
    let mut context = SslContext::builder(SslMethod::tls_client())?;
    let version = Some(match case.version {
        Version::Tls12 => SslVersion::TLS1_2,
        Version::Tls13 => SslVersion::TLS1_3,
    });
    context.set_min_proto_version(version)?;
    context.set_max_proto_version(version)?;
    context.set_groups_list(&case.groups().join(":"))?;
    context.set_verify(SslVerifyMode::NONE);
    context.set_session_cache_mode(SslSessionCacheMode::OFF);
    Ok(context)
}

/// A socket that TLS closes by its alert alone: who sends FIN first keeps the port.
struct Open(TcpStream);

impl AsyncRead for Open {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl AsyncWrite for Open {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
