//! The configured limits as metrics, and the system's own.

use crate::config::GatewayParams;
use crate::telemetry::Metrics;

/// Every configured limit, beside what it limits.
pub(super) fn show(metrics: &Metrics, params: &GatewayParams) {
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
