//! Moves a body into an HTTP/2 stream.
//!
//! ```text
//! Reading ─piece→ Sending ─capacity, until all is sent→ Reading … ─end→ Done
//! ```
//!
//! At most one piece is held. A piece is taken only when the one before is in the
//! stream, and its sender's window is opened again only then, so a slow receiver
//! slows the sender and memory stays bounded by the windows.

use std::collections::VecDeque;
use std::task::{Context, Poll};

use bytes::Bytes;
use h2::{Reason, SendStream};

use super::body::{Body, BodyError, Frame, Replay};

/// Which side ended the pump.
#[derive(Debug)]
pub enum PumpError {
    /// The body failed; the stream was reset with its reason.
    Source(BodyError),
    /// The stream's receiver does not want more.
    Sink(Reason),
}

pub struct Pump {
    source: Body,
    sink: SendStream<Bytes>,
    /// What is to be sent next, and whether the body ends with it.
    pending: Option<(Bytes, bool)>,
    done: bool,
    /// Whether anything was read of the body.
    taken: bool,
    /// Of `pending`, whether its window was already given back.
    released: bool,
    moved: u64,
    limit: Option<u64>,
    memory: Option<Memory>,
}

/// What was read, kept for another try.
struct Memory {
    read: VecDeque<Frame>,
    size: usize,
    limit: usize,
}

impl Pump {
    pub fn new(source: Body, sink: SendStream<Bytes>) -> Self {
        Pump {
            source,
            sink,
            pending: None,
            done: false,
            taken: false,
            released: false,
            moved: 0,
            limit: None,
            memory: None,
        }
    }

    /// For a stream that ended with its headers: only resets are left to do.
    pub fn finished(sink: SendStream<Bytes>) -> Self {
        let mut pump = Pump::new(Body::Empty, sink);
        pump.done = true;
        pump
    }

    /// Fails once the body is longer than `bytes`.
    pub fn limited(mut self, bytes: Option<u64>) -> Self {
        self.limit = bytes;
        self
    }

    /// Remembers up to `bytes` of what was read, so that it can be sent again.
    pub fn remembering(mut self, bytes: usize) -> Self {
        self.memory = (bytes > 0).then(|| Memory {
            read: VecDeque::new(),
            size: 0,
            limit: bytes,
        });
        self
    }

    pub fn is_done(&self) -> bool {
        self.done
    }

    /// Data bytes moved so far.
    pub fn moved(&self) -> u64 {
        self.moved
    }

    /// The response has begun: there will be no other try.
    pub fn forget(&mut self) {
        self.memory = None;
    }

    /// The whole body again, if all that was read of it is still known.
    pub fn into_replay(self) -> Option<Body> {
        if !self.taken {
            return Some(self.source);
        }
        let memory = self.memory?;
        Some(Body::Replay(Box::new(Replay {
            read: memory.read,
            rest: self.source,
        })))
    }

    pub fn reset(&mut self, reason: Reason) {
        self.source.reset(reason);
        self.sink.send_reset(reason);
    }

    /// Tells only the receiving side.
    pub fn reset_sink(&mut self, reason: Reason) {
        self.sink.send_reset(reason);
    }

