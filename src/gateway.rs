//! The composition root: parameters in, running workers out.
//!
//! ```text
//! start: accelerator → limits → sockets → endpoints → workers ready → admin → ready
//! end:   not ready → grace → drain → (all done │ timeout → cut) → exit code
//! ```
//!
//! Runs on the control thread, which never touches a connection.

mod acceleration;

use std::future::Future;
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::accelerator::{self, Selection, System};
use crate::admin::{self, AdminState, Readiness};
use crate::config::{DrainParams, GatewayParams};
use crate::drain::{self, Signal};
use crate::listener::{self, ListenerParams};
use crate::telemetry::{self, AccessWriter, ClusterMetrics, Metrics, set_gauge, set_total};
use crate::tls::TicketKeys;
use crate::upstream::{ClusterStats, Endpoints, Stat, TlsConnector};
use crate::worker::{self, AcceleratorStats, ClusterSpec, WorkerError, WorkerSpec};

/// After the cut, for connections to notice.
const CUT_GRACE: Duration = Duration::from_millis(500);

#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("{0}")]
    Accelerator(#[from] accelerator::Unavailable),
    #[error("listener {name}: cannot listen on {address}: {source}")]
    Bind {
        name: String,
        address: SocketAddr,
        source: std::io::Error,
    },
    #[error("admin: cannot listen on {address}: {source}")]
    Admin {
        address: SocketAddr,
        source: std::io::Error,
    },
    #[error("access log: {0}")]
    AccessLog(std::io::Error),
    #[error("cluster {name}: {source}")]
    Cluster {
        name: String,
        source: openssl::error::ErrorStack,
    },
    #[error("worker {index}: {source}")]
    Worker { index: usize, source: WorkerError },
    #[error("{0}")]
    Tls(#[from] crate::tls::TlsError),
}

/// How the gateway ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Every stream finished.
    Drained,
    /// The drain's timeout passed with streams still open.
    Cut,
}

/// A running gateway.
pub struct Gateway {
    signal: Signal,
    readiness: Readiness,
    drain: DrainParams,
    access: Option<AccessWriter>,
    /// What each listener is bound to, in the configuration's order.
    pub addresses: Vec<SocketAddr>,
    pub admin: Option<SocketAddr>,
}

impl Gateway {
    /// Starts everything; to be called on the control thread's runtime.
    pub async fn start(params: GatewayParams) -> Result<Gateway, StartError> {
        raise_descriptor_limit();
        let selection = accelerator::select(&params.acceleration, &System::this())?;
        let metrics = Metrics::new(openssl::version::version());
        metrics.set_workers(params.workers);
        limits(&metrics, &params);
        tell(&metrics, &selection, params.acceleration.asked);
        if let Some(active) = &selection.active {
            let jobs = worker::jobs(params.listeners.iter());
            metrics.set_limit("acceleration", active.name, "jobs", jobs as u64);
            if let Some(queue) = active.queue() {
                metrics.set_limit("acceleration", active.name, "queue", queue as u64);
            }
        }
        let access = telemetry::access::start(&params.log, metrics.access_dropped())
            .map_err(StartError::AccessLog)?;
        let (sink, writer) = access.unzip();
        let sockets = bind(&params)?;
        let addresses = sockets
            .iter()
            .filter_map(|(_, sockets)| sockets.first()?.local_addr().ok())
            .collect();
        let clusters = clusters(&params)?;
        let (signal, watch) = drain::channel();
        let readiness = Readiness::default();
        let admin_socket = admin_socket(&params).await?;
        let base = WorkerSpec {
            index: 0,
            workers: params.workers,
            listeners: Vec::new(),
            clusters: clusters.clone(),
            ticket_keys: TicketKeys::generate()?,
            accelerator: selection.active.clone(),
            metrics: metrics.clone(),
            access: sink,
            drain: watch,
        };
        let stats = start_workers(&base, sockets)?;
        drop(base);
        let mut admin = None;
        if let Some(socket) = admin_socket {
            admin = socket.local_addr().ok();
            serve_admin(socket, &metrics, &readiness, &clusters, &selection, stats);
        }
        readiness.set(true);
        Ok(Gateway {
            signal,
            readiness,
            drain: params.drain,
            access: writer,
            addresses,
            admin,
        })
    }

    /// What reopens the access log's file.
    pub fn access_log(&self) -> Option<AccessWriter> {
        self.access.clone()
    }

