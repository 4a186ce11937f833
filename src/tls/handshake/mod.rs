//! The handshake: from an accepted socket to an established connection.
//!
//! ```text
//!  Io{want} ⇄ Paused{since} ⇄ QueueFull / NoJob
//!     │           │
//!     ▼           ▼ dropped, or out of time, with a job unfinished
//! Established   Graveyard (draining), which frees it when the job has ended
//! ```
//!
//! Invariants:
//! - While Paused nothing calls into the SSL: neither the socket's readiness, nor a
//!   timer, nor a spurious wake-up; only the job's completion does. QueueFull is a
//!   paused job too, but one that nobody will complete: it is tried again in a while.
//! - Everything happens on one thread, that of the job.
//! - A handshake with an unfinished job is never dropped but buried.
//!
//! It must not know what an accelerator is: a job pauses, and something completes it.

mod error;
mod graveyard;
mod park;

use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use openssl::ssl::SslContextRef;
use qat_sys::handshake::Stepper;
use qat_sys::{Completion, Connection, Handshake, Step};
use tokio::io::Interest;
use tokio::net::TcpStream;
use tokio::time::Instant;

pub use error::HandshakeError;
pub use graveyard::{Graveyard, Register};

use super::wire;
use park::{Park, Wait};

/// What the handshakes of an acceptor have met with, since it was made. Written by its
/// worker alone, and readable from any thread.
#[derive(Debug, Default)]
pub struct Counters {
    pauses: AtomicU64,
    paused_nanoseconds: AtomicU64,
    queue_full: AtomicU64,
    no_job: AtomicU64,
}

impl Counters {
    /// Times a handshake was paused for an accelerator.
    pub fn pauses(&self) -> u64 {
        self.pauses.load(Relaxed)
    }

    /// Time that handshakes spent paused, in total.
    pub fn paused(&self) -> Duration {
        Duration::from_nanos(self.paused_nanoseconds.load(Relaxed))
    }

    /// Times an accelerator's queue was full.
    pub fn queue_full(&self) -> u64 {
        self.queue_full.load(Relaxed)
    }

    /// Times no async job was free.
    pub fn no_job(&self) -> u64 {
        self.no_job.load(Relaxed)
    }
}

/// Without the bus lock of an atomic addition: there is one writer.
fn add(counter: &AtomicU64, more: u64) {
    counter.store(counter.load(Relaxed).wrapping_add(more), Relaxed);
}

enum Phase {
    /// The client's turn.
    Io,
    Paused {
        since: Instant,
    },
    QueueFull,
    NoJob,
}

fn take_step(stepper: &mut Stepper<'_>) -> Step {
    if let Some(output) = stepper.output() {
        wire::prepare(output);
    }
    stepper.step()
}

/// One handshake under way.
pub(super) struct Driver {
    park: Park,
    /// Some until it is established or given up.
    handshake: Option<Handshake<TcpStream>>,
    phase: Phase,
    /// A step has been taken.
    started: bool,
    /// Times a job has paused.
    pauses: u32,
    /// Times the accelerator's queue was full, since somebody asked.
    refusals: u32,
    graveyard: Rc<Graveyard>,
    counters: Arc<Counters>,
}

impl Driver {
    pub(super) fn new(
        context: &SslContextRef,
        tcp: TcpStream,
        completion: Option<Completion>,
        graveyard: &Rc<Graveyard>,
        counters: &Arc<Counters>,
    ) -> Result<Driver, HandshakeError> {
        let handshake = Handshake::accept(context, tcp, completion)
            .map_err(|stack| HandshakeError::setup(&stack))?;
        Ok(Driver {
            park: Park::default(),
            handshake: Some(handshake),
            phase: Phase::Io,
            started: false,
            pauses: 0,
            refusals: 0,
            graveyard: graveyard.clone(),
            counters: counters.clone(),
        })
    }

