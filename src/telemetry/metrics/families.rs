//! Every family a shard has: name, help, labels, buckets.

use prometheus::core::Collector;
use prometheus::{HistogramOpts, HistogramVec, IntCounterVec, IntGaugeVec, Opts, Registry, Result};

/// Seconds. A resumed handshake takes well under a millisecond, one that waits for a
/// slow client ends at the handshake deadline.
const HANDSHAKE_SECONDS: &[f64] = &[
    0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0,
    10.0,
];

/// Times. A full handshake has two key-exchange operations and a signature.
const HANDSHAKE_PAUSES: &[f64] = &[0.0, 1.0, 2.0, 3.0, 4.0, 8.0];

/// Seconds. From a cached answer to a model that writes for minutes.
const REQUEST_SECONDS: &[f64] = &[
    0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
    60.0, 120.0, 300.0,
];

pub(super) struct Families {
    pub registry: Registry,
    pub listener: ListenerFamilies,
    pub tls: TlsFamilies,
    pub http: HttpFamilies,
    pub route: RouteFamilies,
    pub upstream: UpstreamFamilies,
}

impl Families {
    pub(super) fn new() -> Families {
        let registry = Registry::new();
        Families {
            listener: ListenerFamilies::new(&registry),
            tls: TlsFamilies::new(&registry),
            http: HttpFamilies::new(&registry),
            route: RouteFamilies::new(&registry),
            upstream: UpstreamFamilies::new(&registry),
            registry,
        }
    }
}

const LISTENER: &[&str] = &["listener"];
const ROUTE: &[&str] = &["route", "cluster"];
const CLUSTER: &[&str] = &["cluster"];

/// What a listener's sockets do.
pub(super) struct ListenerFamilies {
    pub connections: IntCounterVec,
    pub active: IntGaugeVec,
    pub rejected: IntCounterVec,
}

impl ListenerFamilies {
    fn new(registry: &Registry) -> Self {
        ListenerFamilies {
            connections: counter(
                registry,
                "gateway_listener_connections_total",
                "Connections accepted.",
                LISTENER,
            ),
            active: gauge(
                registry,
                "gateway_listener_connections_active",
                "Connections open, handshakes included.",
                LISTENER,
            ),
            rejected: counter(
                registry,
                "gateway_listener_connections_rejected_total",
                "Connections closed before TLS, by reason.",
                &["listener", "reason"],
            ),
        }
    }
}

/// Handshakes.
pub(super) struct TlsFamilies {
    pub handshakes: IntCounterVec,
    pub seconds: HistogramVec,
    pub pauses: HistogramVec,
    pub in_progress: IntGaugeVec,
}

impl TlsFamilies {
    fn new(registry: &Registry) -> Self {
        TlsFamilies {
            handshakes: counter(
                registry,
                "gateway_tls_handshakes_total",
                "TLS handshakes ended.",
                &[
                    "listener",
                    "outcome",
                    "accelerator",
                    "key_type",
                    "version",
                    "resumed",
                ],
            ),
            seconds: seconds(
                registry,
                "gateway_tls_handshake_seconds",
                "From accept to the end of a completed handshake.",
                &["listener", "accelerator", "resumed"],
                HANDSHAKE_SECONDS,
            ),
            pauses: seconds(
                registry,
                "gateway_tls_handshake_pauses",
                "Times an accelerated, completed handshake was paused.",
                &["listener", "accelerator"],
                HANDSHAKE_PAUSES,
            ),
            in_progress: gauge(
                registry,
                "gateway_tls_handshakes_in_progress",
                "Handshakes begun and not ended.",
                LISTENER,
            ),
        }
    }
}

/// What is spoken to clients.
pub(super) struct HttpFamilies {
    pub connections: IntCounterVec,
    pub errors: IntCounterVec,
}

impl HttpFamilies {
    fn new(registry: &Registry) -> Self {
        HttpFamilies {
            connections: counter(
                registry,
                "gateway_http_connections_total",
                "Connections that came to speak HTTP, by protocol.",
                &["listener", "protocol"],
            ),
            errors: counter(
                registry,
                "gateway_http_errors_total",
                "Requests refused before a route was looked for, by reason.",
                &["listener", "reason"],
            ),
        }
    }
}

/// Requests by route and cluster.
pub(super) struct RouteFamilies {
    pub requests: IntCounterVec,
    pub grpc: IntCounterVec,
    pub seconds: HistogramVec,
    pub active: IntGaugeVec,
    pub unmatched: IntCounterVec,
    pub request_bytes: IntCounterVec,
    pub response_bytes: IntCounterVec,
}

