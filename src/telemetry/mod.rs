//! Logs and metrics.

mod params;

pub use params::{AccessLog, LogFormat, LogParams};
