//! How many requests may be sent again.
//!
//! Retries help while few requests fail; when many do, they are load on backends that
//! have too much of it already. So they are paid from a budget: a share of a retry is
//! earned by every request, some by every second, and up to a burst is saved.

use std::cell::Cell;
use std::time::Duration;

use tokio::time::Instant;

use super::params::RetryBudgetParams;

/// A retry, in the unit of account: what one retry per second earns in a millisecond.
const RETRY: u64 = 1000;

/// Of one cluster, on one worker.
pub struct RetryBudget {
    /// None: without limit.
    params: Option<RetryBudgetParams>,
    /// In thousandths of a retry.
    balance: Cell<u64>,
    /// Up to when the seconds have been paid for.
    paid: Cell<Instant>,
}

impl RetryBudget {
    /// With the whole burst in it.
    pub(super) fn new(params: Option<RetryBudgetParams>) -> Self {
        let burst = params.map_or(0, |params| params.burst);
        RetryBudget {
            params,
            balance: Cell::new(u64::from(burst) * RETRY),
            paid: Cell::new(Instant::now()),
        }
    }

    /// A request begins.
    pub fn deposit(&self) {
        if let Some(params) = &self.params {
            self.add(params, u64::from(params.percent) * RETRY / 100);
        }
    }

    /// Pays for a retry; false if the budget is spent.
    pub fn withdraw(&self) -> bool {
        self.withdraw_at(Instant::now())
    }

    fn withdraw_at(&self, now: Instant) -> bool {
        let Some(params) = &self.params else {
            return true;
        };
        // Whole milliseconds are paid for; the rest of one is not lost.
        let passed = now.saturating_duration_since(self.paid.get()).as_millis();
        let passed = u64::try_from(passed).unwrap_or(u64::MAX);
        self.paid
            .set(self.paid.get() + Duration::from_millis(passed));
        self.add(params, passed.saturating_mul(u64::from(params.per_second)));
        let left = self.balance.get().checked_sub(RETRY);
        self.balance.set(left.unwrap_or(self.balance.get()));
        left.is_some()
    }

    fn add(&self, params: &RetryBudgetParams, amount: u64) {
        let most = u64::from(params.burst) * RETRY;
        let balance = self.balance.get().saturating_add(amount);
        self.balance.set(balance.min(most));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spend(budget: &RetryBudget, now: Instant) -> usize {
        std::iter::from_fn(|| budget.withdraw_at(now).then_some(()))
            .take(10_000)
            .count()
    }

    fn budget(percent: u32, per_second: u32, burst: u32) -> RetryBudget {
        RetryBudget::new(Some(RetryBudgetParams {
            percent,
            per_second,
            burst,
        }))
    }

    #[test]
    fn it_begins_with_the_burst_and_requests_earn_their_share() {
        let (budget, now) = (budget(20, 0, 10), Instant::now());
        assert_eq!(spend(&budget, now), 10);
        for _ in 0..24 {
            budget.deposit();
        }
        assert_eq!(spend(&budget, now), 4);
        // The rest of the fifth is kept.
        budget.deposit();
        assert_eq!(spend(&budget, now), 1);
        for _ in 0..1000 {
            budget.deposit();
        }
        assert_eq!(spend(&budget, now), 10);
    }

    #[test]
    fn seconds_earn_too_in_steps_of_any_size() {
        let (budget, mut now) = (budget(0, 10, 100), Instant::now());
        now += Duration::from_secs(1);
        assert_eq!(spend(&budget, now), 100);
        let mut spent = 0;
        for _ in 0..1000 {
            now += Duration::from_micros(1500);
            spent += spend(&budget, now);
        }
        assert_eq!(spent, 15);
        now += Duration::from_secs(3600);
        assert_eq!(spend(&budget, now), 100);
    }

    #[test]
    fn without_a_budget_there_is_no_limit() {
        assert_eq!(spend(&RetryBudget::new(None), Instant::now()), 10_000);
    }
}
