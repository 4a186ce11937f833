//! Forwarding: one request to one endpoint and its response back.

mod params;

pub use params::{Forwarding, ProxyParams};
