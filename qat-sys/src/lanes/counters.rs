//! What a batch has done, to be read from any thread.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::{Kind, LANES};

/// Per kind of operation; all only grow.
#[derive(Default)]
pub struct Counters([KindCounters; Kind::ALL.len()]);

/// Of one kind.
#[derive(Default)]
pub struct KindCounters {
    fill: [AtomicU64; LANES],
    declined: AtomicU64,
    refused: AtomicU64,
    failed: AtomicU64,
    waited: AtomicU64,
}

impl Counters {
    pub fn of(&self, kind: Kind) -> &KindCounters {
        &self.0[kind.index()]
    }
}

impl KindCounters {
    /// How many groups of 1, 2, … 8 operations ran in lanes.
    pub fn fill(&self) -> [u64; LANES] {
        std::array::from_fn(|index| self.fill[index].load(Ordering::Relaxed))
    }

    /// Operations that ran in lanes, failed ones among them.
    pub fn in_lanes(&self) -> u64 {
        self.fill()
            .into_iter()
            .zip(1..)
            .map(|(groups, size)| groups * size)
            .sum()
    }

    /// Operations given back because too few of their kind were there to gain.
    pub fn declined(&self) -> u64 {
        self.declined.load(Ordering::Relaxed)
    }

    /// Operations not taken because the queue was full.
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// Operations that the library failed.
    pub fn failed(&self) -> u64 {
        self.failed.load(Ordering::Relaxed)
    }

    /// How long all operations together stood in the queue.
    pub fn waited(&self) -> Duration {
        Duration::from_nanos(self.waited.load(Ordering::Relaxed))
    }

    pub(super) fn ran(&self, size: usize, failed: usize) {
        add(&self.fill[size - 1], 1);
        add(&self.failed, failed);
    }

    pub(super) fn add_declined(&self, count: usize) {
        add(&self.declined, count);
    }

    pub(super) fn add_refused(&self) {
        add(&self.refused, 1);
    }

    pub(super) fn add_wait(&self, wait: Duration) {
        let nanoseconds = u64::try_from(wait.as_nanos()).unwrap_or(u64::MAX);
        self.waited.fetch_add(nanoseconds, Ordering::Relaxed);
    }
}

fn add(counter: &AtomicU64, count: usize) {
    counter.fetch_add(count as u64, Ordering::Relaxed);
}
