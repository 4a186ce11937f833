//! Keeps handshakes off an accelerator that fails.
//!
//! ```text
//! closed ──failures, refusals, an operation too old──→ open ──open_for──→ half open
//!    ↑                                                  ↑                     │ probe
//!    └──────────────── succeeded ───────────────────────┼─────────────────────┤
//!                                                       └── failed: twice as long
//! ```
//!
//! One per worker: each sees its own share of the accelerator. While it is not closed every
//! operation is done in software; the probe is one of our own, so that no client's handshake
//! is spent on it. Its lock is contended by a scrape alone.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

/// When it opens, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BreakerParams {
    /// Failed operations and wrong results within `window` that open it.
    pub failures: u32,
    /// Full queues within `window` that open it.
    pub queue_full: u32,
    /// How far back the two are counted.
    pub window: Duration,
    /// An operation in flight for longer opens it.
    pub stuck_after: Duration,
    /// How long it stays open before the first probe; doubled after each that fails.
    pub open_for: Duration,
    /// The doubling's end.
    pub open_at_most: Duration,
}

impl Default for BreakerParams {
    fn default() -> Self {
        BreakerParams {
            failures: 5,
            queue_full: 1000,
            window: Duration::from_secs(10),
            stuck_after: Duration::from_secs(1),
            open_for: Duration::from_secs(5),
            open_at_most: Duration::from_secs(60),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BreakerState {
    Closed,
    Open,
    HalfOpen,
}

impl BreakerState {
    pub const ALL: [BreakerState; 3] = [
        BreakerState::Closed,
        BreakerState::Open,
        BreakerState::HalfOpen,
    ];

    /// The label that metrics show it under.
    pub fn as_str(self) -> &'static str {
        match self {
            BreakerState::Closed => "closed",
            BreakerState::Open => "open",
            BreakerState::HalfOpen => "half_open",
        }
    }
}

/// Why it opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    Failures,
    QueueFull,
    Stuck,
    /// The probe failed.
    Probe,
}

impl Cause {
    pub const ALL: [Cause; 4] = [
        Cause::Failures,
        Cause::QueueFull,
        Cause::Stuck,
        Cause::Probe,
    ];

    /// The label that metrics count it under.
    pub fn as_str(self) -> &'static str {
        match self {
            Cause::Failures => "failures",
            Cause::QueueFull => "queue_full",
            Cause::Stuck => "stuck",
            Cause::Probe => "probe",
        }
    }
}

pub struct Breaker {
    params: BreakerParams,
    inner: Mutex<Inner>,
    opened: Notify,
}

struct Inner {
    state: BreakerState,
    window_began: Instant,
    failures: u32,
    queue_full: u32,
    open_for: Duration,
    /// Operations in flight, in the order in which they began.
    in_flight: BTreeMap<u64, Instant>,
    begun: u64,
    /// How often it has opened, by cause.
    opened: [u64; Cause::ALL.len()],
}

/// An operation in flight.
#[must_use]
pub struct Ticket(u64);

/// What the metrics show.
#[derive(Clone, Copy, Debug)]
pub struct BreakerStats {
    pub state: BreakerState,
    pub in_flight: usize,
    pub oldest: Option<Duration>,
    pub opened: [u64; Cause::ALL.len()],
}

impl Breaker {
    pub fn new(params: BreakerParams) -> Breaker {
        Breaker {
            params,
            inner: Mutex::new(Inner {
                state: BreakerState::Closed,
                window_began: Instant::now(),
                failures: 0,
                queue_full: 0,
                open_for: params.open_for,
                in_flight: BTreeMap::new(),
                begun: 0,
                opened: [0; Cause::ALL.len()],
            }),
            opened: Notify::new(),
        }
    }

    /// Lets an operation begin; None if it is to be done in software.
    pub fn admit(&self) -> Option<Ticket> {
        let now = Instant::now();
        let mut inner = self.looked_at(now);
        if inner.state != BreakerState::Closed {
            return None;
        }
        inner.begun += 1;
        let number = inner.begun;
        inner.in_flight.insert(number, now);
        Some(Ticket(number))
    }

    /// An operation has come back.
    pub fn ended(&self, ticket: Ticket, failed: bool) {
        let mut inner = self.lock();
        inner.in_flight.remove(&ticket.0);
        if failed {
            self.count(&mut inner, Cause::Failures, 1);
        }
    }

    /// The result of an operation did not verify.
    pub fn refuted(&self) {
        let mut inner = self.lock();
        self.count(&mut inner, Cause::Failures, 1);
    }

    /// The accelerator refused so many requests.
    pub fn queue_full(&self, times: u32) {
        let mut inner = self.lock();
        self.count(&mut inner, Cause::QueueFull, times);
    }

    /// Whether new handshakes may use the accelerator.
    pub fn is_closed(&self) -> bool {
        self.looked_at(Instant::now()).state == BreakerState::Closed
    }