    /// Drives it on, to the established connection and the number of pauses it took. Its
    /// last flight has not been sent.
    pub(super) fn poll(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(Connection<TcpStream>, u32), HandshakeError>> {
        loop {
            let step = ready!(self.poll_step(cx))?;
            match step {
                Step::Done => return Poll::Ready(self.finish()),
                Step::WantRead => self.phase = Phase::Io,
                Step::Failed(failure) => {
                    // The alert. What is wrong is known, whether it arrives or not.
                    let _ = self.send();
                    return Poll::Ready(Err(failure.into()));
                }
                Step::Paused | Step::QueueFull | Step::NoJob => {
                    // An error is found again when the job is done.
                    let _ = self.send();
                    self.parked(&step);
                }
            }
        }
    }

    /// Times the accelerator's queue was full since the last call.
    pub(super) fn take_refusals(&mut self) -> u32 {
        std::mem::take(&mut self.refusals)
    }

    fn handshake(&mut self) -> &mut Handshake<TcpStream> {
        self.handshake
            .as_mut()
            .expect("nothing polls a driver that has ended")
    }

    /// Waits for what the handshake lacks, then takes a step.
    fn poll_step(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Step>> {
        let wait = match self.phase {
            Phase::Io => return self.poll_io(cx),
            Phase::Paused { .. } => Wait::Completion,
            Phase::QueueFull | Phase::NoJob => Wait::Retry,
        };
        let handshake = self.handshake.as_mut().expect("as in handshake()");
        ready!(self.park.poll(wait, handshake, cx));
        if let Phase::Paused { since } = self.phase {
            let paused = u64::try_from(since.elapsed().as_nanos()).unwrap_or(u64::MAX);
            add(&self.counters.paused_nanoseconds, paused);
        }
        Poll::Ready(Ok(self.step()))
    }

    fn poll_io(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Step>> {
        if !self.started {
            // The client's first message is usually there before its readiness is known.
            self.started = true;
            return Poll::Ready(Ok(self.step()));
        }
        // What it waits for must have left before it can answer.
        ready!(self.poll_send(cx))?;
        loop {
            ready!(self.handshake().socket().poll_read_ready(cx))?;
            if let Some(step) = self.try_step() {
                return Poll::Ready(Ok(step));
            }
        }
    }

    /// A step within a readiness check, so that a socket found empty is waited for; None
    /// if it is known to be so already.
    fn try_step(&mut self) -> Option<Step> {
        let (mut stepper, tcp) = self.handshake().parts();
        let mut taken = None;
        // The result is in `taken`; this one only steers the socket's readiness.
        let _ = tcp.try_io(Interest::READABLE, || {
            stepper.socket_readable();
            taken = Some(take_step(&mut stepper));
            if stepper.socket_drained() {
                Err(io::ErrorKind::WouldBlock.into())
            } else {
                Ok(())
            }
        });
        taken
    }

    /// A step whatever the socket's readiness, which it corrects where it can.
    fn step(&mut self) -> Step {
        match self.try_step() {
            Some(step) => step,
            None => take_step(&mut self.handshake().parts().0),
        }
    }

    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let (mut stepper, tcp) = self.handshake().parts();
        match stepper.output() {
            Some(output) => wire::poll_send(tcp, output, cx),
            None => Poll::Ready(Ok(())),
        }
    }

    fn send(&mut self) -> io::Result<bool> {
        let (mut stepper, tcp) = self.handshake().parts();
        match stepper.output() {
            Some(output) => wire::try_send(tcp, output),
            None => Ok(true),
        }
    }

    fn parked(&mut self, step: &Step) {
        self.phase = match step {
            Step::NoJob => {
                add(&self.counters.no_job, 1);
                Phase::NoJob
            }
            Step::QueueFull => {
                add(&self.counters.queue_full, 1);
                self.refusals += 1;
                Phase::QueueFull
            }
            _ => {
                self.pauses += 1;
                add(&self.counters.pauses, 1);
                Phase::Paused {
                    since: Instant::now(),
                }
            }
        };
        let handshake = self.handshake.as_ref().expect("as in handshake()");
        if self.park.wait(step, handshake) == Some(Wait::Retry) && matches!(step, Step::Paused) {
            // Its completion cannot be watched for.
            self.phase = Phase::QueueFull;
        }
    }

    fn finish(&mut self) -> Result<(Connection<TcpStream>, u32), HandshakeError> {
        let handshake = self.handshake.take().expect("as in handshake()");
        match handshake.finish() {
            Ok(connection) => Ok((connection, self.pauses)),
            Err(_) => Err(HandshakeError::Protocol(
                "the handshake is not done".to_owned(),
            )),
        }
    }

    /// Out of time: by whose fault.
    pub(super) fn overdue(&self) -> HandshakeError {
        match self.phase {
            Phase::Io => HandshakeError::Timeout,
            _ => HandshakeError::Stalled,
        }
    }

    /// The socket of a failed handshake, to take leave of the client; None if the
    /// handshake had to be buried.
    pub(super) fn give_up(&mut self) -> Option<TcpStream> {
        let handshake = self.handshake.take()?;
        let park = std::mem::take(&mut self.park);
        if !handshake.has_job() {
            return Some(handshake.detach().1);
        }
        let wait = match self.phase {
            Phase::Paused { .. } => Wait::Completion,
            _ => Wait::Retry,
        };
        self.graveyard.bury(handshake, park, wait);
        None
    }
}

impl Drop for Driver {
    /// Cancelled: its task has been dropped.
    fn drop(&mut self) {
        drop(self.give_up());
    }
}
