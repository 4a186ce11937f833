//! How far a connection's task has come: what is in flight, what is being read, and
//! whether either takes too long.

use std::cell::{Cell, RefCell};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

use super::heads::Heads;
use crate::http::HttpParams;
use crate::proxy::{Body, BodyError, Tunnel};

/// What the connection's task knows of its progress.
pub(super) struct Progress {
    in_flight: Cell<usize>,
    pub(super) requests: Cell<u64>,
    pub(super) heads: RefCell<Heads>,
    /// Whether the next response is to be the last.
    pub(super) retired: Cell<bool>,
    /// Since when bytes of a request's head have been arriving.
    reading: Cell<Option<Instant>>,
    /// Since when nothing has been asked or answered.
    idle: Cell<Option<Instant>>,
    /// What the connection turns into when hyper has written its last response.
    pub(super) tunnel: Cell<Option<Tunnel>>,
}

pub(super) enum Verdict {
    Slow,
    Idle,
}

impl Progress {
    pub(super) fn new(params: &HttpParams) -> Self {
        Progress {
            in_flight: Cell::new(0),
            requests: Cell::new(0),
            heads: RefCell::new(Heads::new(
                params.max_headers,
                params.max_header_list_size as usize,
            )),
            retired: Cell::new(false),
            reading: Cell::new(None),
            idle: Cell::new(Some(Instant::now())),
            tunnel: Cell::new(None),
        }
    }

    pub(super) fn verdict(&self, params: &HttpParams) -> Option<Verdict> {
        if self.in_flight.get() > 0 {
            return None;
        }
        let passed =
            |since: Option<Instant>, limit| since.is_some_and(|since| since.elapsed() >= limit);
        if passed(self.reading.get(), params.header_timeout) {
            return Some(Verdict::Slow);
        }
        passed(self.idle.get(), params.idle_timeout).then_some(Verdict::Idle)
    }
}

pub(super) fn tick_of(params: &HttpParams) -> Duration {
    let shortest = params.header_timeout.min(params.idle_timeout) / 4;
    shortest.clamp(Duration::from_millis(10), Duration::from_secs(5))
}

/// A response's body, which keeps its connection busy until it has ended.
pub(super) struct InFlight {
    body: Body,
    _flight: Flight,
}

impl InFlight {
    pub(super) fn new(body: Body, flight: Flight) -> Self {
        InFlight {
            body,
            _flight: flight,
        }
    }
}

impl http_body::Body for InFlight {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, BodyError>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> http_body::SizeHint {
        self.body.size_hint()
    }
}

/// A request from its head to its response's end.
pub(super) struct Flight(Rc<Progress>);

impl Flight {
    pub(super) fn new(progress: Rc<Progress>) -> Self {
        progress.in_flight.set(progress.in_flight.get() + 1);
        progress.reading.set(None);
        progress.idle.set(None);
        Flight(progress)
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        let progress = &self.0;
        progress.in_flight.set(progress.in_flight.get() - 1);
        progress.reading.set(None);
        progress.idle.set(Some(Instant::now()));
    }
}

/// Notes when a request's bytes begin to arrive, and what they are.
pub(super) struct Watched<IO> {
    pub(super) io: IO,
    pub(super) progress: Rc<Progress>,
}

impl<IO: AsyncRead + Unpin> AsyncRead for Watched<IO> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        let before = buffer.filled().len();
        let result = Pin::new(&mut self.io).poll_read(cx, buffer);
        let progress = &self.progress;
        let bytes = &buffer.filled()[before..];
        progress.heads.borrow_mut().follow(bytes);
        if !bytes.is_empty() && progress.in_flight.get() == 0 && progress.reading.get().is_none() {
            progress.reading.set(Some(Instant::now()));
        }
        result
    }
}

impl<IO: AsyncWrite + Unpin> AsyncWrite for Watched<IO> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, data)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[std::io::IoSlice<'_>],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, data)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}
