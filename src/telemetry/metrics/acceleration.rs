//! What the accelerator does: kept in totals elsewhere, copied before a scrape.

use prometheus::{
    GaugeVec, HistogramOpts, HistogramVec, IntCounterVec, IntGaugeVec, Opts, Registry,
};

use super::families::register;

/// Families of the process, by accelerator.
pub struct AcceleratorMetrics {
    /// By algorithm and path: accelerated, software, redone.
    pub operations: IntCounterVec,
    /// Handshakes paused for it.
    pub pauses: IntCounterVec,
    /// Seconds of that.
    pub pause_seconds: GaugeVec,
    /// Operations it has and has not answered.
    pub in_flight: IntGaugeVec,
    /// Requests it refused.
    pub queue_full: IntCounterVec,
    /// Handshakes that found no free job.
    pub no_job: IntCounterVec,
    /// Workers by the state of their breaker.
    pub breaker: IntGaugeVec,
    /// How often breakers opened, by cause.
    pub breaker_opened: IntCounterVec,
    pub batch: BatchMetrics,
    pub graveyard: GraveyardMetrics,
}

/// Of an accelerator that the workers' batches feed.
pub struct BatchMetrics {
    /// Operations done in one batch, by kind.
    pub fill: HistogramVec,
    /// Operations queued for a batch, by kind and what became of them.
    pub operations: IntCounterVec,
    /// Seconds they stood in the queue.
    pub queue_seconds: GaugeVec,
}

/// Abandoned handshakes whose operation has not come back.
pub struct GraveyardMetrics {
    pub handshakes: IntGaugeVec,
    /// Seconds.
    pub oldest: GaugeVec,
    pub buried: IntCounterVec,
}

const ACCELERATOR: &[&str] = &["accelerator"];

fn counter(registry: &Registry, name: &str, help: &str, labels: &[&str]) -> IntCounterVec {
    register(registry, IntCounterVec::new(Opts::new(name, help), labels))
}

fn gauge(registry: &Registry, name: &str, help: &str, labels: &[&str]) -> IntGaugeVec {
    register(registry, IntGaugeVec::new(Opts::new(name, help), labels))
}

fn float(registry: &Registry, name: &str, help: &str, labels: &[&str]) -> GaugeVec {
    register(registry, GaugeVec::new(Opts::new(name, help), labels))
}

impl AcceleratorMetrics {
    pub(super) fn new(registry: &Registry) -> AcceleratorMetrics {
        let counter =
            |name: &str, help: &str, labels: &[&str]| counter(registry, name, help, labels);
        let gauge = |name: &str, help: &str, labels: &[&str]| gauge(registry, name, help, labels);
        AcceleratorMetrics {
            operations: counter(
                "gateway_accelerator_operations_total",
                "Private-key operations, by who did them: accelerated, software, or software \
                 after the accelerator failed (redone).",
                &["accelerator", "algorithm", "path"],
            ),
            pauses: counter(
                "gateway_accelerator_pauses_total",
                "Times a handshake was paused for the accelerator.",
                ACCELERATOR,
            ),
            pause_seconds: float(
                registry,
                "gateway_accelerator_pause_seconds_total",
                "Time that handshakes spent paused for the accelerator.",
                ACCELERATOR,
            ),
            in_flight: gauge(
                "gateway_accelerator_operations_in_flight",
                "Operations given to the accelerator and not answered.",
                ACCELERATOR,
            ),
            queue_full: counter(
                "gateway_accelerator_queue_full_total",
                "Operations the accelerator's queue had no room for, at first.",
                ACCELERATOR,
            ),
            no_job: counter(
                "gateway_accelerator_no_job_total",
                "Times a handshake found no free async job.",
                ACCELERATOR,
            ),
            breaker: gauge(
                "gateway_accelerator_breaker_workers",
                "Workers by the state of their breaker; those not closed use software.",
                &["accelerator", "state"],
            ),
            breaker_opened: counter(
                "gateway_accelerator_breaker_opened_total",
                "Times a breaker opened, by cause.",
                &["accelerator", "cause"],
            ),
            batch: BatchMetrics::new(registry),
            graveyard: GraveyardMetrics::new(registry),
        }
    }
}

impl BatchMetrics {
    fn new(registry: &Registry) -> BatchMetrics {
        let fill = HistogramOpts::new(
            "gateway_accelerator_batch_fill",
            "Operations done in one batch, of the eight there is room for.",
        );
        let fill = fill.buckets((1..=8).map(f64::from).collect());
        let kind = &["accelerator", "kind"];
        BatchMetrics {
            fill: register(registry, HistogramVec::new(fill, kind)),
            operations: counter(
                registry,
                "gateway_accelerator_batched_operations_total",
                "Operations by what became of them: done in lanes, declined (too few to gain), \
                 refused (the queue was full), failed.",
                &["accelerator", "kind", "outcome"],
            ),
            queue_seconds: float(
                registry,
                "gateway_accelerator_queue_seconds_total",
                "Time that operations stood in the queue for their batch.",
                kind,
            ),
        }
    }
}

impl GraveyardMetrics {
    fn new(registry: &Registry) -> GraveyardMetrics {
        GraveyardMetrics {
            handshakes: gauge(
                registry,
                "gateway_tls_graveyard_handshakes",
                "Abandoned handshakes whose operation the accelerator has not given back.",
                ACCELERATOR,
            ),
            oldest: float(
                registry,
                "gateway_tls_graveyard_oldest_seconds",
                "Age of the oldest of them.",
                ACCELERATOR,
            ),
            buried: counter(
                registry,
                "gateway_tls_graveyard_buried_total",
                "Handshakes ever abandoned with an operation in flight.",
                ACCELERATOR,
            ),
        }
    }
}
