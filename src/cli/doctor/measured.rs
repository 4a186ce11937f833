//! What an accelerator gives on this machine, algorithm by algorithm.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;

use crate::accelerator::Active;

/// What is offloaded, and what that gains.
#[derive(Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Offload {
    /// The algorithms that are offloaded: those that gain, or the configured ones.
    pub algorithms: Vec<&'static str>,
    /// Handshakes in progress on a worker from which they are.
    pub break_even: usize,
    pub measured: Vec<Measured>,
}

/// The cost of one operation, in microseconds.
#[derive(Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Measured {
    pub algorithm: &'static str,
    pub software: f64,
    /// Of one among many.
    pub accelerated: f64,
}

impl Offload {
    pub fn of(active: &Active) -> Offload {
        let microseconds = |time: Duration| time.as_secs_f64() * 1e6;
        let measured = active.calibration.measured.iter();
        Offload {
            algorithms: active.algorithms.iter().map(|one| one.as_str()).collect(),
            break_even: active.break_even,
            measured: measured
                .map(|row| Measured {
                    algorithm: row.algorithm.as_str(),
                    software: microseconds(row.software),
                    accelerated: microseconds(row.accelerated),
                })
                .collect(),
        }
    }
}
