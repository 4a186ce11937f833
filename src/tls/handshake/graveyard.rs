//! Handshakes that were given up while an operation of theirs was in flight.
//!
//! ```text
//! bury → draining: wait for the completion → step → ended? → freed
//!            ↑                                 │ no
//!            └─────────────────────────────────┘
//! ```
//!
//! The accelerator writes its result to memory that hangs on the SSL, so that this must
//! stay until every operation has come back. The client's socket is reset at once; what
//! the handshake still reads and writes goes nowhere.
//!
//! Invariants: an SSL in here is stepped only when its job is completed (or was never
//! taken by the accelerator); it is freed only without a job. If the graveyard itself
//! is dropped first, what is left in it is leaked, never freed.
//!
//! It must not know why a handshake was given up.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt};
use qat_sys::Handshake;
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout};

use super::park::{Park, Wait};

/// A worker's abandoned handshakes. One per worker, whatever its listeners;
/// [`run`](Graveyard::run) must be spawned on the worker's runtime.
#[derive(Default)]
pub struct Graveyard {
    graves: RefCell<FuturesUnordered<Grave>>,
    register: Arc<Register>,
    runner: RefCell<Option<Waker>>,
    emptied: Notify,
}

/// Who lies in a graveyard, readable from any thread.
#[derive(Debug, Default)]
pub struct Register(Mutex<Entries>);

#[derive(Debug, Default)]
struct Entries {
    /// Handshakes ever buried.
    buried: u64,
    /// Since when, in the order in which they came.
    present: BTreeMap<u64, Instant>,
}

impl Register {
    /// Handshakes whose job has not ended yet.
    pub fn size(&self) -> usize {
        self.lock().present.len()
    }

    /// Handshakes ever buried.
    pub fn buried(&self) -> u64 {
        self.lock().buried
    }

    /// How long the oldest one has been here. One that stays is stuck in the accelerator.
    pub fn oldest(&self) -> Option<Duration> {
        let entries = self.lock();
        entries.present.values().next().map(Instant::elapsed)
    }

    fn enter(&self) -> u64 {
        let mut entries = self.lock();
        entries.buried += 1;
        let number = entries.buried;
        entries.present.insert(number, Instant::now());
        number
    }

    fn leave(&self, number: u64) {
        self.lock().present.remove(&number);
    }

    fn lock(&self) -> MutexGuard<'_, Entries> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Graveyard {
    pub fn new() -> Rc<Graveyard> {
        Rc::default()
    }

    /// Who lies here.
    pub fn register(&self) -> &Arc<Register> {
        &self.register
    }

    /// Handshakes whose job has not ended yet.
    pub fn size(&self) -> usize {
        self.register.size()
    }

    /// Ends what is buried, for as long as the worker lives.
    pub async fn run(self: Rc<Self>) {
        poll_fn(|cx| {
            self.runner.replace(Some(cx.waker().clone()));
            let mut graves = self.graves.borrow_mut();
            while let Poll::Ready(Some(number)) = graves.poll_next_unpin(cx) {
                self.register.leave(number);
            }
            if graves.is_empty() {
                self.emptied.notify_waiters();
            }
            Poll::Pending
        })
        .await
    }

    /// Waits until it is empty, at most `limit`; gives the number of those left.
    pub async fn drain(&self, limit: Duration) -> usize {
        let emptied = async {
            loop {
                let notified = self.emptied.notified();
                if self.size() == 0 {
                    return;
                }
                notified.await;
            }
        };
        // Elapsed or not, what counts is what is left.
        let _ = timeout(limit, emptied).await;
        self.size()
    }

    pub(super) fn bury(&self, handshake: Handshake<TcpStream>, park: Park, wait: Wait) {
        let (handshake, socket) = handshake.detach();
        // Reset rather than closed: nothing in flight is of use to the client. It may be
        // gone already, which is as good.
        let _ = socket.set_zero_linger();
        drop(socket);
        let number = self.register.enter();
        self.graves.borrow().push(Grave {
            park,
            handshake,
            wait,
            number,
        });
        if let Some(runner) = &*self.runner.borrow() {
            runner.wake_by_ref();
        }
    }
}

struct Grave {
    park: Park,
    handshake: Handshake<()>,
    wait: Wait,
    number: u64,
}

impl Future for Grave {
    /// Its number.
    type Output = u64;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<u64> {
        let Grave {
            park,
            handshake,
            wait,
            number,
        } = &mut *self;
        loop {
            ready!(park.poll(*wait, handshake, cx));
            let step = handshake.step();
            match park.wait(&step, handshake) {
                Some(next) if handshake.has_job() => *wait = next,
                // Whatever it came to, its job has ended.
                _ => return Poll::Ready(*number),
            }
        }
    }
}
