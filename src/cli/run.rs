//! `run`: the gateway until a signal ends it.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::config::{self, Loaded, Problems};
use crate::error::exit;
use crate::gateway::{Ended, Gateway, Reloader, StartError};
use crate::reload::Watched;
use crate::telemetry::AccessWriter;
use crate::{rt, telemetry};

pub fn run(file: &Path) -> ExitCode {
    let loaded = match load(file) {
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
    serve(loaded, Some(file), |gateway| {
        let admin = gateway.admin.map(tracing::field::display);
        tracing::info!(listeners = ?gateway.addresses, admin, "serving");
    })
}

fn load(file: &Path) -> Result<Loaded, Problems> {
    config::load(file, &|name| std::env::var(name).ok())
}

/// Runs the gateway until SIGTERM or SIGINT and its drain; `started` is told when it
/// serves. `file`: where its configuration is read again.
pub fn serve(loaded: Loaded, file: Option<&Path>, started: impl FnOnce(&Gateway)) -> ExitCode {
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
        let watched = file.map(|file| Watched::new(file, &loaded));
        let (gateway, reloader) = match Gateway::start(loaded.params).await {
            Ok(started) => started,
            Err(error) => {
                eprintln!("cannot start: {error}");
                return ExitCode::from(match error {
                    StartError::Accelerator(_) => exit::UNAVAILABLE,
                    _ => exit::OS,
                });
            }
        };
        started(&gateway);
        let source = file.zip(watched).map(|(file, watched)| Source {
            file: file.to_owned(),
            watched,
            reloader,
        });
        tokio::task::spawn_local(changes(hangup, gateway.access_log(), source));
        either(&mut term, &mut int).await;
        let again = either(&mut term, &mut int);
        match gateway.run(std::future::ready(()), again).await {
            Ended::Drained => ExitCode::from(exit::OK),
            Ended::Cut => ExitCode::from(exit::DRAIN_TIMEOUT),
        }
    })
}

/// Where new versions of the configuration come from, and go to.
struct Source {
    file: PathBuf,
    watched: Watched,
    reloader: Reloader,
}

/// Reads the configuration again on SIGHUP, or when its files have changed. On SIGHUP the
/// access log's file is opened again as well: logrotate(8) moves it away, then says so.
async fn changes(mut hangup: Signal, log: Option<AccessWriter>, mut source: Option<Source>) {
    loop {
        tokio::select! {
            biased;
            // Somebody asks for it.
            asked = hangup.recv() => {
                if asked.is_none() {
                    return;
                }
                if let Some(log) = &log {
                    log.reopen();
                }
                tracing::info!("SIGHUP: the access log is opened again");
            }
            // reload.interval is set.
            () = changed(source.as_mut()) => tracing::info!("the configuration's files have changed"),
        }
        if let Some(source) = &mut source {
            source.reload().await;
        }
    }
}

async fn changed(source: Option<&mut Source>) {
    match source {
        Some(source) => source.watched.changed().await,
        None => std::future::pending().await,
    }
}

impl Source {
    /// A version with problems changes nothing.
    async fn reload(&mut self) {
        self.watched.look();
        let loaded = match load(&self.file) {
            Ok(loaded) => loaded,
            Err(problems) => return self.reloader.refused(&problems),
        };
        for warning in &loaded.warnings {
            tracing::warn!("{warning}");
        }
        let watched = self.watched.followed_by(&self.file, &loaded);
        match self.reloader.apply(loaded.params).await {
            Ok(()) => self.watched = watched,
            Err(error) => self.reloader.refused(&error),
        }
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
