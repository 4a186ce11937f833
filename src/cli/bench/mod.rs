//! `bench handshake`: what each accelerator gives on this machine, in real handshakes.
//!
//! ```text
//! options ─→ cases ─┐                    ┌─ load: clients, on CPUs of their own
//!                   ├─→ campaign (rounds) ┤      ↕ loopback TCP
//! accelerators ─────┘        │           └─ server: as a worker, one for each accelerator
//!                            ↓
//!                         Report ─→ table, JSON, HTML
//! ```
//!
//! Accelerators take turns within every round, so that what else the machine does and how
//! warm it is meets all of them. A row whose accelerator should have offloaded and did not
//! is marked, and the command fails: no figure stands for what was not done.

mod accelerators;
mod campaign;
pub mod case;
pub mod client;
pub mod cpu;
pub mod error;
mod html;
pub mod load;
mod machine;
pub mod measure;
mod options;
mod remote;
mod report;
mod rows;
pub mod server;
mod svg;
mod table;

use std::fs::OpenOptions;
use std::path::Path;
use std::process::ExitCode;
use std::time::SystemTime;

use schemars::generate::SchemaSettings;
use tokio::signal::unix::{SignalKind, signal};

use super::check::say;
use crate::config;
use crate::error::exit;
use crate::gateway::raise_descriptor_limit;
use crate::rt;
use campaign::Campaign;
use error::Error;
use machine::Machine;
pub use options::{EXAMPLES, Options};
use report::{Report, Settings};

/// What can be measured.
#[derive(clap::Subcommand)]
pub enum What {
    /// Measure TLS handshakes: software against every accelerator of this machine, or a
    /// running gateway.
    #[command(after_help = EXAMPLES)]
    Handshake(Box<Options>),
}

/// Measures, and prints what was asked for. 1 if a claim of acceleration does not hold, 64
/// for wrong options, 69 if an accelerator asked for cannot be used, 130 after Ctrl-C.
pub fn run(what: &What) -> ExitCode {
    let What::Handshake(options) = what;
    if options.json_schema {
        let settings = SchemaSettings::draft2020_12().for_serialize();
        let schema = settings.into_generator().into_root_schema_for::<Report>();
        return say(format_args!("{:#}", schema.to_value()));
    }
    raise_descriptor_limit();
    let measured = writable(options).and_then(|()| measured(options));
    match measured {
        Ok((report, ended)) => output(&report, ended, options),
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::from(code(&error))
        }
    }
}

fn code(error: &Error) -> u8 {
    match error {
        Error::Usage(_) => exit::USAGE,
        Error::Unavailable(_) => exit::UNAVAILABLE,
        Error::Configuration(_) => exit::CONFIG,
        Error::Io(_) | Error::Output(..) => exit::OS,
        _ => exit::FAILURE,
    }
}

/// Whether the reports can be written: better now than when all has been measured.
fn writable(options: &Options) -> Result<(), Error> {
    let json = options
        .json
        .as_deref()
        .filter(|file| *file != Path::new("-"));
    for file in json.into_iter().chain(options.report.as_deref()) {
        let opened = OpenOptions::new().append(true).create(true).open(file);
        opened.map_err(|error| Error::Output(file.display().to_string(), error))?;
    }
    Ok(())
}

/// How the measuring ended.
enum Ended {
    Complete,
    Interrupted,
    Failed(Error),
}

fn measured(options: &Options) -> Result<(Report, Ended), Error> {
    let date = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
    rt::local_runtime()?.block_on(async {
        // Before anything takes time.
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let mut campaign = match &options.connect {
            Some(_) => Campaign::of_remote(options).await?,
            None => Campaign::of_own(options, accelerators::find(options)?)?,
        };
        let ended = tokio::select! {
            result = campaign.run() => match result {
                Ok(()) => Ended::Complete,
                Err(error) => Ended::Failed(error),
            },
            _ = interrupt.recv() => Ended::Interrupted,
            _ = terminate.recv() => Ended::Interrupted,
        };
        let complete = matches!(ended, Ended::Complete);
        Ok((assemble(campaign, date, complete).await, ended))
    })
}

async fn assemble(campaign: Campaign, date: String, complete: bool) -> Report {
    let settings = Settings {
        target: campaign.target(),
        seconds: campaign.times.duration.as_secs_f64(),
        rounds: campaign.rounds,
        load_threads: campaign.places.load.len(),
        share_a_core: campaign.places.share_a_core,
        debug: cfg!(debug_assertions),
    };
    let (cells, accelerators) = campaign.end().await;
    let rows = rows::rows(&cells);
    Report {
        version: env!("CARGO_PKG_VERSION"),
        date,
        complete,
        machine: Machine::this(),
        settings,
        problems: rows::problems(&rows, &accelerators, complete),
        rows,
        accelerators,
    }
}

fn output(report: &Report, ended: Ended, options: &Options) -> ExitCode {
    let json = options.json.as_deref();
    let stdout_is_json = json == Some(Path::new("-"));
    let mut written = exit::OK;
    let mut write = |file: &Path, text: String| {
        if let Err(error) = std::fs::write(file, text) {
            eprintln!("bench: {}: {error}", file.display());
            written = exit::OS;
        }
    };
    if let Some(file) = json {
        match serde_json::to_string_pretty(report) {
            Ok(text) if stdout_is_json => {
                let _ = say(format_args!("{text}"));
            }
            Ok(text) => write(file, text + "\n"),
            Err(_) => return ExitCode::from(exit::SOFTWARE),
        }
    }
    if let Some(file) = &options.report {
        write(file, html::render(report));
    }
    if !stdout_is_json {
        let _ = say(format_args!("{}", table::render(report).trim_end()));
    } else {
        for problem in &report.problems {
            eprintln!("bench: {problem}");
        }
    }
    match ended {
        Ended::Failed(error) => {
            eprintln!("bench: {error}");
            ExitCode::from(code(&error))
        }
        Ended::Interrupted => ExitCode::from(exit::INTERRUPTED),
        Ended::Complete if !report.problems.is_empty() => ExitCode::from(exit::FAILURE),
        Ended::Complete => ExitCode::from(written),
    }
}

/// The acceleration section of a configuration.
fn acceleration(file: &Path) -> Result<crate::accelerator::AccelerationParams, Error> {
    let loaded = config::load(file, &|name| std::env::var(name).ok());
    let loaded = loaded.map_err(|problems| Error::Configuration(problems.to_string()))?;
    Ok(loaded.params.acceleration)
}
