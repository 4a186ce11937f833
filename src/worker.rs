//! A worker: one core's thread, its listeners, connections and pools.
//!
//! 1. The thread builds its TLS contexts, pools and routes, then says it is ready.
//! 2. Its listeners accept until draining begins; new versions of the configuration take
//!    their place meanwhile.
//! 3. It parks when its connections have ended; threads that ran OpenSSL jobs live as
//!    long as the process.
//!
//! Nothing in it is shared with another worker but what the control thread publishes:
//! endpoints, the drain's phase, ticket keys.

mod server;

use std::net::TcpListener;
use std::rc::Rc;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use openssl::error::ErrorStack;
use tokio::sync::mpsc as queue;
use tokio::sync::oneshot;

use crate::accelerator::{self, Active, WorkerStats};
use crate::drain::Watch;
use crate::listener::ListenerParams;
use crate::rt;
use crate::telemetry::{AccessSink, Metrics};
use crate::tls::{self, Graveyard, Register, TicketKeys, TlsError};
use crate::upstream::{ClusterParams, EndpointsWatch, TlsConnector};
use server::Server;

/// For operations of abandoned handshakes, when the last connection has ended.
const LAST_OPERATIONS: Duration = Duration::from_secs(1);
/// Jobs beyond those of the handshakes in progress: for abandoned ones, and the probe.
const ABANDONED_JOBS: usize = 256;

/// The async jobs a worker may have at once.
pub fn jobs<'a>(listeners: impl Iterator<Item = &'a ListenerParams>) -> usize {
    let handshakes = listeners.map(|params| params.max_handshakes);
    handshakes.sum::<usize>() + ABANDONED_JOBS
}

/// A cluster as every worker gets it.
#[derive(Clone)]
pub struct ClusterSpec {
    /// The same object in a later version: the same cluster, with its pools.
    pub params: Arc<ClusterParams>,
    pub endpoints: EndpointsWatch,
    pub tls: Option<TlsConnector>,
}

/// What a version of the configuration gives a worker.
pub struct Version {
    /// Without a socket: the worker has one for that address.
    pub listeners: Vec<(Arc<ListenerParams>, Option<TcpListener>)>,
    pub clusters: Vec<ClusterSpec>,
    pub drain: Watch,
}

/// A version to take the place of the one before, on every worker or on none.
pub struct Replacement {
    pub version: Version,
    /// Told when all that can fail is done, and nothing has changed yet.
    pub prepared: oneshot::Sender<Result<(), WorkerError>>,
    /// Whom to tell when the version has taken the place; dropped: it is not to.
    pub commit: oneshot::Receiver<oneshot::Sender<()>>,
}

pub struct WorkerSpec {
    pub index: usize,
    /// How many there are: shares of the process's limits.
    pub workers: usize,
    pub version: Version,
    pub ticket_keys: TicketKeys,
    /// None: software.
    pub accelerator: Option<Arc<Active>>,
    pub metrics: Arc<Metrics>,
    pub access: Option<AccessSink>,
}

/// A worker's numbers of its accelerator, readable from any thread.
#[derive(Clone)]
pub struct AcceleratorStats {
    pub worker: WorkerStats,
    /// Of its handshakes.
    pub handshakes: Arc<tls::Counters>,
    pub graveyard: Arc<Register>,
}

/// A worker that serves.
pub struct Started {
    pub replacements: queue::Sender<Replacement>,
    /// None: software.
    pub accelerator: Option<AcceleratorStats>,
}

#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    #[error("accelerator {name}: {source}")]
    Accelerator {
        name: &'static str,
        source: ErrorStack,
    },
    #[error("async jobs: {0}")]
    Jobs(TlsError),
    #[error("listener {listener}: {source}")]
    Tls { listener: String, source: TlsError },
    #[error("listener {listener}: there is no socket for it")]
    Socket { listener: String },
    #[error("{0}")]
    Io(#[from] std::io::Error),
    #[error("the thread ended before it was ready")]
    Died,
    #[error("not ready within {0:?}")]
    Late(Duration),
}

/// Starts the worker's thread and waits until it serves.
pub fn spawn(spec: WorkerSpec) -> Result<Started, WorkerError> {
    let (ready, readiness) = mpsc::sync_channel(1);
    // One at a time: the control thread waits for what becomes of it.
    let (replacements, queue) = queue::channel(1);
    std::thread::Builder::new()
        .name(format!("worker-{}", spec.index))
        .spawn(move || run(spec, &ready, queue))?;
    let accelerator = readiness.recv().map_err(|_| WorkerError::Died)??;
    Ok(Started {
        replacements,
        accelerator,
    })
}

type Ready = Result<Option<AcceleratorStats>, WorkerError>;

fn run(
    spec: WorkerSpec,
    ready: &mpsc::SyncSender<Ready>,
    mut replacements: queue::Receiver<Replacement>,
) {
    let runtime = match rt::local_runtime() {
        Ok(runtime) => runtime,
        Err(error) => {
            let _ = ready.send(Err(error.into()));
            return;
        }
    };
    runtime.block_on(async {
        let mut server = match Server::start(spec) {
            Ok(server) => server,
            Err(error) => {
                let _ = ready.send(Err(error));
                return;
            }
        };
        let _ = ready.send(Ok(server.accelerator()));
        server.serve(&mut replacements).await;
        // What operations that never came back may still touch stays.
        let _kept = server.end().await;
        std::future::pending::<()>().await;
    });
}

/// What the worker offloads with.
struct Offloading {
    worker: Rc<accelerator::Worker>,
    graveyard: Rc<Graveyard>,
    counters: Arc<tls::Counters>,
}

impl Offloading {
    /// Nothing, if there is no accelerator.
    fn start(spec: &WorkerSpec) -> Result<Option<Offloading>, WorkerError> {
        let Some(active) = &spec.accelerator else {
            return Ok(None);
        };
        // Every handshake needs one job at a time; the probe another. A thread's jobs are
        // counted once and for all: with more handshakes, some wait for a job.
        let listeners = spec.version.listeners.iter();
        let jobs = jobs(listeners.map(|(params, _)| &**params));
        tls::init_thread(jobs, 0).map_err(WorkerError::Jobs)?;
        let worker =
            accelerator::Worker::new(active).map_err(|source| WorkerError::Accelerator {
                name: active.name,
                source,
            })?;
        let graveyard = Graveyard::new();
        tokio::task::spawn_local(graveyard.clone().run());
        tokio::task::spawn_local(worker.clone().run());
        Ok(Some(Offloading {
            worker,
            graveyard,
            counters: Arc::default(),
        }))
    }

    fn stats(&self) -> AcceleratorStats {
        AcceleratorStats {
            worker: self.worker.stats(),
            handshakes: self.counters.clone(),
            graveyard: self.graveyard.register().clone(),
        }
    }
}
