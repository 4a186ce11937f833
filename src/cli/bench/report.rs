//! What a run came to, for people and machines.

use schemars::JsonSchema;
use serde::Serialize;

use super::case::{Case, Key, Version};
use super::load;
use super::machine::Machine;
use super::measure::Sample;
use super::server::Operations;
use crate::accelerator::SOFTWARE;

/// Past this part of its CPUs the load, not the server, bounds the rate.
const LOAD_BOUND: f64 = 0.95;

#[derive(Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Report {
    /// The gateway's.
    pub version: &'static str,
    /// When it began, in UTC (RFC 3339).
    pub date: String,
    /// All rounds of all rows were measured.
    pub complete: bool,
    pub machine: Machine,
    pub settings: Settings,
    pub accelerators: Vec<Accelerator>,
    pub rows: Vec<Row>,
    /// What makes the figures worthless; the command fails.
    pub problems: Vec<String>,
}

#[derive(Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Settings {
    /// A running gateway that was loaded; none: servers of this process.
    pub target: Option<String>,
    /// Of one measurement.
    pub seconds: f64,
    pub rounds: usize,
    pub load_threads: usize,
    /// The load runs on hyper-threads of the server's core, or on its CPU.
    pub share_a_core: bool,
    /// A build without optimisation.
    pub debug: bool,
}

/// What was to be measured.
#[derive(Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Accelerator {
    pub name: &'static str,
    /// Its own name and version; none if it cannot be used.
    pub what: Option<String>,
    /// The algorithms that are offloaded.
    pub algorithms: Vec<&'static str>,
    /// Handshakes in progress from which they are.
    pub break_even: Option<usize>,
    /// Why it cannot be used.
    pub reasons: Vec<String>,
}

/// What is to be known about a row's figures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Mark {
    /// The accelerator did nothing, although it should have.
    NotOffloaded,
    /// Too few in flight for the accelerator, which leaves them to software.
    BelowBreakEven,
    /// Such a handshake has no operation that is offloaded.
    NothingToOffload,
    /// The load could not do more: the server could.
    LoadBound,
    /// Handshakes failed.
    Failures,
}

impl Mark {
    pub fn told(self) -> &'static str {
        match self {
            Mark::NotOffloaded => "NOT OFFLOADED",
            Mark::BelowBreakEven => "software: below break-even",
            Mark::NothingToOffload => "software: nothing to offload",
            Mark::LoadBound => "bound by the load",
            Mark::Failures => "handshakes failed",
        }
    }
}

/// One kind of handshake with one accelerator.
#[derive(Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Row {
    /// None: a running gateway.
    pub accelerator: Option<&'static str>,
    pub key: Option<Key>,
    pub tls: Version,
    pub group: String,
    pub resumed: bool,
    pub in_flight: usize,
    /// Rounds that were measured.
    pub rounds: usize,
    pub handshakes: u64,
    pub failed: u64,
    /// Why the last one failed.
    pub failure: Option<String>,
    /// Handshakes per second: the rounds' median, least and most.
    pub rate: f64,
    pub rate_least: f64,
    pub rate_most: f64,
    /// Between least and most, as part of the median.
    pub spread: f64,
    /// Of the software's rate.
    pub gain: Option<f64>,
    /// The server's CPU time of a handshake, microseconds; the rounds' median.
    pub cpu_us: Option<f64>,
    /// What part of its CPU the server used.
    pub server_busy: Option<f64>,
    /// What part of its CPUs the load used.
    pub load_busy: f64,
    /// From the connection's first packet to the end of the handshake, microseconds.
    pub p50_us: u64,
    pub p99_us: u64,
    pub p999_us: u64,
    /// Handshakes given to the accelerator.
    pub accelerated: u64,
    pub operations: Option<Counts>,
    pub marks: Vec<Mark>,
}

/// Private-key operations by who did them.
#[derive(Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Counts {
    pub offloaded: u64,
    pub software: u64,
    /// In software, after the accelerator had failed.
    pub redone: u64,
}

/// Samples of one case with one accelerator.
pub struct Cell {
    pub case: Case,
    /// None: a running gateway.
    pub accelerator: Option<&'static str>,
    /// Whether the accelerator is expected to do something.
    pub expected: Expected,
    pub samples: Vec<Sample>,
}

/// What an accelerator has to do with a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// No accelerator: software, or a running gateway.
    Nothing,
    Offload,
    BelowBreakEven,
    NothingToOffload,
}

