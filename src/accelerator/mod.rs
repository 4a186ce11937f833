//! The accelerators OpenSSL's private-key work can be given to.
//!
//! ```text
//! prefer: [a, b] ─→ probe a ─no, reasons─→ probe b ─no, reasons─→ software
//!                      └──────yes──────────────┴──────yes──────→ chosen
//! ```
//!
//! Done once, at start, on the control thread. "Yes" means that handshakes really are
//! given to it: in this version that is true of software alone, and an accelerator that
//! could be loaded says so among its reasons.
//!
//! A new accelerator is a file and a line in [`registry`]. It must not know of TLS.

mod cards;
mod multibuffer;
mod params;
mod qat_engine;
mod qat_provider;
mod reason;
mod remedy;
mod software;
mod survey;
mod system;
#[cfg(test)]
mod tests;

use std::fmt;

pub use cards::{Cards, cards};
pub use params::{AccelerationParams, AcceleratorName};
pub use qat_engine::QatEngine;
pub use qat_provider::QatProvider;
pub use reason::Reason;
pub use survey::{Hint, Surveyed, hints, survey};
pub use system::System;

/// The name of OpenSSL's own, in the log and the metrics.
pub const SOFTWARE: &str = "software";

/// Something that does private-key work.
pub trait Accelerator {
    /// As the configuration, the log and the metrics write it.
    fn name(&self) -> &'static str;

    /// Looks whether it can be used.
    ///
    /// # Errors
    /// Every reason why not, in the order in which they are best dealt with; never none.
    fn probe(&self, system: &System) -> Result<Probe, Vec<Reason>>;
}

/// What a successful probe found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probe {
    /// Name and version, for people.
    pub what: String,
}

/// One line for each accelerator.
fn registry() -> Vec<Box<dyn Accelerator>> {
    vec![
        Box::new(QatEngine { id: "qatengine" }),
        Box::new(QatProvider {
            provider: "qatprovider",
        }),
        Box::new(multibuffer::Multibuffer),
        Box::new(software::Software),
    ]
}

/// The outcome of the search.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selection {
    /// An accelerator's name.
    pub chosen: &'static str,
    /// Its own name and version.
    pub what: String,
    /// Those that were asked for before it, and why each is not used.
    pub reasons: Vec<(&'static str, Vec<Reason>)>,
}

/// No accelerator that is required can be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("acceleration.require is true, and no accelerator can be used\n{}", self.told())]
pub struct Unavailable(pub Vec<(&'static str, Vec<Reason>)>);

impl Unavailable {
    fn told(&self) -> String {
        let lines = self.0.iter().map(|(name, reasons)| list(name, reasons));
        lines.collect::<String>().trim_end().to_owned()
    }
}

/// Takes the first of the wanted that can be used, else software.
///
/// # Errors
/// One is required, and only software is left.
pub fn select(params: &AccelerationParams, system: &System) -> Result<Selection, Unavailable> {
    let registry = registry();
    let wanted = params.prefer.iter().map(|name| name.as_str());
    let names = wanted.chain((!params.require).then_some(SOFTWARE));
    let mut reasons = Vec::new();
    for name in names {
        // Every name of the configuration is registered: a test holds them together.
        let Some(accelerator) = registry.iter().find(|one| one.name() == name) else {
            continue;
        };
        match accelerator.probe(system) {
            Ok(Probe { what }) => {
                return Ok(Selection {
                    chosen: accelerator.name(),
                    what,
                    reasons,
                });
            }
            Err(found) => reasons.push((accelerator.name(), found)),
        }
    }
    Err(Unavailable(reasons))
}

/// As the admin page shows it.
impl fmt::Display for Selection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}: in use ({})", self.chosen, self.what)?;
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
