//! What a cluster is, checked.

use std::net::SocketAddr;
use std::time::Duration;

use openssl::pkey::{PKey, Private};
use openssl::x509::X509;

/// The protocol spoken to a cluster's endpoints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/2 with prior knowledge (RFC 9113 3.3); with `tls`, by ALPN `h2`.
    H2c,
    Http1,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BalancerKind {
    RoundRobin,
    /// The less loaded of two random endpoints.
    LeastRequest,
    Random,
}

/// Where an endpoint is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum EndpointAddress {
    Socket(SocketAddr),
    /// Resolved again whenever its records' TTL ends; every address is an endpoint.
    Name {
        host: String,
        port: u16,
    },
}

impl std::fmt::Display for EndpointAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            EndpointAddress::Socket(address) => address.fmt(f),
            EndpointAddress::Name { host, port } => write!(f, "{host}:{port}"),
        }
    }
}

/// TLS towards the backends.
#[derive(Clone)]
pub struct UpstreamTls {
    /// Roots the backend's certificate is verified against; empty: the system's.
    pub roots: Vec<X509>,
    /// The name verified and sent as SNI; absent: the endpoint's host.
    pub server_name: Option<String>,
    /// False only for tests: any certificate is taken.
    pub verify: bool,
    /// The gateway's own certificate, chain and key, if the backends ask for one.
    pub identity: Option<(Vec<X509>, PKey<Private>)>,
}

impl PartialEq for UpstreamTls {
    fn eq(&self, other: &UpstreamTls) -> bool {
        let same_identity = match (&self.identity, &other.identity) {
            (None, None) => true,
            (Some((chain, key)), Some((others, other))) => chain == others && key.public_eq(other),
            _ => false,
        };
        same_identity
            && self.roots == other.roots
            && self.server_name == other.server_name
            && self.verify == other.verify
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TcpKeepalive {
    pub time: Duration,
    pub interval: Duration,
    pub probes: u32,
}

/// HTTP/2 PING keep-alive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PingKeepalive {
    /// A PING is sent when nothing was read for this long.
    pub interval: Duration,
    /// The connection is closed when the answer takes longer.
    pub timeout: Duration,
}

/// Limits of the connections to one endpoint, of one worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoolParams {
    /// Connections opened ahead of the first request.
    pub warm_up: usize,
    pub max_connections: usize,
    /// A connection is retired after this many requests; 0: never.
    pub max_requests_per_connection: u64,
    /// Streams at once on one connection; the peer's own limit holds if lower.
    pub max_concurrent_streams: usize,
    /// Requests that may wait for a connection; more get 503.
    pub max_pending_requests: usize,
    /// How long a request waits for a connection before 503.
    pub pending_timeout: Duration,
    /// A connection without streams is closed after this long.
    pub idle_timeout: Duration,
    pub tcp_keepalive: Option<TcpKeepalive>,
    pub ping_keepalive: Option<PingKeepalive>,
    /// First and longest pause after a refused connection.
    pub backoff_initial: Duration,
    pub backoff_maximum: Duration,
    /// HTTP/2 flow-control windows offered to the backend, bytes.
    pub stream_window: u32,
    pub connection_window: u32,
    pub max_frame_size: u32,
    pub max_header_list_size: u32,
}

/// How many requests may be sent again, of one worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryBudgetParams {
    /// Retries that a hundred requests allow.
    pub percent: u32,
    /// Retries that every second allows.
    pub per_second: u32,
    /// The most that are saved up.
    pub burst: u32,
}

/// How names are resolved.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DnsParams {
    /// Servers to ask; empty: those of resolv.conf(5).
    pub servers: Vec<SocketAddr>,
    /// Bounds on the records' TTL.
    pub min_ttl: Duration,
    pub max_ttl: Duration,
    /// One query's timeout.
    pub timeout: Duration,
}

#[derive(Clone, PartialEq)]
pub struct ClusterParams {
    pub name: String,
    pub protocol: Protocol,
    pub tls: Option<UpstreamTls>,
    /// Never empty.
    pub endpoints: Vec<EndpointAddress>,
    pub balancer: BalancerKind,
    pub connect_timeout: Duration,
    pub pool: PoolParams,
    /// None: as many as the routes allow.
    pub retry_budget: Option<RetryBudgetParams>,
}
