//! How HTTP is spoken to clients, checked.

use std::time::Duration;

/// What becomes of an HTTP/1.1 Upgrade (RFC 9110 7.8).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Upgrade {
    /// The request is forwarded without it.
    Refuse,
    /// Tunnelled to clusters that speak HTTP/1.1; refused for others.
    Tunnel,
}

#[derive(Clone, Debug)]
pub struct HttpParams {
    /// A connection without requests is closed after this long.
    pub idle_timeout: Duration,
    /// HTTP/1.1: from the first byte of a request's head to its end.
    pub header_timeout: Duration,
    pub max_headers: usize,
    pub upgrade: Upgrade,
    /// HTTP/2: streams a client may have open.
    pub max_concurrent_streams: u32,
    /// HTTP/2 flow-control windows offered to clients, bytes.
    pub stream_window: u32,
    pub connection_window: u32,
    pub max_frame_size: u32,
    /// Longest header list, bytes: 431 (HTTP/1.1) or a refused stream (HTTP/2) past it.
    pub max_header_list_size: u32,
    /// HTTP/2: response bytes buffered per stream.
    pub max_send_buffer: usize,
    /// HTTP/2 PING when a connection is silent this long, and the wait for its answer.
    pub ping_keepalive: Option<(Duration, Duration)>,
    /// Requests on one connection before it is closed gracefully; 0: no limit.
    pub max_requests_per_connection: u64,
}
