//! What operations cost on this machine, in software and in lanes.

use std::hint::black_box;
use std::time::{Duration, Instant};

use openssl::error::ErrorStack;
use openssl::rsa::Padding;

use super::key::Reference;
use super::{Derive, Generate, Kind, LANES, Library, Rsa, Scratch};
use crate::x25519;

/// What it costs to pause a handshake and to go on with it later, in microseconds,
const PAUSE: f64 = 2.0;
/// and to run a group: a turn of the runtime, wide units that wake up, caches. Measured as
/// the CPU time of handshakes with and without, where lanes save nothing.
const GROUP: f64 = 16.0;

/// The costs of one kind of operation, in microseconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cost {
    software: f64,
    lanes: [f64; LANES],
}

impl Cost {
    /// Of a kind that is never to be done in lanes.
    pub const NEVER: Cost = Cost {
        software: 0.0,
        lanes: [f64::INFINITY; LANES],
    };

    /// `software`: of one operation. `lanes`: of 1, 2, … 8 together.
    pub fn new(software: f64, lanes: [f64; LANES]) -> Cost {
        let mut cost = Cost { software, lanes };
        // More operations never cost less: what says so was disturbed.
        for fewer in (0..LANES - 1).rev() {
            cost.lanes[fewer] = cost.lanes[fewer].min(cost.lanes[fewer + 1]);
        }
        cost
    }

    /// Of one operation in software.
    pub fn software(&self) -> f64 {
        self.software
    }

    /// Of 1, 2, … 8 operations in lanes.
    pub fn lanes(&self) -> [f64; LANES] {
        self.lanes
    }

    /// What each of so many operations, at most eight, saves in lanes; 0 if nothing.
    pub fn saving(&self, operations: usize) -> f64 {
        let lanes = operations
            .checked_sub(1)
            .and_then(|index| self.lanes.get(index));
        lanes.map_or(0.0, |lanes| {
            (self.software - lanes / operations as f64).max(0.0)
        })
    }

    /// Whether so many operations, at most eight, are quicker in lanes.
    pub fn gains(&self, operations: usize) -> bool {
        self.saving(operations) > 0.0
    }

    /// What each of so many operations saves by being queued, less what that costs it.
    pub(super) fn worth(&self, operations: usize) -> f64 {
        self.saving(operations) - PAUSE - GROUP / operations as f64
    }

    /// The least number of operations that are worth being queued.
    pub fn break_even(&self) -> Option<usize> {
        (1..=LANES).find(|operations| self.worth(*operations) > 0.0)
    }
}

/// The costs of every kind.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Table([Cost; Kind::ALL.len()]);

impl Table {
    pub fn new(cost: impl FnMut(Kind) -> Cost) -> Table {
        Table(Kind::ALL.map(cost))
    }

    pub fn of(&self, kind: Kind) -> &Cost {
        &self.0[kind.index()]
    }
}

/// Measures on the calling thread, in less than a quarter of a second if it has a core to
/// itself. Time that others take of the core does not count. RSA in lanes is measured
/// with the verification of its results.
///
/// To be called off a job's stack. Fails if OpenSSL lacks an algorithm.
pub fn calibrate(library: &Library) -> Result<Table, ErrorStack> {
    let mut table = Table([Cost::NEVER; Kind::ALL.len()]);
    for kind in Kind::ALL {
        if library.supports(kind) {
            table.0[kind.index()] = match kind {
                Kind::X25519Generate => generate(library)?,
                Kind::X25519Derive => derive(library)?,
                _ => rsa(library, kind)?,
            };
        }
    }
    Ok(table)
}

fn generate(library: &Library) -> Result<Cost, ErrorStack> {
    let mut pairs = [([0; 32], [0; 32]); LANES];
    let software = || x25519::generate().map(|key| drop(black_box(key)));
    let lanes = |count: usize| {
        let mut lanes = pairs
            .each_mut()
            .map(|(private, public)| Some(Generate { private, public }));
        black_box(library.generate(&mut lanes[..count]));
        Ok(())
    };
    measure(Duration::from_millis(8), software, lanes)
}

