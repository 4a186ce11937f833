//! An accelerator that has passed its test: for the process, and on each worker.
//!
//! ```text
//! Activated (control thread) ─→ Worker (one per worker) ─→ contexts of its listeners
//!                                  │ choose: accelerated or software, for each handshake
//!                                  └ run: probes, polling, batches
//! ```

use std::fmt;
use std::future::{pending, poll_fn};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use openssl::error::ErrorStack;
use qat_sys::engine::EngineBackend;
use qat_sys::lanes::{self, Batch, Library, Limits, Table};
use qat_sys::offload::{Backend, Counters, Offload};
use tokio::task::yield_now;
use tokio::time::MissedTickBehavior;

use super::breaker::{Breaker, BreakerParams, BreakerStats};
use super::calibration::{self, Calibration};
use super::guard::Guard;
use super::load::{self, InProgress};
use super::self_test::{self, Flaw};
use super::{Algorithm, Completion};

/// The longest an operation waits for a batch while the worker is busy otherwise.
const LONGEST_WAIT: Duration = Duration::from_millis(5);

/// What takes operations, and what it needs of the workers beside.
#[derive(Clone)]
pub(super) enum Source {
    /// Completes its jobs by itself.
    Jobs(Arc<dyn Backend>),
    /// Completes them when a worker asks, which it is to do so often.
    Polled(Arc<EngineBackend>, Duration),
    /// Completes them when a worker runs its batch.
    Lanes {
        library: &'static Library,
        /// Some once measured.
        table: Option<Box<Table>>,
        queue: usize,
    },
}

impl Source {
    pub(super) fn backend(&self) -> Arc<dyn Backend> {
        match self {
            Source::Jobs(backend) => backend.clone(),
            Source::Polled(backend, _) => backend.clone(),
            Source::Lanes { .. } => Arc::new(lanes::Multibuffer),
        }
    }

    /// Tests it and measures what it gives, on the calling thread, which must not end
    /// afterwards. Of the algorithms those stay that it really offloads.
    pub(super) fn try_out(&mut self, algorithms: &mut Vec<Algorithm>) -> Result<Calibration, Flaw> {
        if let Source::Lanes { library, table, .. } = self {
            test_lanes(library)?;
            let measured = lanes::calibrate(library)?;
            let calibration = Calibration::of(&measured, algorithms);
            *table = Some(Box::new(measured));
            return Ok(calibration);
        }
        let (backend, poll) = (self.backend(), || self.poll());
        self_test::run(&backend, algorithms, &poll)?;
        calibration::run(&backend, algorithms, &poll)
    }

    /// Lets it complete what is done, if it does not do so by itself.
    fn poll(&self) {
        if let Source::Polled(backend, _) = self
            && let Err(error) = backend.poll()
        {
            tracing::debug!(%error, "the engine cannot be polled");
        }
    }

    /// Tests it again, on a worker.
    async fn probe(&self, algorithms: &[Algorithm]) -> Result<(), Flaw> {
        match self {
            Source::Lanes { library, .. } => test_lanes(library),
            _ => self_test::probe(&self.backend(), algorithms).await,
        }
    }
}

fn test_lanes(library: &Library) -> Result<(), Flaw> {
    lanes::self_test(library).map_err(|error| Flaw::NotMade(error.to_string()))
}

/// An accelerator in use.
pub struct Active {
    pub name: &'static str,
    /// What is offloaded to it; never empty.
    pub algorithms: Vec<Algorithm>,
    /// Handshakes in progress on a worker from which it is used.
    pub break_even: usize,
    pub calibration: Calibration,
    pub completion: Completion,
    pub(super) breaker: BreakerParams,
    pub(super) source: Source,
}

impl Active {
    /// Handshakes in progress from which something is certainly offloaded: of fewer, no
    /// two may meet in a batch.
    pub fn certain(&self) -> usize {
        match self.source {
            Source::Lanes { .. } => self.break_even.max(2 * lanes::LANES),
            _ => self.break_even,
        }
    }

    /// Operations that may wait on a worker, where the gateway itself queues them.
    pub fn queue(&self) -> Option<usize> {
        match self.source {
            Source::Lanes { queue, .. } => Some(queue),
            _ => None,
        }
    }
}

