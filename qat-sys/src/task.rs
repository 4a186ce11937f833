//! A piece of work in an async job of its own, without an SSL: self-tests, probes,
//! calibration.
//!
//! ```text
//! new → step → Done
//!         ⇅
//!   Paused, QueueFull, NoJob
//! ```
//!
//! The rules are those of [`Handshake`](crate::Handshake): a paused job is resumed only
//! when it is completed, on its own thread, and never freed while unfinished.

use std::marker::PhantomData;
use std::os::raw::{c_int, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::{self, NonNull};
use std::rc::Rc;
use std::sync::Arc;

use openssl::error::ErrorStack;

use crate::bindings::{self, ASYNC_JOB, ASYNC_WAIT_CTX};
use crate::{Signal, Step};

type Work = Box<dyn FnOnce()>;

/// Work that may pause. Dropped unfinished, it is leaked.
pub struct Task {
    job: *mut ASYNC_JOB,
    wait: NonNull<ASYNC_WAIT_CTX>,
    signal: Arc<Signal>,
    /// What the job's first entry takes; boxed, since OpenSSL copies its address.
    work: Box<Option<Work>>,
    paused: Paused,
    _stays_on_its_thread: PhantomData<Rc<()>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Paused {
    No,
    Waiting,
    Refused,
}

impl Task {
    /// Nothing is run before the first [`step`](Task::step). `ASYNC_start_job(3)`.
    ///
    /// # Errors
    /// Out of memory.
    pub fn new(work: impl FnOnce() + 'static) -> Result<Task, ErrorStack> {
        let signal = Arc::new(Signal::default());
        // SAFETY: a new wait context, freed by Drop once no job uses it. The signal
        // lives as long: both are owned, or leaked, together.
        let wait = unsafe {
            let wait = NonNull::new(bindings::ASYNC_WAIT_CTX_new()).ok_or_else(ErrorStack::get)?;
            let arg = Arc::as_ptr(&signal).cast_mut().cast::<c_void>();
            bindings::ASYNC_WAIT_CTX_set_callback(wait.as_ptr(), Some(completed), arg);
            wait
        };
        Ok(Task {
            job: ptr::null_mut(),
            wait,
            signal,
            work: Box::new(Some(Box::new(work))),
            paused: Paused::No,
            _stays_on_its_thread: PhantomData,
        })
    }

    /// Raised when the paused job can go on.
    pub fn signal(&self) -> &Arc<Signal> {
        &self.signal
    }

    /// Drives the work as far as it goes. After `Done` it does nothing more.
    pub fn step(&mut self) -> Step {
        let raised = self.signal.take();
        if self.paused == Paused::Waiting && !raised {
            return Step::Paused;
        }
        if self.paused == Paused::No && self.work.is_none() {
            return Step::Done;
        }
        let mut result = 0;
        let mut argument: *mut Option<Work> = &raw mut *self.work;
        // SAFETY: the job runs `enter` with a copy of `argument`, which points into a box
        // that lives as long as the job is unfinished; a paused job is completed, and on
        // its own thread.
        let status = unsafe {
            bindings::ASYNC_start_job(
                &mut self.job,
                self.wait.as_ptr(),
                &mut result,
                Some(enter),
                (&raw mut argument).cast(),
                size_of::<*mut Option<Work>>(),
            )
        };
        match status {
            bindings::ASYNC_PAUSE => {
                // SAFETY: reads a valid wait context.
                let status = unsafe { bindings::ASYNC_WAIT_CTX_get_status(self.wait.as_ptr()) };
                if status == bindings::ASYNC_STATUS_EAGAIN {
                    self.paused = Paused::Refused;
                    return Step::QueueFull;
                }
                self.paused = Paused::Waiting;
                Step::Paused
            }
            bindings::ASYNC_NO_JOBS => Step::NoJob,
            _ => {
                self.paused = Paused::No;
                // Nothing of a job that could not be started is left to be done.
                self.work.take();
                Step::Done
            }
        }
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        if self.paused != Paused::No {
            // Whoever holds the operation may still write to it.
            crate::handshake::count_leak();
            std::mem::forget(self.signal.clone());
            std::mem::forget(std::mem::take(&mut self.work));
            return;
        }
        // SAFETY: ours, and no job uses it any more.
        unsafe { bindings::ASYNC_WAIT_CTX_free(self.wait.as_ptr()) };
    }
}

unsafe extern "C" fn enter(argument: *mut c_void) -> c_int {
    // SAFETY: the copy of the pointer that `step` gave; the box it points to is not
    // touched by anybody else while the job runs.
    let work = unsafe { (**argument.cast::<*mut Option<Work>>()).take() };
    let Some(work) = work else { return 0 };
    c_int::from(catch_unwind(AssertUnwindSafe(work)).is_ok())
}

unsafe extern "C" fn completed(argument: *mut c_void) -> c_int {
    // SAFETY: the signal set beside this callback, which lives as long as the job.
    let signal = unsafe { &*argument.cast::<Signal>() };
    c_int::from(catch_unwind(AssertUnwindSafe(|| signal.raise())).is_ok())
}