    /// Serves until `stop` is ready, then drains. A second `again` cuts at once.
    pub async fn run(
        self,
        stop: impl Future<Output = ()>,
        again: impl Future<Output = ()>,
    ) -> Ended {
        stop.await;
        tracing::info!("draining");
        self.readiness.set(false);
        let ended = tokio::select! {
            biased;
            // Asked twice: no more patience.
            () = again => {
                tracing::warn!("a second signal: what is still open is cut");
                Ended::Cut
            }
            // The orderly end.
            ended = self.finish() => ended,
        };
        if ended == Ended::Cut {
            self.signal.cut();
            self.signal.finished(CUT_GRACE).await;
        }
        if let Some(access) = &self.access {
            access.finish();
        }
        ended
    }

    async fn finish(&self) -> Ended {
        tokio::time::sleep(self.drain.grace).await;
        self.signal.drain();
        match self.signal.finished(self.drain.timeout).await {
            true => {
                tracing::info!("drained");
                Ended::Drained
            }
            false => {
                tracing::warn!("drain.timeout has passed: what is still open is cut");
                Ended::Cut
            }
        }
    }
}

type Sockets = Vec<(Arc<ListenerParams>, Vec<TcpListener>)>;

/// One socket per listener and worker, bound before any worker starts so that a
/// taken address is told at once. Port 0 becomes the same free port for all.
fn bind(params: &GatewayParams) -> Result<Sockets, StartError> {
    let mut all = Vec::new();
    for params_of in &params.listeners {
        let failed = |source| StartError::Bind {
            name: params_of.name.clone(),
            address: params_of.address,
            source,
        };
        let mut address = params_of.address;
        if address.port() != 0 {
            listener::check_free(address).map_err(failed)?;
        }
        let mut sockets = Vec::new();
        for _ in 0..params.workers {
            let socket = listener::bind(params_of, address).map_err(failed)?;
            address = socket.local_addr().map_err(failed)?;
            sockets.push(socket);
        }
        all.push((Arc::new(params_of.clone()), sockets));
    }
    Ok(all)
}

fn clusters(params: &GatewayParams) -> Result<Vec<ClusterSpec>, StartError> {
    let handle = tokio::runtime::Handle::current();
    params
        .clusters
        .iter()
        .map(|cluster| {
            let failed = |source| StartError::Cluster {
                name: cluster.name.clone(),
                source,
            };
            let tls = match &cluster.tls {
                Some(tls) => Some(TlsConnector::new(tls, cluster.protocol).map_err(failed)?),
                None => None,
            };
            Ok(ClusterSpec {
                params: Arc::new(cluster.clone()),
                endpoints: Endpoints::spawn(cluster, &params.dns, &handle),
                tls,
            })
        })
        .collect()
}

/// The workers' numbers of their accelerators.
fn start_workers(
    base: &WorkerSpec,
    mut sockets: Sockets,
) -> Result<Vec<AcceleratorStats>, StartError> {
    let mut stats = Vec::new();
    for index in 0..base.workers {
        let listeners = sockets
            .iter_mut()
            .filter_map(|(params, sockets)| Some((params.clone(), sockets.pop()?)))
            .collect();
        let spec = WorkerSpec {
            index,
            workers: base.workers,
            listeners,
            clusters: base.clusters.clone(),
            ticket_keys: base.ticket_keys.clone(),
            accelerator: base.accelerator.clone(),
            metrics: base.metrics.clone(),
            access: base.access.clone(),
            drain: base.drain.clone(),
        };
        let started = worker::spawn(spec);
        let started = started.map_err(|source| StartError::Worker { index, source })?;
        stats.extend(started.accelerator);
    }
    Ok(stats)
}

/// Bound before any worker starts, so that a taken address is told at once.
async fn admin_socket(
    params: &GatewayParams,
) -> Result<Option<tokio::net::TcpListener>, StartError> {
    let Some(admin) = &params.admin else {
        return Ok(None);
    };
    let socket = tokio::net::TcpListener::bind(admin.address).await;
    socket.map(Some).map_err(|source| StartError::Admin {
        address: admin.address,
        source,
    })
}

