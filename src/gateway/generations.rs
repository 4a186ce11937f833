//! Connections of earlier versions of the configuration, which end in their own time.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use futures_util::future::join_all;

use super::CUT_GRACE;
use crate::drain::{Phase, Signal, Watch};

/// A drain for each version that may still have connections.
pub(super) struct Generations {
    current: RefCell<Rc<Signal>>,
    earlier: RefCell<Vec<Rc<Signal>>>,
}

impl Generations {
    pub(super) fn new(first: Signal) -> Rc<Generations> {
        Rc::new(Generations {
            current: RefCell::new(Rc::new(first)),
            earlier: RefCell::default(),
        })
    }

    /// The current version's.
    pub(super) fn watch(&self) -> Watch {
        self.current.borrow().watch()
    }

    /// A new version, beside those before it.
    pub(super) fn begin(&self, signal: Signal) {
        let before = self.current.replace(Rc::new(signal));
        self.earlier.borrow_mut().push(before);
    }

    /// Retires all versions before the current one; what is still open after `timeout` is cut.
    pub(super) fn retire(self: &Rc<Self>, timeout: Duration) {
        let earlier = self.earlier.borrow();
        for signal in earlier.iter().filter(|one| one.phase() == Phase::Running) {
            signal.retire();
            let (generations, signal) = (self.clone(), signal.clone());
            tokio::task::spawn_local(async move {
                if !signal.finished(timeout).await {
                    tracing::warn!("reload.timeout has passed: what is still open is cut");
                    signal.cut();
                    signal.finished(CUT_GRACE).await;
                }
                let mut earlier = generations.earlier.borrow_mut();
                earlier.retain(|one| !Rc::ptr_eq(one, &signal));
            });
        }
    }

    pub(super) fn drain(&self) {
        self.all().iter().for_each(|signal| signal.drain());
    }

    /// Whether the process ends.
    pub(super) fn is_draining(&self) -> bool {
        self.current.borrow().phase() >= Phase::Draining
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
        let mut all = self.earlier.borrow().clone();
        all.push(self.current.borrow().clone());
        all
    }
}
