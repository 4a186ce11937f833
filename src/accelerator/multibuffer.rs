//! libcrypto_mb, by batches of the workers' own: no card, no engine, no thread beside the
//! workers, and no wait for a batch that does not fill.

use qat_sys::lanes::Library;

use super::active::Source;
use super::params::MultibufferParams;
use super::system::cpu_lacks_ifma;
use super::{Accelerator, AcceleratorName, Algorithm, Loaded, Reason, System};

pub struct Multibuffer {
    params: MultibufferParams,
}

impl Multibuffer {
    pub fn new(params: &MultibufferParams) -> Multibuffer {
        Multibuffer {
            params: params.clone(),
        }
    }
}

impl Accelerator for Multibuffer {
    fn name(&self) -> &'static str {
        AcceleratorName::Multibuffer.as_str()
    }

    /// Where the CPU has what it takes, the library knows best what it makes of it.
    fn load(&self, system: &System) -> Result<Loaded, Vec<Reason>> {
        if cpu_lacks_ifma(system) {
            return Err(vec![Reason::NoIfma]);
        }
        if !qat_sys::job::is_capable() {
            return Err(vec![Reason::NoAsyncJobs]);
        }
        let library = Library::load(self.params.library.as_deref())
            .map_err(|error| vec![Reason::Library(error.to_string())])?;
        let (version, path) = (library.version(), library.path().display());
        Ok(Loaded {
            what: format!("libcrypto_mb {version} ({path})"),
            source: Some(Source::Lanes {
                library,
                table: None,
                queue: self.params.queue,
            }),
            algorithms: vec![Algorithm::Rsa, Algorithm::X25519],
        })
    }
}
