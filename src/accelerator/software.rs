//! OpenSSL's own software: always there, the fallback of all others.

use super::{AccelerationParams, Accelerator, Loaded, Probe, Reason, System};

pub struct Software;

impl Accelerator for Software {
    fn name(&self) -> &'static str {
        super::SOFTWARE
    }

    fn probe(&self, _system: &System) -> Result<Probe, Vec<Reason>> {
        Ok(Probe {
            what: openssl::version::version().to_owned(),
        })
    }

    fn load(&self, _: &AccelerationParams, system: &System) -> Result<Loaded, Vec<Reason>> {
        Ok(Loaded {
            what: self.probe(system)?.what,
            source: None,
            algorithms: Vec::new(),
        })
    }
}