    pub fn stats(&self) -> BreakerStats {
        let inner = self.lock();
        BreakerStats {
            state: inner.state,
            in_flight: inner.in_flight.len(),
            oldest: inner.in_flight.values().next().map(Instant::elapsed),
            opened: inner.opened,
        }
    }

    /// Waits until a probe is due, which is then this caller's to make and to report.
    pub async fn probe_due(&self) {
        loop {
            let opened = self.opened.notified();
            let wait = {
                let inner = self.lock();
                (inner.state != BreakerState::Closed).then_some(inner.open_for)
            };
            match wait {
                Some(wait) => {
                    tokio::time::sleep(wait).await;
                    self.lock().state = BreakerState::HalfOpen;
                    return;
                }
                None => opened.await,
            }
        }
    }

    /// How the probe went.
    pub fn probed(&self, succeeded: bool) {
        let mut inner = self.lock();
        if !succeeded {
            inner.open_for = (inner.open_for * 2).min(self.params.open_at_most);
            return self.open(&mut inner, Cause::Probe);
        }
        inner.state = BreakerState::Closed;
        inner.open_for = self.params.open_for;
        (inner.failures, inner.queue_full) = (0, 0);
        // What is lost in the accelerator for good must not open it again and again.
        inner.in_flight.clear();
    }

    fn count(&self, inner: &mut Inner, cause: Cause, times: u32) {
        if inner.state != BreakerState::Closed {
            return;
        }
        let now = Instant::now();
        if now.duration_since(inner.window_began) > self.params.window {
            inner.window_began = now;
            (inner.failures, inner.queue_full) = (0, 0);
        }
        let (counted, most) = match cause {
            Cause::QueueFull => (&mut inner.queue_full, self.params.queue_full),
            _ => (&mut inner.failures, self.params.failures),
        };
        *counted = counted.saturating_add(times);
        if *counted >= most {
            self.open(inner, cause);
        }
    }

    /// Opened, if an operation has been in flight for too long.
    fn looked_at(&self, now: Instant) -> MutexGuard<'_, Inner> {
        let mut inner = self.lock();
        if inner.state == BreakerState::Closed && self.has_stuck(&inner, now) {
            self.open(&mut inner, Cause::Stuck);
        }
        inner
    }

    fn has_stuck(&self, inner: &Inner, now: Instant) -> bool {
        let oldest = inner.in_flight.values().next();
        oldest.is_some_and(|began| now.duration_since(*began) > self.params.stuck_after)
    }

    fn open(&self, inner: &mut Inner, cause: Cause) {
        inner.state = BreakerState::Open;
        inner.opened[cause as usize] += 1;
        tracing::warn!(
            cause = cause.as_str(),
            "the accelerator's breaker opens: handshakes are done in software"
        );
        self.opened.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn breaker() -> Breaker {
        Breaker::new(BreakerParams {
            failures: 3,
            queue_full: 4,
            open_for: Duration::from_millis(20),
            open_at_most: Duration::from_millis(40),
            stuck_after: Duration::from_millis(30),
            ..BreakerParams::default()
        })
    }

    fn fail(breaker: &Breaker) {
        let ticket = breaker.admit().expect("closed");
        breaker.ended(ticket, true);
    }

    #[tokio::test]
    async fn failures_open_it_and_a_probe_closes_it() {
        let breaker = breaker();
        fail(&breaker);
        breaker.refuted();
        assert!(breaker.is_closed());
        fail(&breaker);
        assert!(breaker.admit().is_none());
        assert_eq!(breaker.stats().opened, [1, 0, 0, 0]);
        breaker.probe_due().await;
        assert_eq!(breaker.stats().state, BreakerState::HalfOpen);
        assert!(breaker.admit().is_none(), "a probe is not a client's");
        breaker.probed(false);
        assert_eq!(breaker.stats().state, BreakerState::Open);
        breaker.probe_due().await;
        breaker.probed(true);
        assert!(breaker.is_closed() && breaker.admit().is_some());
        assert_eq!(breaker.stats().opened, [1, 0, 0, 1]);
    }

    #[test]
    fn full_queues_open_it() {
        let breaker = breaker();
        for _ in 0..4 {
            assert!(breaker.is_closed());
            breaker.queue_full(1);
        }
        assert_eq!(breaker.stats().opened, [0, 1, 0, 0]);
    }

    #[tokio::test]
    async fn what_never_comes_back_opens_it_once() {
        let breaker = breaker();
        let lost = breaker.admit().expect("closed");
        tokio::time::sleep(Duration::from_millis(40)).await;
        assert!(!breaker.is_closed());
        breaker.probe_due().await;
        breaker.probed(true);
        assert!(breaker.is_closed());
        // Late after all.
        breaker.ended(lost, false);
        assert_eq!(breaker.stats().opened, [0, 0, 1, 0]);
        assert_eq!(breaker.stats().in_flight, 0);
    }
}