impl RouteFamilies {
    fn new(registry: &Registry) -> Self {
        RouteFamilies {
            requests: counter(
                registry,
                "gateway_route_requests_total",
                "Requests ended, by status code (none: the client was gone before there was one).",
                &["route", "cluster", "code"],
            ),
            grpc: counter(
                registry,
                "gateway_route_grpc_responses_total",
                "gRPC responses ended, by grpc-status.",
                &["route", "cluster", "grpc_status"],
            ),
            seconds: seconds(
                registry,
                "gateway_route_request_seconds",
                "From a request's head to its response's end.",
                ROUTE,
                REQUEST_SECONDS,
            ),
            active: gauge(
                registry,
                "gateway_route_requests_active",
                "Requests begun and not ended.",
                ROUTE,
            ),
            unmatched: counter(
                registry,
                "gateway_route_unmatched_total",
                "Requests no route matched.",
                LISTENER,
            ),
            request_bytes: counter(
                registry,
                "gateway_proxy_request_bytes_total",
                "Body bytes from clients.",
                ROUTE,
            ),
            response_bytes: counter(
                registry,
                "gateway_proxy_response_bytes_total",
                "Body bytes to clients.",
                ROUTE,
            ),
        }
    }
}

/// Clusters and their pools.
pub(super) struct UpstreamFamilies {
    pub connections: IntCounterVec,
    pub connections_active: IntGaugeVec,
    pub connect_failures: IntCounterVec,
    pub requests: IntCounterVec,
    pub streams_active: IntGaugeVec,
    pub pending: IntGaugeVec,
    pub pending_rejected: IntCounterVec,
    pub retries: IntCounterVec,
    pub retries_refused: IntCounterVec,
    pub goaways: IntCounterVec,
    pub endpoints: IntGaugeVec,
    pub dns: IntCounterVec,
}

impl UpstreamFamilies {
    fn new(registry: &Registry) -> Self {
        let counted = |name, help| counter(registry, name, help, CLUSTER);
        let gauged = |name, help| gauge(registry, name, help, CLUSTER);
        UpstreamFamilies {
            connections: counted(
                "gateway_upstream_connections_total",
                "Connections opened to endpoints.",
            ),
            connections_active: gauged(
                "gateway_upstream_connections_active",
                "Connections open to endpoints.",
            ),
            connect_failures: counted(
                "gateway_upstream_connect_failures_total",
                "Connections that could not be opened.",
            ),
            requests: counted(
                "gateway_upstream_requests_total",
                "Requests sent to endpoints, retries included.",
            ),
            streams_active: gauged(
                "gateway_upstream_streams_active",
                "Requests at endpoints now.",
            ),
            pending: gauged(
                "gateway_upstream_pending_requests",
                "Requests waiting for a connection.",
            ),
            pending_rejected: counter(
                registry,
                "gateway_upstream_pending_rejected_total",
                "Requests refused while waiting for a connection (overflow, timeout).",
                &["cluster", "reason"],
            ),
            retries: counted("gateway_upstream_retries_total", "Requests sent again."),
            retries_refused: counted(
                "gateway_upstream_retries_refused_total",
                "Requests not sent again because the retry budget was spent.",
            ),
            goaways: counted(
                "gateway_upstream_goaways_total",
                "Connections that an endpoint said GOAWAY on.",
            ),
            endpoints: gauged("gateway_upstream_endpoints", "Endpoint addresses known."),
            dns: counter(
                registry,
                "gateway_upstream_dns_resolutions_total",
                "Names resolved, by outcome (success, failure).",
                &["cluster", "outcome"],
            ),
        }
    }
}

fn counter(registry: &Registry, name: &str, help: &str, labels: &[&str]) -> IntCounterVec {
    register(registry, IntCounterVec::new(Opts::new(name, help), labels))
}

fn gauge(registry: &Registry, name: &str, help: &str, labels: &[&str]) -> IntGaugeVec {
    register(registry, IntGaugeVec::new(Opts::new(name, help), labels))
}

fn seconds(
    registry: &Registry,
    name: &str,
    help: &str,
    labels: &[&str],
    buckets: &[f64],
) -> HistogramVec {
    let options = HistogramOpts::new(name, help).buckets(buckets.to_vec());
    register(registry, HistogramVec::new(options, labels))
}

/// Names and labels are constants of this module, each used once: neither making nor
/// registering a family can fail, as `tests` shows by doing it.
pub(super) fn must<T>(result: Result<T>) -> T {
    match result {
        Ok(value) => value,
        Err(error) => unreachable!("a metric's definition: {error}"),
    }
}

pub(super) fn register<C: Collector + Clone + 'static>(registry: &Registry, made: Result<C>) -> C {
    let collector = must(made);
    must(registry.register(Box::new(collector.clone())));
    collector
}
