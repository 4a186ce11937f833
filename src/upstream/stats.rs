//! What a cluster counts.
//!
//! Each worker writes a shard of its own with plain loads and stores (no bus lock,
//! no shared cache line on the request path); readers add the shards up.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

/// One number. Gauges can go down, counters cannot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub enum Stat {
    /// Gauge: connections established and not closed.
    ConnectionsOpen,
    ConnectionsOpened,
    /// Closed because no stream used it for `idle_timeout`.
    ClosedIdle,
    /// Closed after `max_requests_per_connection`.
    ClosedRetired,
    /// Closed after the peer's GOAWAY.
    ClosedGoAway,
    /// Closed because a PING was not answered.
    ClosedPing,
    /// Closed because the endpoint left the cluster, or the cluster ended.
    ClosedRemoved,
    /// Ended by the peer without GOAWAY, or by an error.
    ClosedPeer,
    ConnectFailures,
    ConnectTimeouts,
    /// Gauge: requests holding a stream.
    StreamsActive,
    Requests,
    /// Gauge: requests waiting for a stream.
    Pending,
    /// Turned away because `max_pending_requests` waited.
    PendingRejected,
    PendingTimeouts,
    GoAwaysReceived,
    PingTimeouts,
    /// Gauge: endpoints known.
    Endpoints,
    /// Gauge: endpoints in back-off, summed over workers.
    BackedOff,
    /// Times an endpoint went into back-off.
    BackOffs,
    DnsResolutions,
    DnsFailures,
}

impl Stat {
    pub const ALL: [Stat; 22] = [
        Stat::ConnectionsOpen,
        Stat::ConnectionsOpened,
        Stat::ClosedIdle,
        Stat::ClosedRetired,
        Stat::ClosedGoAway,
        Stat::ClosedPing,
        Stat::ClosedRemoved,
        Stat::ClosedPeer,
        Stat::ConnectFailures,
        Stat::ConnectTimeouts,
        Stat::StreamsActive,
        Stat::Requests,
        Stat::Pending,
        Stat::PendingRejected,
        Stat::PendingTimeouts,
        Stat::GoAwaysReceived,
        Stat::PingTimeouts,
        Stat::Endpoints,
        Stat::BackedOff,
        Stat::BackOffs,
        Stat::DnsResolutions,
        Stat::DnsFailures,
    ];
    const COUNT: usize = Self::ALL.len();

    pub fn is_gauge(self) -> bool {
        matches!(
            self,
            Stat::ConnectionsOpen
                | Stat::StreamsActive
                | Stat::Pending
                | Stat::Endpoints
                | Stat::BackedOff
        )
    }
}

/// One writer's part of the numbers.
#[derive(Debug, Default)]
pub(super) struct Shard([AtomicU64; Stat::COUNT]);

impl Shard {
    /// For a shard with one writing thread only: load and store, no locked add.
    pub(super) fn add(&self, stat: Stat, n: u64) {
        let cell = &self.0[stat as usize];
        cell.store(cell.load(Relaxed).wrapping_add(n), Relaxed);
    }

    pub(super) fn sub(&self, stat: Stat, n: u64) {
        let cell = &self.0[stat as usize];
        cell.store(cell.load(Relaxed).wrapping_sub(n), Relaxed);
    }

    /// For a shard that several threads may write.
    pub(super) fn add_shared(&self, stat: Stat) {
        self.0[stat as usize].fetch_add(1, Relaxed);
    }

    pub(super) fn set(&self, stat: Stat, value: u64) {
        self.0[stat as usize].store(value, Relaxed);
    }

    fn get(&self, stat: Stat) -> u64 {
        self.0[stat as usize].load(Relaxed)
    }
}

/// The numbers of one cluster, of all workers and the resolver. Shared.
#[derive(Debug, Default)]
pub struct ClusterStats {
    inner: Mutex<Shards>,
}

#[derive(Debug, Default)]
struct Shards {
    live: Vec<Arc<Shard>>,
    /// What the shards of writers that ended (after a reload) had counted.
    ended: [u64; Stat::COUNT],
}

impl ClusterStats {
    pub(super) fn shard(&self) -> Arc<Shard> {
        let shard = Arc::new(Shard::default());
        let mut shards = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        shards.fold_ended();
        shards.live.push(shard.clone());
        shard
    }

    /// All numbers now, indexed by [`ClusterSnapshot::get`].
    pub fn snapshot(&self) -> ClusterSnapshot {
        let mut shards = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        shards.fold_ended();
        let mut sum = shards.ended;
        for shard in &shards.live {
            for stat in Stat::ALL {
                sum[stat as usize] = sum[stat as usize].wrapping_add(shard.get(stat));
            }
        }
        ClusterSnapshot(sum)
    }
}

impl Shards {
    fn fold_ended(&mut self) {
        let Shards { live, ended } = self;
        live.retain(|shard| {
            if Arc::strong_count(shard) > 1 {
                return true;
            }
            for stat in Stat::ALL {
                // A gauge of an ended writer has nothing behind it.
                if !stat.is_gauge() {
                    ended[stat as usize] = ended[stat as usize].wrapping_add(shard.get(stat));
                }
            }
            false
        });
    }
}

#[derive(Clone, Debug)]
pub struct ClusterSnapshot([u64; Stat::COUNT]);

impl ClusterSnapshot {
    pub fn get(&self, stat: Stat) -> u64 {
        self.0[stat as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_stat_has_its_place() {
        for (i, stat) in Stat::ALL.into_iter().enumerate() {
            assert_eq!(stat as usize, i, "{stat:?}");
        }
    }

    #[test]
    fn shards_add_up_and_outlive_their_writers() {
        let stats = ClusterStats::default();
        let (a, b) = (stats.shard(), stats.shard());
        a.add(Stat::Requests, 2);
        a.add(Stat::StreamsActive, 1);
        b.add(Stat::Requests, 3);
        assert_eq!(stats.snapshot().get(Stat::Requests), 5);
        assert_eq!(stats.snapshot().get(Stat::StreamsActive), 1);
        drop(a);
        assert_eq!(stats.snapshot().get(Stat::Requests), 5);
        assert_eq!(stats.snapshot().get(Stat::StreamsActive), 0);
        b.sub(Stat::Requests, 0);
    }
}