fn derive(library: &Library) -> Result<Cost, ErrorStack> {
    let (key, peer) = (x25519::generate()?, x25519::generate()?);
    let software = || {
        black_box(x25519::derive(&key.private, &peer.public));
        Ok(())
    };
    let mut secrets = [[0; 32]; LANES];
    let lanes = |count: usize| {
        let mut lanes = secrets.each_mut().map(|secret| {
            let (private, peer) = (&*key.private, &peer.public);
            Some(Derive {
                private,
                peer,
                secret,
            })
        });
        black_box(library.derive(&mut lanes[..count]));
        Ok(())
    };
    measure(Duration::from_millis(8), software, lanes)
}

fn rsa(library: &Library, kind: Kind) -> Result<Cost, ErrorStack> {
    let reference = Reference::of(kind)?;
    let input = reference.input()?;
    let (rsa, key) = (&reference.software, &reference.limbs);
    let mut one = vec![0; key.size()];
    let software = || {
        rsa.private_encrypt(&input, &mut one, Padding::NONE)
            .map(drop)
    };
    let mut outputs = vec![vec![0; key.size()]; LANES];
    let mut scratch = Scratch::default();
    let lanes = |count: usize| {
        let mut outputs_of = outputs.iter_mut();
        let mut lanes: [_; LANES] = std::array::from_fn(|_| {
            let output = outputs_of.next()?;
            Some(Rsa {
                key,
                input: &input,
                output,
            })
        });
        black_box(library.rsa(kind, &mut lanes[..count], &mut scratch));
        Ok(())
    };
    let budget = match kind {
        Kind::Rsa2048 => 25,
        Kind::Rsa3072 => 35,
        _ => 60,
    };
    measure(Duration::from_millis(budget), software, lanes)
}

/// The medians of as many rounds as fit into `budget`, but of one at least.
fn measure(
    budget: Duration,
    mut software: impl FnMut() -> Result<(), ErrorStack>,
    mut lanes: impl FnMut(usize) -> Result<(), ErrorStack>,
) -> Result<Cost, ErrorStack> {
    let start = Instant::now();
    // Caches, tables made at first use, and the core's wide units.
    software()?;
    lanes(LANES)?;
    let mut singles = Vec::new();
    let mut groups: [Vec<f64>; MEASURED.len()] = Default::default();
    loop {
        let round = Instant::now();
        singles.push(timed(&mut software)?);
        for (count, samples) in MEASURED.into_iter().zip(&mut groups) {
            samples.push(timed(|| lanes(count))?);
        }
        if start.elapsed() + round.elapsed() > budget {
            let groups = groups.each_mut().map(|samples| median(samples));
            return Ok(Cost::new(median(&mut singles), interpolated(groups)));
        }
    }
}

/// Numbers of operations that are measured. In between, the cost grows evenly, but for
/// a step where eight lanes are four and four (AVX-IFMA).
const MEASURED: [usize; 4] = [1, 4, 5, 8];

fn interpolated([one, four, five, eight]: [f64; MEASURED.len()]) -> [f64; LANES] {
    let between = |from: f64, to: f64, third: f64| from + (to - from) * third / 3.0;
    std::array::from_fn(|index| match index {
        0..4 => between(one, four, index as f64),
        _ => between(five, eight, index as f64 - 4.0),
    })
}

fn median(samples: &mut [f64]) -> f64 {
    samples.sort_unstable_by(f64::total_cmp);
    samples[samples.len() / 2]
}

fn timed(work: impl FnOnce() -> Result<(), ErrorStack>) -> Result<f64, ErrorStack> {
    let before = thread_time();
    work()?;
    Ok((thread_time() - before) * 1e6)
}

/// The seconds that this thread has had of a core. `clock_gettime(2)`.
fn thread_time() -> f64 {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: a place to write to. The clock exists on every Linux.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) };
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}
