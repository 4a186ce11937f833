//! Which accelerators take the private-key work, and how.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use super::scalar::{self, Auto, Duration};

/// Which accelerators take the private-key work of handshakes, and how.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Acceleration {
    /// Tried in this order; the first that can be used is. OpenSSL's own software is
    /// always the last and need not be named. An empty list: software alone.
    #[serde(default = "Acceleration::prefer")]
    pub(in crate::config) prefer: Vec<Accelerator>,
    /// Refuse to start on software alone.
    #[serde(default)]
    pub(in crate::config) require: bool,
    /// What is offloaded: `auto`, what was measured at start to gain by it, or a list of
    /// `rsa`, `x25519` and `ecdsa`.
    #[serde(default)]
    pub(in crate::config) offload: Offload,
    /// Handshakes in progress on a worker from which the accelerator is used; with fewer,
    /// software is quicker. `auto`: as measured at start.
    #[serde(default)]
    pub(in crate::config) break_even: BreakEven,
    /// How a paused operation says that it is done: by a `callback`, or by a descriptor
    /// (`fd`), which costs one for each handshake in progress.
    #[serde(default)]
    pub(in crate::config) completion: Completion,
    /// Keeps handshakes off an accelerator that fails.
    #[serde(default)]
    pub(in crate::config) breaker: Breaker,
    /// Intel's qatengine.
    #[serde(default)]
    pub(in crate::config) qat_engine: QatEngine,
    /// Intel's qatprovider, or another provider of OpenSSL.
    #[serde(default)]
    pub(in crate::config) qat_provider: QatProvider,
    /// Batches in the CPU's wide registers, by libcrypto_mb.
    #[serde(default)]
    pub(in crate::config) multibuffer: Multibuffer,
}

impl Acceleration {
    fn prefer() -> Vec<Accelerator> {
        vec![
            Accelerator::QatEngine,
            Accelerator::QatProvider,
            Accelerator::Multibuffer,
        ]
    }
}

impl Default for Acceleration {
    fn default() -> Self {
        Acceleration {
            prefer: Acceleration::prefer(),
            require: false,
            offload: Offload::default(),
            break_even: BreakEven::default(),
            completion: Completion::default(),
            breaker: Breaker::default(),
            qat_engine: QatEngine::default(),
            qat_provider: QatProvider::default(),
            multibuffer: Multibuffer::default(),
        }
    }
}

#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub(in crate::config) enum Accelerator {
    QatEngine,
    QatProvider,
    Multibuffer,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(untagged)]
pub(in crate::config) enum Offload {
    List(Vec<Algorithm>),
    Auto(Auto),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(in crate::config) enum Algorithm {
    Rsa,
    X25519,
    Ecdsa,
}

impl Default for Offload {
    fn default() -> Self {
        Offload::Auto(Auto::Auto)
    }
}

impl JsonSchema for Offload {
    fn schema_name() -> Cow<'static, str> {
        "offload".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": ["string", "array"],
            "pattern": "^auto$",
            "items": { "type": "string", "enum": ["rsa", "x25519", "ecdsa"] },
            "minItems": 1,
            "examples": ["auto", ["rsa", "x25519"]],
        })
    }
}

/// `auto`, or a number of handshakes.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(untagged)]
pub(in crate::config) enum BreakEven {
    Count(usize),
    Auto(Auto),
}

impl Default for BreakEven {
    fn default() -> Self {
        BreakEven::Auto(Auto::Auto)
    }
}

impl JsonSchema for BreakEven {
    fn schema_name() -> Cow<'static, str> {
        "break_even".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "title": "number of handshakes",
            "type": ["string", "integer"],
            "pattern": "^auto$",
            "minimum": 1,
            "maximum": 65536,
            "examples": ["auto", 4],
        })
    }
}

#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub(in crate::config) enum Completion {
    #[default]
    Callback,
    Fd,
}

/// When a worker stops to use its accelerator, and for how long.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Breaker {
    /// Operations failed or wrong, within `window`, that open it.
    #[serde(default = "scalar::integer::<5>")]
    #[schemars(range(min = 1))]
    pub(in crate::config) failures: u32,
    /// Operations the accelerator's queue had no room for, within `window`, that open it.
    #[serde(default = "scalar::integer::<1000>")]
    #[schemars(range(min = 1))]
    pub(in crate::config) queue_full: u32,
    /// How far back the two are counted.
    #[serde(default = "scalar::seconds::<10>")]
    pub(in crate::config) window: Duration,
    /// An operation in flight for longer opens it.
    #[serde(default = "scalar::seconds::<1>")]
    pub(in crate::config) stuck_after: Duration,
    /// How long it is open before the accelerator is tried again; doubled each time that
    /// fails.
    #[serde(default = "scalar::seconds::<5>")]
    pub(in crate::config) open_for: Duration,
    /// The end of the doubling.
    #[serde(default = "scalar::seconds::<60>")]
    pub(in crate::config) open_at_most: Duration,
}

