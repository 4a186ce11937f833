//! `doctor`: what accelerates this machine's handshakes, what keeps the others from it,
//! and which settings cost speed, each with what to type.
//!
//! ```text
//! accelerator::survey ─┐
//! configuration ───────┼─→ Report ─→ text, JSON, or a file for sysctl.d
//! /proc, /sys ─────────┘
//! ```
//!
//! It changes nothing; an engine that could work is loaded and started, as the gateway
//! would.

mod certificates;
mod limits;
mod measured;
mod needs;
mod report;
mod sysctl;
mod text;

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use schemars::generate::SchemaSettings;

use super::check::say;
use crate::accelerator::{self, Hint, SOFTWARE, Surveyed, System};
use crate::config::{self, GatewayParams};
use crate::error::exit;
use measured::Offload;
use needs::Needs;
use report::{Accelerator, Configuration, Finding, Masked, Report, Setting};
use text::Paint;

/// For `--help`.
pub const EXAMPLES: &str = "Examples:\n  \
    qat-gateway doctor\n  \
    qat-gateway doctor --config /etc/qat-gateway/gateway.yaml --json\n  \
    qat-gateway doctor --sysctl > /etc/sysctl.d/90-qat-gateway.conf";

/// What is asked of it.
#[derive(clap::Args)]
pub struct Options {
    /// Look at this configuration too: its certificates, its preference (exit code 69
    /// if that does not hold), and the limits that it needs.
    #[arg(long, short, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print JSON.
    #[arg(long, group = "form")]
    json: bool,
    /// Print the JSON Schema of what --json prints.
    #[arg(long, group = "form")]
    json_schema: bool,
    /// Print a file for /etc/sysctl.d, with the settings that should change.
    #[arg(long, group = "form")]
    sysctl: bool,
    /// Look at a recorded tree of /sys, /proc and /dev instead of this machine's.
    /// Libraries are this machine's all the same.
    #[arg(long, value_name = "DIR")]
    root: Option<PathBuf>,
}

/// Prints the report. 69 if the configuration prefers accelerators and none of them
/// can be used, 78 if the configuration has problems.
pub fn run(options: &Options) -> ExitCode {
    if options.json_schema {
        let settings = SchemaSettings::draft2020_12().for_serialize();
        let schema = settings.into_generator().into_root_schema_for::<Report>();
        return say(format_args!("{:#}", schema.to_value()));
    }
    let loaded = match &options.config {
        None => None,
        Some(file) => match config::load(file, &|name| std::env::var(name).ok()) {
            Ok(loaded) => Some((file.as_path(), loaded.params)),
            Err(problems) => {
                eprint!("{problems}");
                return ExitCode::from(exit::CONFIG);
            }
        },
    };
    let root = options.root.as_deref();
    if let Some(root) = root.filter(|root| !root.join("sys").is_dir()) {
        let root = root.display();
        eprintln!("doctor: --root {root}: there is no folder {root}/sys; give a tree that has one");
        return ExitCode::from(exit::USAGE);
    }
    let system = root.map_or_else(System::this, System::recorded);
    let params = loaded.as_ref().map(|(_, params)| params);
    let settings = settings(&system, params);
    if options.sysctl {
        let file = text::sysctl_file(&settings);
        return say(format_args!("{}", file.trim_end()));
    }
    let acceleration = params.map(|params| params.acceleration.clone());
    let surveyed = accelerator::survey(&acceleration.unwrap_or_default(), &system);
    let report = Report {
        version: env!("CARGO_PKG_VERSION"),
        openssl: openssl::version::version(),
        root: root.map(|root| root.display().to_string()),
        configuration: loaded.map(|(file, params)| configuration(file, &params, &surveyed)),
        accelerators: surveyed.into_iter().map(accelerator).collect(),
        hints: accelerator::hints(&system).into_iter().map(hint).collect(),
        settings,
    };
    print(&report, options.json)
}

fn print(report: &Report, json: bool) -> ExitCode {
    let printed = match json {
        true => match serde_json::to_string_pretty(report) {
            Ok(json) => say(format_args!("{json}")),
            Err(_) => return ExitCode::from(exit::SOFTWARE),
        },
        false => say(format_args!("{}", text::render(report, paint()).trim_end())),
    };
    match &report.configuration {
        Some(Configuration { holds: false, .. }) => ExitCode::from(exit::UNAVAILABLE),
        _ => printed,
    }
}

/// Colours for a terminal that has them, unless asked not to (https://no-color.org).
fn paint() -> Paint {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty());
    let plain = set("NO_COLOR").is_some() || set("TERM").is_none_or(|term| term == "dumb");
    Paint {
        colours: !plain && std::io::stdout().is_terminal(),
    }
}

fn settings(system: &System, params: Option<&GatewayParams>) -> Vec<Setting> {
    let Some(needs) = params.map(Needs::of).or_else(Needs::of_defaults) else {
        return Vec::new();
    };
    let mut settings = limits::limits(system, &needs);
    settings.extend(sysctl::sysctls(&system.root, &needs));
    settings
}

fn accelerator(surveyed: Surveyed) -> Accelerator {
    let Surveyed {
        name,
        found,
        masked,
    } = surveyed;
    let (usable, reasons) = match found {
        Ok(usable) => (Some(usable), Vec::new()),
        Err(reasons) => (None, reasons),
    };
    let active = usable.as_ref().and_then(|usable| usable.active.as_ref());
    let finding = |reason: accelerator::Reason| Finding {
        what: reason.to_string(),
        remedy: reason.remedy(),
    };
    Accelerator {
        name,
        usable: usable.is_some(),
        offload: active.map(Offload::of),
        what: usable.map(|usable| usable.what),
        reasons: reasons.into_iter().map(finding).collect(),
        masked: masked.into_iter().map(switched_off).collect(),
    }
}

fn switched_off(masked: accelerator::Masked) -> Masked {
    Masked {
        algorithm: masked.algorithm.as_str(),
        by: masked.by,
    }
}

fn hint(hint: Hint) -> Finding {
    Finding {
        what: hint.what,
        remedy: Some(hint.remedy),
    }
}

fn configuration(file: &Path, params: &GatewayParams, surveyed: &[Surveyed]) -> Configuration {
    let acceleration = &params.acceleration;
    let prefer: Vec<_> = acceleration
        .prefer
        .iter()
        .map(|name| name.as_str())
        .collect();
    let usable = |name: &&str| {
        let found = surveyed.iter().find(|one| one.name == *name);
        found.is_some_and(|one| one.found.is_ok())
    };
    let preferred = prefer.iter().copied().find(usable);
    let software = (!acceleration.require).then_some(SOFTWARE);
    Configuration {
        file: file.display().to_string(),
        used: preferred.or(software),
        holds: preferred.is_some()
            || prefer.is_empty()
            || !(acceleration.asked || acceleration.require),
        require: acceleration.require,
        prefer,
        certificates: certificates::certificates(params),
    }
}
