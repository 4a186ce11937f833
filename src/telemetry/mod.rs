//! What the gateway tells about itself: log, access log, metrics.

pub mod access;
mod log;
mod metrics;
mod params;

pub use access::{AccessSink, AccessWriter, Record, TlsRecord};
pub use log::{check_filter, init};
pub use metrics::{
    AcceleratorMetrics, ActiveGuard, ClusterMetrics, Finished, HandshakeLabels, ListenerMetrics,
    Metrics, RouteMetrics, Shard, set_gauge, set_total,
};
pub use params::{AccessLog, LogFormat, LogParams};
