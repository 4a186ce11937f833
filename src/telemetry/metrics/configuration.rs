//! Versions of the configuration.

use std::time::SystemTime;

use prometheus::{Gauge, IntCounterVec, IntGauge, Opts, Registry};

use super::families::register;

const APPLIED: &str = "applied";
const REFUSED: &str = "refused";

pub(super) struct Configuration {
    reloads: IntCounterVec,
    successful: IntGauge,
    applied: Gauge,
}

impl Configuration {
    /// The one it starts with counts as applied.
    pub(super) fn new(registry: &Registry) -> Configuration {
        let reloads = Opts::new(
            "gateway_config_reloads_total",
            "New versions of the configuration, by outcome: applied or refused.",
        );
        let reloads = register(registry, IntCounterVec::new(reloads, &["outcome"]));
        for outcome in [APPLIED, REFUSED] {
            reloads.with_label_values(&[outcome]);
        }
        let successful = IntGauge::new(
            "gateway_config_last_reload_successful",
            "Whether the newest version of the configuration counts: 0 if it was refused.",
        );
        let applied = Gauge::new(
            "gateway_config_last_reload_success_timestamp_seconds",
            "When the version of the configuration that counts was applied, since 1970.",
        );
        let configuration = Configuration {
            reloads,
            successful: register(registry, successful),
            applied: register(registry, applied),
        };
        configuration.counts();
        configuration
    }

    pub(super) fn reloaded(&self, applied: bool) {
        let outcome = if applied { APPLIED } else { REFUSED };
        self.reloads.with_label_values(&[outcome]).inc();
        match applied {
            true => self.counts(),
            false => self.successful.set(0),
        }
    }

    fn counts(&self) {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        self.successful.set(1);
        self.applied.set(now.unwrap_or_default().as_secs_f64());
    }
}
