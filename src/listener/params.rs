//! What a listener is, checked.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::http::HttpParams;
use crate::proxy::ProxyParams;
use crate::route::RouteParams;
use crate::tls::TlsParams;

/// What happens to a connection past `max_handshakes` or `max_connections`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overload {
    /// It waits in the accept queue.
    Queue,
    /// It is closed.
    Shed,
}

/// The PROXY protocol (haproxy's proxy-protocol.txt), versions 1 and 2.
#[derive(Clone, Debug)]
pub struct ProxyProtocolParams {
    /// Peers outside are closed: a header from them would be a lie.
    pub trusted: Vec<ipnet::IpNet>,
    /// From accept to the header's end.
    pub timeout: Duration,
}

#[derive(Clone)]
pub struct ListenerParams {
    pub name: String,
    pub address: SocketAddr,
    pub backlog: u32,
    /// Of the process, shared evenly between the workers.
    pub max_connections: usize,
    /// Handshakes in progress, per worker.
    pub max_handshakes: usize,
    /// Handshakes in progress, per worker and client address.
    pub max_handshakes_per_client: usize,
    pub overload: Overload,
    pub proxy_protocol: Option<ProxyProtocolParams>,
    /// None: plaintext, HTTP/1.1 or HTTP/2 with prior knowledge.
    pub tls: Option<Arc<TlsParams>>,
    pub http: Arc<HttpParams>,
    pub proxy: Arc<ProxyParams>,
    pub routes: Arc<Vec<RouteParams>>,
    pub tcp_keepalive: Option<Duration>,
}

/// What tells one listener's socket from others': the address, and for port 0, which is
/// another port for everyone who asks, the name.
pub type SocketKey = (SocketAddr, Option<String>);

impl ListenerParams {
    /// The same in two versions of the configuration: the socket is kept.
    pub fn socket(&self) -> SocketKey {
        let name = (self.address.port() == 0).then(|| self.name.clone());
        (self.address, name)
    }
}
