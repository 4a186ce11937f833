//! From values that fit the schema to parameters that make sense.
//!
//! Everything is checked even after a problem was found: what can't be read gets a
//! value that does no harm, since parameters with problems are never used.

mod acceleration;
mod cluster;
mod cross;
mod files;
mod groups;
mod header;
mod host;
mod listener;
mod process;
mod route;
mod scalar;
mod shadow;
mod tls;

use serde_json::Value;

use super::params::GatewayParams;
use super::raw;
use super::report::At;

/// The parameters the file stands for; those of a file with problems are fragments.
pub(super) fn config(at: &At<'_>, raw: raw::Config, source: Value) -> GatewayParams {
    let workers = process::workers(&raw.workers);
    let clusters: Vec<_> = raw
        .clusters
        .iter()
        .enumerate()
        .map(|(i, raw)| cluster::cluster(&at.key("clusters").item(i), raw))
        .collect();
    let names: Vec<&str> = clusters.iter().map(|c| c.name.as_str()).collect();
    let listeners: Vec<_> = raw
        .listeners
        .iter()
        .enumerate()
        .map(|(i, raw)| listener::listener(&at.key("listeners").item(i), raw, &names, workers))
        .collect();
    let params = GatewayParams {
        workers,
        admin: raw
            .admin
            .as_ref()
            .map(|raw| process::admin(&at.key("admin"), raw)),
        acceleration: acceleration::acceleration(&at.key("acceleration"), &raw.acceleration),
        log: process::log(&at.key("log"), &raw.log),
        drain: process::drain(&at.key("drain"), &raw.drain),
        reload: process::reload(&at.key("reload"), &raw.reload),
        dns: process::dns(&at.key("dns"), &raw.dns),
        listeners,
        clusters,
        source,
    };
    cross::check(at, &params);
    params
}
