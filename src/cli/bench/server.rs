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

use std::cell::RefCell;
use std::future::pending;
use std::net::{Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use qat_sys::offload::Path;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use super::cpu;
use super::error::Error;
use crate::accelerator::{self, AcceleratorName, Active, Algorithm, SOFTWARE};
use crate::rt;
use crate::tls::{self, Acceptor, Graveyard, TicketKeys, TlsParams};

/// The most handshakes in progress.
pub const MOST_IN_FLIGHT: usize = 512;
/// Those of clients that gave up, and the accelerator's probe.
const MORE_JOBS: usize = 256;

/// For handshakes that clients have given up.
const LAST_HANDSHAKES: Duration = Duration::from_secs(1);

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
    /// By [`Algorithm`] and [`Path`].
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

/// What accepted connections count.
#[derive(Default)]
struct Tally {
    handshakes: u64,
    resumed: u64,
    accelerated: u64,
    failed: u64,
    /// In progress.
    open: usize,
}

struct State {
    name: &'static str,
    /// None: software.
    offload: Option<(Rc<accelerator::Worker>, Rc<Graveyard>)>,
    keys: TicketKeys,
    tally: Rc<RefCell<Tally>>,
    accepting: Option<JoinHandle<()>>,
}

impl State {
    fn start(active: Option<Arc<Active>>) -> Result<State, Error> {
        let name = active.as_ref().map_or(SOFTWARE, |active| active.name);
        let failed = |error: &dyn std::fmt::Display| Error::Server(name, error.to_string());
        let offload = match &active {
            None => None,
            Some(active) => {
                tls::init_thread(MOST_IN_FLIGHT + MORE_JOBS, 0).map_err(|error| failed(&error))?;
                let worker = accelerator::Worker::new(active).map_err(|error| failed(&error))?;
                let graveyard = Graveyard::new();
                tokio::task::spawn_local(graveyard.clone().run());
                tokio::task::spawn_local(worker.clone().run());
                Some((worker, graveyard))
            }
        };
        Ok(State {
            name,
            offload,
            keys: TicketKeys::generate().map_err(|error| failed(&error))?,
            tally: Rc::default(),
            accepting: None,
        })
    }

    async fn begin(&mut self, params: &TlsParams) -> Result<SocketAddr, Error> {
        self.end().await;
        let acceptor = self.acceptor(params);
        let acceptor = acceptor.map_err(|error| Error::Server(self.name, error.to_string()))?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let accept = accept(listener, Rc::new(acceptor), self.tally.clone());
        self.accepting = Some(tokio::task::spawn_local(accept));
        Ok(address)
    }

    fn acceptor(&self, params: &TlsParams) -> Result<Acceptor, tls::TlsError> {
        let acceptor = Acceptor::new(params, &self.keys)?;
        match &self.offload {
            None => Ok(acceptor),
            Some((worker, graveyard)) => {
                acceptor.accelerated(params, &self.keys, worker.clone(), graveyard.clone())
            }
        }
    }

    async fn end(&mut self) {
        if let Some(accepting) = self.accepting.take() {
            accepting.abort();
        }
        let until = Instant::now() + LAST_HANDSHAKES;
        while self.tally.borrow().open > 0 && Instant::now() < until {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        if let Some((_, graveyard)) = &self.offload {
            graveyard.drain(LAST_HANDSHAKES).await;
        }
    }

    fn snapshot(&self) -> Snapshot {
        let tally = self.tally.borrow();
        let counters = self.offload.as_ref().map(|(worker, _)| worker.stats());
        let sum = |path| {
            let of = |one| {
                counters
                    .as_ref()
                    .map_or(0, |stats| stats.operations.get(one, path))
            };
            Algorithm::ALL.into_iter().map(of).sum::<u64>()
        };
        Snapshot {
            at: Instant::now(),
            cpu: cpu::thread_time(),
            handshakes: tally.handshakes,
            resumed: tally.resumed,
            accelerated: tally.accelerated,
            failed: tally.failed,
            operations: Operations {
                offloaded: sum(Path::Accelerated),
                software: sum(Path::Software),
                redone: sum(Path::Redone),
            },
        }
    }
}

async fn accept(listener: TcpListener, acceptor: Rc<Acceptor>, tally: Rc<RefCell<Tally>>) {
    loop {
        match listener.accept().await {
            Ok((tcp, _)) => {
                let one = serve(tcp, acceptor.clone(), tally.clone());
                tokio::task::spawn_local(one);
            }
            // Out of descriptors, for instance: what is open closes soon.
            Err(_) => tokio::time::sleep(Duration::from_millis(1)).await,
        }
    }
}

/// One handshake; then the connection is closed.
async fn serve(tcp: TcpStream, acceptor: Rc<Acceptor>, tally: Rc<RefCell<Tally>>) {
    let _ = tcp.set_nodelay(true);
    tally.borrow_mut().open += 1;
    let choice = acceptor.choose();
    let accepted = acceptor.accept_as(tcp, &choice).await;
    let accelerated = choice.is_accelerated();
    drop(choice);
    match accepted {
        Ok(mut stream) => {
            {
                let mut tally = tally.borrow_mut();
                tally.handshakes += 1;
                tally.resumed += u64::from(stream.info().resumed);
                tally.accelerated += u64::from(accelerated);
            }
            // The client waits for it. One that is gone counts as well.
            let _ = stream.shutdown().await;
        }
        Err(_) => tally.borrow_mut().failed += 1,
    }
    tally.borrow_mut().open -= 1;
}
