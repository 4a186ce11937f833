//! What concerns the process as a whole.

use std::path::Path;

use tracing_subscriber::EnvFilter;

use super::scalar::{at_most, dns_server, duration, listen_address, timeout, timeout_or_off};
use crate::admin::AdminParams;
use crate::config::params::{DrainParams, ReloadParams};
use crate::config::raw;
use crate::config::report::At;
use crate::telemetry::{AccessLog, LogFormat, LogParams};
use crate::upstream::DnsParams;

pub(super) fn workers(raw: &raw::Workers) -> usize {
    match raw {
        raw::Workers::Count(count) => *count,
        // Respects the cgroup's quota and the affinity mask.
        raw::Workers::Auto(_) => std::thread::available_parallelism().map_or(1, usize::from),
    }
}

pub(super) fn admin(at: &At<'_>, raw: &raw::Admin) -> AdminParams {
    AdminParams {
        address: listen_address(&at.key("address"), &raw.address),
    }
}

pub(super) fn log(at: &At<'_>, raw: &raw::Log) -> LogParams {
    if let Err(error) = EnvFilter::builder().parse(&raw.filter) {
        at.key("filter").error(
            format_args!("is not a filter ({error})"),
            "write a level (error, warn, info, debug, trace), or levels by module such as info,qat_gateway::tls=debug",
        );
    }
    LogParams {
        filter: raw.filter.clone(),
        format: match raw.format {
            raw::LogFormat::Text => LogFormat::Text,
            raw::LogFormat::Json => LogFormat::Json,
        },
        access: access(&at.key("access"), &raw.access),
    }
}

fn access(at: &At<'_>, text: &str) -> AccessLog {
    match text {
        "off" => return AccessLog::Off,
        "stdout" => return AccessLog::Stdout,
        _ => {}
    }
    let path = at.report.base.join(text);
    let folder = path.parent().unwrap_or(Path::new("."));
    if path.is_dir() {
        at.error("is a folder", "write a file's name, stdout or off");
    } else if !folder.is_dir() {
        at.error(
            format_args!("is in a folder that doesn't exist ({})", folder.display()),
            "create the folder, or write stdout or off",
        );
    }
    AccessLog::File(path)
}

pub(super) fn drain(at: &At<'_>, raw: &raw::Drain) -> DrainParams {
    DrainParams {
        grace: duration(&at.key("grace"), &raw.grace),
        timeout: duration(&at.key("timeout"), &raw.timeout),
    }
}

pub(super) fn reload(at: &At<'_>, raw: &raw::Reload) -> ReloadParams {
    ReloadParams {
        interval: timeout_or_off(&at.key("interval"), &raw.interval),
        timeout: timeout(&at.key("timeout"), &raw.timeout),
    }
}

pub(super) fn dns(at: &At<'_>, raw: &raw::Dns) -> DnsParams {
    let max_ttl = timeout(&at.key("max_ttl"), &raw.max_ttl);
    DnsParams {
        servers: raw
            .servers
            .iter()
            .enumerate()
            .filter_map(|(i, text)| dns_server(&at.key("servers").item(i), text))
            .collect(),
        min_ttl: at_most(&at.key("min_ttl"), &raw.min_ttl, max_ttl, "max_ttl"),
        max_ttl,
        timeout: timeout(&at.key("timeout"), &raw.timeout),
    }
}
