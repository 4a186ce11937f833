//! After 101 Switching Protocols (RFC 9110 7.8): bytes both ways, untouched.

use std::cell::Cell;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Buf, Bytes};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

use crate::drain::Watch;
use crate::proxy::Tunnel;

/// Copies until one side ends, nothing moves for `idle`, or the drain is cut.
/// `early`: what the client sent behind its request.
pub async fn run<IO>(client: IO, early: Bytes, tunnel: Tunnel, idle: Duration, drain: &mut Watch)
where
    IO: AsyncRead + AsyncWrite + Unpin,
{
    // The connection's slot is held as long as the tunnel.
    let Tunnel { backend, lease } = tunnel;
    let _lease = lease;
    let Ok(backend) = backend.await else {
        return;
    };
    let active = Rc::new(Cell::new(Instant::now()));
    let mut client = Side {
        io: client,
        early,
        active: active.clone(),
    };
    let mut backend = TokioIo::new(backend);
    let mut tick = tokio::time::interval((idle / 4).max(Duration::from_millis(10)));
    let mut copy = std::pin::pin!(tokio::io::copy_bidirectional(&mut client, &mut backend));
    loop {
        tokio::select! {
            // Its end is the tunnel's.
            _ = &mut copy => return,
            // The drain's deadline has passed.
            () = drain.cut() => return,
            // Silence is noticed within a tick.
            _ = tick.tick() => if active.get().elapsed() >= idle { return },
        }
    }
}

/// The client's side, which notes when something moves.
struct Side<IO> {
    io: IO,
    early: Bytes,
    active: Rc<Cell<Instant>>,
}

impl<IO: AsyncRead + Unpin> AsyncRead for Side<IO> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.early.has_remaining() {
            let length = self.early.len().min(buffer.remaining());
            buffer.put_slice(&self.early.split_to(length));
            return Poll::Ready(Ok(()));
        }
        let result = Pin::new(&mut self.io).poll_read(cx, buffer);
        if result.is_ready() {
            self.active.set(Instant::now());
        }
        result
    }
}

impl<IO: AsyncWrite + Unpin> AsyncWrite for Side<IO> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.io).poll_write(cx, data);
        if result.is_ready() {
            self.active.set(Instant::now());
        }
        result
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}
