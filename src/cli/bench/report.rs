//! What a run came to, for people and machines.

use schemars::JsonSchema;
use serde::Serialize;

use super::case::{Key, Version};
use super::machine::Machine;

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
    /// With those of the warm-up: what a server's CPU time in all is of.
    pub handshakes_in_all: u64,
    pub failed: u64,
    /// Why the first one failed, maybe in the warm-up.
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

impl Counts {
    /// Those that an accelerator might have done.
    pub fn all(&self) -> u64 {
        self.offloaded + self.software + self.redone
    }
}

impl Row {
    /// Private-key operations that the accelerator did.
    pub fn offloaded(&self) -> u64 {
        self.operations
            .as_ref()
            .map_or(0, |counts| counts.offloaded)
    }

    /// Whether the other row is the same but for the accelerator.
    pub fn compares(&self, other: &Row) -> bool {
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
