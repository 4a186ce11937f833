//! A new version of the configuration takes the place of the running one.
//!
//! ```text
//! sockets, endpoints → every worker prepares → every worker adopts → the old one retires
//!        any failure: the old version goes on, untouched
//! ```

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use serde_json::Value;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout_at};

use super::clusters::{self, Shown};
use super::generations::Generations;
use super::{StartError, limits, sockets};
use crate::config::{DrainParams, GatewayParams};
use crate::drain;
use crate::listener::{ListenerParams, SocketKey};
use crate::telemetry::Metrics;
use crate::upstream::DnsParams;
use crate::worker::{ClusterSpec, Replacement, Version, WorkerError};

/// What is read at the start alone.
const FIXED: [&str; 4] = ["workers", "admin", "acceleration", "log"];
/// For all workers to build their contexts.
const PREPARATION: Duration = Duration::from_secs(60);

/// Replaces the configuration of a running gateway.
pub struct Reloader {
    pub(super) generations: Rc<Generations>,
    pub(super) workers: Vec<mpsc::Sender<Replacement>>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) shown: Arc<Shown>,
    pub(super) drain: Rc<Cell<DrainParams>>,
    pub(super) running: Running,
}

/// What a new version is compared with.
pub(super) struct Running {
    pub(super) source: Value,
    pub(super) dns: DnsParams,
    pub(super) sockets: Vec<SocketKey>,
    pub(super) clusters: Vec<ClusterSpec>,
}

impl Reloader {
    /// Serves new connections by these parameters. Those from before are drained, unless
    /// certificates and other settings of TLS are all that differs.
    ///
    /// # Errors
    /// Something of it cannot be had, such as a listener's address. Nothing has changed then.
    pub async fn apply(&mut self, params: GatewayParams) -> Result<(), StartError> {
        let same_dns = self.running.dns == params.dns;
        let clusters = clusters::specs(&params, &self.running.clusters, same_dns)?;
        // Not 503 because names are still being resolved.
        let ready = clusters
            .iter()
            .map(|one| one.endpoints.ready(one.params.connect_timeout));
        join_all(ready).await;
        let drains = self.differs(&params.source, &clusters);
        let next = drains.then(drain::channel);
        let watch = match &next {
            Some((_, watch)) => watch.clone(),
            None => self.generations.watch(),
        };
        let (kept, workers) = (&self.running.sockets, self.workers.len());
        let versions = sockets::versions(&params.listeners, kept, workers, &clusters, watch)?;
        let commits = self.prepare(versions).await?;
        if self.generations.is_draining() {
            return Err(StartError::Draining);
        }
        if let Some((signal, _)) = next {
            self.generations.begin(signal);
        }
        for commit in commits {
            let (done, adopted) = oneshot::channel();
            // A worker that is gone has nothing to adopt.
            if commit.send(done).is_ok() {
                let _ = adopted.await;
            }
        }
        self.generations.retire(params.reload.timeout);
        limits::show(&self.metrics, &params);
        self.shown.set(&clusters);
        self.drain.set(params.drain);
        for section in self.running.become_of(params, clusters) {
            tracing::warn!("{section}: differs from what runs, and counts from the next start on");
        }
        self.metrics.reloaded(true);
        tracing::info!(drains, "the configuration has been read again");
        Ok(())
    }

    /// A new version that cannot take the running one's place.
    pub fn refused(&self, reason: &dyn std::fmt::Display) {
        self.metrics.reloaded(false);
        tracing::error!("the configuration stays as it is: {reason}");
    }

    /// Whether anything but the listeners' TLS does.
    fn differs(&self, source: &Value, clusters: &[ClusterSpec]) -> bool {
        let same_clusters = clusters.len() == self.running.clusters.len()
            && clusters
                .iter()
                .zip(&self.running.clusters)
                .all(|(new, old)| Arc::ptr_eq(&new.params, &old.params));
        !same_clusters || without_tls(source) != without_tls(&self.running.source)
    }

    /// What lets each worker go on, when all of them can.
    async fn prepare(
        &self,
        versions: Vec<Version>,
    ) -> Result<Vec<oneshot::Sender<oneshot::Sender<()>>>, StartError> {
        let deadline = Instant::now() + PREPARATION;
        let mut answers = Vec::new();
        let mut commits = Vec::new();
        for (index, (worker, version)) in self.workers.iter().zip(versions).enumerate() {
            let (prepared, answer) = oneshot::channel();
            let (sender, commit) = oneshot::channel();
            let replacement = Replacement {
                version,
                prepared,
                commit,
            };
            let sent = timeout_at(deadline, worker.send(replacement)).await;
            answers.push((index, sent.is_ok().then_some(answer)));
            commits.push(sender);
        }
        for (index, answer) in answers {
            let answered = match answer {
                Some(answer) => timeout_at(deadline, answer).await.ok(),
                None => None,
            };
            let late = || Ok(Err(WorkerError::Late(PREPARATION)));
            let result = answered.unwrap_or_else(late);
            result
                .unwrap_or(Err(WorkerError::Died))
                .map_err(|source| StartError::Worker { index, source })?;
        }
        Ok(commits)
    }
}

impl Running {
    pub(super) fn new(params: GatewayParams, clusters: Vec<ClusterSpec>) -> Running {
        Running {
            sockets: params
                .listeners
                .iter()
                .map(ListenerParams::socket)
                .collect(),
            source: params.source,
            dns: params.dns,
            clusters,
        }
    }

    /// Takes note of the new version; gives the sections that are still those of the start.
    fn become_of(
        &mut self,
        mut params: GatewayParams,
        clusters: Vec<ClusterSpec>,
    ) -> Vec<&'static str> {
        let source = &mut params.source;
        let mut unchanged = Vec::new();
        for section in FIXED {
            let at_start = self.source.get(section).cloned().unwrap_or_default();
            if source.get(section).cloned().unwrap_or_default() != at_start {
                unchanged.push(section);
                source[section] = at_start;
            }
        }
        *self = Running::new(params, clusters);
        unchanged
    }
}

/// What of the file decides where requests go.
fn without_tls(source: &Value) -> [Value; 2] {
    let mut parts =
        ["listeners", "clusters"].map(|key| source.get(key).cloned().unwrap_or_default());
    for listener in parts[0].as_array_mut().into_iter().flatten() {
        if let Some(listener) = listener.as_object_mut() {
            listener.remove("tls");
        }
    }
    parts
}
