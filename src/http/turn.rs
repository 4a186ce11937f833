//! One write for one turn of a connection's task.
//!
//! h2 flushes after every DATA frame; over TLS each flush is a record and a system
//! call. [`Turn`] takes those flushes as read, and the task that drives the
//! connection flushes once when its turn is over, so that the frames of all streams
//! that became ready together leave together.

use std::cell::RefCell;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A handle of the shared stream: h2 owns one, the driving task another. Both live
/// in the same task, so a borrow never meets another.
pub struct Turn<IO>(Rc<RefCell<IO>>);

impl<IO> Clone for Turn<IO> {
    fn clone(&self) -> Self {
        Turn(self.0.clone())
    }
}

impl<IO: AsyncWrite + Unpin> Turn<IO> {
    pub fn new(io: IO) -> Self {
        Turn(Rc::new(RefCell::new(io)))
    }

    /// Ends the turn: what was written leaves. Pending: the socket is full, and wakes
    /// the task later.
    pub fn poll_end(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.0.borrow_mut()).poll_flush(cx)
    }
}

impl<IO: AsyncRead + Unpin> AsyncRead for Turn<IO> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.0.borrow_mut()).poll_read(cx, buffer)
    }
}

impl<IO: AsyncWrite + Unpin> AsyncWrite for Turn<IO> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.0.borrow_mut()).poll_write(cx, data)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.0.borrow_mut()).poll_write_vectored(cx, data)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.borrow().is_write_vectored()
    }

    /// Nothing: the turn's end does it.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.0.borrow_mut()).poll_shutdown(cx)
    }
}
