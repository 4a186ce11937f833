//! The admin server: health, readiness, metrics.

use std::net::SocketAddr;

#[derive(Clone, Debug)]
pub struct AdminParams {
    pub address: SocketAddr,
}
