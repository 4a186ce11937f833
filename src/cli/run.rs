//! `run`: the gateway until a signal ends it.

use std::path::Path;
use std::process::ExitCode;

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::config::{self, GatewayParams};
use crate::error::exit;
use crate::gateway::{Ended, Gateway, StartError};
use crate::telemetry::AccessWriter;
use crate::{rt, telemetry};

pub fn run(file: &Path) -> ExitCode {
    let loaded = match config::load(file, &|name| std::env::var(name).ok()) {
        Ok(loaded) => loaded,
        Err(problems) => {
            eprintln!("{problems}");
            return ExitCode::from(exit::CONFIG);
        }
    };
    telemetry::init(&loaded.params.log);
    for warning in &loaded.warnings {
        tracing::warn!("{warning}");
    }
    serve(loaded.params, |gateway| {
        let admin = gateway.admin.map(tracing::field::display);
        tracing::info!(listeners = ?gateway.addresses, admin, "serving");
    })
}

/// Runs the gateway until SIGTERM or SIGINT and its drain; `started` is told when it
/// serves.
pub fn serve(params: GatewayParams, started: impl FnOnce(&Gateway)) -> ExitCode {
    let runtime = match rt::local_runtime() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("cannot start: {error}");
            return ExitCode::from(exit::OS);
        }
    };
    runtime.block_on(async {
        let (Ok(mut term), Ok(mut int), Ok(hangup)) = (
            signal(SignalKind::terminate()),
            signal(SignalKind::interrupt()),
            signal(SignalKind::hangup()),
        ) else {
            eprintln!("cannot listen for signals");
            return ExitCode::from(exit::OS);
        };
        let gateway = match Gateway::start(params).await {
            Ok(gateway) => gateway,
            Err(error) => {
                eprintln!("cannot start: {error}");
                return ExitCode::from(match error {
                    StartError::Accelerator(_) => exit::UNAVAILABLE,
                    _ => exit::OS,
                });
            }
        };
        started(&gateway);
        tokio::task::spawn_local(rotate(hangup, gateway.access_log()));
        either(&mut term, &mut int).await;
        let again = either(&mut term, &mut int);
        match gateway.run(std::future::ready(()), again).await {
            Ended::Drained => ExitCode::from(exit::OK),
            Ended::Cut => ExitCode::from(exit::DRAIN_TIMEOUT),
        }
    })
}

/// logrotate(8) moves the access log away, then says so.
async fn rotate(mut hangup: Signal, log: Option<AccessWriter>) {
    while hangup.recv().await.is_some() {
        if let Some(log) = &log {
            log.reopen();
        }
        tracing::info!("SIGHUP: the access log is opened again");
    }
}

async fn either(term: &mut Signal, int: &mut Signal) {
    tokio::select! {
        // Orchestrators.
        _ = term.recv() => {}
        // People.
        _ = int.recv() => {}
    }
}
