//! Async jobs without an SSL: what is run in one may pause.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::ffi::{c_int, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::ptr;
use std::rc::Rc;

unsafe extern "C" {
    fn ASYNC_start_job(
        job: *mut *mut c_void,
        wait: *mut c_void,
        ret: *mut c_int,
        function: unsafe extern "C" fn(*mut c_void) -> c_int,
        args: *mut c_void,
        size: usize,
    ) -> c_int;
    fn ASYNC_WAIT_CTX_new() -> *mut c_void;
    fn ASYNC_WAIT_CTX_free(wait: *mut c_void);
    fn ASYNC_WAIT_CTX_set_callback(
        wait: *mut c_void,
        callback: unsafe extern "C" fn(*mut c_void) -> c_int,
        arg: *mut c_void,
    ) -> c_int;
    fn ASYNC_WAIT_CTX_get_all_fds(wait: *mut c_void, fds: *mut c_int, count: *mut usize) -> c_int;
}

const PAUSED: c_int = 2;
const FINISHED: c_int = 3;

type Body<T> = Box<dyn FnOnce() -> T>;
type Shared<T> = Rc<RefCell<State<T>>>;

struct State<T> {
    body: Option<Body<T>>,
    result: Option<Result<T, Box<dyn Any + Send>>>,
}

/// A job, and what it gives in the end. Dropped unfinished, it is leaked.
pub struct Job<T: 'static> {
    job: *mut c_void,
    wait: *mut c_void,
    /// None in fd mode.
    woken: Option<Rc<Cell<u32>>>,
    /// One reference of it belongs to the job.
    state: Shared<T>,
}

impl<T> Job<T> {
    /// Runs `body` to its first pause, or to its end.
    pub fn start(body: impl FnOnce() -> T + 'static) -> Job<T> {
        Job::with(Some(Rc::default()), body)
    }

    /// The same in fd mode.
    pub fn with_fd(body: impl FnOnce() -> T + 'static) -> Job<T> {
        Job::with(None, body)
    }

    fn with(woken: Option<Rc<Cell<u32>>>, body: impl FnOnce() -> T + 'static) -> Job<T> {
        let state = Rc::new(RefCell::new(State {
            body: Some(Box::new(body) as Body<T>),
            result: None,
        }));
        // SAFETY: a new wait context; the counter outlives it, being leaked with it.
        let wait = unsafe {
            let wait = ASYNC_WAIT_CTX_new();
            assert!(!wait.is_null());
            if let Some(woken) = &woken {
                let arg = Rc::as_ptr(woken).cast_mut().cast::<c_void>();
                assert_eq!(ASYNC_WAIT_CTX_set_callback(wait, wake, arg), 1);
            }
            wait
        };
        let mut job = Job {
            job: ptr::null_mut(),
            wait,
            woken,
            state,
        };
        job.resume();
        job
    }

    /// Whether it has come to its end.
    pub fn resume(&mut self) -> bool {
        if self.finished() {
            return true;
        }
        let mut args = Rc::as_ptr(&self.state);
        let mut ret = 0;
        // SAFETY: `args`, a pointer, is copied into the job. The state lives as long as
        // the job, for an unfinished one is leaked. Always on the same thread: `Rc`.
        let code = unsafe {
            let args = (&raw mut args).cast();
            ASYNC_start_job(
                &mut self.job,
                self.wait,
                &mut ret,
                run::<T>,
                args,
                size_of::<*const ()>(),
            )
        };
        assert!(
            code == PAUSED || code == FINISHED,
            "ASYNC_start_job: {code}"
        );
        assert_eq!(self.finished(), code == FINISHED);
        self.finished()
    }

    pub fn finished(&self) -> bool {
        self.state.borrow().result.is_some()
    }

    /// How often it has been woken, by its callback, or whether by its descriptor.
    pub fn woken(&self) -> u32 {
        match &self.woken {
            Some(woken) => woken.get(),
            None => u32::from(self.readable()),
        }
    }

    fn readable(&self) -> bool {
        let (mut fd, mut count) = (-1, 0);
        // SAFETY: one descriptor at most is there, and the context is valid.
        unsafe {
            ASYNC_WAIT_CTX_get_all_fds(self.wait, ptr::null_mut(), &mut count);
            assert_eq!(count, 1);
            ASYNC_WAIT_CTX_get_all_fds(self.wait, &mut fd, &mut count);
            let mut poll = libc::pollfd {
                fd,
                events: libc::POLLIN,
                revents: 0,
            };
            libc::poll(&mut poll, 1, 0) == 1
        }
    }

    /// Resumes it, having been woken once, and gives what came of it.
    pub fn finish(mut self) -> T {
        assert!(self.finished() || self.woken() == 1, "not woken");
        assert!(self.resume());
        let result = self.state.borrow_mut().result.take().unwrap();
        // SAFETY: the job has ended, so that nobody uses its context.
        unsafe { ASYNC_WAIT_CTX_free(self.wait) };
        result.unwrap_or_else(|panic| resume_unwind(panic))
    }
}

impl<T> Drop for Job<T> {
    fn drop(&mut self) {
        let unfinished = !self.job.is_null() && !self.finished();
        if unfinished {
            std::mem::forget((self.state.clone(), self.woken.clone()));
        }
    }
}

unsafe extern "C" fn wake(arg: *mut c_void) -> c_int {
    // SAFETY: the counter set beside this callback.
    let count = unsafe { &*arg.cast::<Cell<u32>>() };
    count.set(count.get() + 1);
    1
}

unsafe extern "C" fn run<T>(args: *mut c_void) -> c_int {
    // SAFETY: the copy of the pointer that `resume` gave.
    let state = unsafe { &**args.cast::<*const RefCell<State<T>>>() };
    let body = state.borrow_mut().body.take().unwrap();
    let result = catch_unwind(AssertUnwindSafe(body));
    state.borrow_mut().result = Some(result);
    1
}
