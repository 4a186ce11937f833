//! A listener's TLS on one worker.

use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Context;
use std::time::Duration;

use openssl::ssl::SslContext;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};

use super::context::{self, Maker};
use super::error::TlsError;
use super::handshake::{Counters, Driver, Graveyard, HandshakeError};
use super::info::TlsInfo;
use super::params::{ClientAuth, TlsParams};
use super::stream::TlsStream;
use super::tickets::TicketKeys;
use crate::accelerator::load::InProgress;
use crate::accelerator::{self, Completion, SOFTWARE};

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
    /// Of the software context's jobs; None: it has none, and runs every operation inline.
    completion: Option<Completion>,
    accelerated: Option<Accelerated>,
    graveyard: Rc<Graveyard>,
    counters: Arc<Counters>,
}

/// Beside the software context.
#[derive(Clone)]
struct Accelerated {
    context: SslContext,
    worker: Rc<accelerator::Worker>,
}

/// Who does the private-key work of one handshake; counts it as in progress.
pub struct Choice {
    accelerated: bool,
    name: &'static str,
    _in_progress: Option<InProgress>,
}

impl Choice {
    pub fn is_accelerated(&self) -> bool {
        self.accelerated
    }

    /// An accelerator's name.
    pub fn name(&self) -> &'static str {
        self.name
    }
}

impl Acceptor {
    /// For the calling thread. Every operation runs inline until
    /// [`with_async`](Acceptor::with_async).
    pub fn new(params: &TlsParams, keys: &TicketKeys) -> Result<Acceptor, TlsError> {
        Ok(Acceptor {
            context: context::build(params, keys, &Maker::software()?)?,
            timeout: params.handshake_timeout,
            client_auth: !matches!(params.client_auth, ClientAuth::Off),
            completion: None,
            accelerated: None,
            graveyard: Graveyard::new(),
            counters: Arc::default(),
        })
    }

    /// Lets operations run in async jobs. What is given up in one of them goes to the
    /// worker's graveyard.
    pub fn with_async(self, completion: Completion, graveyard: Rc<Graveyard>) -> Acceptor {
        Acceptor {
            completion: Some(completion),
            graveyard,
            ..self
        }
    }

    /// Beside the software context an accelerated one, for the handshakes that gain by it.
    /// What is given up in one of its jobs goes to the worker's graveyard.
    ///
    /// # Errors
    /// The parameters' keys or certificates are nothing for the accelerator's library
    /// context.
    pub fn accelerated(
        self,
        params: &TlsParams,
        keys: &TicketKeys,
        worker: Rc<accelerator::Worker>,
        graveyard: Rc<Graveyard>,
    ) -> Result<Acceptor, TlsError> {
        let context = context::build(params, keys, &Maker::Own(worker.offload().clone()))?;
        Ok(Acceptor {
            accelerated: Some(Accelerated { context, worker }),
            graveyard,
            ..self
        })
    }

    /// Counts with these instead of counters of its own.
    pub fn counting(self, counters: Arc<Counters>) -> Acceptor {
        Acceptor { counters, ..self }
    }

    /// What its handshakes have met with, since it was made.
    pub fn counters(&self) -> &Arc<Counters> {
        &self.counters
    }

    /// Chooses who does the private-key work of the next handshake, by what is better
    /// now.
    pub fn choose(&self) -> Choice {
        let (in_progress, accelerated) = match &self.accelerated {
            Some(Accelerated { worker, .. }) => {
                let (slot, accelerated) = worker.choose();
                (Some(slot), accelerated)
            }
            None => (None, false),
        };
        let name = match &self.accelerated {
            Some(Accelerated { worker, .. }) if accelerated => worker.name(),
            _ => SOFTWARE,
        };
        Choice {
            accelerated,
            name,
            _in_progress: in_progress,
        }
    }

    /// Does the whole handshake, within the parameters' time from now.
    pub async fn accept(&self, tcp: TcpStream) -> Result<TlsStream, HandshakeError> {
        let mut stream = self.accept_as(tcp, &self.choose()).await?;
        stream.flush().await?;
        Ok(stream)
    }

    /// The same with a choice that has been made, but for the last flight (tickets; in TLS
    /// 1.2 what the client waits for), which waits in the stream to be flushed: what is
    /// written first shares its packet, and its system call.
    pub async fn accept_as(
        &self,
        tcp: TcpStream,
        choice: &Choice,
    ) -> Result<TlsStream, HandshakeError> {
        self.accept_by(tcp, Instant::now() + self.timeout, choice)
            .await
    }

    /// As [`accept_as`](Self::accept_as), but fails when the deadline has passed. A client
    /// that it fails with has been told why as far as TLS can, when this returns. It can be
    /// dropped at any time.
    pub async fn accept_by(
        &self,
        tcp: TcpStream,
        deadline: Instant,
        choice: &Choice,
    ) -> Result<TlsStream, HandshakeError> {
        let accelerated = self.accelerated.as_ref().filter(|_| choice.accelerated);
        let (context, completion) = match accelerated {
            Some(Accelerated { context, worker }) => (context, Some(worker.completion())),
            None => (&self.context, self.completion),
        };
        let mut driver = Driver::new(context, tcp, completion, &self.graveyard, &self.counters)?;
        let poll = |cx: &mut Context<'_>| {
            let poll = driver.poll(cx);
            if let Some(Accelerated { worker, .. }) = accelerated {
                worker.queue_full(driver.take_refusals());
            }
            poll
        };
        let outcome = timeout_at(deadline, poll_fn(poll)).await;
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
