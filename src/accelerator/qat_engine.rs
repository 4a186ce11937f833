//! Intel's qatengine: QAT cards, and multi-buffer code on CPUs that can (QAT_SW).

use qat_sys::engine::{Engine, EngineError};

use super::cards::cards;
use super::system::cpu_lacks;
use super::{Accelerator, AcceleratorName, Probe, Reason, System};

/// An engine by its id; its library is where OpenSSL looks for engines (OPENSSL_ENGINES).
pub struct QatEngine {
    pub id: &'static str,
}

impl Accelerator for QatEngine {
    fn name(&self) -> &'static str {
        AcceleratorName::QatEngine.as_str()
    }

    fn probe(&self, system: &System) -> Result<Probe, Vec<Reason>> {
        let mut reasons = Vec::new();
        let cards = cards(system);
        let cpu = cpu_lacks(system);
        let usable = !cards.usable.is_empty() || cpu.is_none();
        // Either is enough; what keeps the other from working is told all the same.
        reasons.extend(cards.reasons);
        reasons.extend(cpu);
        match Engine::by_id(self.id) {
            Err(error) => reasons.push(self.not_loaded(error)),
            // Starting takes hold of devices: not before it can succeed.
            Ok(engine) if usable => reasons.push(self.start(engine)),
            Ok(_) => {}
        }
        if !qat_sys::job::is_capable() {
            reasons.push(Reason::NoAsyncJobs);
        }
        Err(reasons)
    }
}

impl QatEngine {
    fn not_loaded(&self, error: EngineError) -> Reason {
        match error {
            EngineError::NoEngines => Reason::NoEngines,
            error => Reason::EngineNotLoaded {
                id: self.id.to_owned(),
                error: error.to_string(),
            },
        }
    }

    /// Always a reason: what works is not given handshakes yet.
    fn start(&self, engine: Engine) -> Reason {
        match engine.init() {
            Ok(engine) => Reason::NotOffloading {
                what: format!("the engine {} ({})", self.id, engine.name()),
            },
            Err(error) => Reason::EngineNotStarted {
                id: self.id.to_owned(),
                error: error.to_string(),
            },
        }
    }
}
