//! What an accelerator gives on this machine, measured at start: by algorithm, and from
//! how many handshakes at once.
//!
//! Operations run in async jobs of one thread, as on a worker. What counts is the longer of
//! the time that has passed and the CPU time of the process: an accelerator that computes on
//! threads of its own gains nothing where workers need the cores.

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use openssl::error::ErrorStack;
use openssl::pkey::Private;
use openssl::rsa::{Padding, Rsa};
use qat_sys::lanes::{Cost, Kind, LANES, Table};
use qat_sys::offload::{Algorithm, Backend, Outcome, X25519Key};
use qat_sys::{Step, Task, ecdsa, x25519};

use super::self_test::{Flaw, PATIENCE, ecdsa_keys, rsa_key};

/// Operations in flight that fill every accelerator's batches.
const FULL: usize = 32;
/// Operations of software's that are enough for a median.
const ROUNDS: usize = 15;
/// Handshakes in progress that are tried, in this order.
const CROWDS: [usize; 7] = [1, 2, 4, 8, 16, 32, 64];

/// One algorithm's cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Measured {
    pub algorithm: Algorithm,
    /// Of one operation.
    pub software: Duration,
    /// Of one operation among many.
    pub accelerated: Duration,
}

impl Measured {
    /// Whether it is worth offloading.
    pub fn gains(&self) -> bool {
        self.accelerated < self.software
    }
}

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Calibration {
    pub measured: Vec<Measured>,
    /// Handshakes in progress from which the accelerator gains; None: it never does.
    pub break_even: Option<usize>,
}

impl Calibration {
    /// From what was measured of batches, for keys of the usual size.
    pub(super) fn of(table: &Table, algorithms: &[Algorithm]) -> Calibration {
        let kinds = |algorithm: &Algorithm| match algorithm {
            Algorithm::Rsa => &[Kind::Rsa2048][..],
            Algorithm::X25519 => &[Kind::X25519Generate, Kind::X25519Derive],
            Algorithm::Ecdsa => &[],
        };
        let row = |algorithm: &Algorithm| {
            let costs = || kinds(algorithm).iter().map(|kind| table.of(*kind));
            let software: f64 = costs().map(Cost::software).sum();
            let lanes: f64 = costs().map(|cost| cost.lanes()[LANES - 1]).sum();
            let time = |us: f64| Duration::try_from_secs_f64(us / 1e6).unwrap_or(Duration::MAX);
            Measured {
                algorithm: *algorithm,
                software: time(software),
                accelerated: time(lanes / LANES as f64),
            }
        };
        let least = algorithms.iter().flat_map(kinds);
        Calibration {
            measured: algorithms.iter().map(row).collect(),
            // One alone gains nothing by being paused.
            break_even: least
                .filter_map(|kind| table.of(*kind).break_even())
                .min()
                .map(|least| least.max(2)),
        }
    }

    /// Whether offloading the algorithm pays; true if it has not been measured.
    pub fn gains(&self, algorithm: Algorithm) -> bool {
        let row = self.measured.iter().find(|row| row.algorithm == algorithm);
        row.is_none_or(Measured::gains)
    }
}

/// Measures, on the calling thread, which must not end afterwards.
///
/// # Errors
/// The accelerator fails or gets stuck.
pub(super) fn run(
    backend: &Arc<dyn Backend>,
    algorithms: &[Algorithm],
    poll: &dyn Fn(),
) -> Result<Calibration, Flaw> {
    let software = Software::new()?;
    let mut measured = Vec::new();
    for algorithm in algorithms {
        let software = software.cost(*algorithm)?;
        let accelerated = crowd(backend, &[*algorithm], FULL, poll)? / per(FULL);
        measured.push(Measured {
            algorithm: *algorithm,
            software,
            accelerated,
        });
    }
    let mut calibration = Calibration {
        measured,
        break_even: None,
    };
    calibration.break_even = break_even(backend, &calibration, poll)?;
    Ok(calibration)
}

