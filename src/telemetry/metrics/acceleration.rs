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
    /// Operations done in one batch, by kind.
    pub batch_fill: HistogramVec,
    /// Operations queued for a batch, by kind and what became of them.
    pub batched: IntCounterVec,
    /// Seconds they stood in the queue.
    pub queue_seconds: GaugeVec,
    /// Abandoned handshakes whose operation has not come back.
    pub graveyard: IntGaugeVec,
    pub graveyard_oldest: GaugeVec,
    pub buried: IntCounterVec,
}

const ACCELERATOR: &[&str] = &["accelerator"];

impl AcceleratorMetrics {
    pub(super) fn new(registry: &Registry) -> AcceleratorMetrics {
        let counter = |name: &str, help: &str, labels: &[&str]| {
            register(registry, IntCounterVec::new(Opts::new(name, help), labels))
        };
        let gauge = |name: &str, help: &str, labels: &[&str]| {
            register(registry, IntGaugeVec::new(Opts::new(name, help), labels))
        };
        let float = |name: &str, help: &str| {
            register(registry, GaugeVec::new(Opts::new(name, help), ACCELERATOR))
        };
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
                "gateway_accelerator_pause_seconds_total",
                "Time that handshakes spent paused for the accelerator.",
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
            batch_fill: register(
                registry,
                HistogramVec::new(
                    HistogramOpts::new(
                        "gateway_accelerator_batch_fill",
                        "Operations done in one batch, of the eight there is room for.",
                    )
                    .buckets((1..=8).map(f64::from).collect()),
                    &["accelerator", "kind"],
                ),
            ),
            batched: counter(
                "gateway_accelerator_batched_operations_total",
                "Operations by what became of them: done in lanes, declined (too few to gain), \
                 refused (the queue was full), failed.",
                &["accelerator", "kind", "outcome"],
            ),
            queue_seconds: register(
                registry,
                GaugeVec::new(
                    Opts::new(
                        "gateway_accelerator_queue_seconds_total",
                        "Time that operations stood in the queue for their batch.",
                    ),
                    &["accelerator", "kind"],
                ),
            ),
            graveyard: gauge(
                "gateway_tls_graveyard_handshakes",
                "Abandoned handshakes whose operation the accelerator has not given back.",
                ACCELERATOR,
            ),
            graveyard_oldest: float(
                "gateway_tls_graveyard_oldest_seconds",
                "Age of the oldest of them.",
            ),
            buried: counter(
                "gateway_tls_graveyard_buried_total",
                "Handshakes ever abandoned with an operation in flight.",
                ACCELERATOR,
            ),
        }
    }
}
