//! The groups of backends that routes lead to.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::scalar::{integer, kib, mib, milliseconds, minutes, seconds, yes};
use super::{Duration, Size, Switch};

/// A group of backends that serve the same requests.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Cluster {
    /// What routes call it.
    #[schemars(length(min = 1), example = &"backend")]
    pub(in crate::config) name: String,
    /// HTTP/2 with prior knowledge (`h2c`), or HTTP/1.1 (`http1`).
    #[serde(default)]
    pub(in crate::config) protocol: Protocol,
    /// Without it backends are spoken to in plaintext.
    #[serde(default)]
    pub(in crate::config) tls: Option<UpstreamTls>,
    /// `address:port` or `name:port`. Every address of a name is an endpoint.
    #[schemars(length(min = 1), example = ["10.0.0.1:8001", "triton.default.svc:8001"])]
    pub(in crate::config) endpoints: Vec<String>,
    /// How a request's endpoint is chosen: in turn (`round_robin`), the less busy of
    /// two random ones (`least_request`), or `random`.
    #[serde(default)]
    pub(in crate::config) balancer: Balancer,
    /// How long opening a connection may take, TLS included.
    #[serde(default = "seconds::<5>")]
    pub(in crate::config) connect_timeout: Duration,
    /// The connections to one endpoint, of each worker.
    #[serde(default)]
    pub(in crate::config) pool: Pool,
    /// How many requests may be sent again, of each worker, whatever their routes allow.
    /// Requests that found no connection are not counted: they are no load on anyone.
    #[serde(default = "RetryBudget::on")]
    pub(in crate::config) retry_budget: Switch<RetryBudget>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub(in crate::config) enum Protocol {
    #[default]
    H2c,
    Http1,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub(in crate::config) enum Balancer {
    RoundRobin,
    #[default]
    LeastRequest,
    Random,
}

/// TLS towards the backends.
#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct UpstreamTls {
    /// PEM file with the authorities that backends are verified against; absent: the
    /// system's.
    #[serde(default)]
    #[schemars(length(min = 1), example = &"certs/backends-ca.pem")]
    pub(in crate::config) ca_file: Option<String>,
    /// The name that is verified and sent as SNI; absent: the endpoint's.
    #[serde(default)]
    #[schemars(length(min = 1), example = &"triton.internal")]
    pub(in crate::config) server_name: Option<String>,
    /// `false`: any certificate is taken. Only for tests.
    #[serde(default = "yes")]
    pub(in crate::config) verify: bool,
    /// PEM file: our own certificate and its intermediates, for backends that ask.
    #[serde(default)]
    #[schemars(length(min = 1), example = &"certs/gateway.pem")]
    pub(in crate::config) certificate_chain: Option<String>,
    /// PEM file with its key, not encrypted.
    #[serde(default)]
    #[schemars(length(min = 1), example = &"certs/gateway.key")]
    pub(in crate::config) private_key: Option<String>,
}

