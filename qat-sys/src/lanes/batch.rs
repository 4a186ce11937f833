//! A worker's batch: the operations of its paused jobs, and when to run them.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use super::queue::{Group, Operands, Operation, Queue, Slot};
use super::worth::Worth;
use super::{Counters, Kind, LANES, Library, Scratch, Table};
use crate::job::{self, Pausing};
use crate::offload::Outcome;

thread_local! {
    static CURRENT: RefCell<Option<Rc<Inner>>> = const { RefCell::new(None) };
}

/// The batch of the calling thread.
pub(super) fn current() -> Option<Rc<Inner>> {
    CURRENT
        .try_with(|current| current.borrow().clone())
        .ok()
        .flatten()
}

/// What a batch keeps to.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Operations of all kinds that may wait at a time; what comes beyond is declined.
    pub waiting: usize,
}

impl Default for Limits {
    /// As many as qatengine's multi-buffer queues take.
    fn default() -> Limits {
        Limits { waiting: 128 }
    }
}

/// The batch of the thread that made it. Dropped, it gives back what waits in it.
pub struct Batch(Rc<Inner>);

pub(super) struct Inner {
    library: &'static Library,
    table: Table,
    worth: Worth,
    queue: RefCell<Queue>,
    /// Settled, and about to be woken.
    settled: RefCell<VecDeque<Operation>>,
    scratch: RefCell<Scratch>,
    flusher: Cell<Option<Waker>>,
    in_progress: Cell<usize>,
    limit: Cell<usize>,
    counters: Arc<Counters>,
}

impl Batch {
    /// From now on [`Multibuffer`](super::Multibuffer) queues this thread's operations
    /// here, no longer in the thread's earlier batch if it has one.
    pub fn new(library: &'static Library, table: Table, limits: Limits) -> Batch {
        let inner = Rc::new(Inner {
            library,
            worth: Worth::new(&table),
            table,
            queue: RefCell::default(),
            settled: RefCell::default(),
            scratch: RefCell::default(),
            flusher: Cell::default(),
            in_progress: Cell::new(usize::MAX),
            limit: Cell::new(limits.waiting),
            counters: Arc::default(),
        });
        CURRENT.set(Some(inner.clone()));
        Batch(inner)
    }

    /// Tells how many handshakes the worker has in progress, which may queue operations:
    /// if too few to gain, none is queued at all. Until told, there are enough.
    pub fn set_in_progress(&self, handshakes: usize) {
        self.0.in_progress.set(handshakes);
    }

    /// Changes [`Limits::waiting`]; what waits already stays.
    pub fn set_limit(&self, waiting: usize) {
        self.0.limit.set(waiting);
    }

    pub fn counters(&self) -> Arc<Counters> {
        self.0.counters.clone()
    }

    /// Operations that wait.
    pub fn len(&self) -> usize {
        self.0.queue.borrow().len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Operations of this kind that wait.
    pub fn waiting(&self, kind: Kind) -> usize {
        self.0.queue.borrow().waiting(kind)
    }

    /// Whether eight of some kind wait, so that waiting longer gains nothing.
    pub fn full(&self) -> bool {
        self.0.queue.borrow().full()
    }

    /// How long the oldest operation has waited.
    pub fn oldest(&self) -> Option<Duration> {
        self.0.queue.borrow().oldest().map(|since| since.elapsed())
    }

    /// Ready when something waits. One task at a time is woken: the last to ask.
    pub fn poll_waiting(&self, cx: &mut Context<'_>) -> Poll<()> {
        if !self.is_empty() {
            return Poll::Ready(());
        }
        self.0.flusher.set(Some(cx.waker().clone()));
        Poll::Pending
    }

    /// Runs at most `groups` groups, each for as long as eight operations of its kind
    /// take: the full ones first; of the rest, if `partial`, in lanes what gains, while
    /// the others are declined. Gives the number of operations it was done with, whose
    /// jobs can be resumed. Does nothing on a job's stack.
    pub fn run(&self, groups: usize, partial: bool) -> usize {
        if job::in_job() {
            return 0;
        }
        let mut done = 0;
        for _ in 0..groups {
            let Some(group) = self.0.queue.borrow_mut().take(partial) else {
                break;
            };
            done += group.operations.len();
            self.0.run(group);
        }
        done
    }

    /// Runs every full group.
    pub fn run_full(&self) -> usize {
        self.run(usize::MAX, false)
    }

    /// Runs everything.
    pub fn run_all(&self) -> usize {
        self.run(usize::MAX, true)
    }
}

impl Drop for Batch {
    fn drop(&mut self) {
        // Nothing is there any more if the thread is ending.
        let _ = CURRENT.try_with(|current| {
            let mut current = current.borrow_mut();
            if current
                .as_ref()
                .is_some_and(|inner| Rc::ptr_eq(inner, &self.0))
            {
                *current = None;
            }
        });
        loop {
            let group = self.0.queue.borrow_mut().take(true);
            let Some(group) = group else { break };
            self.0.decline(group);
        }
    }
}

impl Inner {
    /// Whether an operation of this kind may gain by waiting for others.
    pub(super) fn takes(&self, kind: Kind) -> bool {
        let least = self.table.of(kind).break_even();
        let enough = least.is_some_and(|least| least <= self.in_progress.get());
        self.library.supports(kind) && enough && self.worth.queues(kind)
    }

