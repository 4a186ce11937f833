//! The server's side: a thread as a worker's, for each accelerator.
//!
//! ```text
//! begin(parameters) ─→ a listener of 127.0.0.1 ─→ snapshot … snapshot ─→ end
//!      ↑                                                                  │
//!      └──────────────────────── the next case ───────────────────────────┘
//! ```
//!
//! The thread has what a worker has (async jobs, the accelerator's part, the graveyard)
//! and lives as long as the process, as threads that ran OpenSSL jobs must.

mod state;

use std::future::pending;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot};

use super::cpu;
use super::error::Error;
use crate::accelerator::{AcceleratorName, Active, SOFTWARE};
use crate::rt;
use crate::tls::TlsParams;
use state::State;

/// The most handshakes in progress.
pub const MOST_IN_FLIGHT: usize = 512;

/// What the server has done since it began, at this time.
#[derive(Clone, Debug)]
pub struct Snapshot {
    pub at: Instant,
    /// CPU time of the server's thread.
    pub cpu: Duration,
    /// Handshakes that succeeded.
    pub handshakes: u64,
    /// Of them: by an earlier session.
    pub resumed: u64,
    /// Of them: given to the accelerator.
    pub accelerated: u64,
    pub failed: u64,
    /// Private-key operations.
    pub operations: Operations,
}

/// Private-key operations by who did them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Operations {
    pub offloaded: u64,
    pub software: u64,
    /// Software, after the accelerator had failed.
    pub redone: u64,
}

impl Operations {
    pub fn since(self, before: Operations) -> Operations {
        Operations {
            offloaded: self.offloaded - before.offloaded,
            software: self.software - before.software,
            redone: self.redone - before.redone,
        }
    }
}

enum Command {
    Begin(Box<TlsParams>, oneshot::Sender<Result<SocketAddr, Error>>),
    Snapshot(oneshot::Sender<Snapshot>),
    End(oneshot::Sender<()>),
}

/// A server's thread.
pub struct Server {
    /// Of its accelerator.
    pub name: &'static str,
    has_threads: bool,
    commands: mpsc::UnboundedSender<Command>,
}

impl Server {
    /// Starts it on this CPU; `active`: None for software.
    ///
    /// # Errors
    /// Its thread, its async jobs or its accelerator's part cannot be made.
    pub fn start(active: Option<Arc<Active>>, on: Option<usize>) -> Result<Server, Error> {
        let name = active.as_ref().map_or(SOFTWARE, |active| active.name);
        // An engine may poll its device, or batch, in threads of its own.
        let has_threads = name == AcceleratorName::QatEngine.as_str();
        let (commands, received) = mpsc::unbounded_channel();
        let (ready, readiness) = std::sync::mpsc::sync_channel(1);
        std::thread::Builder::new()
            .name(format!("server-{name}"))
            .spawn(move || {
                cpu::pin(on);
                run(active, received, &ready);
            })?;
        readiness.recv().map_err(|_| Error::Died)??;
        Ok(Server {
            name,
            has_threads,
            commands,
        })
    }

    /// Whether the accelerator has threads of its own.
    pub fn has_threads(&self) -> bool {
        self.has_threads
    }

    /// Listens with these parameters, until [`end`](Server::end).
    ///
    /// # Errors
    /// The contexts cannot be built.
    pub async fn begin(&self, params: TlsParams) -> Result<SocketAddr, Error> {
        let (reply, replied) = oneshot::channel();
        self.send(Command::Begin(Box::new(params), reply))?;
        replied.await.map_err(|_| Error::Died)?
    }

    /// # Errors
    /// The thread is gone.
    pub async fn snapshot(&self) -> Result<Snapshot, Error> {
        let (reply, replied) = oneshot::channel();
        self.send(Command::Snapshot(reply))?;
        replied.await.map_err(|_| Error::Died)
    }

    /// Closes the listener, and waits a moment for what is in progress: the process must
    /// not end within a handshake, for OpenSSL cleans up after itself.
    ///
    /// # Errors
    /// The thread is gone.
    pub async fn end(&self) -> Result<(), Error> {
        let (reply, replied) = oneshot::channel();
        self.send(Command::End(reply))?;
        replied.await.map_err(|_| Error::Died)
    }

    fn send(&self, command: Command) -> Result<(), Error> {
        self.commands.send(command).map_err(|_| Error::Died)
    }
}

fn run(
    active: Option<Arc<Active>>,
    mut commands: mpsc::UnboundedReceiver<Command>,
    ready: &std::sync::mpsc::SyncSender<Result<(), Error>>,
) {
    let runtime = match rt::local_runtime() {
        Ok(runtime) => runtime,
        Err(error) => {
            let _ = ready.send(Err(error.into()));
            return;
        }
    };
    runtime.block_on(async {
        let mut state = match State::start(active) {
            Ok(state) => state,
            Err(error) => {
                let _ = ready.send(Err(error));
                return;
            }
        };
        let _ = ready.send(Ok(()));
        while let Some(command) = commands.recv().await {
            // Who asked may be gone.
            match command {
                Command::Begin(params, reply) => drop(reply.send(state.begin(&params).await)),
                Command::Snapshot(reply) => drop(reply.send(state.snapshot())),
                Command::End(reply) => {
                    state.end().await;
                    let _ = reply.send(());
                }
            }
        }
        pending::<()>().await;
    });
}
