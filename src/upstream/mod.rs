//! Clusters of endpoints: resolution, balancing, pooled connections.

mod params;

pub use params::{
    BalancerKind, ClusterParams, DnsParams, EndpointAddress, PingKeepalive, PoolParams, Protocol,
    TcpKeepalive, UpstreamTls,
};
