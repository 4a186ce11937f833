//! The accelerator's numbers, summed over the workers, before a scrape.

use std::time::Duration;

use qat_sys::lanes::{Kind, LANES};
use qat_sys::offload::Path;

use crate::accelerator::{Algorithm, BreakerState, Cause};
use crate::telemetry::{AcceleratorMetrics, set_gauge, set_total};
use crate::worker::AcceleratorStats;

/// Batches counted by the last scrape, by kind and fill: a histogram takes no totals.
pub(super) type Seen = [[u64; LANES]; Kind::ALL.len()];

pub(super) fn copy(
    metrics: &AcceleratorMetrics,
    name: &str,
    workers: &[AcceleratorStats],
    seen: &mut Seen,
) {
    let sum = |value: &dyn Fn(&AcceleratorStats) -> u64| workers.iter().map(value).sum::<u64>();
    for algorithm in Algorithm::ALL {
        for path in Path::ALL {
            let total = sum(&|one| one.worker.operations.get(algorithm, path));
            let labels = &[name, algorithm.as_str(), path.as_str()];
            set_total(&metrics.operations.with_label_values(labels), total);
        }
    }
    breakers(metrics, name, workers);
    for (kind, seen) in Kind::ALL.into_iter().zip(seen) {
        batches(metrics, name, workers, kind, seen);
    }
    let handshakes = || workers.iter().map(|one| &one.handshakes);
    let pauses = handshakes().map(|one| one.pauses()).sum();
    let queue_full = handshakes().map(|one| one.queue_full()).sum();
    let no_job = handshakes().map(|one| one.no_job()).sum();
    let paused: Duration = handshakes().map(|one| one.paused()).sum();
    let labels = &[name];
    set_total(&metrics.pauses.with_label_values(labels), pauses);
    set_total(&metrics.queue_full.with_label_values(labels), queue_full);
    set_total(&metrics.no_job.with_label_values(labels), no_job);
    let seconds = metrics.pause_seconds.with_label_values(labels);
    seconds.set(paused.as_secs_f64());
    let size = sum(&|one| one.graveyard.size() as u64);
    let oldest = workers
        .iter()
        .filter_map(|one| one.graveyard.oldest())
        .max();
    let buried = sum(&|one| one.graveyard.buried());
    let graveyard = &metrics.graveyard;
    let metric = graveyard.handshakes.with_label_values(labels);
    set_gauge(&metric, size);
    let seconds = graveyard.oldest.with_label_values(labels);
    seconds.set(oldest.unwrap_or_default().as_secs_f64());
    set_total(&graveyard.buried.with_label_values(labels), buried);
}

fn batches(
    metrics: &AcceleratorMetrics,
    name: &str,
    workers: &[AcceleratorStats],
    kind: Kind,
    seen: &mut [u64; LANES],
) {
    let all = || workers.iter().filter_map(|one| one.worker.batches.as_ref());
    if all().next().is_none() {
        return;
    }
    let counters = || all().map(|counters| counters.of(kind));
    let fill = metrics.batch.fill.with_label_values(&[name, kind.name()]);
    for (index, seen) in seen.iter_mut().enumerate() {
        let total: u64 = counters().map(|one| one.fill()[index]).sum();
        for _ in *seen..total {
            fill.observe((index + 1) as f64);
        }
        *seen = total;
    }
    let outcomes = [
        ("lanes", counters().map(|one| one.in_lanes()).sum()),
        ("declined", counters().map(|one| one.declined()).sum()),
        ("refused", counters().map(|one| one.refused()).sum()),
        ("failed", counters().map(|one| one.failed()).sum()),
    ];
    for (outcome, total) in outcomes {
        let labels = &[name, kind.name(), outcome];
        set_total(&metrics.batch.operations.with_label_values(labels), total);
    }
    let waited: Duration = counters().map(|one| one.waited()).sum();
    let labels = &[name, kind.name()];
    let seconds = metrics.batch.queue_seconds.with_label_values(labels);
    seconds.set(waited.as_secs_f64());
}

fn breakers(metrics: &AcceleratorMetrics, name: &str, workers: &[AcceleratorStats]) {
    let stats: Vec<_> = workers.iter().map(|one| one.worker.breaker()).collect();
    for state in BreakerState::ALL {
        let count = stats.iter().filter(|one| one.state == state).count();
        let labels = &[name, state.as_str()];
        let metric = metrics.breaker.with_label_values(labels);
        set_gauge(&metric, count as u64);
    }
    for cause in Cause::ALL {
        let total = stats.iter().map(|one| one.opened[cause as usize]).sum();
        let labels = &[name, cause.as_str()];
        set_total(&metrics.breaker_opened.with_label_values(labels), total);
    }
    let in_flight: usize = stats.iter().map(|one| one.in_flight).sum();
    let metric = metrics.in_flight.with_label_values(&[name]);
    set_gauge(&metric, in_flight as u64);
}
