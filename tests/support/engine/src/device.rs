//! The device: takes an operation, pauses its job, and answers by the script.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use qat_sys::job::{self, Completer};
use qat_sys::offload::Outcome;

use crate::script::{Answer, Operation, Script};
use crate::service::{Item, Request, State};

/// The true result, computed where and when the device likes.
pub(crate) type Compute = Box<dyn FnOnce() -> Option<Vec<u8>> + Send>;

/// What the device saw.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub asked: usize,
    pub done: usize,
    pub declined: usize,
    pub failed: usize,
    pub wrong: usize,
    /// Pauses with a full queue.
    pub refused: usize,
    /// Completions that found their job gone on.
    pub too_late: usize,
    /// How often a job was resumed before its time.
    pub spurious: usize,
    /// How often a batch of that size was run.
    pub batches: HashMap<usize, usize>,
}

/// A handle; the device ends with the process.
#[derive(Clone)]
pub struct Device(pub(crate) Arc<Shared>);

pub(crate) struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    /// As qatengine shows it: asymmetric requests in flight.
    pub(crate) in_flight: AtomicI32,
}

/// Where a job and the device meet.
#[derive(Default)]
pub(crate) struct Slot {
    answer: Option<Option<Vec<u8>>>,
    completer: Option<Completer>,
}

pub(crate) type Meeting = Arc<Mutex<Slot>>;

impl Device {
    pub fn new(script: Script) -> Device {
        let device = Device(Arc::new(Shared {
            state: Mutex::new(State::new(script)),
            changed: Condvar::new(),
            in_flight: AtomicI32::new(0),
        }));
        let served = device.clone();
        thread::Builder::new()
            .name("simulated".to_owned())
            .spawn(move || served.serve())
            .expect("a thread");
        device
    }

    pub fn set_script(&self, script: Script) {
        self.state().script = script;
    }

    pub fn counts(&self) -> Counts {
        self.state().counts.clone()
    }

    /// Answers, truly, what was never to be answered.
    pub fn release(&self) {
        self.state().release();
        self.0.changed.notify_all();
    }

    /// Whether answers come out of [`Device::poll`] alone.
    pub fn poll_externally(&self, externally: bool) {
        self.state().external = externally;
        self.0.changed.notify_all();
    }

    /// Answers what is due.
    pub fn poll(&self) {
        let (due, _) = self.state().due(Instant::now());
        due.into_iter().for_each(|item| self.answer(item));
    }

    /// None: declined or failed, as the outcome says. Only in a job.
    pub(crate) fn run(&self, operation: Operation, compute: Compute) -> Result<Vec<u8>, Outcome> {
        self.state().counts.asked += 1;
        let (mut answer, mut resets) = self.next(operation);
        while let Answer::QueueFull(times) = answer {
            for _ in 0..times {
                self.state().counts.refused += 1;
                if !job::pause_refused() {
                    return Err(Outcome::Failed);
                }
            }
            if self.state().script.refuses_for_ever(operation) {
                break;
            }
            (answer, resets) = self.next(operation);
        }
        match answer {
            Answer::Declined | Answer::QueueFull(_) => {
                self.state().counts.declined += 1;
                return Err(Outcome::Declined);
            }
            // A hook would print, on 32 KiB of stack.
            Answer::Panic => std::panic::resume_unwind(Box::new("simulated")),
            _ => {}
        }
        let meeting = Meeting::default();
        let request = Request::new((answer, resets), compute, meeting.clone());
        self.0.in_flight.fetch_add(1, Ordering::Relaxed);
        self.wait(&meeting, request).ok_or(Outcome::Failed)
    }

    fn submit(&self, request: Request) {
        if request.answer == Answer::Now {
            self.answer(Item::Request(request));
        } else {
            self.state().submit(request);
            self.0.changed.notify_all();
        }
    }

    /// The script's next answer, and how many resets there have been.
    fn next(&self, operation: Operation) -> (Answer, usize) {
        let mut state = self.state();
        (state.script.next(operation), state.resets)
    }

    /// Submits, and pauses until there is an answer, however often the job is resumed before.
    fn wait(&self, meeting: &Meeting, request: Request) -> Option<Vec<u8>> {
        let mut request = Some(request);
        loop {
            let paused = job::pause(|completer| {
                let mut slot = lock(meeting);
                if slot.answer.is_some() {
                    completer.complete();
                }
                slot.completer = Some(completer);
                drop(slot);
                // Only now, when the device has somebody to tell.
                if let Some(request) = request.take() {
                    self.submit(request);
                }
            });
            if let Some(answer) = lock(meeting).answer.take() {
                return answer;
            }
            if paused.is_none() {
                self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
                return None;
            }
            self.state().counts.spurious += 1;
        }
    }

    fn serve(&self) {
        let mut state = self.state();
        loop {
            let (due, next) = match state.external {
                true => (Vec::new(), None),
                false => state.due(Instant::now()),
            };
            if !due.is_empty() {
                drop(state);
                due.into_iter().for_each(|item| self.answer(item));
                state = self.state();
                continue;
            }
            let wait = next.map_or(Duration::from_secs(3600), |next| {
                next.saturating_duration_since(Instant::now())
            });
            let waited = self.0.changed.wait_timeout(state, wait);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn answer(&self, item: Item) {
        let request = match item {
            Item::Request(request) => request,
            Item::Echo(_, completer) => return self.complete(&completer),
        };
        let result = self.result(request.answer, request.compute);
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
        let completer = {
            let mut slot = lock(&request.meeting);
            slot.answer = Some(result);
            slot.completer.clone()
        };
        let Some(completer) = completer else { return };
        self.complete(&completer);
        match request.answer {
            Answer::Twice => self.complete(&completer),
            Answer::Afterwards(delay) => {
                let due = Instant::now() + delay;
                self.state().queue.push(Item::Echo(due, completer));
                self.0.changed.notify_all();
            }
            _ => {}
        }
    }

    fn result(&self, answer: Answer, compute: Compute) -> Option<Vec<u8>> {
        let failed = matches!(answer, Answer::Error | Answer::Reset);
        let mut result = if failed { None } else { compute() };
        let mut state = self.state();
        if result.is_none() {
            state.counts.failed += 1;
        } else if answer == Answer::Wrong {
            state.counts.wrong += 1;
            if let Some(last) = result.as_mut().and_then(|bytes| bytes.last_mut()) {
                *last ^= 1;
            }
        } else {
            state.counts.done += 1;
        }
        result
    }

    fn complete(&self, completer: &Completer) {
        if !completer.complete() {
            self.state().counts.too_late += 1;
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.0.state)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
