//! How a handshake that cannot go on waits without touching its SSL.

use std::io;
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use qat_sys::{Handshake, Step};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::time::{Instant, Sleep, sleep_until};

/// The longest wait before a refused operation is tried again.
const LONGEST_RETRY: Duration = Duration::from_millis(32);

/// Waits for a job's completion, or for the time to try again.
#[derive(Default)]
pub(super) struct Park {
    /// In fd mode: what the job waits for.
    fds: Vec<AsyncFd<OwnedFd>>,
    retries: u32,
    pause: Option<Pause>,
}

/// Before another try.
enum Pause {
    /// The rest of the runtime's turn, in which others may make room.
    Turn,
    Timer(Pin<Box<Sleep>>),
}

/// What a parked handshake waits for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Wait {
    /// The completion of its job.
    Completion,
    /// The time to try again: the accelerator did not take the operation.
    Retry,
}

impl Park {
    /// What to wait for after `step`; None if it does not park the handshake.
    pub(super) fn wait<S>(&mut self, step: &Step, handshake: &Handshake<S>) -> Option<Wait> {
        match step {
            Step::Paused if self.watch(handshake).is_ok() => {
                self.retries = 0;
                Some(Wait::Completion)
            }
            // Unable to watch its descriptors, ask again: fd mode bears that.
            Step::Paused | Step::QueueFull | Step::NoJob => {
                self.refused();
                Some(Wait::Retry)
            }
            _ => {
                self.retries = 0;
                None
            }
        }
    }

    /// Ready when the handshake can be stepped.
    pub(super) fn poll<S>(
        &mut self,
        wait: Wait,
        handshake: &Handshake<S>,
        cx: &mut Context<'_>,
    ) -> Poll<()> {
        match wait {
            Wait::Completion => self.poll_completion(handshake, cx),
            Wait::Retry => self.poll_retry(cx),
        }
    }

    fn poll_retry(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match &mut self.pause {
            Some(Pause::Turn) => {
                self.pause = None;
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            Some(Pause::Timer(timer)) => ready!(timer.as_mut().poll(cx)),
            None => {}
        }
        self.pause = None;
        Poll::Ready(())
    }

    fn watch<S>(&mut self, handshake: &Handshake<S>) -> io::Result<()> {
        if handshake.signal().is_some() {
            return Ok(());
        }
        if self.fds.is_empty() || handshake.wait_fds_changed() {
            self.fds.clear();
            for fd in handshake.wait_fds()? {
                // Deprecated for descriptors that may be closed under it; this one is
                // its own.
                #[allow(deprecated)]
                self.fds
                    .push(AsyncFd::with_interest(fd, Interest::READABLE)?);
            }
        }
        // Nothing to wait for: nothing will complete it.
        if self.fds.is_empty() {
            Err(io::ErrorKind::NotFound.into())
        } else {
            Ok(())
        }
    }

    fn poll_completion<S>(&mut self, handshake: &Handshake<S>, cx: &mut Context<'_>) -> Poll<()> {
        if let Some(signal) = handshake.signal() {
            return signal.poll(cx);
        }
        for fd in &self.fds {
            // An error says that the runtime goes down, which drops this task.
            if let Poll::Ready(Ok(mut guard)) = fd.poll_read_ready(cx) {
                // Before the job runs: what it is told afterwards must wake us again.
                guard.clear_ready();
                return Poll::Ready(());
            }
        }
        Poll::Pending
    }

    /// Starts the wait before another try: a turn of the runtime at first, then 1 ms,
    /// doubled each time.
    fn refused(&mut self) {
        self.pause = Some(match self.retries {
            0 => Pause::Turn,
            n => {
                let wait = Duration::from_millis(1 << (n - 1).min(10)).min(LONGEST_RETRY);
                Pause::Timer(Box::pin(sleep_until(Instant::now() + wait)))
            }
        });
        self.retries += 1;
    }
}