    /// Ready once all is sent or one side failed.
    pub fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), PumpError>> {
        if self.done {
            return Poll::Ready(Ok(()));
        }
        loop {
            if self.pending.is_some() {
                match self.poll_send(cx) {
                    Poll::Ready(Ok(true)) => return self.finish(),
                    Poll::Ready(Ok(false)) => {}
                    Poll::Ready(Err(reason)) => return Poll::Ready(Err(self.sink_gone(reason))),
                    Poll::Pending => {
                        if let Poll::Ready(error) = self.source.poll_background(cx) {
                            return Poll::Ready(Err(self.source_failed(error)));
                        }
                        return Poll::Pending;
                    }
                }
            }
            match self.source.poll_next(cx) {
                Poll::Ready(Some(Ok(Frame::Data(data)))) => {
                    if let Err(error) = self.take(data) {
                        return Poll::Ready(Err(self.source_failed(error)));
                    }
                }
                Poll::Ready(Some(Ok(Frame::Trailers(trailers)))) => {
                    self.taken = true;
                    if let Some(memory) = &mut self.memory {
                        memory.read.push_back(Frame::Trailers(trailers.clone()));
                    }
                    return match self.sink.send_trailers(trailers) {
                        Ok(()) => self.finish(),
                        Err(error) => Poll::Ready(Err(self.sink_gone(reason_of(&error)))),
                    };
                }
                Poll::Ready(Some(Err(error))) => {
                    return Poll::Ready(Err(self.source_failed(error)));
                }
                Poll::Ready(None) => {
                    return match self.sink.send_data(Bytes::new(), true) {
                        Ok(()) => self.finish(),
                        Err(error) => Poll::Ready(Err(self.sink_gone(reason_of(&error)))),
                    };
                }
                // Nothing to send: only the receiver's reset can still end this.
                Poll::Pending => {
                    return match self.sink.poll_reset(cx) {
                        Poll::Ready(Ok(reason)) => Poll::Ready(Err(self.sink_gone(reason))),
                        Poll::Ready(Err(error)) => {
                            Poll::Ready(Err(self.sink_gone(reason_of(&error))))
                        }
                        Poll::Pending => Poll::Pending,
                    };
                }
            }
        }
    }

    fn take(&mut self, data: Bytes) -> Result<(), BodyError> {
        let length = data.len();
        self.taken = true;
        self.moved += length as u64;
        if self.limit.is_some_and(|limit| self.moved > limit) {
            return Err(BodyError::TooLarge);
        }
        self.released = false;
        if let Some(memory) = &mut self.memory {
            memory.size += length;
            if memory.size > memory.limit {
                self.memory = None;
            } else {
                memory.read.push_back(Frame::Data(data.clone()));
                // Remembered bytes are bounded by the memory, not by the window.
                self.source.release(length);
                self.released = true;
            }
        }
        self.pending = Some((data, self.source.is_end()));
        Ok(())
    }

    /// Sends of the pending piece what the window allows; true once the body's end
    /// is sent.
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<Result<bool, Reason>> {
        while let Some((data, end)) = &mut self.pending {
            let mut capacity = self.sink.capacity();
            if capacity < data.len() {
                self.sink.reserve_capacity(data.len());
                capacity = self.sink.capacity();
            }
            if capacity == 0 && !data.is_empty() {
                match self.sink.poll_capacity(cx) {
                    Poll::Ready(Some(Ok(_))) => continue,
                    Poll::Ready(Some(Err(error))) => return Poll::Ready(Err(reason_of(&error))),
                    Poll::Ready(None) => return Poll::Ready(Err(Reason::CANCEL)),
                    Poll::Pending => return Poll::Pending,
                }
            }
            let length = capacity.min(data.len());
            let part = data.split_to(length);
            let (last, end) = (data.is_empty(), *end);
            if last {
                self.pending = None;
            }
            self.sink
                .send_data(part, last && end)
                .map_err(|error| reason_of(&error))?;
            if !self.released {
                self.source.release(length);
            }
            if last && end {
                return Poll::Ready(Ok(true));
            }
        }
        Poll::Ready(Ok(false))
    }

    fn finish(&mut self) -> Poll<Result<(), PumpError>> {
        self.done = true;
        Poll::Ready(Ok(()))
    }

    fn sink_gone(&mut self, reason: Reason) -> PumpError {
        self.done = true;
        self.source.reset(reason);
        PumpError::Sink(reason)
    }

    fn source_failed(&mut self, error: BodyError) -> PumpError {
        self.done = true;
        self.sink.send_reset(error.reason());
        PumpError::Source(error)
    }
}

fn reason_of(error: &h2::Error) -> Reason {
    error.reason().unwrap_or(Reason::CANCEL)
}