/// The smallest crowd that is served no slower than by software, as every larger one is.
fn break_even(
    backend: &Arc<dyn Backend>,
    calibration: &Calibration,
    poll: &dyn Fn(),
) -> Result<Option<usize>, Flaw> {
    let worth = calibration.measured.iter().filter(|row| row.gains());
    let (algorithms, software): (Vec<_>, Vec<_>) =
        worth.map(|row| (row.algorithm, row.software)).unzip();
    if algorithms.is_empty() {
        return Ok(None);
    }
    let software: Duration = software.iter().sum();
    let mut found = None;
    for handshakes in CROWDS.into_iter().rev() {
        if crowd(backend, &algorithms, handshakes, poll)? > software * per(handshakes) {
            break;
        }
        found = Some(handshakes);
    }
    Ok(found)
}

fn per(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

/// The cost of so many handshakes' operations at once.
fn crowd(
    backend: &Arc<dyn Backend>,
    algorithms: &[Algorithm],
    handshakes: usize,
    poll: &dyn Fn(),
) -> Result<Duration, Flaw> {
    let work = || {
        let (backend, algorithms) = (backend.clone(), algorithms.to_vec());
        Task::new(move || algorithms.iter().for_each(|one| operate(&*backend, *one)))
    };
    let mut tasks = (0..handshakes)
        .map(|_| work())
        .collect::<Result<Vec<Task>, _>>()?;
    let (began, cpu) = (Instant::now(), process_cpu());
    while !tasks.is_empty() {
        let before = tasks.len();
        poll();
        tasks.retain_mut(|task| !matches!(task.step(), Step::Done));
        if began.elapsed() > PATIENCE {
            // What is still paused is leaked: nothing else may be done with it.
            return Err(Flaw::Stuck("calibration"));
        }
        if tasks.len() == before {
            std::thread::sleep(Duration::from_micros(20));
        }
    }
    Ok(began.elapsed().max(process_cpu() - cpu))
}

/// Results have been verified by the self-test; here only the time counts.
fn operate(backend: &dyn Backend, algorithm: Algorithm) {
    match algorithm {
        Algorithm::Rsa => {
            let Ok(test) = rsa_key() else { return };
            let key = &test.key;
            let length = usize::try_from(key.n.num_bytes()).unwrap_or_default();
            let mut input = vec![0x5a; length];
            input[0] = 0;
            let mut output = vec![0; length];
            backend.rsa_private(key, &input, &mut output);
        }
        Algorithm::X25519 => {
            let mut key = X25519Key::default();
            if backend.x25519_generate(&mut key) == Outcome::Done {
                let peer = key.public;
                backend.x25519_derive(&key, &peer, &mut [0; 32]);
            }
        }
        Algorithm::Ecdsa => {
            let Ok([p256, ..]) = ecdsa_keys() else { return };
            let (hash, mut signature) = ([0x5a; 32], Vec::new());
            // As the provider does with each: it takes longer than to sign in software.
            if backend.ecdsa_sign(p256, &hash, &mut signature) == Outcome::Done {
                black_box(p256.software.verifies(&hash, &signature));
            }
        }
    }
}

/// What is done without an accelerator, for comparison.
struct Software {
    rsa: &'static Rsa<Private>,
    p256: &'static ecdsa::Key,
}

impl Software {
    fn new() -> Result<Software, ErrorStack> {
        Ok(Software {
            rsa: &rsa_key()?.software,
            p256: &ecdsa_keys()?[0].software,
        })
    }

    fn operate(&self, algorithm: Algorithm) -> Result<(), ErrorStack> {
        match algorithm {
            Algorithm::Rsa => {
                let length = self.rsa.size() as usize;
                let mut input = vec![0x5a; length];
                input[0] = 0;
                let mut output = vec![0; length];
                self.rsa
                    .private_encrypt(&input, &mut output, Padding::NONE)?;
            }
            Algorithm::X25519 => {
                let key = x25519::generate()?;
                black_box(x25519::derive(&key.private, &key.public));
            }
            Algorithm::Ecdsa => {
                let signed = self.p256.sign(&[0x5a; 32], &mut [0; 72]);
                black_box(signed);
            }
        }
        Ok(())
    }

    /// The median of one operation.
    fn cost(&self, algorithm: Algorithm) -> Result<Duration, ErrorStack> {
        let mut times = [Duration::ZERO; ROUNDS];
        for time in &mut times {
            let began = Instant::now();
            self.operate(algorithm)?;
            *time = began.elapsed();
        }
        times.sort();
        Ok(times[ROUNDS / 2])
    }
}

fn process_cpu() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(
        u64::try_from(time.tv_sec).unwrap_or_default(),
        u32::try_from(time.tv_nsec).unwrap_or_default(),
    )
}
