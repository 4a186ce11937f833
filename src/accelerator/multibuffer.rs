//! libcrypto_mb through a provider of our own.

use super::{Accelerator, AcceleratorName, Probe, Reason, System};

pub struct Multibuffer;

impl Accelerator for Multibuffer {
    fn name(&self) -> &'static str {
        AcceleratorName::Multibuffer.as_str()
    }

    fn probe(&self, _system: &System) -> Result<Probe, Vec<Reason>> {
        Err(vec![Reason::NotInThisVersion])
    }
}
