//! A route's timeout and idle timeout on one timer.
//!
//! Activity only notes the time; the timer is set again when it fires too early, so
//! a busy exchange costs one timer however many pieces it moves.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep};

pub struct Timer {
    /// With the timeout it comes from.
    deadline: Option<(Instant, Duration)>,
    idle: Option<Duration>,
    active: Instant,
    sleep: Option<Pin<Box<Sleep>>>,
}

impl Timer {
    pub fn new(now: Instant, timeout: Option<Duration>, idle: Option<Duration>) -> Self {
        Timer {
            deadline: timeout.map(|timeout| (now + timeout, timeout)),
            idle,
            active: now,
            sleep: None,
        }
    }

    /// Something moved.
    pub fn touch(&mut self) {
        if self.idle.is_some() {
            self.active = Instant::now();
        }
    }

    /// Ready once a timeout passed, with its length.
    pub fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Duration> {
        loop {
            let idle = self.idle.map(|idle| (self.active + idle, idle));
            let (until, limit) = match (self.deadline, idle) {
                (Some(a), Some(b)) => a.min(b),
                (Some(a), None) | (None, Some(a)) => a,
                (None, None) => return Poll::Pending,
            };
            let sleep = self
                .sleep
                .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(until)));
            std::task::ready!(sleep.as_mut().poll(cx));
            if until <= Instant::now() {
                return Poll::Ready(limit);
            }
            sleep.as_mut().reset(until);
        }
    }
}