/// As the admin page shows it.
impl fmt::Display for Active {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.algorithms.iter().map(|one| one.as_str()).collect();
        writeln!(
            f,
            "  - offloads {}, from {} handshakes in progress on a worker",
            names.join(" and "),
            self.break_even
        )?;
        for row in &self.calibration.measured {
            let microseconds = |time: Duration| time.as_secs_f64() * 1e6;
            writeln!(
                f,
                "  - {}: {:.1} µs in software, {:.1} µs accelerated",
                row.algorithm.as_str(),
                microseconds(row.software),
                microseconds(row.accelerated),
            )?;
        }
        Ok(())
    }
}

/// An accelerator on one worker.
pub struct Worker {
    active: Arc<Active>,
    offload: Offload,
    breaker: Arc<Breaker>,
    batch: Option<Batch>,
}

/// A worker's numbers, readable from any thread.
#[derive(Clone)]
pub struct WorkerStats {
    pub operations: Arc<Counters>,
    /// Of an accelerator that the worker's batches feed.
    pub batches: Option<Arc<lanes::Counters>>,
    breaker: Arc<Breaker>,
}

impl WorkerStats {
    pub fn breaker(&self) -> BreakerStats {
        self.breaker.stats()
    }
}

impl Worker {
    /// To be made on the worker's thread, and kept as long as its contexts.
    ///
    /// # Errors
    /// OpenSSL's reasons.
    pub fn new(active: &Arc<Active>) -> Result<Rc<Worker>, ErrorStack> {
        let breaker = Arc::new(Breaker::new(active.breaker));
        let backend = active.source.backend();
        let guard = Guard::new(backend, breaker.clone(), active.break_even);
        let batch = match &active.source {
            Source::Lanes {
                library,
                table: Some(table),
                queue,
            } => Some(Batch::new(library, **table, Limits { waiting: *queue })),
            _ => None,
        };
        Ok(Rc::new(Worker {
            offload: Offload::new(Arc::new(guard), &active.algorithms)?,
            active: active.clone(),
            breaker,
            batch,
        }))
    }

    pub fn name(&self) -> &'static str {
        self.active.name
    }

    pub fn completion(&self) -> Completion {
        self.active.completion
    }

    /// Makes the accelerated contexts, and the keys and certificates in them.
    pub fn offload(&self) -> &Offload {
        &self.offload
    }

    /// Counts a handshake that begins; true if it is to be accelerated.
    pub fn choose(&self) -> (InProgress, bool) {
        let slot = load::begin();
        let handshakes = load::in_progress();
        if let Some(batch) = &self.batch {
            batch.set_in_progress(handshakes);
        }
        let enough = handshakes >= self.active.break_even;
        (slot, enough && self.breaker.is_closed())
    }

    /// The accelerator refused so many requests.
    pub fn queue_full(&self, times: u32) {
        if times > 0 {
            self.breaker.queue_full(times);
        }
    }

    pub fn stats(&self) -> WorkerStats {
        WorkerStats {
            operations: self.offload.counters().clone(),
            batches: self.batch.as_ref().map(Batch::counters),
            breaker: self.breaker.clone(),
        }
    }

    /// Does what the accelerator needs, for as long as the worker lives.
    pub async fn run(self: Rc<Self>) {
        tokio::join!(self.probes(), self.serve());
    }

    async fn probes(&self) {
        loop {
            self.breaker.probe_due().await;
            let result = self.active.source.probe(&self.active.algorithms).await;
            let accelerator = self.active.name;
            match &result {
                Ok(()) => tracing::info!(accelerator, "the accelerator works again"),
                Err(error) => tracing::warn!(accelerator, %error, "the accelerator is still bad"),
            }
            self.breaker.probed(result.is_ok());
        }
    }

    async fn serve(&self) {
        match (&self.active.source, &self.batch) {
            (source @ Source::Polled(_, every), _) => {
                let mut interval = tokio::time::interval(*every);
                interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
                loop {
                    interval.tick().await;
                    source.poll();
                }
            }
            (_, Some(batch)) => flush(batch).await,
            _ => pending().await,
        }
    }
}

/// Runs the batch when it is full, or when everything that is ready has been run and has
/// added nothing to it: to wait longer would be to wait for the network.
async fn flush(batch: &Batch) {
    loop {
        poll_fn(|cx| batch.poll_waiting(cx)).await;
        let mut waiting = 0;
        while batch.len() > waiting && batch.oldest().is_none_or(|age| age < LONGEST_WAIT) {
            waiting = batch.len();
            // The runtime polls the sockets, and runs what has become ready, before this
            // task's turn comes again.
            yield_now().await;
            batch.run_full();
            waiting = waiting.min(batch.len());
        }
        batch.run_all();
    }
}
