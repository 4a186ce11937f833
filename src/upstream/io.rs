//! One write system call for one turn of an HTTP/2 connection.
//!
//! h2 writes and flushes once per DATA frame of 256 bytes or more, so a connection
//! with a hundred active streams would make a hundred small writes. `Coalesce`
//! gathers what h2 writes and takes its flushes as read; the task that drives the
//! connection calls [`Coalesce::poll_send`] after every turn, and all frames of that
//! turn leave together.
//!
//! Invariants: at most [`CAPACITY`] bytes are held back; a write beyond that goes to
//! the socket at once, together with what is held (one vectored call, large payloads
//! are not copied); the buffer belongs to the thread and is lent to a connection
//! only while it holds something, so an idle connection has none.
//!
//! Must not know: frames, or what is behind the writer.

use std::cell::{Cell, RefCell};
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use qat_sys::copy;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

/// Bytes held back at most: four DATA frames of the default size. More would only
/// add delay: a send of 64 KiB already costs far more than its system call.
pub(super) const CAPACITY: usize = 64 * 1024;

/// Slices of one vectored write; h2 gives two (frame head and payload).
const SLICES: usize = 16;

thread_local! {
    /// The buffer that no connection of this thread uses just now.
    static SPARE: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// A handle of the shared stream: h2 owns one, the driving task another. Both live
/// in the same task, so a borrow never meets another.
pub(super) struct Coalesce<T>(Rc<RefCell<Inner<T>>>);

struct Inner<T> {
    io: T,
    held: Vec<u8>,
    /// How much of `held` is written already.
    done: usize,
    written: Rc<Cell<u64>>,
    last_read: Instant,
}

impl<T> Clone for Coalesce<T> {
    fn clone(&self) -> Self {
        Coalesce(self.0.clone())
    }
}

impl<T: AsyncWrite + Unpin> Coalesce<T> {
    pub(super) fn new(io: T) -> Self {
        Coalesce(Rc::new(RefCell::new(Inner {
            io,
            held: Vec::new(),
            done: 0,
            written: Rc::default(),
            last_read: Instant::now(),
        })))
    }

    /// Bytes given to the socket so far.
    pub(super) fn written(&self) -> Rc<Cell<u64>> {
        self.0.borrow().written.clone()
    }

    pub(super) fn last_read(&self) -> Instant {
        self.0.borrow().last_read
    }

    /// Writes what is held. Pending: the socket is full, and wakes the task later.
    pub(super) fn poll_send(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let inner = &mut *self.0.borrow_mut();
        ready!(inner.send_held(cx))?;
        // A TLS stream may hold a record of its own.
        Pin::new(&mut inner.io).poll_flush(cx)
    }
}

impl<T: AsyncWrite + Unpin> Inner<T> {
    fn held(&self) -> usize {
        self.held.len() - self.done
    }

    fn hold(&mut self, bufs: &[IoSlice<'_>], limit: usize) -> usize {
        if self.held.capacity() == 0 {
            self.held = SPARE.take();
        }
        let mut left = limit;
        for buf in bufs {
            let n = buf.len().min(left);
            copy::append(&mut self.held, &buf[..n]);
            left -= n;
        }
        limit - left
    }

    fn release(&mut self) {
        let mut buffer = std::mem::take(&mut self.held);
        self.done = 0;
        buffer.clear();
        let other = SPARE.take();
        SPARE.set(if other.capacity() > buffer.capacity() {
            other
        } else {
            buffer
        });
    }

    fn send_held(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.held() > 0 {
            let n = ready!(Pin::new(&mut self.io).poll_write(cx, &self.held[self.done..]))?;
            self.advance(n)?;
        }
        if self.held.capacity() > 0 {
            self.release();
        }
        Poll::Ready(Ok(()))
    }

    fn advance(&mut self, n: usize) -> io::Result<()> {
        if n == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        self.written.set(self.written.get() + n as u64);
        self.done += n;
        Ok(())
    }

    /// Writes what is held and `bufs` in one call; gives what was taken of `bufs`.
    fn write_through(
        &mut self,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        loop {
            let held = self.held();
            let mut slices = [IoSlice::new(&[]); SLICES];
            slices[0] = IoSlice::new(&self.held[self.done..]);
            let count = bufs.len().min(SLICES - 1);
            slices[1..=count].copy_from_slice(&bufs[..count]);
            let n = ready!(Pin::new(&mut self.io).poll_write_vectored(cx, &slices[..=count]))?;
            if n < held {
                self.advance(n)?;
                continue;
            }
            if n == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.written.set(self.written.get() + n as u64);
            self.release();
            if n > held {
                return Poll::Ready(Ok(n - held));
            }
        }
    }

    fn write(&mut self, cx: &mut Context<'_>, bufs: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let len: usize = bufs.iter().map(|buf| buf.len()).sum();
        if self.held() + len <= CAPACITY {
            return Poll::Ready(Ok(self.hold(bufs, len)));
        }
        if self.io.is_write_vectored() {
            return self.write_through(cx, bufs);
        }
        ready!(self.send_held(cx))?;
        Poll::Ready(Ok(self.hold(bufs, len.min(CAPACITY))))
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Coalesce<T> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let inner = &mut *self.0.borrow_mut();
        ready!(Pin::new(&mut inner.io).poll_read(cx, buf))?;
        inner.last_read = Instant::now();
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Coalesce<T> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.0.borrow_mut().write(cx, &[IoSlice::new(buf)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.0.borrow_mut().write(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    /// Nothing: the driving task sends when the turn is over.
    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let inner = &mut *self.0.borrow_mut();
        ready!(inner.send_held(cx))?;
        Pin::new(&mut inner.io).poll_shutdown(cx)
    }
}
