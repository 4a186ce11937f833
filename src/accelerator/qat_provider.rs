//! Intel's qatprovider, or another provider by its name, in a library context of its
//! own.

use qat_sys::provider::Private;

use super::cards::cards;
use super::params::ProviderParams;
use super::system::cpu_lacks;
use super::{AccelerationParams, Accelerator, AcceleratorName, Loaded, Probe, Reason, System};

/// A provider by its name; its module is in a folder that is named, or where OpenSSL looks
/// for them (OPENSSL_MODULES).
pub struct QatProvider {
    params: ProviderParams,
}

impl QatProvider {
    pub fn new(params: &ProviderParams) -> QatProvider {
        QatProvider {
            params: params.clone(),
        }
    }
}

impl Accelerator for QatProvider {
    fn name(&self) -> &'static str {
        AcceleratorName::QatProvider.as_str()
    }

    fn probe(&self, system: &System) -> Result<Probe, Vec<Reason>> {
        // Cards or CPU: as for the engine, whose code it shares.
        let mut reasons = cards(system).reasons;
        reasons.extend(cpu_lacks(system));
        reasons.push(
            match Private::load(&self.params.name, self.params.folder.as_deref()) {
                Ok(_) => Reason::NotOffloading {
                    what: format!("the provider {}", self.params.name),
                },
                Err(error) => Reason::ProviderNotLoaded {
                    name: self.params.name.clone(),
                    error: error.to_string(),
                },
            },
        );
        if !qat_sys::job::is_capable() {
            reasons.push(Reason::NoAsyncJobs);
        }
        Err(reasons)
    }

    fn load(&self, _: &AccelerationParams, system: &System) -> Result<Loaded, Vec<Reason>> {
        match self.probe(system) {
            Ok(_) => Err(Vec::new()),
            Err(reasons) => Err(reasons),
        }
    }
}