fn serve_admin(
    socket: tokio::net::TcpListener,
    metrics: &Arc<Metrics>,
    readiness: &Readiness,
    clusters: &[ClusterSpec],
    selection: &Selection,
    stats: Vec<AcceleratorStats>,
) {
    let shard = metrics.shard();
    let mut refresh: Vec<Box<dyn Fn() + Send + Sync>> = Vec::new();
    for cluster in clusters {
        let metrics = shard.cluster(&cluster.params.name);
        // The watch and not its numbers alone: with fixed addresses it is all that
        // keeps the number of endpoints.
        let endpoints = cluster.endpoints.clone();
        refresh.push(Box::new(move || copy_stats(&metrics, endpoints.stats())));
    }
    if let Some(active) = &selection.active {
        let (name, metrics) = (active.name, metrics.clone());
        let seen = Mutex::new(acceleration::Seen::default());
        refresh.push(Box::new(move || {
            let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
            acceleration::copy(metrics.acceleration(), name, &stats, &mut seen);
        }));
    }
    let state = AdminState {
        metrics: metrics.clone(),
        readiness: readiness.clone(),
        accelerators: selection.to_string(),
        refresh,
    };
    tokio::spawn(admin::serve(socket, state));
}

/// What was chosen, and why what was asked for was not: one line for each.
fn tell(metrics: &Metrics, selection: &Selection, asked: bool) {
    for (name, reasons) in &selection.reasons {
        metrics.set_accelerator(name, "unavailable");
        let reasons: Vec<String> = reasons.iter().map(ToString::to_string).collect();
        let reasons = reasons.join("; ");
        match asked {
            true => tracing::warn!(accelerator = name, "accelerator not used: {reasons}"),
            false => tracing::debug!(accelerator = name, "accelerator not used: {reasons}"),
        }
    }
    metrics.set_accelerator(selection.chosen, "active");
    tracing::info!(
        accelerator = selection.chosen,
        "private-key work is done by {}",
        selection.what
    );
}

/// Every configured limit, beside what it limits.
fn limits(metrics: &Metrics, params: &GatewayParams) {
    for listener in &params.listeners {
        let set = |limit, value: usize| {
            metrics.set_limit("listener", &listener.name, limit, value as u64);
        };
        set("max_connections", listener.max_connections);
        set("max_handshakes", listener.max_handshakes);
        set(
            "max_handshakes_per_client",
            listener.max_handshakes_per_client,
        );
        set(
            "max_concurrent_streams",
            listener.http.max_concurrent_streams as usize,
        );
        set("backlog", listener.backlog as usize);
    }
    for cluster in &params.clusters {
        let set = |limit, value: usize| {
            metrics.set_limit("cluster", &cluster.name, limit, value as u64);
        };
        set("max_connections", cluster.pool.max_connections);
        set(
            "max_concurrent_streams",
            cluster.pool.max_concurrent_streams,
        );
        set("max_pending_requests", cluster.pool.max_pending_requests);
        if let Some(budget) = &cluster.retry_budget {
            set("retry_budget_burst", budget.burst as usize);
        }
    }
}

/// A connection costs a descriptor on each side; the soft limit is often 1024.
pub(crate) fn raise_descriptor_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::warn!(%error, "the limit on open files stays as it is");
    }
}

/// Brings a cluster's counters up to date before a scrape.
fn copy_stats(metrics: &ClusterMetrics, stats: &ClusterStats) {
    let now = stats.snapshot();
    set_total(&metrics.connections, now.get(Stat::ConnectionsOpened));
    set_gauge(&metrics.connections_active, now.get(Stat::ConnectionsOpen));
    let failures = now.get(Stat::ConnectFailures) + now.get(Stat::ConnectTimeouts);
    set_total(&metrics.connect_failures, failures);
    set_total(&metrics.requests, now.get(Stat::Requests));
    set_gauge(&metrics.streams_active, now.get(Stat::StreamsActive));
    set_gauge(&metrics.pending, now.get(Stat::Pending));
    set_total(&metrics.pending_overflows, now.get(Stat::PendingRejected));
    set_total(&metrics.pending_timeouts, now.get(Stat::PendingTimeouts));
    set_total(&metrics.goaways, now.get(Stat::GoAwaysReceived));
    set_gauge(&metrics.endpoints, now.get(Stat::Endpoints));
    set_total(&metrics.dns_successes, now.get(Stat::DnsResolutions));
    set_total(&metrics.dns_failures, now.get(Stat::DnsFailures));
}
