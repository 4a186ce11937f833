//! libcrypto_mb, by batches of the workers' own: no card, no engine, no thread beside the
//! workers, and no wait for a batch that does not fill.

use qat_sys::lanes::Library;

use super::active::Source;
use super::params::MultibufferParams;
use super::{
    AccelerationParams, Accelerator, AcceleratorName, Algorithm, Loaded, Probe, Reason, System,
};

pub struct Multibuffer {
    params: MultibufferParams,
}

impl Multibuffer {
    pub fn new(params: &MultibufferParams) -> Multibuffer {
        Multibuffer {
            params: params.clone(),
        }
    }

    fn library(&self) -> Result<&'static Library, Vec<Reason>> {
        if !qat_sys::job::is_capable() {
            return Err(vec![Reason::NoAsyncJobs]);
        }
        Library::load(self.params.library.as_deref())
            .map_err(|error| vec![Reason::Library(error.to_string())])
    }
}

fn what(library: &Library) -> String {
    format!(
        "libcrypto_mb {} ({})",
        library.version(),
        library.path().display()
    )
}

impl Accelerator for Multibuffer {
    fn name(&self) -> &'static str {
        AcceleratorName::Multibuffer.as_str()
    }

    /// The library knows best what it needs of the CPU.
    fn probe(&self, _system: &System) -> Result<Probe, Vec<Reason>> {
        let library = self.library()?;
        Ok(Probe {
            what: what(library),
        })
    }

    fn load(&self, params: &AccelerationParams, _system: &System) -> Result<Loaded, Vec<Reason>> {
        let library = self.library()?;
        Ok(Loaded {
            what: what(library),
            source: Some(Source::Lanes {
                library,
                table: None,
                queue: params.multibuffer.queue,
            }),
            algorithms: vec![Algorithm::Rsa, Algorithm::X25519],
        })
    }
}
