//! How a completed job reaches the task that drives its handshake.

use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use atomic_waker::AtomicWaker;

/// Raised by OpenSSL's async callback, from any thread, when a paused handshake may
/// be resumed; taken by the handshake when it is resumed.
///
/// A race that cannot be told from the right thing: the callback has no name for the
/// operation, so that an accelerator which completes one twice, the second time when the
/// next is in flight, resumes that too early. Completing twice before the resumption is
/// harmless.
#[derive(Default)]
pub struct Signal {
    raised: AtomicBool,
    waker: AtomicWaker,
}

impl Signal {
    /// Ready once raised, without taking it: only resuming the handshake does that.
    pub fn poll(&self, cx: &mut Context<'_>) -> Poll<()> {
        if self.is_raised() {
            return Poll::Ready(());
        }
        self.waker.register(cx.waker());
        // It may have been raised between the look and the registration.
        if self.is_raised() {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }

    pub fn is_raised(&self) -> bool {
        self.raised.load(Ordering::Acquire)
    }

    pub(crate) fn raise(&self) {
        self.raised.store(true, Ordering::Release);
        self.waker.wake();
    }

    pub(crate) fn take(&self) -> bool {
        self.raised.swap(false, Ordering::AcqRel)
    }
}