impl Row {
    /// None without a sample.
    pub fn of(cell: &Cell) -> Option<Row> {
        let samples = &cell.samples;
        let rates = sorted(samples.iter().map(|sample| sample.rate));
        let (least, most) = (*rates.first()?, *rates.last()?);
        let rate = median(&rates)?;
        let server = || samples.iter().filter_map(|sample| sample.server.as_ref());
        let mut latencies = load::latencies();
        for sample in samples {
            latencies += &sample.latencies;
        }
        let load_busy = samples.iter().map(|one| one.load_busy).sum::<f64>() / samples.len() as f64;
        let operations = server().map(|one| one.operations);
        let operations = operations.reduce(|a, b| Operations {
            offloaded: a.offloaded + b.offloaded,
            software: a.software + b.software,
            redone: a.redone + b.redone,
        });
        let mut row = Row {
            accelerator: cell.accelerator,
            key: cell.case.key,
            tls: cell.case.version,
            group: cell.case.group.clone(),
            resumed: cell.case.resumed,
            in_flight: cell.case.in_flight,
            rounds: samples.len(),
            handshakes: samples.iter().map(|sample| sample.handshakes).sum(),
            failed: samples.iter().map(|sample| sample.failed).sum(),
            failure: samples.iter().rev().find_map(|one| one.failure.clone()),
            rate,
            rate_least: least,
            rate_most: most,
            spread: (most - least) / rate,
            gain: None,
            cpu_us: median(&sorted(server().map(|one| one.cpu.as_secs_f64() * 1e6))),
            server_busy: median(&sorted(server().map(|one| one.busy))),
            load_busy,
            p50_us: latencies.value_at_quantile(0.5),
            p99_us: latencies.value_at_quantile(0.99),
            p999_us: latencies.value_at_quantile(0.999),
            accelerated: server().map(|one| one.accelerated).sum(),
            operations: operations.map(|one| Counts {
                offloaded: one.offloaded,
                software: one.software,
                redone: one.redone,
            }),
            marks: Vec::new(),
        };
        row.marks = row.marks(cell.expected);
        Some(row)
    }

    /// Private-key operations that the accelerator did.
    pub fn offloaded(&self) -> u64 {
        self.operations
            .as_ref()
            .map_or(0, |counts| counts.offloaded)
    }

    fn marks(&self, expected: Expected) -> Vec<Mark> {
        let mut marks = Vec::new();
        if self.offloaded() == 0 {
            marks.extend(match expected {
                Expected::Nothing => None,
                Expected::Offload => Some(Mark::NotOffloaded),
                Expected::BelowBreakEven => Some(Mark::BelowBreakEven),
                Expected::NothingToOffload => Some(Mark::NothingToOffload),
            });
        }
        if self.load_busy > LOAD_BOUND {
            marks.push(Mark::LoadBound);
        }
        if self.failed > 0 {
            marks.push(Mark::Failures);
        }
        marks
    }

    /// Whether the other row is the same but for the accelerator.
    fn compares(&self, other: &Row) -> bool {
        self.of_series(other) && self.in_flight == other.in_flight
    }

    /// Whether the other row is the same but for accelerator and handshakes in flight.
    pub fn of_series(&self, other: &Row) -> bool {
        self.key == other.key
            && self.tls == other.tls
            && self.group == other.group
            && self.resumed == other.resumed
    }
}

/// The rows of all cells that have a sample, with what each gains over software.
pub fn rows(cells: &[Cell]) -> Vec<Row> {
    let mut rows: Vec<Row> = cells.iter().filter_map(Row::of).collect();
    let gain = |row: &Row| {
        let software = |other: &&Row| other.accelerator == Some(SOFTWARE) && other.compares(row);
        let software = rows.iter().find(software)?;
        (row.accelerator != Some(SOFTWARE)).then(|| row.rate / software.rate)
    };
    let gains: Vec<Option<f64>> = rows.iter().map(gain).collect();
    for (row, gain) in rows.iter_mut().zip(gains) {
        row.gain = gain;
    }
    rows
}

/// Claims of acceleration that do not hold.
pub fn problems(rows: &[Row], accelerators: &[Accelerator], complete: bool) -> Vec<String> {
    let mut problems = Vec::new();
    for accelerator in accelerators {
        let name = accelerator.name;
        let its = || rows.iter().filter(|row| row.accelerator == Some(name));
        if accelerator.algorithms.is_empty() || its().next().is_none() {
            continue;
        }
        let idle = its().filter(|row| row.marks.contains(&Mark::NotOffloaded));
        let idle = idle.count();
        if its().all(|row| row.offloaded() == 0) && (complete || idle > 0) {
            problems.push(format!(
                "{name} offloaded nothing at all: its figures are software's (it is used from {} \
                 handshakes in flight on, for {})",
                accelerator.break_even.unwrap_or(1),
                accelerator.algorithms.join(" and "),
            ));
        } else if idle > 0 {
            problems.push(format!("{name} offloaded nothing in {idle} rows"));
        }
    }
    problems
}

fn sorted(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values
}

/// Of sorted values; the upper of two.
fn median(sorted: &[f64]) -> Option<f64> {
    sorted.get(sorted.len() / 2).copied()
}
