//! Connections of earlier versions of the configuration, which end in their own time.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use futures_util::future::join_all;

use super::CUT_GRACE;
use crate::drain::{Phase, Signal, Watch};

/// A drain for each version that may still have connections; the last is the current one's.
pub(super) struct Generations(RefCell<Vec<Rc<Signal>>>);

impl Generations {
    pub(super) fn new(first: Signal) -> Rc<Generations> {
        Rc::new(Generations(RefCell::new(vec![Rc::new(first)])))
    }

    /// The current version's.
    pub(super) fn watch(&self) -> Option<Watch> {
        self.0.borrow().last().map(|signal| signal.watch())
    }

    /// A new version, beside those before it.
    pub(super) fn begin(&self, signal: Signal) {
        self.0.borrow_mut().push(Rc::new(signal));
    }

    /// Retires all versions before the current one; what is still open after `timeout` is cut.
    pub(super) fn retire(self: &Rc<Self>, timeout: Duration) {
        let mut earlier = self.all();
        earlier.pop();
        for signal in earlier {
            if signal.phase() > Phase::Running {
                continue;
            }
            signal.retire();
            let generations = self.clone();
            tokio::task::spawn_local(async move {
                if !signal.finished(timeout).await {
                    tracing::warn!("reload.timeout has passed: what is still open is cut");
                    signal.cut();
                    signal.finished(CUT_GRACE).await;
                }
                generations
                    .0
                    .borrow_mut()
                    .retain(|one| !Rc::ptr_eq(one, &signal));
            });
        }
    }

    pub(super) fn drain(&self) {
        self.all().iter().for_each(|signal| signal.drain());
    }

    /// Whether the process ends.
    pub(super) fn are_draining(&self) -> bool {
        let all = self.0.borrow();
        all.iter().all(|signal| signal.phase() >= Phase::Draining)
    }

    pub(super) fn cut(&self) {
        self.all().iter().for_each(|signal| signal.cut());
    }

    /// Waits until nothing is open, at most `limit`; false past it.
    pub(super) async fn finished(&self, limit: Duration) -> bool {
        let all = self.all();
        let all = all.iter().map(|signal| signal.finished(limit));
        join_all(all).await.into_iter().all(|finished| finished)
    }

    fn all(&self) -> Vec<Rc<Signal>> {
        self.0.borrow().clone()
    }
}
