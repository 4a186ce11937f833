//! OpenSSL's own software: always there, the fallback of all others.

use super::{Accelerator, Loaded, Reason, System};

pub struct Software;

impl Accelerator for Software {
    fn name(&self) -> &'static str {
        super::SOFTWARE
    }

    fn load(&self, _system: &System) -> Result<Loaded, Vec<Reason>> {
        Ok(Loaded {
            what: openssl::version::version().to_owned(),
            source: None,
            algorithms: Vec::new(),
        })
    }
}
