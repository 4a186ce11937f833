//! Which accelerators are wanted, and how they are used; checked.

use std::path::PathBuf;
use std::time::Duration;

pub use qat_sys::Completion;
pub use qat_sys::engine::{EngineOptions, Polling};
pub use qat_sys::offload::Algorithm;

use super::breaker::BreakerParams;

/// An accelerator that can be asked for; software is always there and never named.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AcceleratorName {
    /// Intel's qatengine, through OpenSSL's ENGINE API.
    QatEngine,
    /// Intel's qatprovider, or another, through OpenSSL's provider API.
    QatProvider,
    /// libcrypto_mb on AVX-512 or AVX-IFMA cores, batched by the workers.
    Multibuffer,
}

impl AcceleratorName {
    /// As the configuration, the log and the metrics write it.
    pub fn as_str(self) -> &'static str {
        match self {
            AcceleratorName::QatEngine => "qat_engine",
            AcceleratorName::QatProvider => "qat_provider",
            AcceleratorName::Multibuffer => "multibuffer",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccelerationParams {
    /// In this order; the first that can be used is. Software comes last.
    pub prefer: Vec<AcceleratorName>,
    /// Refuse to start on software alone.
    pub require: bool,
    /// What is offloaded; None: what the calibration finds to be quicker.
    pub offload: Option<Vec<Algorithm>>,
    /// Handshakes in progress on a worker from which it is used; None: as calibrated.
    pub break_even: Option<usize>,
    /// How a paused operation says that it is done.
    pub completion: Completion,
    pub breaker: BreakerParams,
    pub engine: EngineParams,
    pub provider: ProviderParams,
    pub multibuffer: MultibufferParams,
}

impl Default for AccelerationParams {
    fn default() -> Self {
        AccelerationParams {
            prefer: Vec::new(),
            require: false,
            offload: None,
            break_even: None,
            completion: Completion::Callback,
            breaker: BreakerParams::default(),
            engine: EngineParams::default(),
            provider: ProviderParams::default(),
            multibuffer: MultibufferParams::default(),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EngineParams {
    pub id: String,
    /// Its library; None: from OpenSSL's folder of engines.
    pub library: Option<PathBuf>,
    pub options: EngineOptions,
    /// Between two looks for responses, where the workers look.
    pub poll_interval: Duration,
}

/// The id of Intel's engine.
pub const QATENGINE: &str = "qatengine";

impl Default for EngineParams {
    fn default() -> Self {
        EngineParams {
            id: QATENGINE.to_owned(),
            library: None,
            options: EngineOptions::default(),
            poll_interval: Duration::from_millis(1),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProviderParams {
    pub name: String,
    /// Where its module is; None: OpenSSL's folder of modules.
    pub folder: Option<PathBuf>,
    /// The property query that chooses it; None: by its name.
    pub properties: Option<String>,
}

/// The name of Intel's provider.
pub const QATPROVIDER: &str = "qatprovider";

impl Default for ProviderParams {
    fn default() -> Self {
        ProviderParams {
            name: QATPROVIDER.to_owned(),
            folder: None,
            properties: None,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MultibufferParams {
    /// libcrypto_mb's file or folder; None: where the system has libraries.
    pub library: Option<PathBuf>,
    /// Operations that may wait on a worker; what comes beyond is done in software.
    pub queue: usize,
}

impl Default for MultibufferParams {
    fn default() -> Self {
        MultibufferParams {
            library: None,
            queue: 1024,
        }
    }
}
