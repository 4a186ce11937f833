//! Whether it is worth pausing a job, judged by what that has gained lately.
//!
//! How many operations come together cannot be told from the handshakes in progress: most
//! of those wait for their clients. So a kind that has gained nothing is done in software,
//! without a pause, but for a trial now and then.

use std::cell::Cell;

use super::{Kind, LANES, Table};

/// Operations over which it is averaged.
const MEMORY: f64 = 32.0;
/// Of so many operations that are not worth it,
const PERIOD: u32 = 1024;
/// so many are queued nevertheless, one after the other so that they can meet.
const TRIAL: u32 = 64;

pub(super) struct Worth([Recent; Kind::ALL.len()]);

struct Recent {
    /// What an operation gained lately, microseconds.
    gained: Cell<f64>,
    /// Operations since the last trial began.
    passed: Cell<u32>,
}

impl Worth {
    /// Full batches, until it turns out otherwise.
    pub(super) fn new(table: &Table) -> Worth {
        Worth(Kind::ALL.map(|kind| Recent {
            gained: Cell::new(table.of(kind).worth(LANES)),
            passed: Cell::new(0),
        }))
    }

    /// Whether to queue the next operation.
    pub(super) fn queues(&self, kind: Kind) -> bool {
        let recent = &self.0[kind.index()];
        if recent.gained.get() > 0.0 {
            recent.passed.set(0);
            return true;
        }
        let passed = recent.passed.get();
        recent.passed.set((passed + 1) % PERIOD);
        passed >= PERIOD - TRIAL
    }

    /// So many came together, and each gained so much.
    pub(super) fn add(&self, kind: Kind, operations: usize, gain: f64) {
        let gained = &self.0[kind.index()].gained;
        let weight = (operations as f64 / MEMORY).min(1.0);
        gained.set(gained.get() + weight * (gain - gained.get()));
    }
}
