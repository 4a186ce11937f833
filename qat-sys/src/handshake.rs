//! An SSL during its handshake, with or without async jobs. It reads from its socket;
//! what it writes is gathered, to be sent after each step.
//!
//! ```text
//! new → step → Done → finish → Connection
//!         ⇅
//!   WantRead, Paused, QueueFull, NoJob;  Failed → drop
//! ```
//!
//! Invariants:
//! - While a job is paused in callback mode, [`Handshake::step`] does not call into the
//!   SSL before the job's completion has been signalled: resuming it too early makes
//!   engines write to memory that is no longer theirs.
//! - An SSL with an unfinished job is never freed: the job's owner would write to freed
//!   memory. Dropping such a handshake leaks it and counts it ([`leaked`]); who abandons
//!   one [detaches](Handshake::detach) it and steps it until its job has ended.

use std::io;
use std::marker::PhantomData;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::raw::{c_int, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::{mem, ptr};

use foreign_types::ForeignTypeRef;
use openssl::error::ErrorStack;
use openssl::ssl::{Ssl, SslContextRef, SslRef};

use crate::error::{self, Failure};
use crate::socket::{self, Socket};
use crate::{Connection, Signal, bindings};

static LEAKED: AtomicUsize = AtomicUsize::new(0);

/// Handshakes and tasks of this process that were dropped with an unfinished job.
pub fn leaked() -> usize {
    LEAKED.load(Ordering::Relaxed)
}

pub(crate) fn count_leak() {
    LEAKED.fetch_add(1, Ordering::Relaxed);
}

/// How a paused job makes known that it can go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Completion {
    /// `SSL_set_async_callback(3)`: the handshake's [`Signal`] is raised.
    Callback,
    /// `SSL_get_all_async_fds(3)`: a descriptor becomes readable.
    Fd,
}

/// What a step came to.
#[derive(Debug)]
pub enum Step {
    Done,
    /// Step again when the socket is readable.
    WantRead,
    /// A job is paused; step again when it is completed.
    Paused,
    /// A job is paused because the accelerator took no request; nothing will signal
    /// its completion, so step again after a while.
    QueueFull,
    /// No job was free; step again after a while.
    NoJob,
    Failed(Failure),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Job {
    None,
    Paused,
    /// Paused without a request in flight: it may be resumed at any time.
    Refused,
}

/// The server side of a handshake over the socket `S`.
pub struct Handshake<S> {
    // Before the socket, whose descriptor its BIO names.
    core: Core,
    socket: S,
}

struct Core {
    /// Some until it is handed on.
    ssl: Option<Ssl>,
    /// Some in callback mode. OpenSSL holds a pointer into it as long as the SSL lives.
    signal: Option<Arc<Signal>>,
    job: Job,
    done: bool,
    _stays_on_its_thread: PhantomData<Rc<()>>,
}

impl<S: AsFd> Handshake<S> {
    /// With `completion`, what can be offloaded runs in async jobs
    /// (`SSL_MODE_ASYNC`, see `SSL_CTX_set_mode(3)`) until the handshake is done.
    pub fn accept(
        context: &SslContextRef,
        socket: S,
        completion: Option<Completion>,
    ) -> Result<Handshake<S>, ErrorStack> {
        let ssl = Ssl::new(context)?;
        let signal = match completion {
            Some(Completion::Callback) => Some(Arc::new(Signal::default())),
            _ => None,
        };
        // SAFETY: `ssl` is valid. SSL_set_bio takes over the one reference of the BIO;
        // the BIO leaves the descriptor to `socket`, which lives until after `ssl` or its
        // BIO. The signal outlives the SSL: both are owned, leaked or handed on
        // together. The callback has the type that OpenSSL calls.
        unsafe {
            let bio = socket::new(socket.as_fd().as_raw_fd());
            if bio.is_null() {
                return Err(ErrorStack::get());
            }
            openssl_sys::SSL_set_bio(ssl.as_ptr(), bio, bio);
            if let Some(signal) = &signal {
                let arg = Arc::as_ptr(signal).cast_mut().cast::<c_void>();
                bindings::SSL_set_async_callback(ssl.as_ptr(), Some(completed));
                bindings::SSL_set_async_callback_arg(ssl.as_ptr(), arg);
            }
            if completion.is_some() {
                set_async(&ssl, true);
            }
            openssl_sys::SSL_set_accept_state(ssl.as_ptr());
        }
        let core = Core {
            ssl: Some(ssl),
            signal,
            job: Job::None,
            done: false,
            _stays_on_its_thread: PhantomData,
        };
        Ok(Handshake { core, socket })
    }
}

impl<S> Handshake<S> {
    pub fn socket(&self) -> &S {
        &self.socket
    }

