//! What an accelerator gives, algorithm by algorithm. This version measures nothing.

use schemars::JsonSchema;
use serde::Serialize;

/// One algorithm's speed, of one core.
#[derive(Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Measured {
    /// Such as `RSA-2048 sign`.
    pub algorithm: String,
    /// Operations a second in OpenSSL's own software.
    pub software: f64,
    /// Operations a second with the accelerator.
    pub accelerated: f64,
}

/// None: not measured.
pub fn measured(_accelerator: &str) -> Option<Vec<Measured>> {
    None
}
