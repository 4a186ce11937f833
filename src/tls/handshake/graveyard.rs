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

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
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
    buried: Cell<u64>,
    runner: RefCell<Option<Waker>>,
    emptied: Notify,
}

impl Graveyard {
    pub fn new() -> Rc<Graveyard> {
        Rc::default()
    }

    /// Handshakes whose job has not ended yet.
    pub fn size(&self) -> usize {
        self.graves.borrow().len()
    }

    /// Handshakes ever buried.
    pub fn buried(&self) -> u64 {
        self.buried.get()
    }

    /// How long the oldest one has been here. One that stays is stuck in the accelerator.
    pub fn oldest(&self) -> Option<Duration> {
        let graves = self.graves.borrow();
        graves.iter().map(|grave| grave.since.elapsed()).max()
    }

    /// Ends what is buried, for as long as the worker lives.
    pub async fn run(self: Rc<Self>) {
        poll_fn(|cx| {
            self.runner.replace(Some(cx.waker().clone()));
            let mut graves = self.graves.borrow_mut();
            while let Poll::Ready(Some(())) = graves.poll_next_unpin(cx) {}
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
        let since = Instant::now();
        self.graves.borrow().push(Grave {
            park,
            handshake,
            wait,
            since,
        });
        self.buried.set(self.buried.get() + 1);
        if let Some(runner) = &*self.runner.borrow() {
            runner.wake_by_ref();
        }
    }
}

struct Grave {
    park: Park,
    handshake: Handshake<()>,
    wait: Wait,
    since: Instant,
}

impl Future for Grave {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let Grave {
            park,
            handshake,
            wait,
            ..
        } = &mut *self;
        loop {
            ready!(park.poll(*wait, handshake, cx));
            let step = handshake.step();
            match park.wait(&step, handshake) {
                Some(next) if handshake.has_job() => *wait = next,
                // Whatever it came to, its job has ended.
                _ => return Poll::Ready(()),
            }
        }
    }
}
