//! All that a configuration file says, checked.

use std::time::Duration;

use crate::accelerator::AccelerationParams;
use crate::admin::AdminParams;
use crate::listener::ListenerParams;
use crate::telemetry::LogParams;
use crate::upstream::{ClusterParams, DnsParams};

#[derive(Clone)]
pub struct GatewayParams {
    /// Worker threads, at least 1.
    pub workers: usize,
    pub admin: Option<AdminParams>,
    pub acceleration: AccelerationParams,
    pub log: LogParams,
    pub drain: DrainParams,
    pub reload: ReloadParams,
    pub dns: DnsParams,
    pub listeners: Vec<ListenerParams>,
    pub clusters: Vec<ClusterParams>,
    /// The file's own values, to tell what another version of it changes.
    pub source: serde_json::Value,
}

/// How a new version of the file takes the running one's place.
#[derive(Clone, Copy, Debug)]
pub struct ReloadParams {
    /// How often the files are looked at; None: never.
    pub interval: Option<Duration>,
    /// Streams of connections from before are cut after this.
    pub timeout: Duration,
}

/// How the process ends.
#[derive(Clone, Copy, Debug)]
pub struct DrainParams {
    /// Between readiness going down and the listeners closing, so that load
    /// balancers notice.
    pub grace: Duration,
    /// Streams still open after this are cut.
    pub timeout: Duration,
}
