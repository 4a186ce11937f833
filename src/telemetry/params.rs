//! What is logged, and how.

use std::path::PathBuf;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    Text,
    Json,
}

/// One line a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AccessLog {
    Off,
    Stdout,
    File(PathBuf),
}

#[derive(Clone, Debug)]
pub struct LogParams {
    /// In tracing-subscriber's `EnvFilter` syntax: `info`, `qat_gateway=debug`.
    pub filter: String,
    pub format: LogFormat,
    pub access: AccessLog,
}
