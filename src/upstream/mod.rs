//! Clusters of endpoints: resolution, balancing, pooled connections.
//!
//! ```text
//! control thread:  names ─Endpoints→ EndpointsWatch ─┐ (clone per worker)
//! worker:          Cluster ←─────────────────────────┘
//!                     │ acquire(exclude)
//!                  Balancer → Pool (one per endpoint) → Conn → Lease
//!                                └ establish → http2 / http1 driver task
//! ```
//!
//! 1. [`Endpoints::spawn`] publishes addresses and keeps names resolved.
//! 2. Each worker makes its [`Cluster`]; pools open their warm-up connections.
//! 3. A request calls [`Cluster::acquire`], sends on the [`Lease`] and keeps it until
//!    the response ended; dropping it gives the slot to the next request.
//! 4. Connections retire (request limit, GOAWAY, idle, endpoint gone) without
//!    disturbing the streams they carry.
//!
//! Must not know: routes, which requests are sent again, HTTP semantics beyond framing.

mod backoff;
mod balancer;
mod budget;
mod cluster;
mod conn;
mod connect;
mod error;
mod establish;
mod http1;
mod http2;
mod io;
mod lease;
mod params;
mod pool;
mod resolver;
mod stats;
#[cfg(test)]
mod tests;

pub use balancer::{Balancer, Candidates};
pub use budget::RetryBudget;
pub use cluster::{Choice, Cluster};
pub use connect::TlsConnector;
pub use error::{AcquireError, unprocessed, unprocessed_http1};
pub use lease::{H2Lease, Http1Body, Http1Lease, Lease};
pub use params::{
    BalancerKind, ClusterParams, DnsParams, EndpointAddress, PingKeepalive, PoolParams, Protocol,
    RetryBudgetParams, TcpKeepalive, UpstreamTls,
};
pub use resolver::{Endpoint, Endpoints, EndpointsWatch};
pub use stats::{ClusterSnapshot, ClusterStats, Stat};