    /// What is raised when the paused job can go on; in callback mode only.
    pub fn signal(&self) -> Option<&Arc<Signal>> {
        self.core.signal.as_ref()
    }

    /// Drives the handshake as far as it goes. `SSL_do_handshake(3)`.
    pub fn step(&mut self) -> Step {
        self.core.step()
    }

    /// Both sides at once, to take a step within a readiness check of the socket.
    pub fn parts(&mut self) -> (Stepper<'_>, &S) {
        (Stepper(&mut self.core), &self.socket)
    }

    /// Whether a job is unfinished: then it must be stepped to its end, not dropped.
    pub fn has_job(&self) -> bool {
        self.core.job != Job::None
    }

    /// The SSL, unless a job is paused in it.
    pub fn ssl(&self) -> Option<&SslRef> {
        (!self.has_job()).then(|| self.core.ssl())
    }

    /// In fd mode: duplicates of the descriptors that the paused job waits for, which
    /// the accelerator may close or use again as it likes.
    pub fn wait_fds(&self) -> io::Result<Vec<OwnedFd>> {
        self.core.wait_fds()
    }

    /// In fd mode: whether [`wait_fds`](Self::wait_fds) gives other descriptors than
    /// before the last step.
    pub fn wait_fds_changed(&self) -> bool {
        let (mut added, mut deleted) = (0, 0);
        let ssl = self.core.ssl().as_ptr();
        let null = ptr::null_mut();
        // SAFETY: with null arrays only the counts are written. Reading the wait
        // context does not enter the job.
        let ret = unsafe {
            bindings::SSL_get_changed_async_fds(ssl, null, &mut added, null, &mut deleted)
        };
        ret == 1 && added + deleted != 0
    }

    /// The established connection, synchronous from here on; the handshake itself if
    /// it is not done.
    pub fn finish(mut self) -> Result<Connection<S>, Handshake<S>> {
        if !self.core.done {
            return Err(self);
        }
        let signal = self.core.signal.take();
        let Some(ssl) = self.core.ssl.take() else {
            return Err(self);
        };
        // SSL_read in async mode keeps a pointer to the caller's buffer while paused.
        set_async(&ssl, false);
        let Handshake { core: _, socket } = self;
        Ok(Connection::new(ssl, signal, socket))
    }

    /// Parts the handshake from its socket: what it still writes goes nowhere and what
    /// it reads is the end of the stream, so that stepping it ends it.
    pub fn detach(self) -> (Handshake<()>, S) {
        let Handshake { core, socket } = self;
        // SAFETY: a job pauses in a cryptographic operation, never inside its BIO, so
        // the BIO can be replaced under it. SSL_set_bio frees the old one and takes
        // over the one reference of the new. Failing to allocate leaves null BIOs,
        // which fail every read and write.
        unsafe {
            let dead = openssl_sys::BIO_new(bindings::BIO_s_null());
            openssl_sys::SSL_set_bio(core.ssl().as_ptr(), dead, dead);
        }
        (Handshake { core, socket: () }, socket)
    }
}

/// The TLS side of a [`Handshake`].
pub struct Stepper<'a>(&'a mut Core);

impl Stepper<'_> {
    /// As [`Handshake::step`].
    pub fn step(&mut self) -> Step {
        self.0.step()
    }

    /// The socket is readable: the next step may ask it.
    pub fn socket_readable(&mut self) {
        if let Some(socket) = self.0.socket() {
            socket.drained = false;
        }
    }

    /// Whether the socket has been emptied since it was last readable.
    pub fn socket_drained(&mut self) -> bool {
        self.0.socket().is_some_and(|socket| socket.drained)
    }

    /// What the steps have written and is to be sent, by whoever owns the socket; None
    /// if the handshake is detached from it.
    pub fn output(&mut self) -> Option<&mut Vec<u8>> {
        self.0.socket().map(|socket| &mut socket.output)
    }
}

