//! Growing pauses after failures.

use std::time::Duration;

/// Doubles from `initial` to `maximum`; each pause is drawn from the upper half of
/// its span, so that workers and gateways do not come back at the same moment.
#[derive(Debug)]
pub(super) struct Backoff {
    initial: Duration,
    maximum: Duration,
    failures: u32,
}

impl Backoff {
    pub(super) fn new(initial: Duration, maximum: Duration) -> Self {
        // A pause of zero would be a busy loop.
        let initial = initial.max(Duration::from_millis(1));
        Backoff {
            initial,
            maximum: maximum.max(initial),
            failures: 0,
        }
    }

    pub(super) fn initial(&self) -> Duration {
        self.initial
    }

    pub(super) fn maximum(&self) -> Duration {
        self.maximum
    }

    /// The pause after one more failure.
    pub(super) fn next(&mut self) -> Duration {
        let factor = 1u32.checked_shl(self.failures).unwrap_or(u32::MAX);
        self.failures = self.failures.saturating_add(1);
        let span = self.initial.saturating_mul(factor).min(self.maximum);
        span.mul_f64(0.5 + fastrand::f64() / 2.0)
    }

    pub(super) fn reset(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_up_to_the_maximum_with_jitter() {
        let (initial, maximum) = (Duration::from_millis(100), Duration::from_secs(1));
        let mut backoff = Backoff::new(initial, maximum);
        for span in [100, 200, 400, 800, 1000, 1000] {
            let span = Duration::from_millis(span);
            let pause = backoff.next();
            assert!(pause >= span / 2 && pause <= span, "{pause:?} of {span:?}");
        }
        for _ in 0..100 {
            assert!(backoff.next() <= maximum);
        }
        backoff.reset();
        assert!(backoff.next() <= initial);
    }

    #[test]
    fn nonsense_is_still_a_pause() {
        assert!(Backoff::new(Duration::ZERO, Duration::ZERO).next() > Duration::ZERO);
    }
}
