//! Intel's qatprovider, or another provider by its name, in a library context of its own.

use std::sync::Arc;

use qat_sys::provider::ProviderBackend;

use super::active::Source;
use super::cards::hardware;
use super::params::{ProviderParams, QATPROVIDER};
use super::{Accelerator, AcceleratorName, Loaded, Reason, System};

/// A provider by its name; its module is in a folder that is named, or where OpenSSL looks
/// for them (OPENSSL_MODULES).
pub struct QatProvider {
    params: ProviderParams,
}

impl Accelerator for QatProvider {
    fn name(&self) -> &'static str {
        AcceleratorName::QatProvider.as_str()
    }

    /// For good: a provider is started by being loaded.
    fn load(&self, system: &System) -> Result<Loaded, Vec<Reason>> {
        let backend = self.look(system)?;
        Ok(Loaded {
            what: self.what(&backend),
            algorithms: backend.algorithms(),
            source: Some(Source::Jobs(Arc::new(backend))),
        })
    }
}

impl QatProvider {
    pub fn new(params: &ProviderParams) -> QatProvider {
        QatProvider {
            params: params.clone(),
        }
    }

    fn what(&self, backend: &ProviderBackend) -> String {
        let (name, properties) = (&self.params.name, backend.properties());
        format!("the provider {name} ({properties})")
    }

    /// The provider, where it could work and has something to offer.
    fn look(&self, system: &System) -> Result<ProviderBackend, Vec<Reason>> {
        let (usable, mut reasons) = hardware(self.params.name == QATPROVIDER, system);
        let ProviderParams {
            name,
            folder,
            properties,
        } = &self.params;
        match ProviderBackend::load(name, folder.as_deref(), properties.as_deref()) {
            Ok(backend) if usable && backend.algorithms().is_empty() => {
                reasons.push(Reason::NothingOffered {
                    name: name.clone(),
                    properties: backend.properties().to_owned(),
                });
            }
            Ok(backend) if usable => return Ok(backend),
            Ok(_) => {}
            Err(error) => reasons.push(Reason::ProviderNotLoaded {
                name: name.clone(),
                error: error.to_string(),
            }),
        }
        Err(reasons)
    }
}
