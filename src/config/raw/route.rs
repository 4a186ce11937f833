//! Which requests go to which cluster, and what changes on the way.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::listener::off;
use super::scalar::{integer, kib};
use super::{DurationOrOff, Size, SizeOrOff};

/// Which requests go to which cluster.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Route {
    /// Its label in metrics and logs; absent: the listener's name and the route's
    /// number, as in `edge/0`.
    #[serde(default)]
    #[schemars(length(min = 1), example = &"llama")]
    pub(in crate::config) name: Option<String>,
    /// What a request must have; all that is given must hold. Absent: any request.
    #[serde(default, rename = "match")]
    pub(in crate::config) matches: Match,
    /// The name of the cluster.
    #[schemars(length(min = 1), example = &"backend")]
    pub(in crate::config) cluster: String,
    /// Replaces the matched `path_prefix` or `path`.
    #[serde(default)]
    #[schemars(example = &"/")]
    pub(in crate::config) rewrite: Option<String>,
    /// From the request's head to the end of the response. Off, since a generated
    /// answer may stream for long; `idle_timeout` ends those that died.
    #[serde(default = "off")]
    pub(in crate::config) timeout: DurationOrOff,
    /// The longest silence in both directions at once.
    #[serde(default = "idle_timeout")]
    pub(in crate::config) idle_timeout: DurationOrOff,
    /// The longest request body.
    #[serde(default = "no_limit")]
    pub(in crate::config) max_body: SizeOrOff,
    /// Changes to the request's headers.
    #[serde(default)]
    pub(in crate::config) request_headers: HeaderOps,
    /// Changes to the response's headers.
    #[serde(default)]
    pub(in crate::config) response_headers: HeaderOps,
    /// When a request is sent again.
    #[serde(default)]
    pub(in crate::config) retry: Retry,
}

fn idle_timeout() -> DurationOrOff {
    DurationOrOff("5m".to_owned())
}

fn no_limit() -> SizeOrOff {
    SizeOrOff(Size::Text("off".to_owned()))
}

/// What a request must have.
#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Match {
    /// A host name, or `*.example.com` for any name below `example.com`.
    #[serde(default)]
    #[schemars(length(min = 1), example = &"api.example.com", example = &"*.example.com")]
    pub(in crate::config) host: Option<String>,
    /// The exact path.
    #[serde(default)]
    #[schemars(example = &"/v2/models")]
    pub(in crate::config) path: Option<String>,
    /// The path's beginning, in whole segments: `/v2` matches `/v2` and `/v2/x`, not
    /// `/v2x`.
    #[serde(default)]
    #[schemars(example = &"/v2")]
    pub(in crate::config) path_prefix: Option<String>,
    /// One of these methods.
    #[serde(default)]
    #[schemars(length(min = 1), example = ["GET", "POST"])]
    pub(in crate::config) methods: Option<Vec<String>>,
    /// Headers by name, all of which must match.
    #[serde(default)]
    #[schemars(example = example_headers())]
    pub(in crate::config) headers: BTreeMap<String, HeaderMatch>,
}

fn example_headers() -> serde_json::Value {
    serde_json::json!({ "x-model": "llama", "user-agent": { "prefix": "grpc-" } })
}

/// The exact value, or a condition.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(untagged)]
#[schemars(inline)]
pub(in crate::config) enum HeaderMatch {
    Exact(String),
    Condition(HeaderCondition),
}

/// One of the two.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct HeaderCondition {
    /// What the value begins with.
    #[serde(default)]
    #[schemars(length(min = 1))]
    pub(in crate::config) prefix: Option<String>,
    /// `true`: the header is there, whatever its value.
    #[serde(default)]
    pub(in crate::config) present: Option<bool>,
}

/// Changes to headers; removals come first.
#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct HeaderOps {
    /// Headers that replace those of the same name.
    #[serde(default)]
    pub(in crate::config) set: BTreeMap<String, String>,
    /// Headers that are added to those of the same name.
    #[serde(default)]
    pub(in crate::config) add: BTreeMap<String, String>,
    /// Names of headers that are removed.
    #[serde(default)]
    pub(in crate::config) remove: Vec<String>,
}

/// When a request is sent again, within its cluster's `retry_budget`. Requests that no
/// backend has processed (refused connections and streams, streams past a GOAWAY) always
/// are.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Retry {
    /// Further tries after the first.
    #[serde(default = "integer::<2>")]
    #[schemars(range(max = 10))]
    pub(in crate::config) attempts: u32,
    /// Also try idempotent methods again whose connection broke before the response
    /// began.
    #[serde(default)]
    pub(in crate::config) on_connection_failure: bool,
    /// Bytes of the request's body kept for another try; longer ones are not tried
    /// again once any of it was sent.
    #[serde(default = "kib::<64>")]
    pub(in crate::config) buffer: Size,
}

impl Default for Retry {
    fn default() -> Self {
        Retry {
            attempts: 2,
            on_connection_failure: false,
            buffer: kib::<64>(),
        }
    }
}