impl Core {
    fn ssl(&self) -> &SslRef {
        self.ssl
            .as_ref()
            .expect("only finish() takes it, and consumes the handshake")
    }

    /// The BIO's side. No job is entered, and none is in the BIO while it is paused.
    fn socket(&mut self) -> Option<&mut Socket> {
        self.ssl.as_mut().and_then(|ssl| Socket::of(ssl))
    }

    fn step(&mut self) -> Step {
        if let Some(signal) = &self.signal {
            let completed = signal.take();
            if self.job == Job::Paused && !completed {
                return Step::Paused;
            }
        }
        error::clear_stale();
        let ssl = self.ssl();
        // SAFETY: the SSL is valid, on its own thread, and no job of it waits for a
        // completion.
        let ret = unsafe { openssl_sys::SSL_do_handshake(ssl.as_ptr()) };
        if ret == 1 {
            (self.job, self.done) = (Job::None, true);
            return Step::Done;
        }
        let (code, system) = error::code(ssl, ret);
        let step = match code {
            openssl_sys::SSL_ERROR_WANT_READ => Step::WantRead,
            bindings::SSL_ERROR_WANT_ASYNC if self.refused() => Step::QueueFull,
            bindings::SSL_ERROR_WANT_ASYNC => Step::Paused,
            bindings::SSL_ERROR_WANT_ASYNC_JOB => Step::NoJob,
            _ => Step::Failed(error::failure(code, system)),
        };
        self.job = match step {
            Step::Paused => Job::Paused,
            Step::QueueFull => Job::Refused,
            _ => Job::None,
        };
        step
    }

    /// Whether the job paused because the accelerator's queue is full: then it set this
    /// status and nobody will call back.
    fn refused(&self) -> bool {
        let mut status = 0;
        // SAFETY: reads the wait context, which exists once a job has been started.
        let ret = unsafe { bindings::SSL_get_async_status(self.ssl().as_ptr(), &mut status) };
        ret == 1 && status == bindings::ASYNC_STATUS_EAGAIN
    }

    fn wait_fds(&self) -> io::Result<Vec<OwnedFd>> {
        let ssl = self.ssl().as_ptr();
        let mut count = 0;
        // SAFETY: with a null array only the count is written.
        if unsafe { bindings::SSL_get_all_async_fds(ssl, ptr::null_mut(), &mut count) } != 1 {
            return Ok(Vec::new());
        }
        let mut fds = vec![-1; count];
        // SAFETY: the array has the length that the first call gave, and nothing has
        // run in between.
        unsafe { bindings::SSL_get_all_async_fds(ssl, fds.as_mut_ptr(), &mut count) };
        let duplicate = |fd: RawFd| {
            if fd < 0 {
                return Err(io::ErrorKind::NotFound.into());
            }
            // SAFETY: the accelerator keeps its descriptors open while its job is paused.
            unsafe { BorrowedFd::borrow_raw(fd) }.try_clone_to_owned()
        };
        fds.into_iter().map(duplicate).collect()
    }
}

impl Drop for Core {
    fn drop(&mut self) {
        if self.job == Job::None {
            return;
        }
        count_leak();
        mem::forget(self.ssl.take());
        mem::forget(self.signal.take());
    }
}

fn set_async(ssl: &SslRef, on: bool) {
    let command = if on {
        openssl_sys::SSL_CTRL_MODE
    } else {
        bindings::SSL_CTRL_CLEAR_MODE
    };
    let mode = bindings::SSL_MODE_ASYNC.into();
    // SAFETY: a plain setter of a valid SSL in which no job is paused.
    unsafe { openssl_sys::SSL_ctrl(ssl.as_ptr(), command, mode, ptr::null_mut()) };
}

/// Called by the accelerator, from any thread, once the paused job can go on.
unsafe extern "C" fn completed(_ssl: *mut openssl_sys::SSL, arg: *mut c_void) -> c_int {
    // SAFETY: `arg` is the signal set beside this callback; it lives as long as the SSL,
    // which lives as long as a job of it is unfinished.
    let signal = unsafe { &*arg.cast::<Signal>() };
    match catch_unwind(AssertUnwindSafe(|| signal.raise())) {
        Ok(()) => 1,
        Err(_) => 0,
    }
}
