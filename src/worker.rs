//! A worker: one core's thread, its listeners, connections and pools.
//!
//! 1. The thread builds its TLS contexts, pools and routes, then says it is ready.
//! 2. Its listeners accept until draining begins.
//! 3. It parks when its connections have ended; threads that ran OpenSSL jobs live as
//!    long as the process.
//!
//! Nothing in it is shared with another worker but what the control thread publishes:
//! endpoints, the drain's phase, ticket keys.

use std::net::TcpListener;
use std::rc::Rc;
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use openssl::error::ErrorStack;

use crate::accelerator::{self, Active, WorkerStats};
use crate::drain::Watch;
use crate::http::Service;
use crate::listener::{Admission, Listener, ListenerParams};
use crate::proxy::{Proxy, RouteHandle};
use crate::route::RouteTable;
use crate::rt;
use crate::telemetry::{AccessSink, Metrics, Shard};
use crate::tls::{self, Acceptor, Graveyard, Register, TicketKeys, TlsError, TlsParams};
use crate::upstream::{Cluster, ClusterParams, EndpointsWatch, TlsConnector};

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
    pub params: Arc<ClusterParams>,
    pub endpoints: EndpointsWatch,
    pub tls: Option<TlsConnector>,
}

pub struct WorkerSpec {
    pub index: usize,
    /// How many there are: shares of the process's limits.
    pub workers: usize,
    pub listeners: Vec<(Arc<ListenerParams>, TcpListener)>,
    pub clusters: Vec<ClusterSpec>,
    pub ticket_keys: TicketKeys,
    /// None: software.
    pub accelerator: Option<Arc<Active>>,
    pub metrics: Arc<Metrics>,
    pub access: Option<AccessSink>,
    pub drain: Watch,
}

/// A worker's numbers of its accelerator, readable from any thread.
#[derive(Clone)]
pub struct AcceleratorStats {
    pub worker: WorkerStats,
    /// Of each listener's handshakes.
    pub handshakes: Vec<Arc<tls::Counters>>,
    pub graveyard: Arc<Register>,
}

/// A worker that serves.
pub struct Started {
    pub thread: JoinHandle<()>,
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
    #[error("{0}")]
    Io(#[from] std::io::Error),
    #[error("the thread ended before it was ready")]
    Died,
}

/// Starts the worker's thread and waits until it serves.
pub fn spawn(spec: WorkerSpec) -> Result<Started, WorkerError> {
    let (ready, readiness) = mpsc::sync_channel(1);
    let thread = std::thread::Builder::new()
        .name(format!("worker-{}", spec.index))
        .spawn(move || run(spec, &ready))?;
    let accelerator = readiness.recv().map_err(|_| WorkerError::Died)??;
    Ok(Started {
        thread,
        accelerator,
    })
}

type Ready = Result<Option<AcceleratorStats>, WorkerError>;

fn run(spec: WorkerSpec, ready: &mpsc::SyncSender<Ready>) {
    let runtime = match rt::local_runtime() {
        Ok(runtime) => runtime,
        Err(error) => {
            let _ = ready.send(Err(error.into()));
            return;
        }
    };
    runtime.block_on(async {
        let drain = spec.drain.clone();
        let offload = match Offloading::start(&spec) {
            Ok(offload) => offload,
            Err(error) => {
                let _ = ready.send(Err(error));
                return;
            }
        };
        match start(spec, offload.as_ref()) {
            Ok(listeners) => {
                let stats = offload.as_ref().map(|offload| offload.stats(&listeners));
                let _ = ready.send(Ok(stats));
                // In tasks of their own: to wake the runtime's first future takes a system
                // call each time.
                let tasks = listeners.into_iter().map(|(listener, socket)| {
                    let drain = drain.clone();
                    tokio::task::spawn_local(async move {
                        let admission = listener.admission.clone();
                        listener.run(socket, drain).await;
                        admission.emptied().await;
                    })
                });
                for ended in futures_util::future::join_all(tasks).await {
                    ended.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()));
                }
            }
            Err(error) => {
                let _ = ready.send(Err(error));
                return;
            }
        }
        if let Some(offload) = &offload {
            let left = offload.graveyard.drain(LAST_OPERATIONS).await;
            if left > 0 {
                tracing::warn!(left, "operations never came back from the accelerator");
            }
        }
        drop(drain);
        std::future::pending::<()>().await;
    });
}

