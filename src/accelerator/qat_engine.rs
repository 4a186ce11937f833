//! Intel's qatengine: QAT cards, and multi-buffer code on CPUs that can (QAT_SW). Or
//! another engine by its id, of which only its own words are known.

use std::sync::Arc;

use qat_sys::engine::{Engine, EngineBackend, EngineError};

use super::active::Source;
use super::cards::hardware;
use super::params::{EngineParams, Polling, QATENGINE};
use super::{Accelerator, AcceleratorName, Loaded, Reason, System};

/// An engine by its id; its library is named, or where OpenSSL looks for engines
/// (OPENSSL_ENGINES).
pub struct QatEngine {
    params: EngineParams,
}

impl Accelerator for QatEngine {
    fn name(&self) -> &'static str {
        AcceleratorName::QatEngine.as_str()
    }

    fn load(&self, system: &System) -> Result<Loaded, Vec<Reason>> {
        let engine = self.look(system)?;
        let backend = EngineBackend::start(engine, &self.params.options);
        let backend = backend.map_err(|error| {
            vec![Reason::EngineNotStarted {
                id: self.params.id.clone(),
                error: error.to_string(),
            }]
        })?;
        let algorithms = backend.algorithms().to_vec();
        let what = format!("the engine {} ({})", self.params.id, backend.name());
        let backend = Arc::new(backend);
        Ok(Loaded {
            what,
            source: Some(match self.params.options.polling {
                Polling::Internal | Polling::EventDriven => Source::Jobs(backend),
                Polling::External | Polling::Heuristic => {
                    Source::Polled(backend, self.params.poll_interval)
                }
            }),
            algorithms,
        })
    }
}

impl QatEngine {
    pub fn new(params: &EngineParams) -> QatEngine {
        QatEngine {
            params: params.clone(),
        }
    }

    /// The engine, not started, where it could work.
    fn look(&self, system: &System) -> Result<Engine, Vec<Reason>> {
        let (usable, mut reasons) = hardware(self.params.id == QATENGINE, system);
        match self.find() {
            Ok(engine) if usable => return Ok(engine),
            Ok(_) => {}
            Err(error) => reasons.push(self.not_loaded(error)),
        }
        Err(reasons)
    }

    fn find(&self) -> Result<Engine, EngineError> {
        match &self.params.library {
            Some(path) => Engine::load(&self.params.id, path),
            None => Engine::by_id(&self.params.id),
        }
    }

    fn not_loaded(&self, error: EngineError) -> Reason {
        match error {
            EngineError::NoEngines => Reason::NoEngines,
            error => Reason::EngineNotLoaded {
                id: self.params.id.clone(),
                error: error.to_string(),
            },
        }
    }
}