    /// Queues the operation and pauses the current job until it has been run.
    ///
    /// # Safety
    /// The pointers must be valid, and used by nobody else, until this returns, which it
    /// may never do.
    pub(super) unsafe fn wait_for(&self, kind: Kind, operands: Operands) -> Outcome {
        let waiting = self.queue.borrow().len();
        if waiting >= self.limit.get() {
            self.counters.of(kind).add_refused();
            return Outcome::Declined;
        }
        let Some(job) = Pausing::here() else {
            return Outcome::Declined;
        };
        // Before anything is queued: should the waker panic, nothing points to this frame.
        // The flusher cannot run before this job has paused, for it is of this thread.
        if waiting == 0
            && let Some(flusher) = self.flusher.take()
        {
            flusher.wake();
        }
        let slot = Slot::new(None);
        let since = Instant::now();
        let operation = Operation {
            operands,
            slot: &slot,
            job,
            since,
        };
        self.queue.borrow_mut().push(kind, operation);
        job::switch_out();
        self.forget(kind, &slot);
        // Resumed without having been run, for instance to come to its end: in software.
        slot.get().unwrap_or(Outcome::Declined)
    }

    /// The job goes on: nothing may point to its stack, nor wake it, any more.
    fn forget(&self, kind: Kind, slot: &Slot) {
        if slot.get().is_none() {
            self.queue.borrow_mut().remove(kind, slot);
        }
        let mut settled = self.settled.borrow_mut();
        if !settled.is_empty() {
            settled.retain(|operation| !std::ptr::eq(operation.slot, slot));
        }
    }

    fn run(&self, group: Group) {
        let size = group.operations.len();
        let cost = self.table.of(group.kind);
        self.worth.add(group.kind, size, cost.worth(size));
        if size < LANES && !cost.gains(size) {
            return self.decline(group);
        }
        let counters = self.counters.of(group.kind);
        let start = Instant::now();
        for operation in &group.operations {
            counters.add_wait(start.saturating_duration_since(operation.since));
        }
        let outcomes = group.in_lanes(self.library, &mut self.scratch.borrow_mut());
        let outcomes = &outcomes[..size];
        let failed = outcomes
            .iter()
            .filter(|outcome| **outcome == Outcome::Failed);
        counters.ran(size, failed.count());
        self.settle(group.operations, outcomes);
    }

    fn decline(&self, group: Group) {
        let size = group.operations.len();
        self.counters.of(group.kind).add_declined(size);
        self.settle(group.operations, &[Outcome::Declined; LANES][..size]);
    }

    /// All outcomes are set before anyone is woken, and no borrow is held then: what a
    /// waker does may come back here.
    fn settle(&self, operations: Vec<Operation>, outcomes: &[Outcome]) {
        for (operation, outcome) in operations.iter().zip(outcomes) {
            operation.settle(*outcome);
        }
        self.settled.borrow_mut().extend(operations);
        loop {
            let next = self.settled.borrow_mut().pop_front();
            let Some(operation) = next else { break };
            // SAFETY: still paused, else it would have removed itself.
            unsafe { operation.job.wake() };
        }
    }
}
