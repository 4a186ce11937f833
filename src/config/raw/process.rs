//! What concerns the process as a whole.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::listener::off;
use super::scalar::{Duration, DurationOrOff, hours, minutes, seconds};

/// The admin server.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Admin {
    /// Address and port. Keep it off the internet: it is plaintext and asks for no
    /// password.
    #[serde(default = "admin_address")]
    #[schemars(example = &"127.0.0.1:9901")]
    pub(in crate::config) address: String,
}

fn admin_address() -> String {
    "127.0.0.1:9901".to_owned()
}

/// What is logged, and how.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Log {
    /// What is logged, in the syntax of tracing-subscriber's `EnvFilter`: a level
    /// (`error`, `warn`, `info`, `debug`; in debug builds `trace`), or levels by module.
    #[serde(default = "Log::filter")]
    #[schemars(example = &"info", example = &"info,qat_gateway::tls=debug")]
    pub(in crate::config) filter: String,
    /// Lines for people, or JSON for machines.
    #[serde(default)]
    pub(in crate::config) format: LogFormat,
    /// One line for every request: `off`, `stdout`, or a file, which is appended to.
    #[serde(default = "Log::access")]
    #[schemars(length(min = 1), example = &"stdout", example = &"off")]
    pub(in crate::config) access: String,
}

impl Log {
    fn filter() -> String {
        "info".to_owned()
    }

    fn access() -> String {
        "stdout".to_owned()
    }
}

impl Default for Log {
    fn default() -> Self {
        Log {
            filter: Log::filter(),
            format: LogFormat::default(),
            access: Log::access(),
        }
    }
}

#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub(in crate::config) enum LogFormat {
    #[default]
    Text,
    Json,
}

/// How the process ends.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Drain {
    /// How long connections are still accepted after readiness went down, so that load
    /// balancers notice.
    #[serde(default = "seconds::<0>")]
    pub(in crate::config) grace: Duration,
    /// Streams still open this long after the listeners closed are cut.
    #[serde(default = "seconds::<30>")]
    pub(in crate::config) timeout: Duration,
}

impl Default for Drain {
    fn default() -> Self {
        Drain {
            grace: seconds::<0>(),
            timeout: seconds::<30>(),
        }
    }
}

/// How a new version of the file takes the place of the running one, on SIGHUP.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Reload {
    /// How often this file and the certificates and keys it names are looked at for changes,
    /// which are then taken without a signal; or `off`.
    #[serde(default = "off")]
    pub(in crate::config) interval: DurationOrOff,
    /// Streams of connections from before are cut after this long.
    #[serde(default = "hours::<1>")]
    pub(in crate::config) timeout: Duration,
}

impl Default for Reload {
    fn default() -> Self {
        Reload {
            interval: off(),
            timeout: hours::<1>(),
        }
    }
}

/// How the names of endpoints are resolved.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Dns {
    /// Servers to ask, `address` or `address:port`; none: those of `/etc/resolv.conf`.
    #[serde(default)]
    #[schemars(example = ["10.96.0.10", "[fd00::a]:53"])]
    pub(in crate::config) servers: Vec<String>,
    /// Names are asked for again when their records' time to live ends, but not more
    /// often than this.
    #[serde(default = "seconds::<1>")]
    pub(in crate::config) min_ttl: Duration,
    /// Nor less often than this.
    #[serde(default = "minutes::<5>")]
    pub(in crate::config) max_ttl: Duration,
    /// How long one query may take.
    #[serde(default = "seconds::<5>")]
    pub(in crate::config) timeout: Duration,
}

impl Default for Dns {
    fn default() -> Self {
        Dns {
            servers: Vec::new(),
            min_ttl: seconds::<1>(),
            max_ttl: minutes::<5>(),
            timeout: seconds::<5>(),
        }
    }
}