/// The connections to one endpoint, of each worker.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Pool {
    /// Connections opened ahead of the first request.
    #[serde(default)]
    pub(in crate::config) warm_up: u32,
    /// Connections at once.
    #[serde(default = "integer::<100>")]
    #[schemars(range(min = 1))]
    pub(in crate::config) max_connections: u32,
    /// A connection is retired after this many requests; 0: never.
    #[serde(default)]
    pub(in crate::config) max_requests_per_connection: u64,
    /// HTTP/2: streams at once on one connection. The backend's own limit holds where
    /// it is lower.
    #[serde(default = "integer::<100>")]
    #[schemars(range(min = 1))]
    pub(in crate::config) max_concurrent_streams: u32,
    /// Requests that may wait for a connection; more get 503.
    #[serde(default = "integer::<1024>")]
    pub(in crate::config) max_pending_requests: u32,
    /// How long a request waits for a connection before it gets 503.
    #[serde(default = "seconds::<5>")]
    pub(in crate::config) pending_timeout: Duration,
    /// A connection without requests is closed after this long.
    #[serde(default = "minutes::<5>")]
    pub(in crate::config) idle_timeout: Duration,
    /// TCP's own probes of silent connections.
    #[serde(default = "Pool::tcp_keepalive")]
    pub(in crate::config) tcp_keepalive: Switch<TcpKeepalive>,
    /// HTTP/2 PINGs on silent connections. Off, since gRPC servers close connections
    /// that ping more often than they allow (every 5 minutes by default).
    #[serde(default = "Switch::<PingKeepalive>::off")]
    pub(in crate::config) ping_keepalive: Switch<PingKeepalive>,
    /// The pause after a refused connection; it doubles each time.
    #[serde(default)]
    pub(in crate::config) backoff: Backoff,
    /// HTTP/2: bytes a backend may send on one stream before we have passed them on.
    #[serde(default = "kib::<256>")]
    pub(in crate::config) stream_window: Size,
    /// HTTP/2: the same for all streams of a connection together. With room for
    /// `stream_window` times `max_concurrent_streams`, clients that read slowly hold
    /// up nobody else's responses.
    #[serde(default = "mib::<32>")]
    pub(in crate::config) connection_window: Size,
    /// HTTP/2: the largest frame a backend may send, 16KiB to 16777215 bytes.
    #[serde(default = "kib::<16>")]
    pub(in crate::config) max_frame_size: Size,
    /// The longest header list of a response.
    #[serde(default = "kib::<64>")]
    pub(in crate::config) max_header_list_size: Size,
}

impl Pool {
    fn tcp_keepalive() -> Switch<TcpKeepalive> {
        Switch::On(TcpKeepalive {
            time: seconds::<30>(),
            interval: seconds::<5>(),
            probes: 3,
        })
    }
}

impl Default for Pool {
    fn default() -> Self {
        Pool {
            warm_up: 0,
            max_connections: 100,
            max_requests_per_connection: 0,
            max_concurrent_streams: 100,
            max_pending_requests: 1024,
            pending_timeout: seconds::<5>(),
            idle_timeout: minutes::<5>(),
            tcp_keepalive: Pool::tcp_keepalive(),
            ping_keepalive: Switch::off(),
            backoff: Backoff::default(),
            stream_window: kib::<256>(),
            connection_window: mib::<32>(),
            max_frame_size: kib::<16>(),
            max_header_list_size: kib::<64>(),
        }
    }
}

/// TCP's own probes of silent connections.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct TcpKeepalive {
    /// Silence before the first probe.
    #[serde(default = "seconds::<30>")]
    pub(in crate::config) time: Duration,
    /// Between probes.
    #[serde(default = "seconds::<5>")]
    pub(in crate::config) interval: Duration,
    /// Unanswered probes after which the connection is given up.
    #[serde(default = "integer::<3>")]
    #[schemars(range(min = 1, max = 127))]
    pub(in crate::config) probes: u32,
}

/// HTTP/2 PINGs on silent connections.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct PingKeepalive {
    /// Silence before a PING.
    #[serde(default = "seconds::<30>")]
    pub(in crate::config) interval: Duration,
    /// How long its answer may take before the connection is closed.
    #[serde(default = "seconds::<10>")]
    pub(in crate::config) timeout: Duration,
}

/// Retries are saved up, and spent.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct RetryBudget {
    /// Retries that a hundred requests allow.
    #[serde(default = "integer::<20>")]
    #[schemars(range(max = 100))]
    pub(in crate::config) percent: u32,
    /// Retries that every second allows.
    #[serde(default = "integer::<10>")]
    pub(in crate::config) per_second: u32,
    /// The most that are saved up, and what there is at the start.
    #[serde(default = "integer::<500>")]
    #[schemars(range(min = 1))]
    pub(in crate::config) burst: u32,
}

impl RetryBudget {
    fn on() -> Switch<RetryBudget> {
        Switch::On(RetryBudget {
            percent: 20,
            per_second: 10,
            burst: 500,
        })
    }
}

/// The pause after a refused connection.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Backoff {
    /// The first.
    #[serde(default = "milliseconds::<100>")]
    pub(in crate::config) initial: Duration,
    /// The longest.
    #[serde(default = "seconds::<10>")]
    pub(in crate::config) maximum: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Backoff {
            initial: milliseconds::<100>(),
            maximum: seconds::<10>(),
        }
    }
}
