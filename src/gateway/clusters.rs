//! The clusters on the control thread: their endpoints, and their numbers for a scrape.

use std::sync::{Arc, Mutex, PoisonError};

use super::StartError;
use crate::config::GatewayParams;
use crate::telemetry::{ClusterMetrics, Shard, set_gauge, set_total};
use crate::upstream::{ClusterParams, ClusterStats, DnsParams, Endpoints, Stat, TlsConnector};
use crate::worker::ClusterSpec;

/// The clusters of a version of the configuration. One that is as it was before is the same
/// object; one that has changed counts on.
pub(super) fn specs(
    params: &GatewayParams,
    before: &[ClusterSpec],
    same_dns: bool,
) -> Result<Vec<ClusterSpec>, StartError> {
    let mut specs = Vec::new();
    for cluster in &params.clusters {
        let known = before.iter().find(|one| one.params.name == cluster.name);
        match known.filter(|one| same_dns && *one.params == *cluster) {
            Some(one) => specs.push(one.clone()),
            None => specs.push(spec(cluster, &params.dns, known)?),
        }
    }
    Ok(specs)
}

fn spec(
    cluster: &ClusterParams,
    dns: &DnsParams,
    before: Option<&ClusterSpec>,
) -> Result<ClusterSpec, StartError> {
    let tls = cluster.tls.as_ref();
    let tls = tls.map(|tls| TlsConnector::new(tls, cluster.protocol));
    let tls = tls.transpose().map_err(|source| StartError::Cluster {
        name: cluster.name.clone(),
        source,
    })?;
    let stats = before.map(|one| one.endpoints.stats().clone());
    let runtime = tokio::runtime::Handle::current();
    Ok(ClusterSpec {
        params: Arc::new(cluster.clone()),
        endpoints: Endpoints::spawn(cluster, dns, &runtime, stats.unwrap_or_default()),
        tls,
    })
}

/// What a scrape shows of the clusters: those there are now.
pub(super) struct Shown {
    shard: Shard,
    /// The specs and not their numbers alone: with fixed addresses the watch is all that
    /// keeps the number of endpoints.
    clusters: Mutex<Vec<(ClusterMetrics, ClusterSpec)>>,
}

impl Shown {
    pub(super) fn new(shard: Shard, clusters: &[ClusterSpec]) -> Arc<Shown> {
        let shown = Shown {
            shard,
            clusters: Mutex::default(),
        };
        shown.set(clusters);
        Arc::new(shown)
    }

    /// Other clusters. Those that are gone keep the numbers they have had.
    pub(super) fn set(&self, clusters: &[ClusterSpec]) {
        self.refresh();
        let clusters = clusters.iter().map(|cluster| {
            let metrics = self.shard.cluster(&cluster.params.name);
            (metrics, cluster.clone())
        });
        let clusters = clusters.collect();
        *self.clusters.lock().unwrap_or_else(PoisonError::into_inner) = clusters;
    }

    /// To be called before metrics are encoded.
    pub(super) fn refresh(&self) {
        let clusters = self.clusters.lock().unwrap_or_else(PoisonError::into_inner);
        for (metrics, cluster) in clusters.iter() {
            copy(metrics, cluster.endpoints.stats());
        }
    }
}

fn copy(metrics: &ClusterMetrics, stats: &ClusterStats) {
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
