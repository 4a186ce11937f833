//! Which accelerators take the private-key work, and how.

use std::path::PathBuf;

use super::scalar::timeout;
use crate::accelerator::{
    AccelerationParams, AcceleratorName, Algorithm, BreakerParams, Completion, EngineOptions,
    EngineParams, MultibufferParams, Polling, ProviderParams,
};
use crate::config::raw;
use crate::config::report::At;

pub(super) fn acceleration(at: &At<'_>, raw: &raw::Acceleration) -> AccelerationParams {
    let prefer = prefer(at, raw);
    AccelerationParams {
        prefer,
        asked: at.key("prefer").given(),
        require: raw.require,
        offload: match &raw.offload {
            raw::Offload::Auto(_) => None,
            raw::Offload::List(list) => Some(algorithms(&at.key("offload"), list)),
        },
        break_even: match raw.break_even {
            raw::BreakEven::Auto(_) => None,
            raw::BreakEven::Count(count) => Some(count),
        },
        completion: match raw.completion {
            raw::Completion::Callback => Completion::Callback,
            raw::Completion::Fd => Completion::Fd,
        },
        breaker: breaker(&at.key("breaker"), &raw.breaker),
        engine: engine(&at.key("qat_engine"), &raw.qat_engine),
        provider: provider(&at.key("qat_provider"), &raw.qat_provider),
        multibuffer: MultibufferParams {
            library: path(at, raw.multibuffer.library.as_deref()),
            queue: raw.multibuffer.queue as usize,
        },
    }
}

fn prefer(at: &At<'_>, raw: &raw::Acceleration) -> Vec<AcceleratorName> {
    let mut prefer = Vec::new();
    for (i, name) in raw.prefer.iter().enumerate() {
        let name = match name {
            raw::Accelerator::QatEngine => AcceleratorName::QatEngine,
            raw::Accelerator::QatProvider => AcceleratorName::QatProvider,
            raw::Accelerator::Multibuffer => AcceleratorName::Multibuffer,
        };
        match prefer.contains(&name) {
            true => at.key("prefer").item(i).error("stands twice", "remove one"),
            false => prefer.push(name),
        }
    }
    if raw.require && prefer.is_empty() && !at.key("prefer").is_stand_in() {
        at.key("require").error(
            "asks for an accelerator, but prefer names none",
            "name some in prefer, such as qat_engine, or write false",
        );
    }
    prefer
}

fn algorithms(at: &At<'_>, raw: &[raw::Algorithm]) -> Vec<Algorithm> {
    let mut algorithms = Vec::new();
    for (i, name) in raw.iter().enumerate() {
        let name = match name {
            raw::Algorithm::Rsa => Algorithm::Rsa,
            raw::Algorithm::X25519 => Algorithm::X25519,
            raw::Algorithm::Ecdsa => Algorithm::Ecdsa,
        };
        match algorithms.contains(&name) {
            true => at.item(i).error("stands twice", "remove one"),
            false => algorithms.push(name),
        }
    }
    algorithms
}

fn breaker(at: &At<'_>, raw: &raw::Breaker) -> BreakerParams {
    let open_for = timeout(&at.key("open_for"), &raw.open_for);
    let open_at_most = timeout(&at.key("open_at_most"), &raw.open_at_most);
    if open_at_most < open_for && at.key("open_at_most").given() {
        at.key("open_at_most").error(
            format_args!(
                "is shorter than open_for ({})",
                humantime::format_duration(open_for)
            ),
            "write at least as much as open_for",
        );
    }
    BreakerParams {
        failures: raw.failures,
        queue_full: raw.queue_full,
        window: timeout(&at.key("window"), &raw.window),
        stuck_after: timeout(&at.key("stuck_after"), &raw.stuck_after),
        open_for,
        open_at_most: open_at_most.max(open_for),
    }
}

fn engine(at: &At<'_>, raw: &raw::QatEngine) -> EngineParams {
    let interval = raw.poll_interval.as_ref();
    let interval = interval.map(|raw| timeout(&at.key("poll_interval"), raw));
    let polling = match raw.polling {
        raw::Polling::Internal => Polling::Internal,
        raw::Polling::External => Polling::External,
        raw::Polling::Heuristic => Polling::Heuristic,
        raw::Polling::EventDriven => Polling::EventDriven,
    };
    let by_workers = matches!(polling, Polling::External | Polling::Heuristic);
    EngineParams {
        id: raw.id.clone(),
        library: path(at, raw.library.as_deref()),
        options: EngineOptions {
            polling,
            poll_interval: interval.filter(|_| !by_workers),
            hardware_algorithms: raw.hardware_algorithms.clone(),
            software_algorithms: raw.software_algorithms.clone(),
            section: raw.section.clone(),
            software_fallback: raw.software_fallback,
            retries: None,
        },
        poll_interval: interval.unwrap_or(EngineParams::default().poll_interval),
    }
}

fn provider(at: &At<'_>, raw: &raw::QatProvider) -> ProviderParams {
    ProviderParams {
        name: raw.name.clone(),
        folder: path(at, raw.folder.as_deref()),
        properties: raw.properties.clone(),
    }
}

/// Relative to the configuration's folder. Whether it is there is seen when the accelerator
/// is looked for: one that is not installed is a reason not to use it, not an error.
fn path(at: &At<'_>, text: Option<&str>) -> Option<PathBuf> {
    Some(at.report.base.join(text?))
}
