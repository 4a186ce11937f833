//! Prometheus metrics, prefix `gateway_`, then the step's name.
//!
//! ```text
//! worker 0: Shard ─┐ gather
//! worker 1: Shard ─┼────────→ merge (sum by name and labels) ─→ text
//! control:  Shard ─┘              ↑
//! process: workers, limits, build, CPU, memory
//! ```
//!
//! A shard has every family to itself, so that workers share no cache line, and its
//! owner resolves labels once: a request costs a few uncontended additions and no
//! label look-up. Shards are summed when somebody scrapes. They live as long as the
//! process, as workers do.

mod acceleration;
mod configuration;
mod families;
mod handles;
mod merge;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, PoisonError};

use prometheus::process_collector::ProcessCollector;
use prometheus::{IntCounter, IntGauge, IntGaugeVec, Opts, Registry, TextEncoder};

pub use acceleration::AcceleratorMetrics;
use configuration::Configuration;
use families::{Families, must, register};
pub use handles::{
    ActiveGuard, ClusterMetrics, Finished, HandshakeLabels, ListenerMetrics, RouteMetrics,
};

/// All metrics of a process.
pub struct Metrics {
    process: Registry,
    workers: IntGauge,
    limits: IntGaugeVec,
    accelerators: IntGaugeVec,
    access_dropped: IntCounter,
    configuration: Configuration,
    acceleration: AcceleratorMetrics,
    shards: Mutex<Vec<Arc<Families>>>,
}

impl Metrics {
    /// `openssl`: the library's version, for `gateway_build_info`.
    pub fn new(openssl: &str) -> Arc<Metrics> {
        let process = Registry::new();
        must(process.register(Box::new(ProcessCollector::for_self())));
        let build = Opts::new("gateway_build_info", "Always 1; the labels tell.")
            .const_label("version", env!("CARGO_PKG_VERSION"))
            .const_label("openssl", openssl);
        register(&process, IntGauge::with_opts(build)).set(1);
        let workers = IntGauge::new("gateway_workers", "Worker threads.");
        let limits = Opts::new(
            "gateway_limit",
            "Configured limits: what a metric may rise to before work is refused.",
        );
        let limits = IntGaugeVec::new(limits, &["section", "name", "limit"]);
        let accelerators = Opts::new(
            "gateway_accelerator_info",
            "Always 1; state is active for what does the private-key work, else unavailable.",
        );
        let accelerators = IntGaugeVec::new(accelerators, &["accelerator", "state"]);
        let access_dropped = IntCounter::new(
            "gateway_access_log_dropped_total",
            "Access log lines lost to a full queue.",
        );
        Arc::new(Metrics {
            workers: register(&process, workers),
            limits: register(&process, limits),
            accelerators: register(&process, accelerators),
            access_dropped: register(&process, access_dropped),
            configuration: Configuration::new(&process),
            acceleration: AcceleratorMetrics::new(&process),
            process,
            shards: Mutex::default(),
        })
    }

    /// A new shard, for one worker or for the control thread. To be called on the
    /// thread that uses it, whose allocator then keeps its memory apart from others'.
    pub fn shard(&self) -> Shard {
        let families = Arc::new(Families::new());
        self.shards
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(families.clone());
        Shard(families)
    }

    pub fn set_workers(&self, workers: usize) {
        set_gauge(&self.workers, workers as u64);
    }

    /// A new version of the configuration was applied, or else refused.
    pub fn reloaded(&self, applied: bool) {
        self.configuration.reloaded(applied);
    }

    /// Makes a limit visible: `("listener", "edge", "max_connections", 20000)`.
    pub fn set_limit(&self, section: &str, name: &str, limit: &str, value: u64) {
        let gauge = self.limits.with_label_values(&[section, name, limit]);
        set_gauge(&gauge, value);
    }

    /// Shows an accelerator: `("qat_engine", "unavailable")`. To be called once for each.
    pub fn set_accelerator(&self, accelerator: &str, state: &str) {
        self.accelerators
            .with_label_values(&[accelerator, state])
            .set(1);
    }

    /// What the accelerator does.
    pub fn acceleration(&self) -> &AcceleratorMetrics {
        &self.acceleration
    }

    /// Counts the access log's lost lines; for [`super::access::start`].
    pub fn access_dropped(&self) -> IntCounter {
        self.access_dropped.clone()
    }

    /// Everything in Prometheus' text exposition format, version 0.0.4.
    pub fn encode(&self) -> String {
        let shards = self
            .shards
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let gathered = std::iter::once(self.process.gather())
            .chain(shards.iter().map(|shard| shard.registry.gather()));
        let mut text = String::with_capacity(16 * 1024);
        // Fails on families without name or samples alone, which gather leaves out.
        let _ = TextEncoder::new().encode_utf8(&merge::merge(gathered), &mut text);
        text
    }
}

/// One thread's share of all metrics.
#[derive(Clone)]
pub struct Shard(Arc<Families>);

impl Shard {
    pub fn listener(&self, name: &str) -> ListenerMetrics {
        ListenerMetrics::new(&self.0, name)
    }

    /// `name`: the route's; one handle for each pair of route and cluster.
    pub fn route(&self, name: &str, cluster: &str) -> RouteMetrics {
        RouteMetrics::new(&self.0, name, cluster)
    }

    pub fn cluster(&self, name: &str) -> ClusterMetrics {
        ClusterMetrics::new(&self.0, name)
    }
}

/// Brings a counter to a total that is kept elsewhere, such as in a pool's atomics.
/// A counter never falls: a lower total is ignored.
pub fn set_total(counter: &IntCounter, total: u64) {
    let more = total.saturating_sub(counter.get());
    if more > 0 {
        counter.inc_by(more);
    }
}

/// Sets a gauge to a number kept elsewhere.
pub fn set_gauge(gauge: &IntGauge, value: u64) {
    gauge.set(saturated(value));
}

fn saturated(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}
