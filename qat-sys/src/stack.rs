//! A stack for what does not fit on an async job's, which has 32 KiB without a guard page.

use std::cell::Cell;
use std::panic::{self, AssertUnwindSafe};

use crate::job;

/// Bytes of it: six times what has been seen to be taken, by ML-KEM-768.
const SIZE: usize = 128 * 1024;

/// What every ABI aligns stacks to, at least.
#[derive(Clone)]
#[repr(align(64))]
struct Line {
    _room: [u8; 64],
}

thread_local! {
    /// Made at the first need; gone while it is in use.
    static SPARE: Cell<Option<Box<[Line]>>> = const { Cell::new(None) };
}

/// Runs `work`, in a job on the thread's large stack. It must not pause the job: the next one
/// would run on the same stack.
pub(crate) fn roomy<T>(work: impl FnOnce() -> T) -> T {
    if !job::in_job() {
        return work();
    }
    let mut stack = SPARE
        .take()
        .unwrap_or_else(|| vec![Line { _room: [0; 64] }; SIZE / 64].into_boxed_slice());
    // SAFETY: memory of that size and alignment that nobody else has until the call returns,
    // since the work does not pause; it returns normally, whatever the work does.
    let ended = unsafe {
        psm::on_stack(stack.as_mut_ptr().cast(), SIZE, || {
            panic::catch_unwind(AssertUnwindSafe(work))
        })
    };
    SPARE.set(Some(stack));
    ended.unwrap_or_else(|payload| panic::resume_unwind(payload))
}
