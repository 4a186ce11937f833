//! Listening sockets: accept, admission, the PROXY protocol.
//!
//! A connection's life on its worker:
//!
//! 1. accepted, or left in the queue, or shed, as the limits say;
//! 2. its PROXY header read, where the listener expects one;
//! 3. its client counted against the handshakes one address may have at once;
//! 4. its TLS handshake done;
//! 5. handed to HTTP by the protocol agreed on; there it stays until its end.
//!
//! Every step is bounded in time, and each ends at once when the drain is cut.

mod accept;
mod admission;
mod connection;
mod params;
mod proxy_protocol;
mod socket;

use std::rc::Rc;
use std::sync::Arc;

pub use accept::{Serving, accept};
pub use admission::{Admission, Limits};
pub use params::{ListenerParams, Overload, ProxyProtocolParams, SocketKey};
pub use socket::{bind, check_free};

use crate::http::Service;
use crate::telemetry::ListenerMetrics;
use crate::tls::Acceptor;

/// A listener on one worker.
pub struct Listener {
    pub params: Arc<ListenerParams>,
    /// None: plaintext.
    pub acceptor: Option<Acceptor>,
    pub service: Rc<Service>,
    pub admission: Rc<Admission>,
    pub metrics: ListenerMetrics,
}