type Listeners = Vec<(Rc<Listener>, tokio::net::TcpListener)>;

/// What the worker offloads with.
struct Offloading {
    worker: Rc<accelerator::Worker>,
    graveyard: Rc<Graveyard>,
}

impl Offloading {
    /// Nothing, if there is no accelerator.
    fn start(spec: &WorkerSpec) -> Result<Option<Offloading>, WorkerError> {
        let Some(active) = &spec.accelerator else {
            return Ok(None);
        };
        // Every handshake needs one job at a time; the probe another.
        let jobs = jobs(spec.listeners.iter().map(|(params, _)| &**params));
        tls::init_thread(jobs, 0).map_err(WorkerError::Jobs)?;
        let worker =
            accelerator::Worker::new(active).map_err(|source| WorkerError::Accelerator {
                name: active.name,
                source,
            })?;
        let graveyard = Graveyard::new();
        tokio::task::spawn_local(graveyard.clone().run());
        tokio::task::spawn_local(worker.clone().run());
        Ok(Some(Offloading { worker, graveyard }))
    }

    fn stats(&self, listeners: &Listeners) -> AcceleratorStats {
        let acceptors = listeners
            .iter()
            .filter_map(|(one, _)| one.acceptor.as_ref());
        AcceleratorStats {
            worker: self.worker.stats(),
            handshakes: acceptors.map(|one| one.counters().clone()).collect(),
            graveyard: self.graveyard.register().clone(),
        }
    }
}

/// The contexts of a listener.
fn acceptor(
    params: &TlsParams,
    keys: &TicketKeys,
    offload: Option<&Offloading>,
) -> Result<Acceptor, TlsError> {
    let acceptor = Acceptor::new(params, keys)?;
    match offload {
        None => Ok(acceptor),
        Some(Offloading { worker, graveyard }) => {
            acceptor.accelerated(params, keys, worker.clone(), graveyard.clone())
        }
    }
}

fn start(spec: WorkerSpec, offload: Option<&Offloading>) -> Result<Listeners, WorkerError> {
    let shard = spec.metrics.shard();
    let names: Vec<String> = spec
        .clusters
        .iter()
        .map(|cluster| cluster.params.name.clone())
        .collect();
    let clusters: Rc<Vec<Rc<Cluster>>> = Rc::new(
        spec.clusters
            .into_iter()
            .map(|cluster| Cluster::new(cluster.params, cluster.endpoints, cluster.tls))
            .collect(),
    );
    let mut started = Vec::new();
    for (params, socket) in spec.listeners {
        let failed = |source| WorkerError::Tls {
            listener: params.name.clone(),
            source,
        };
        let acceptor = match &params.tls {
            Some(tls) => Some(acceptor(tls, &spec.ticket_keys, offload).map_err(failed)?),
            None => None,
        };
        let metrics = shard.listener(&params.name);
        let proxy = Proxy::new(
            params.proxy.clone(),
            RouteTable::new(&params.routes),
            clusters.clone(),
            handles(&params, &names, &shard),
            metrics.clone(),
            spec.access.clone(),
        );
        let listener = Listener {
            acceptor,
            service: Rc::new(Service {
                params: params.http.clone(),
                proxy: Rc::new(proxy),
            }),
            admission: Admission::new(
                params.max_connections.div_ceil(spec.workers),
                params.max_handshakes,
                params.max_handshakes_per_client,
            ),
            metrics,
            params,
        };
        let socket = tokio::net::TcpListener::from_std(socket)?;
        started.push((Rc::new(listener), socket));
    }
    Ok(started)
}

fn handles(params: &ListenerParams, clusters: &[String], shard: &Shard) -> Vec<Rc<RouteHandle>> {
    params
        .routes
        .iter()
        .map(|route| {
            let cluster = &clusters[route.cluster];
            Rc::new(RouteHandle {
                name: route.name.clone(),
                cluster_name: cluster.clone(),
                metrics: shard.route(&route.name, cluster),
                cluster: shard.cluster(cluster),
            })
        })
        .collect()
}
