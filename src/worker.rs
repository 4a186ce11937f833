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

use crate::drain::Watch;
use crate::http::Service;
use crate::listener::{Admission, Listener, ListenerParams};
use crate::proxy::{Proxy, RouteHandle};
use crate::route::RouteTable;
use crate::rt;
use crate::telemetry::{AccessSink, Metrics, Shard};
use crate::tls::{Acceptor, TicketKeys, TlsError};
use crate::upstream::{Cluster, ClusterParams, EndpointsWatch, TlsConnector};

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
    pub metrics: Arc<Metrics>,
    pub access: Option<AccessSink>,
    pub drain: Watch,
}

#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    #[error("listener {listener}: {source}")]
    Tls { listener: String, source: TlsError },
    #[error("{0}")]
    Io(#[from] std::io::Error),
    #[error("the thread ended before it was ready")]
    Died,
}

/// Starts the worker's thread and waits until it serves.
pub fn spawn(spec: WorkerSpec) -> Result<JoinHandle<()>, WorkerError> {
    let (ready, readiness) = mpsc::sync_channel(1);
    let thread = std::thread::Builder::new()
        .name(format!("worker-{}", spec.index))
        .spawn(move || run(spec, &ready))?;
    readiness.recv().map_err(|_| WorkerError::Died)??;
    Ok(thread)
}

fn run(spec: WorkerSpec, ready: &mpsc::SyncSender<Result<(), WorkerError>>) {
    let runtime = match rt::local_runtime() {
        Ok(runtime) => runtime,
        Err(error) => {
            let _ = ready.send(Err(error.into()));
            return;
        }
    };
    runtime.block_on(async {
        let drain = spec.drain.clone();
        match start(spec) {
            Ok(listeners) => {
                let _ = ready.send(Ok(()));
                let tasks = listeners
                    .into_iter()
                    .map(|(listener, socket)| listener.run(socket, drain.clone()));
                futures_util::future::join_all(tasks).await;
            }
            Err(error) => {
                let _ = ready.send(Err(error));
                return;
            }
        }
        drop(drain);
        // Connections end by themselves, or with the process.
        std::future::pending::<()>().await;
    });
}

type Started = Vec<(Rc<Listener>, tokio::net::TcpListener)>;

fn start(spec: WorkerSpec) -> Result<Started, WorkerError> {
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
        let acceptor =
            match &params.tls {
                Some(tls) => Some(Acceptor::new(tls, &spec.ticket_keys).map_err(|source| {
                    WorkerError::Tls {
                        listener: params.name.clone(),
                        source,
                    }
                })?),
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
