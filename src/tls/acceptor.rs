//! A listener's TLS on one worker.

use std::future::poll_fn;
use std::rc::Rc;
use std::time::Duration;

use openssl::ssl::SslContext;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};

use super::context;
use super::error::TlsError;
use super::handshake::{AsyncMode, Counters, Driver, Graveyard, HandshakeError};
use super::info::TlsInfo;
use super::params::{ClientAuth, TlsParams};
use super::stream::TlsStream;
use super::tickets::TicketKeys;

/// How long a client that failed may take to read why, and what it may still send.
const FAREWELL: Duration = Duration::from_millis(250);
const FAREWELL_BYTES: usize = 64 * 1024;

/// For who speaks HTTP to a TLS port: a browser shows it.
const NOT_TLS: &[u8] = b"HTTP/1.1 400 Bad Request\r\n\
    content-type: text/plain\r\ncontent-length: 38\r\nconnection: close\r\n\r\n\
    This port speaks TLS: use https here.\n";

/// Accepts TLS connections as the parameters say. It belongs to a worker, shares
/// nothing with other workers, and is cheap to clone.
#[derive(Clone)]
pub struct Acceptor {
    context: SslContext,
    timeout: Duration,
    client_auth: bool,
    mode: AsyncMode,
    graveyard: Rc<Graveyard>,
    counters: Rc<Counters>,
}

/// What an acceptor's handshakes have met with, since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AcceptorCounts {
    /// Times a handshake was paused for an accelerator.
    pub pauses: u64,
    /// Time that handshakes spent paused, in total.
    pub paused: Duration,
    /// Times an accelerator's queue was full.
    pub queue_full: u64,
    /// Times no async job was free.
    pub no_job: u64,
}

impl Acceptor {
    /// Every operation runs inline until [`with_async`](Acceptor::with_async).
    pub fn new(params: &TlsParams, keys: &TicketKeys) -> Result<Acceptor, TlsError> {
        Ok(Acceptor {
            context: context::build(params, keys)?,
            timeout: params.handshake_timeout,
            client_auth: !matches!(params.client_auth, ClientAuth::Off),
            mode: AsyncMode::Off,
            graveyard: Graveyard::new(),
            counters: Rc::default(),
        })
    }

    /// Lets operations run in async jobs. What is given up in one of them goes to the
    /// worker's graveyard.
    pub fn with_async(self, mode: AsyncMode, graveyard: Rc<Graveyard>) -> Acceptor {
        Acceptor {
            mode,
            graveyard,
            ..self
        }
    }

    pub fn counts(&self) -> AcceptorCounts {
        AcceptorCounts {
            pauses: self.counters.pauses.get(),
            paused: self.counters.paused.get(),
            queue_full: self.counters.queue_full.get(),
            no_job: self.counters.no_job.get(),
        }
    }

    /// Does the handshake, within the parameters' time from now.
    pub async fn accept(&self, tcp: TcpStream) -> Result<TlsStream, HandshakeError> {
        self.accept_by(tcp, Instant::now() + self.timeout).await
    }

    /// Does the handshake, which fails when the deadline has passed. A client that it
    /// fails with has been told why as far as TLS can, when this returns. It can be
    /// dropped at any time.
    pub async fn accept_by(
        &self,
        tcp: TcpStream,
        deadline: Instant,
    ) -> Result<TlsStream, HandshakeError> {
        let Acceptor {
            context,
            mode,
            graveyard,
            counters,
            ..
        } = self;
        let mut driver = Driver::new(context, tcp, *mode, graveyard, counters)?;
        let outcome = timeout_at(deadline, poll_fn(|cx| driver.poll(cx))).await;
        let error = match outcome {
            Ok(Ok((connection, pauses))) => {
                let info = TlsInfo::of(connection.session(), pauses, self.client_auth);
                return Ok(TlsStream::new(connection, info));
            }
            Ok(Err(error)) => error,
            Err(_) => driver.overdue(),
        };
        if let Some(tcp) = driver.give_up()
            && error.is_told()
        {
            // The client may stay as long as it likes; we do not.
            let _ = timeout(FAREWELL, Box::pin(farewell(tcp, &error))).await;
        }
        Err(error)
    }
}

/// Closes so that the alert arrives: a socket closed with unread data resets the
/// connection, and the client loses what it has not read yet.
async fn farewell(mut tcp: TcpStream, error: &HandshakeError) -> std::io::Result<()> {
    if matches!(error, HandshakeError::NotTls(true)) {
        tcp.write_all(NOT_TLS).await?;
    }
    tcp.shutdown().await?;
    let mut unread = [0; 4096];
    let mut left = FAREWELL_BYTES;
    while left > 0 {
        tcp.readable().await?;
        match tcp.try_read(&mut unread) {
            Ok(0) => break,
            Ok(read) => left = left.saturating_sub(read),
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
