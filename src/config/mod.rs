//! The YAML file: raw values in, checked parameters out.

mod params;

pub use params::{DrainParams, GatewayParams};
