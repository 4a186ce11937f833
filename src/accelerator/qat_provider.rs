//! Intel's qatprovider, or another provider by its name, in a library context of its
//! own.

use qat_sys::provider::Private;

use super::cards::cards;
use super::system::cpu_lacks;
use super::{Accelerator, AcceleratorName, Probe, Reason, System};

/// A provider by its name; its module is where OpenSSL looks for them (OPENSSL_MODULES).
pub struct QatProvider {
    pub provider: &'static str,
}

impl Accelerator for QatProvider {
    fn name(&self) -> &'static str {
        AcceleratorName::QatProvider.as_str()
    }

    fn probe(&self, system: &System) -> Result<Probe, Vec<Reason>> {
        // Cards or CPU: as for the engine, whose code it shares.
        let mut reasons = cards(system).reasons;
        reasons.extend(cpu_lacks(system));
        reasons.push(match Private::load(self.provider, None) {
            Ok(_) => Reason::NotOffloading {
                what: format!("the provider {}", self.provider),
            },
            Err(error) => Reason::ProviderNotLoaded {
                name: self.provider.to_owned(),
                error: error.to_string(),
            },
        });
        if !qat_sys::job::is_capable() {
            reasons.push(Reason::NoAsyncJobs);
        }
        Err(reasons)
    }
}
