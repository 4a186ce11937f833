//! Async jobs from inside: where an accelerator pauses, and who completes it.
//!
//! A job's stack is 32 KiB without a guard page: what runs on it must be small.

use std::cell::Cell;
use std::fs::File;
use std::io::Write;
use std::marker::PhantomData;
use std::os::fd::{BorrowedFd, FromRawFd, OwnedFd};
use std::os::raw::{c_int, c_void};
use std::ptr::{self, NonNull};
use std::rc::Rc;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use openssl::error::ErrorStack;

use crate::bindings::{self, ASYNC_WAIT_CTX};

thread_local! {
    static INITIALISED: Cell<bool> = const { Cell::new(false) };
}

/// Whether this build of OpenSSL can switch stacks. `ASYNC_is_capable(3)`.
pub fn is_capable() -> bool {
    // SAFETY: reads a constant of the build.
    unsafe { bindings::ASYNC_is_capable() == 1 }
}

/// Bounds the jobs of the calling thread: at most `max` (0: no bound, and none made in
/// advance), `initial` of them made now. Only a thread's first call counts.
/// `ASYNC_init_thread(3)`.
pub fn init_thread(max: usize, initial: usize) -> Result<(), ErrorStack> {
    // A second pool would take the place of the first, whose jobs may be running.
    if INITIALISED.get() {
        return Ok(());
    }
    // SAFETY: OpenSSL checks the numbers; the pool belongs to this thread, which frees
    // it when it ends.
    if unsafe { bindings::ASYNC_init_thread(max, initial.min(max)) } != 1 {
        return Err(ErrorStack::get());
    }
    INITIALISED.set(true);
    Ok(())
}

/// Whether the caller runs in a job, so that it can pause. `ASYNC_get_current_job(3)`.
pub fn in_job() -> bool {
    wait_context().is_some()
}

fn wait_context() -> Option<NonNull<ASYNC_WAIT_CTX>> {
    // SAFETY: the current job's wait context is valid while the job runs, which is now.
    unsafe {
        let job = NonNull::new(bindings::ASYNC_get_current_job())?;
        NonNull::new(bindings::ASYNC_get_wait_ctx(job.as_ptr()))
    }
}

/// Pauses the current job until it is resumed, after `start` has been given what
/// completes it. None if there is no job to pause: then nothing was done. Some(false)
/// if the job was resumed without having been completed. `ASYNC_pause_job(3)`.
pub fn pause(start: impl FnOnce(Completer)) -> Option<bool> {
    let wait = wait_context()?;
    let completer = Completer(Arc::new(Mutex::new(Pause {
        wake: Some(Wake::of(wait)?),
        completed: false,
    })));
    set_status(wait, bindings::ASYNC_STATUS_OK);
    start(completer.clone());
    switch_out();
    // From here on the SSL may come to its end: no late completion may reach it.
    let mut pause = completer.lock();
    pause.wake = None;
    Some(pause.completed)
}

/// Pauses the current job as an accelerator does whose queue is full: nobody completes
/// it. False if there is no job to pause.
pub fn pause_refused() -> bool {
    let Some(wait) = wait_context() else {
        return false;
    };
    set_status(wait, bindings::ASYNC_STATUS_EAGAIN);
    switch_out();
    true
}

fn set_status(wait: NonNull<ASYNC_WAIT_CTX>, status: c_int) {
    // SAFETY: the current job's wait context; nobody else has been told of the job yet.
    unsafe { bindings::ASYNC_WAIT_CTX_set_status(wait.as_ptr(), status) };
}

/// Pauses the current job. It may be resumed by anyone at any time, for any reason.
pub(crate) fn switch_out() {
    // SAFETY: called in a job. Its frames stay where they are until it is resumed on
    // this thread; if it never is, they are leaked, not freed (see `Handshake`).
    unsafe { bindings::ASYNC_pause_job() };
}

/// Completes one pause, from any thread, any number of times; without effect once the
/// job has been resumed.
#[derive(Clone)]
pub struct Completer(Arc<Mutex<Pause>>);

struct Pause {
    /// None once the job has gone on.
    wake: Option<Wake>,
    completed: bool,
}

impl Completer {
    fn lock(&self) -> MutexGuard<'_, Pause> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// False if the job has gone on already.
    pub fn complete(&self) -> bool {
        // Held over the call: the job cannot go on, and its SSL not be freed, meanwhile.
        let mut pause = self.lock();
        pause.completed = true;
        match &pause.wake {
            None => return false,
            // SAFETY: the job is paused, for it has not gone on and the lock is held.
            Some(wake) => unsafe { wake.call() },
        }
        true
    }
}

