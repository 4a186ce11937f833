//! Forwarding: one request to one endpoint and its response back.
//!
//! 1. [`Proxy::forward`] finds the route, prepares the head, gets a slot on a pooled
//!    connection and sends.
//! 2. The response's head comes back with a [`Body`] that carries the rest of the
//!    exchange: the request's body still going up, timeouts, the slot, the record.
//! 3. Dropping the body, or resetting it, cancels the backend's stream.
//!
//! Bodies are never collected: memory per exchange is bounded by the flow-control
//! windows and the route's retry buffer. It must not know how connections to clients
//! are made.

mod body;
mod exchange;
mod failure;
mod forward;
mod headers;
mod params;
mod pump;
mod record;
mod response;
#[cfg(test)]
mod tests;
mod timer;

use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use http::HeaderValue;

pub use body::{Body, BodyError, Frame};
pub use failure::{Failure, Grpc};
pub use forward::{Downstream, Outgoing, Tunnel};
pub use params::{Forwarding, ProxyParams};
pub use pump::{Pump, PumpError};

use crate::route::RouteTable;
use crate::telemetry::{AccessSink, ClusterMetrics, ListenerMetrics, RouteMetrics};
use crate::upstream::Cluster;

/// A listener's forwarding on one worker.
pub struct Proxy {
    params: Arc<ProxyParams>,
    table: RouteTable,
    /// By the routes' cluster index.
    clusters: Rc<Vec<Rc<Cluster>>>,
    /// By the routes' own index.
    handles: Vec<Rc<RouteHandle>>,
    listener: ListenerMetrics,
    access: Option<AccessSink>,
}

/// A route's metrics and the names it is logged with.
pub struct RouteHandle {
    pub name: String,
    pub cluster_name: String,
    pub metrics: RouteMetrics,
    pub cluster: ClusterMetrics,
}

impl Proxy {
    /// `handles`: one for each route, in the table's order.
    pub fn new(
        params: Arc<ProxyParams>,
        table: RouteTable,
        clusters: Rc<Vec<Rc<Cluster>>>,
        handles: Vec<Rc<RouteHandle>>,
        listener: ListenerMetrics,
        access: Option<AccessSink>,
    ) -> Self {
        Proxy {
            params,
            table,
            clusters,
            handles,
            listener,
            access,
        }
    }

    /// Counts a request that was refused before a route was looked for.
    pub fn refused(&self, reason: &'static str) {
        self.listener.http_error(reason);
    }

    /// Whether anyone reads [`Peer::tls`].
    pub fn wants_tls(&self) -> bool {
        self.access.is_some()
    }
}

/// Who is on the other end of a client's connection.
pub struct Peer {
    /// The client's own address, by the PROXY protocol if there was one.
    pub address: SocketAddr,
    /// Whether it came over TLS.
    pub secure: bool,
    /// `address` without the port, as x-forwarded-for carries it.
    pub forwarded_for: HeaderValue,
    /// The verified client certificate's identity.
    pub identity: Option<HeaderValue>,
    pub tls: Option<Rc<PeerTls>>,
}

/// What the access log tells of a client's TLS session.
#[derive(Debug)]
pub struct PeerTls {
    pub version: String,
    pub cipher: String,
    pub sni: Option<String>,
}

impl Peer {
    pub fn new(
        address: SocketAddr,
        secure: bool,
        identity: Option<HeaderValue>,
        tls: Option<Rc<PeerTls>>,
    ) -> Self {
        let forwarded_for = HeaderValue::try_from(address.ip().to_canonical().to_string())
            .unwrap_or_else(|_| HeaderValue::from_static("unknown"));
        Peer {
            address,
            secure,
            forwarded_for: headers::never_indexed(forwarded_for),
            identity: identity.map(headers::never_indexed),
            tls,
        }
    }
}
