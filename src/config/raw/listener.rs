//! Where clients connect to, and how HTTP is spoken to them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::scalar::{integer, kib, mib, seconds};
use super::{Duration, DurationOrOff, Forwarding, PingKeepalive, Route, Size, Switch, Tls};

/// An address that clients connect to.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Listener {
    /// Its name in logs and metrics.
    #[schemars(length(min = 1), example = &"edge")]
    pub(in crate::config) name: String,
    /// IP address and port.
    #[schemars(example = &"0.0.0.0:8443", example = &"[::]:8443")]
    pub(in crate::config) address: String,
    /// Connections the kernel holds for us until they are accepted.
    #[serde(default = "integer::<1024>")]
    #[schemars(range(min = 1, max = 65535))]
    pub(in crate::config) backlog: u32,
    /// Connections at once, of the whole process.
    #[serde(default = "integer::<20000>")]
    #[schemars(range(min = 1))]
    pub(in crate::config) max_connections: u32,
    /// TLS handshakes at once, of each worker.
    #[serde(default = "integer::<512>")]
    #[schemars(range(min = 1))]
    pub(in crate::config) max_handshakes: u32,
    /// TLS handshakes at once, of each worker with one client address.
    #[serde(default = "integer::<64>")]
    #[schemars(range(min = 1))]
    pub(in crate::config) max_handshakes_per_client: u32,
    /// What becomes of connections past these limits: they wait in the kernel's queue
    /// (`queue`), or are closed (`shed`).
    #[serde(default)]
    pub(in crate::config) overload: Overload,
    /// From accept to the end of the TLS handshake.
    #[serde(default = "seconds::<10>")]
    pub(in crate::config) handshake_timeout: Duration,
    /// TCP keep-alive probes when a connection is silent this long.
    #[serde(default = "off")]
    pub(in crate::config) tcp_keepalive: DurationOrOff,
    /// Take the client's address from a PROXY protocol header, version 1 or 2.
    #[serde(default)]
    pub(in crate::config) proxy_protocol: Option<ProxyProtocol>,
    /// Without it the listener speaks plaintext.
    #[serde(default)]
    pub(in crate::config) tls: Option<Tls>,
    /// How HTTP is spoken to clients.
    #[serde(default)]
    pub(in crate::config) http: Http,
    /// What backends are told about the client.
    #[serde(default)]
    pub(in crate::config) forwarding: Forwarding,
    /// Which requests go to which cluster. The most specific match wins, in whatever
    /// order they stand here.
    #[schemars(length(min = 1), example = example_routes())]
    pub(in crate::config) routes: Vec<Route>,
}

fn example_routes() -> serde_json::Value {
    serde_json::json!([{ "cluster": "backend" }])
}

pub(super) fn off() -> DurationOrOff {
    DurationOrOff("off".to_owned())
}

#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub(in crate::config) enum Overload {
    #[default]
    Queue,
    Shed,
}

/// The PROXY protocol, versions 1 and 2. A peer outside the trusted networks, or
/// without a header, is closed.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct ProxyProtocol {
    /// Networks whose headers are believed.
    #[schemars(length(min = 1), example = ["10.0.0.0/8"])]
    pub(in crate::config) trusted: Vec<String>,
    /// From accept to the end of the header.
    #[serde(default = "seconds::<5>")]
    pub(in crate::config) timeout: Duration,
}

/// How HTTP is spoken to clients.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Http {
    /// A connection without requests is closed after this long.
    #[serde(default = "seconds::<60>")]
    pub(in crate::config) idle_timeout: Duration,
    /// HTTP/1.1: from the first byte of a request's head to its end.
    #[serde(default = "seconds::<10>")]
    pub(in crate::config) header_timeout: Duration,
    /// Header fields of a request.
    #[serde(default = "integer::<100>")]
    #[schemars(range(min = 1, max = 65535))]
    pub(in crate::config) max_headers: u32,
    /// HTTP/1.1 Upgrade, such as WebSocket: the request is forwarded without it
    /// (`refuse`), or tunnelled to clusters that speak HTTP/1.1 (`tunnel`).
    #[serde(default)]
    pub(in crate::config) upgrade: Upgrade,
    /// HTTP/2: streams a client may have open on one connection.
    #[serde(default = "integer::<128>")]
    #[schemars(range(min = 1))]
    pub(in crate::config) max_concurrent_streams: u32,
    /// HTTP/2: bytes a client may send on one stream before we have passed them on.
    #[serde(default = "kib::<256>")]
    pub(in crate::config) stream_window: Size,
    /// HTTP/2: the same for all streams of a connection together.
    #[serde(default = "mib::<1>")]
    pub(in crate::config) connection_window: Size,
    /// HTTP/2: the largest frame a client may send, 16KiB to 16777215 bytes.
    #[serde(default = "kib::<16>")]
    pub(in crate::config) max_frame_size: Size,
    /// The longest header list of a request.
    #[serde(default = "kib::<32>")]
    pub(in crate::config) max_header_list_size: Size,
    /// HTTP/2: bytes of a response held for one slow client's stream.
    #[serde(default = "kib::<256>")]
    pub(in crate::config) max_send_buffer: Size,
    /// HTTP/2: ask silent clients whether they are still there.
    #[serde(default = "Switch::<PingKeepalive>::off")]
    pub(in crate::config) ping_keepalive: Switch<PingKeepalive>,
    /// A connection is closed gracefully after this many requests; 0: never.
    #[serde(default)]
    pub(in crate::config) max_requests_per_connection: u64,
}

impl Default for Http {
    fn default() -> Self {
        Http {
            idle_timeout: seconds::<60>(),
            header_timeout: seconds::<10>(),
            max_headers: 100,
            upgrade: Upgrade::default(),
            max_concurrent_streams: 128,
            stream_window: kib::<256>(),
            connection_window: mib::<1>(),
            max_frame_size: kib::<16>(),
            max_header_list_size: kib::<32>(),
            max_send_buffer: kib::<256>(),
            ping_keepalive: Switch::off(),
            max_requests_per_connection: 0,
        }
    }
}

#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub(in crate::config) enum Upgrade {
    #[default]
    Refuse,
    Tunnel,
}