/// The current job, about to pause: what wakes its driver, for a completer on the same
/// thread, who needs neither lock nor reference count.
pub(crate) struct Pausing {
    wake: Wake,
    _stays_on_its_thread: PhantomData<Rc<()>>,
}

impl Pausing {
    /// None if there is no job to pause.
    pub(crate) fn here() -> Option<Pausing> {
        let wait = wait_context()?;
        let wake = Wake::of(wait)?;
        set_status(wait, bindings::ASYNC_STATUS_OK);
        Some(Pausing {
            wake,
            _stays_on_its_thread: PhantomData,
        })
    }

    /// # Safety
    /// The job must be paused still, in the pause that this was made for.
    pub(crate) unsafe fn wake(&self) {
        // SAFETY: the caller's promise.
        unsafe { self.wake.call() };
    }
}

enum Wake {
    Callback {
        function: unsafe extern "C" fn(*mut c_void) -> c_int,
        arg: *mut c_void,
    },
    Fd(File),
}

// SAFETY: the callback may be called from any thread: that is what it is for.
unsafe impl Send for Wake {}

impl Wake {
    /// # Safety
    /// The job must be paused still: then the SSL behind its callback is alive.
    unsafe fn call(&self) {
        match self {
            Wake::Callback { function, arg } => {
                // SAFETY: OpenSSL's own callback and argument of this wait context; the
                // SSL behind it lives as long as the job is paused.
                unsafe { function(*arg) };
            }
            Wake::Fd(eventfd) => {
                // An eventfd takes eight bytes at a time; full means readable already.
                let _ = (&*eventfd).write(&1u64.to_ne_bytes());
            }
        }
    }

    /// As the driver wishes: the callback if it set one, else an eventfd.
    fn of(wait: NonNull<ASYNC_WAIT_CTX>) -> Option<Wake> {
        let (mut function, mut arg) = (None, ptr::null_mut());
        // SAFETY: a valid wait context, and two places to write to.
        unsafe { bindings::ASYNC_WAIT_CTX_get_callback(wait.as_ptr(), &mut function, &mut arg) };
        match function {
            Some(function) => Some(Wake::Callback { function, arg }),
            None => eventfd_of(wait).map(Wake::Fd),
        }
    }
}

/// Names this module's descriptor among those of a wait context.
static KEY: u8 = 0;

/// The wait context's eventfd, made at the first pause and kept to its end, as QAT
/// engines do; emptied, so that it becomes readable again.
fn eventfd_of(wait: NonNull<ASYNC_WAIT_CTX>) -> Option<File> {
    let key = (&raw const KEY).cast::<c_void>();
    let (mut fd, mut custom) = (-1, ptr::null_mut());
    // SAFETY: a valid wait context, and two places to write to.
    if unsafe { bindings::ASYNC_WAIT_CTX_get_fd(wait.as_ptr(), key, &mut fd, &mut custom) } != 1 {
        // SAFETY: a new descriptor, owned by the wait context from set_wait_fd on,
        // whose clean-up closes it.
        unsafe {
            fd = libc::eventfd(0, libc::EFD_NONBLOCK | libc::EFD_CLOEXEC);
            if fd < 0 {
                return None;
            }
            let set = bindings::ASYNC_WAIT_CTX_set_wait_fd(
                wait.as_ptr(),
                key,
                fd,
                ptr::null_mut(),
                Some(close),
            );
            if set != 1 {
                drop(OwnedFd::from_raw_fd(fd));
                return None;
            }
        }
    }
    // SAFETY: the wait context keeps its descriptor open while its job runs; the
    // completer gets its own.
    let copy = unsafe {
        let mut count = [0u8; 8];
        libc::read(fd, count.as_mut_ptr().cast(), count.len());
        BorrowedFd::borrow_raw(fd).try_clone_to_owned().ok()?
    };
    Some(File::from(copy))
}

unsafe extern "C" fn close(
    _wait: *mut ASYNC_WAIT_CTX,
    _key: *const c_void,
    fd: c_int,
    _custom: *mut c_void,
) {
    // SAFETY: the descriptor was given to this wait context, which is being freed.
    drop(unsafe { OwnedFd::from_raw_fd(fd) });
}
