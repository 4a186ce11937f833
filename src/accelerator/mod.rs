//! The accelerators OpenSSL's private-key work can be given to.
//!
//! ```text
//! prefer: [a, b] ─→ a: look ─→ load ─→ self-test ─→ calibrate ─→ in use
//!                      └───────┴── reasons ┴───────────┘
//!                                     └→ b: look ─→ … ─→ software
//! ```
//!
//! Done once, at start, on the control thread. What passes is made into a [`Worker`] on
//! every worker: a provider of our own in a private library context, whose operations go
//! to the accelerator and, where that does not do them, to software.
//!
//! A new accelerator is a file and a line in [`registry`]. It must not know of TLS.

mod active;
pub mod breaker;
mod calibration;
mod cards;
mod guard;
pub mod load;
mod masks;
mod multibuffer;
mod params;
mod qat_engine;
mod qat_provider;
mod reason;
mod remedy;
mod self_test;
mod software;
mod survey;
mod system;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

use active::Source;
pub use active::{Active, Worker, WorkerStats};
pub use breaker::BreakerParams;
pub use breaker::{BreakerState, Cause};
pub use calibration::{Calibration, Measured};
pub use cards::{Cards, cards};
pub use masks::Masked;
use multibuffer::Multibuffer;
pub use params::{
    AccelerationParams, AcceleratorName, Algorithm, Completion, EngineOptions, EngineParams,
    MultibufferParams, Polling, ProviderParams,
};
pub use qat_engine::QatEngine;
pub use qat_provider::QatProvider;
pub use reason::{Barrier, Reason};
pub use self_test::Flaw;
pub use survey::{Hint, Surveyed, Usable, hints, survey};
pub use system::System;

/// The name of OpenSSL's own, in the log and the metrics.
pub const SOFTWARE: &str = "software";

/// Something that does private-key work.
pub trait Accelerator {
    /// As the configuration, the log and the metrics write it.
    fn name(&self) -> &'static str;

    /// Looks whether it can be used, and loads it. Devices may be taken hold of, and
    /// threads started: once in a process.
    ///
    /// # Errors
    /// Every reason why not, in the order in which they are best dealt with; never none.
    fn load(&self, system: &System) -> Result<Loaded, Vec<Reason>>;
}

/// A loaded accelerator, not tested yet.
pub struct Loaded {
    what: String,
    /// None: software.
    source: Option<Source>,
    /// What it can do.
    algorithms: Vec<Algorithm>,
}

/// One line for each accelerator.
fn registry(params: &AccelerationParams) -> Vec<Box<dyn Accelerator>> {
    vec![
        Box::new(QatEngine::new(&params.engine)),
        Box::new(QatProvider::new(&params.provider)),
        Box::new(Multibuffer::new(&params.multibuffer)),
        Box::new(software::Software),
    ]
}

/// The outcome of the search.
pub struct Selection {
    /// An accelerator's name.
    pub chosen: &'static str,
    /// Its own name and version.
    pub what: String,
    /// What is offloaded, and how; None: software.
    pub active: Option<Arc<Active>>,
    /// Those that were asked for before it, and why each is not used.
    pub reasons: Vec<(&'static str, Vec<Reason>)>,
}

/// No accelerator that is required can be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("acceleration.require is true, and no accelerator can be used\n{}", self.told())]
pub struct Unavailable(pub Vec<(&'static str, Vec<Reason>)>);

impl Unavailable {
    /// The names, and their reasons one a line.
    pub fn told(&self) -> String {
        let lines = self.0.iter().map(|(name, reasons)| list(name, reasons));
        lines.collect::<String>().trim_end().to_owned()
    }
}

/// Takes the first of the wanted that can be used, else software.
///
/// # Errors
/// One is required, and only software is left.
pub fn select(params: &AccelerationParams, system: &System) -> Result<Selection, Unavailable> {
    let registry = registry(params);
    let wanted = params.prefer.iter().map(|name| name.as_str());
    let names = wanted.chain((!params.require).then_some(SOFTWARE));
    let mut reasons = Vec::new();
    for name in names {
        // Every name of the configuration is registered: a test holds them together.
        let Some(accelerator) = registry.iter().find(|one| one.name() == name) else {
            continue;
        };
        match activate(&**accelerator, params, system) {
            Ok(Usable { what, active }) => {
                return Ok(Selection {
                    chosen: accelerator.name(),
                    what,
                    active: active.map(Arc::new),
                    reasons,
                });
            }
            Err(found) => reasons.push((accelerator.name(), found)),
        }
    }
    Err(Unavailable(reasons))
}

/// Loads, tests and calibrates.
fn activate(
    accelerator: &dyn Accelerator,
    params: &AccelerationParams,
    system: &System,
) -> Result<Usable, Vec<Reason>> {
    let Loaded {
        what,
        source,
        algorithms,
    } = accelerator.load(system)?;
    let Some(mut source) = source else {
        return Ok(Usable { what, active: None });
    };
    let wanted = |one: &Algorithm| {
        params
            .offload
            .as_ref()
            .is_none_or(|list| list.contains(one))
    };
    let mut algorithms: Vec<Algorithm> = algorithms.into_iter().filter(wanted).collect();
    if algorithms.is_empty() {
        return Err(vec![Reason::NothingWanted]);
    }
    let calibration = source
        .try_out(&mut algorithms)
        .map_err(|flaw| vec![Reason::Flawed(flaw)])?;
    if params.offload.is_none() {
        let gains = |one: &Algorithm| calibration.gains(*one);
        algorithms.retain(gains);
    }
    if algorithms.is_empty() {
        return Err(vec![Reason::NoGain]);
    }
    let break_even = match params.break_even.or(calibration.break_even) {
        Some(found) => found,
        // Asked for by name although it never gains.
        None if params.offload.is_some() => 1,
        None => return Err(vec![Reason::NoGain]),
    };
    let active = Some(Active {
        name: accelerator.name(),
        algorithms,
        break_even,
        calibration,
        completion: params.completion,
        breaker: params.breaker,
        source,
    });
    Ok(Usable { what, active })
}

/// As the admin page shows it.
impl fmt::Display for Selection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}: in use ({})", self.chosen, self.what)?;
        if let Some(active) = &self.active {
            write!(f, "{active}")?;
        }
        for (name, reasons) in &self.reasons {
            f.write_str(&list(name, reasons))?;
        }
        Ok(())
    }
}

/// A name, and its reasons one a line.
fn list(name: &str, reasons: &[Reason]) -> String {
    let lines = reasons.iter().map(|reason| format!("  - {reason}\n"));
    format!("{name}: not used\n{}", lines.collect::<String>())
}
