//! All measurements, in rounds.
//!
//! ```text
//! round 1: case A: software, X, Y   case B: software, X, Y
//! round 2: case A: X, Y, software   case B: …
//! ```

use std::sync::Arc;

use indicatif::{HumanDuration, ProgressBar, ProgressStyle};

use super::accelerators::Found;
use super::case::{Case, Key};
use super::client::{Client, Closer};
use super::cpu::Places;
use super::error::Error;
use super::load::{Load, Pace};
use super::measure::{self, Identity, Sample, Times};
use super::options::Options;
use super::remote::Target;
use super::report::Accelerator;
use super::rows::{Cell, Expected};
use super::server::Server;
use crate::accelerator::Active;

/// Who does the server's side.
enum Side {
    /// A server for each accelerator, and certificates by key.
    Own {
        servers: Vec<Server>,
        identities: Vec<(Key, Identity)>,
    },
    Remote {
        target: Target,
        pace: Arc<Pace>,
    },
}

/// What is to be measured, and what has been.
pub struct Campaign {
    side: Side,
    load: Load,
    /// Case by case, with a cell for each accelerator.
    cells: Vec<Cell>,
    accelerators: Vec<Accelerator>,
    pub places: Places,
    pub times: Times,
    pub rounds: usize,
}

impl Campaign {
    /// Of this process' own servers.
    ///
    /// # Errors
    /// The options make no sense, or a thread cannot be made.
    pub fn of_own(options: &Options, found: Found) -> Result<Campaign, Error> {
        let places = places(options);
        let mut cells = Vec::new();
        for case in options.cases()? {
            cells.extend(found.usable.iter().map(|active| Cell {
                expected: expected(&case, active.as_deref()),
                accelerator: Some(name(active.as_deref())),
                case: case.clone(),
                samples: Vec::new(),
            }));
        }
        let server = |active| Server::start(active, places.server);
        let servers = found.usable.into_iter().map(server);
        let servers = servers.collect::<Result<_, _>>()?;
        let identity = |key: &Key| Ok((*key, Identity::make(*key)?));
        let identities = options.key.iter().map(identity);
        let identities = identities.collect::<Result<_, Error>>()?;
        let side = Side::Own {
            servers,
            identities,
        };
        Campaign::new(options, side, cells, found.accelerators, places)
    }

    /// Of a running gateway.
    ///
    /// # Errors
    /// The options make no sense, or it must not be loaded.
    pub async fn of_remote(options: &Options) -> Result<Campaign, Error> {
        let told = options.connect.as_deref().unwrap_or_default();
        let sni = options.sni.as_deref();
        let target = Target::find(told, sni, options.the_owner_agrees).await?;
        let pace = Arc::new(Pace::new(f64::from(options.max_rate)));
        let cell = |case| Cell {
            case,
            accelerator: None,
            expected: Expected::Nothing,
            samples: Vec::new(),
        };
        let cells = options.cases()?.into_iter().map(cell).collect();
        let places = places(options);
        let side = Side::Remote { target, pace };
        Campaign::new(options, side, cells, Vec::new(), places)
    }

    fn new(
        options: &Options,
        side: Side,
        cells: Vec<Cell>,
        accelerators: Vec<Accelerator>,
        places: Places,
    ) -> Result<Campaign, Error> {
        Ok(Campaign {
            side,
            load: Load::start(&places.load)?,
            cells,
            accelerators,
            places,
            times: Times::of(options.duration),
            rounds: options.rounds.into(),
        })
    }

    /// The running gateway that is loaded.
    pub fn target(&self) -> Option<String> {
        match &self.side {
            Side::Own { .. } => None,
            Side::Remote { target, .. } => Some(target.told.clone()),
        }
    }

    /// Stops the load, then the servers.
    pub async fn end(self) -> (Vec<Cell>, Vec<Accelerator>) {
        drop(self.load);
        if let Side::Own { servers, .. } = &self.side {
            for server in servers {
                // One whose thread is gone has ended.
                let _ = server.end().await;
            }
        }
        (self.cells, self.accelerators)
    }

    /// Measures everything. Dropped at any time, what is done stays.
    ///
    /// # Errors
    /// A measurement cannot be made.
    pub async fn run(&mut self) -> Result<(), Error> {
        let sides = match &self.side {
            Side::Own { servers, .. } => servers.len(),
            Side::Remote { .. } => 1,
        };
        let bar = bar(self.cells.len() * self.rounds);
        for round in 0..self.rounds {
            for first in (0..self.cells.len()).step_by(sides) {
                for turn in 0..sides {
                    let which = (round + turn) % sides;
                    let cell = &self.cells[first + which];
                    let who = cell.accelerator.unwrap_or("gateway");
                    bar.set_message(format!("{who}: {}", cell.case));
                    bar.set_prefix(self.left(&bar));
                    let sample = self.measure(&cell.case, which).await?;
                    self.cells[first + which].samples.push(sample);
                    bar.inc(1);
                }
            }
        }
        bar.finish_and_clear();
        Ok(())
    }

    /// The time left: by how long each measurement took, and at first is meant to take.
    fn left(&self, bar: &ProgressBar) -> String {
        let done = u32::try_from(bar.position()).unwrap_or(u32::MAX);
        let each = match done {
            0 => self.times.warm_up + self.times.duration,
            done => bar.elapsed() / done,
        };
        let left = bar.length().unwrap_or_default() - bar.position();
        HumanDuration(each.mul_f64(left as f64)).to_string()
    }

    async fn measure(&self, case: &Case, which: usize) -> Result<Sample, Error> {
        let (load, times) = (&self.load, self.times);
        match &self.side {
            Side::Own {
                servers,
                identities,
            } => {
                let identity = identities.iter().find(|(key, _)| Some(*key) == case.key);
                let (_, identity) = identity.ok_or(Error::Died)?;
                measure::own(&servers[which], load, identity, case, times).await
            }
            Side::Remote { target, pace } => {
                let client = Client::new(case, target.address, &target.name, Closer::Client)?;
                measure::remote(&client, load, case, times, pace).await
            }
        }
    }
}

fn places(options: &Options) -> Places {
    Places::find(options.load_threads.map(usize::from))
}

fn name(active: Option<&Active>) -> &'static str {
    active.map_or(crate::accelerator::SOFTWARE, |active| active.name)
}

fn expected(case: &Case, active: Option<&Active>) -> Expected {
    let Some(active) = active else {
        return Expected::Nothing;
    };
    if !active.algorithms.iter().any(|one| case.needs(*one)) {
        return Expected::NothingToOffload;
    }
    match case.in_flight < active.certain() {
        true => Expected::BelowBreakEven,
        false => Expected::Offload,
    }
}

/// On standard error, if that is a terminal.
fn bar(measurements: usize) -> ProgressBar {
    let bar = ProgressBar::new(measurements as u64);
    let style = "{bar:24} {pos}/{len}, {prefix} left  {msg}";
    if let Ok(style) = ProgressStyle::with_template(style) {
        bar.set_style(style);
    }
    bar.enable_steady_tick(std::time::Duration::from_millis(500));
    bar
}
