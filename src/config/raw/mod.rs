//! The file's structure: what serde reads, and what the JSON Schema is made of.
//!
//! The doc comments are the schema's descriptions, which editors show. Values with
//! units stay text here; `resolve` reads them, where a problem can be said together
//! with all others.

mod acceleration;
mod cluster;
mod forwarding;
mod listener;
mod process;
mod route;
mod scalar;
mod tls;

use schemars::transform::RecursiveTransform;
use schemars::{JsonSchema, Schema, generate::SchemaSettings};
use serde::{Deserialize, Serialize};

pub(super) use acceleration::{Acceleration, Accelerator, Algorithm, BreakEven, Breaker};
pub(super) use acceleration::{Completion, Offload, Polling, QatEngine, QatProvider};
pub(super) use cluster::{Backoff, Cluster, Pool, Protocol, TcpKeepalive, UpstreamTls};
pub(super) use cluster::{Balancer, PingKeepalive, RetryBudget};
pub(super) use forwarding::{Forwarding, ForwardingMode};
pub(super) use listener::{Http, Listener, Overload, ProxyProtocol, Upgrade};
pub(super) use process::{Admin, Dns, Drain, Log, LogFormat, Reload};
pub(super) use route::{HeaderMatch, HeaderOps, Match, Retry, Route};
pub(super) use scalar::{Duration, DurationOrOff, Size, SizeOrOff, Switch, Workers};
pub(super) use tls::{Alpn, Certificate, ClientCertificates, ClientMode};
pub(super) use tls::{Tls, Version};

/// The configuration of qat-gateway: what it listens on, which routes there are, and
/// the clusters of backends they lead to.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "qat-gateway")]
pub(super) struct Config {
    /// Worker threads: a number, or `auto` for one per core the process may use.
    #[serde(default)]
    pub(super) workers: Workers,
    /// The admin server: `/healthz`, `/readyz`, `/metrics`. Without it there is none.
    #[serde(default)]
    pub(super) admin: Option<Admin>,
    /// Which accelerators take the private-key work.
    #[serde(default)]
    pub(super) acceleration: Acceleration,
    /// What is logged, and how.
    #[serde(default)]
    pub(super) log: Log,
    /// How the process ends.
    #[serde(default)]
    pub(super) drain: Drain,
    /// How a new version of this file takes the place of the running one.
    #[serde(default)]
    pub(super) reload: Reload,
    /// How the names of endpoints are resolved.
    #[serde(default)]
    pub(super) dns: Dns,
    /// Where clients connect to.
    #[schemars(length(min = 1), example = example::listeners())]
    pub(super) listeners: Vec<Listener>,
    /// The groups of backends that routes lead to.
    #[schemars(length(min = 1), example = example::clusters())]
    pub(super) clusters: Vec<Cluster>,
}

/// The JSON Schema of the file, draft 2020-12.
pub(super) fn schema() -> serde_json::Value {
    SchemaSettings::draft2020_12()
        .with_transform(RecursiveTransform(tidy))
        .into_generator()
        .into_root_schema_for::<Config>()
        .to_value()
}

/// Whatever the schema accepts serde must accept too: integers get their type's upper
/// bound. Descriptions become one line.
fn tidy(schema: &mut Schema) {
    // Past 2^53 JSON's numbers are no longer exact.
    let most = match schema.get("format").and_then(|format| format.as_str()) {
        Some("uint32") => Some(u64::from(u32::MAX)),
        Some("uint64") => Some((1 << 53) - 1),
        _ => None,
    };
    if let (Some(most), None) = (most, schema.get("maximum")) {
        schema.insert("maximum".to_owned(), most.into());
    }
    if let Some(text) = schema.get("description").and_then(|text| text.as_str()) {
        let text = text.replace('\n', " ");
        schema.insert("description".to_owned(), text.into());
    }
    if schema
        .get("default")
        .is_some_and(|default| default.is_null())
    {
        schema.remove("default");
    }
}

/// Values the schema shows as examples. They also stand in for required values that
/// are missing, while the rest is checked: each must be valid.
mod example {
    use serde_json::{Value, json};

    pub(super) fn listeners() -> Value {
        json!([{ "name": "edge", "address": "0.0.0.0:8443", "routes": [{ "cluster": "backend" }] }])
    }

    pub(super) fn clusters() -> Value {
        json!([{ "name": "backend", "endpoints": ["127.0.0.1:8001"] }])
    }
}
