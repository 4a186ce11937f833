//! The composition root: parameters in, running workers out.
//!
//! ```text
//! start:  accelerator → limits → endpoints → sockets → workers ready → admin → ready
//! reload: the same for what has changed; connections from before are drained
//! end:    not ready → grace → drain → (all done │ timeout → cut) → exit code
//! ```
//!
//! Runs on the control thread, which never touches a connection.

mod acceleration;
mod clusters;
mod generations;
mod limits;
mod reload;
mod sockets;

use std::cell::Cell;
use std::future::Future;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::mpsc;

use crate::accelerator::{self, Selection, System};
use crate::admin::{self, AdminState, Readiness};
use crate::config::{DrainParams, GatewayParams};
use crate::drain;
use crate::telemetry::{self, AccessSink, AccessWriter, Metrics};
use crate::tls::TicketKeys;
use crate::worker::{self, AcceleratorStats, Replacement, Version, WorkerError, WorkerSpec};
use clusters::Shown;
use generations::Generations;
pub(crate) use limits::raise_descriptor_limit;
pub use reload::Reloader;

/// After the cut, for connections to notice.
const CUT_GRACE: Duration = Duration::from_millis(500);

/// Why the gateway, or a new version of its configuration, cannot start.
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
    #[error("the gateway is draining")]
    Draining,
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
    generations: Rc<Generations>,
    readiness: Readiness,
    drain: Rc<Cell<DrainParams>>,
    access: Option<AccessWriter>,
    /// What each listener is bound to, in the configuration's order.
    pub addresses: Vec<SocketAddr>,
    pub admin: Option<SocketAddr>,
}

impl Gateway {
    /// Starts everything; to be called on the control thread's runtime. The gateway, and what
    /// replaces its configuration.
    pub async fn start(params: GatewayParams) -> Result<(Gateway, Reloader), StartError> {
        raise_descriptor_limit();
        let selection = accelerator::select(&params.acceleration, &System::this())?;
        let metrics = Metrics::new(openssl::version::version());
        metrics.set_workers(params.workers);
        limits::show(&metrics, &params);
        tell(&metrics, &selection, &params);
        let access = telemetry::access::start(&params.log, metrics.access_dropped())
            .map_err(StartError::AccessLog)?;
        let (sink, writer) = access.unzip();
        let clusters = clusters::specs(&params, &[], true)?;
        let (signal, watch) = drain::channel();
        let versions = sockets::versions(&params.listeners, &[], params.workers, &clusters, watch)?;
        let addresses = versions.first().map(addresses).unwrap_or_default();
        let readiness = Readiness::default();
        let admin_socket = sockets::admin(&params).await?;
        let base = Base {
            selection: &selection,
            metrics: &metrics,
            access: sink,
        };
        let (workers, stats) = base.start(versions)?;
        let shown = Shown::new(metrics.shard(), &clusters);
        let mut admin = None;
        if let Some(socket) = admin_socket {
            admin = socket.local_addr().ok();
            serve_admin(
                socket,
                &metrics,
                &readiness,
                shown.clone(),
                &selection,
                stats,
            );
        }
        readiness.set(true);
        let generations = Generations::new(signal);
        let drain = Rc::new(Cell::new(params.drain));
        let gateway = Gateway {
            generations: generations.clone(),
            readiness,
            drain: drain.clone(),
            access: writer,
            addresses,
            admin,
        };
        let reloader = Reloader {
            generations,
            workers,
            metrics,
            shown,
            drain,
            running: reload::Running::new(params, clusters),
        };
        Ok((gateway, reloader))
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
            self.generations.cut();
            self.generations.finished(CUT_GRACE).await;
        }
        if let Some(access) = &self.access {
            access.finish();
        }
        ended
    }

    async fn finish(&self) -> Ended {
        let drain = self.drain.get();
        tokio::time::sleep(drain.grace).await;
        self.generations.drain();
        match self.generations.finished(drain.timeout).await {
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

/// What the listeners are bound to.
fn addresses(version: &Version) -> Vec<SocketAddr> {
    let sockets = version.listeners.iter();
    sockets
        .filter_map(|(_, socket)| socket.as_ref()?.local_addr().ok())
        .collect()
}

/// What all workers start with.
struct Base<'a> {
    selection: &'a Selection,
    metrics: &'a Arc<Metrics>,
    access: Option<AccessSink>,
}

type Workers = (Vec<mpsc::Sender<Replacement>>, Vec<AcceleratorStats>);

impl Base<'_> {
    /// Where new versions go, and the workers' numbers of their accelerators.
    fn start(self, versions: Vec<Version>) -> Result<Workers, StartError> {
        let ticket_keys = TicketKeys::generate()?;
        let (mut replacements, mut stats) = (Vec::new(), Vec::new());
        let workers = versions.len();
        for (index, version) in versions.into_iter().enumerate() {
            let spec = WorkerSpec {
                index,
                workers,
                version,
                ticket_keys: ticket_keys.clone(),
                accelerator: self.selection.active.clone(),
                metrics: self.metrics.clone(),
                access: self.access.clone(),
            };
            let started = worker::spawn(spec);
            let started = started.map_err(|source| StartError::Worker { index, source })?;
            replacements.push(started.replacements);
            stats.extend(started.accelerator);
        }
        Ok((replacements, stats))
    }
}

fn serve_admin(
    socket: tokio::net::TcpListener,
    metrics: &Arc<Metrics>,
    readiness: &Readiness,
    shown: Arc<Shown>,
    selection: &Selection,
    stats: Vec<AcceleratorStats>,
) {
    let mut refresh: Vec<Box<dyn Fn() + Send + Sync>> = vec![Box::new(move || shown.refresh())];
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
fn tell(metrics: &Metrics, selection: &Selection, params: &GatewayParams) {
    for (name, reasons) in &selection.reasons {
        metrics.set_accelerator(name, "unavailable");
        let reasons: Vec<String> = reasons.iter().map(ToString::to_string).collect();
        let reasons = reasons.join("; ");
        match params.acceleration.asked {
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
    if let Some(active) = &selection.active {
        let jobs = worker::jobs(params.listeners.iter());
        metrics.set_limit("acceleration", active.name, "jobs", jobs as u64);
        if let Some(queue) = active.queue() {
            metrics.set_limit("acceleration", active.name, "queue", queue as u64);
        }
    }
}