impl Default for Breaker {
    fn default() -> Self {
        Breaker {
            failures: scalar::integer::<5>(),
            queue_full: scalar::integer::<1000>(),
            window: scalar::seconds::<10>(),
            stuck_after: scalar::seconds::<1>(),
            open_for: scalar::seconds::<5>(),
            open_at_most: scalar::seconds::<60>(),
        }
    }
}

/// An engine of OpenSSL's: Intel's, unless `id` says otherwise.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct QatEngine {
    /// The engine's name.
    #[serde(default = "QatEngine::id")]
    #[schemars(length(min = 1))]
    pub(in crate::config) id: String,
    /// The engine's library. Without it OpenSSL looks in its folder of engines.
    #[serde(default)]
    #[schemars(length(min = 1), example = &"/usr/lib/x86_64-linux-gnu/engines-3/qatengine.so")]
    pub(in crate::config) library: Option<String>,
    /// Who fetches the accelerator's responses: threads of the engine's own (`internal`,
    /// the one for multi-buffer), the workers every `poll_interval` (`external`) or by
    /// the number in flight (`heuristic`), or threads woken by the device
    /// (`event_driven`).
    #[serde(default)]
    pub(in crate::config) polling: Polling,
    /// Between two looks for responses. Without it: the engine's own, or 1ms for workers.
    #[serde(default)]
    pub(in crate::config) poll_interval: Option<Duration>,
    /// The engine's mask of algorithms for cards (HW_ALGO_BITMAP), hexadecimal.
    #[serde(default)]
    #[schemars(regex(pattern = MASK), example = &"0x21")]
    pub(in crate::config) hardware_algorithms: Option<String>,
    /// The engine's mask of algorithms for multi-buffer (SW_ALGO_BITMAP), hexadecimal.
    #[serde(default)]
    #[schemars(regex(pattern = MASK), example = &"0x21")]
    pub(in crate::config) software_algorithms: Option<String>,
    /// The section of the card's configuration.
    #[serde(default)]
    #[schemars(length(min = 1), example = &"SHIM")]
    pub(in crate::config) section: Option<String>,
    /// Let the engine itself fall back to software when a card fails.
    #[serde(default)]
    pub(in crate::config) software_fallback: bool,
}

const MASK: &str = "^0x[0-9a-fA-F]{1,8}$";

impl QatEngine {
    fn id() -> String {
        "qatengine".to_owned()
    }
}

impl Default for QatEngine {
    fn default() -> Self {
        QatEngine {
            id: QatEngine::id(),
            library: None,
            polling: Polling::default(),
            poll_interval: None,
            hardware_algorithms: None,
            software_algorithms: None,
            section: None,
            software_fallback: false,
        }
    }
}

#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub(in crate::config) enum Polling {
    #[default]
    Internal,
    External,
    Heuristic,
    EventDriven,
}

/// A provider of OpenSSL's: Intel's, unless `name` says otherwise.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct QatProvider {
    /// The provider's name, which is that of its module.
    #[serde(default = "QatProvider::name")]
    #[schemars(length(min = 1))]
    pub(in crate::config) name: String,
    /// The folder of its module. Without it OpenSSL looks in its own.
    #[serde(default)]
    #[schemars(length(min = 1), example = &"/usr/lib/x86_64-linux-gnu/ossl-modules")]
    pub(in crate::config) folder: Option<String>,
    /// The property query that chooses its algorithms. Without it: `provider=` and the
    /// name.
    #[serde(default)]
    #[schemars(length(min = 1), example = &"provider=qatprovider")]
    pub(in crate::config) properties: Option<String>,
}

impl QatProvider {
    fn name() -> String {
        "qatprovider".to_owned()
    }
}

impl Default for QatProvider {
    fn default() -> Self {
        QatProvider {
            name: QatProvider::name(),
            folder: None,
            properties: None,
        }
    }
}

/// libcrypto_mb, and the queues in front of it.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Multibuffer {
    /// The library's file, or the folder it is in. Without it the system looks.
    #[serde(default)]
    #[schemars(length(min = 1), example = &"/usr/lib/x86_64-linux-gnu/libcrypto_mb.so.11")]
    pub(in crate::config) library: Option<String>,
    /// Operations that may wait for their batch, on each worker. What comes beyond is done
    /// in software at once.
    #[serde(default = "scalar::integer::<1024>")]
    #[schemars(range(min = 8, max = 65536))]
    pub(in crate::config) queue: u32,
}

impl Default for Multibuffer {
    fn default() -> Self {
        Multibuffer {
            library: None,
            queue: scalar::integer::<1024>(),
        }
    }
}
