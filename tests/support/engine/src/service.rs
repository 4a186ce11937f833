//! What the device holds: what is in flight, what waits for a batch, what is stuck.

use std::time::{Duration, Instant};

use qat_sys::job::Completer;

use crate::device::{Compute, Counts, Meeting};
use crate::script::{Answer, Script};

/// As many lanes as multi-buffer code has.
const BATCH: usize = 8;

pub(crate) struct Request {
    due: Instant,
    /// How many resets there had been when its answer was chosen.
    resets: usize,
    pub(crate) answer: Answer,
    pub(crate) compute: Compute,
    pub(crate) meeting: Meeting,
}

impl Request {
    pub(crate) fn new(
        (answer, resets): (Answer, usize),
        compute: Compute,
        meeting: Meeting,
    ) -> Request {
        let delay = match answer {
            Answer::Later(delay) | Answer::Batch(delay) => delay,
            _ => Duration::ZERO,
        };
        Request {
            due: Instant::now() + delay,
            resets,
            answer,
            compute,
            meeting,
        }
    }

    fn fail(&mut self) {
        self.answer = Answer::Reset;
        self.due = Instant::now();
    }
}

pub(crate) enum Item {
    Request(Request),
    /// A completion too many.
    Echo(Instant, Completer),
}

impl Item {
    fn due(&self) -> Instant {
        match self {
            Item::Request(request) => request.due,
            Item::Echo(due, _) => *due,
        }
    }
}

pub(crate) struct State {
    pub(crate) script: Script,
    pub(crate) counts: Counts,
    pub(crate) external: bool,
    pub(crate) queue: Vec<Item>,
    batch: Vec<Request>,
    stuck: Vec<Request>,
    pub(crate) resets: usize,
}

impl State {
    pub(crate) fn new(script: Script) -> State {
        State {
            script,
            counts: Counts::default(),
            external: false,
            queue: Vec::new(),
            batch: Vec::new(),
            stuck: Vec::new(),
            resets: 0,
        }
    }

    pub(crate) fn submit(&mut self, mut request: Request) {
        // Another thread's reset was quicker.
        if request.resets < self.resets && request.answer != Answer::Reset {
            request.fail();
            return self.queue.push(Item::Request(request));
        }
        match request.answer {
            Answer::Never => self.stuck.push(request),
            Answer::Batch(_) => self.batch.push(request),
            Answer::Reset => {
                self.resets += 1;
                for item in &mut self.queue {
                    if let Item::Request(request) = item {
                        request.fail();
                    }
                }
                for mut held in self.batch.drain(..).chain(self.stuck.drain(..)) {
                    held.fail();
                    self.queue.push(Item::Request(held));
                }
                self.queue.push(Item::Request(request));
            }
            _ => self.queue.push(Item::Request(request)),
        }
    }

    pub(crate) fn release(&mut self) {
        let released = self.stuck.drain(..).map(Item::Request);
        self.queue.extend(released);
    }

    /// What is due now, and when there will be more.
    pub(crate) fn due(&mut self, now: Instant) -> (Vec<Item>, Option<Instant>) {
        let mut due: Vec<Item> = self
            .queue
            .extract_if(.., |item| item.due() <= now)
            .collect();
        let overdue = self.batch.first().is_some_and(|first| first.due <= now);
        if overdue || self.batch.len() >= BATCH {
            let size = self.batch.len().min(BATCH);
            *self.counts.batches.entry(size).or_default() += 1;
            due.extend(self.batch.drain(..size).map(Item::Request));
        }
        let batch = match self.batch.len() {
            0..BATCH => self.batch.first().map(|first| first.due),
            _ => Some(now),
        };
        let next = self.queue.iter().map(Item::due).chain(batch).min();
        (due, next)
    }
}
