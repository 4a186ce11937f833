//! How many handshakes the calling worker has in progress: what an accelerator's choice
//! depends on, and what its backend, which knows no worker, can ask.

use std::cell::Cell;
use std::marker::PhantomData;
use std::rc::Rc;

thread_local! {
    static IN_PROGRESS: Cell<usize> = const { Cell::new(0) };
}

/// One handshake, until dropped, on the thread that began it.
pub struct InProgress(PhantomData<Rc<()>>);

/// Counts one more.
pub fn begin() -> InProgress {
    IN_PROGRESS.set(IN_PROGRESS.get() + 1);
    InProgress(PhantomData)
}

/// Handshakes in progress on this thread.
pub fn in_progress() -> usize {
    IN_PROGRESS.get()
}

impl Drop for InProgress {
    fn drop(&mut self) {
        IN_PROGRESS.set(IN_PROGRESS.get() - 1);
    }
}
