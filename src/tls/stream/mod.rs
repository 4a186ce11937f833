//! The established stream: plaintext on this side, TLS records on the socket.
//!
//! ```text
//! open ──poll_shutdown──→ flushing → close_notify sent → socket's write side shut
//!   └── peer's close_notify or end of file: reads give 0, writes go on
//! ```
//!
//! Reading: a read of the socket may bring in several records (read-ahead), so that
//! data can wait inside the SSL while the socket is empty: a read asks the SSL before
//! it waits. The BIO knows when it has emptied the socket, whose readiness is then
//! cleared without asking it once more.
//!
//! Writing: small writes are gathered to one record, which is written when it is full
//! or flushed. Large ones skip the buffer. Once the SSL has refused bytes it must be
//! given the same again, so that these are then in the buffer, whatever the writer does.
//!
//! Invariant: after an error nothing more is written; what is read stays the end.

mod buffer;
mod io_impl;

use std::io::{self, IoSlice};
use std::net::Shutdown;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use qat_sys::{Connection, Failure, Session, Stop};
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::TcpStream;

use super::error::reasons;
use super::info::TlsInfo;
use buffer::{RECORD, WriteBuffer};

/// A TLS connection whose handshake is done.
///
/// The end of the socket's stream without a close_notify alert is reported as the end
/// of the stream: HTTP's own framing tells whether a request was complete.
pub struct TlsStream {
    connection: Connection<TcpStream>,
    out: WriteBuffer,
    /// Bytes at the front of `out` that the SSL has refused for now.
    refused: usize,
    read_closed: bool,
    closing: Closing,
    info: TlsInfo,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Closing {
    Open,
    /// close_notify is sent, or cannot be any more.
    Notified,
    /// The socket's write side is shut down.
    Shut,
}

impl TlsStream {
    pub(super) fn new(connection: Connection<TcpStream>, info: TlsInfo) -> TlsStream {
        TlsStream {
            connection,
            out: WriteBuffer::default(),
            refused: 0,
            read_closed: false,
            closing: Closing::Open,
            info,
        }
    }

    /// What the handshake has settled.
    pub fn info(&self) -> &TlsInfo {
        &self.info
    }

    /// The socket, for its addresses and options.
    pub fn tcp(&self) -> &TcpStream {
        self.connection.socket()
    }

    /// Calls the SSL within a readiness check of the socket. None if the socket is known
    /// not to be ready.
    fn attempt<T>(
        &mut self,
        interest: Interest,
        call: impl FnOnce(&mut Session) -> Result<T, Stop>,
    ) -> Option<Result<T, Stop>> {
        let (session, tcp) = self.connection.parts();
        let mut result = None;
        // The result is in `result`; this one only steers the socket's readiness.
        let _ = tcp.try_io(interest, || {
            if interest == Interest::READABLE {
                session.socket_readable();
            }
            let exhausted = match (result.insert(call(session)), interest) {
                (result, Interest::WRITABLE) => matches!(result, Err(Stop::WantWrite)),
                _ => session.socket_drained(),
            };
            if exhausted {
                Err(io::ErrorKind::WouldBlock.into())
            } else {
                Ok(())
            }
        });
        result
    }

    /// What a read came to; None if it must be tried again when the socket is ready.
    fn settle_read(&mut self, result: Result<usize, Stop>) -> Option<io::Result<()>> {
        match result {
            Ok(_) => Some(Ok(())),
            Err(Stop::WantRead | Stop::WantWrite) => None,
            Err(Stop::Failed(Failure::CloseNotify | Failure::Eof)) => {
                self.read_closed = true;
                Some(Ok(()))
            }
            Err(Stop::Failed(failure)) => Some(Err(self.broken(failure))),
        }
    }

    /// After a fatal error OpenSSL allows neither data nor an alert.
    fn broken(&mut self, failure: Failure) -> io::Error {
        self.read_closed = true;
        self.closing = self.closing.max(Closing::Notified);
        self.out.clear();
        match failure {
            Failure::CloseNotify | Failure::Eof => io::ErrorKind::BrokenPipe.into(),
            Failure::Io(error) => error,
            Failure::Tls(stack) => io::Error::new(io::ErrorKind::InvalidData, reasons(&stack)),
        }
    }

    /// Ready(None): the SSL took nothing, but must now be given the same bytes again.
    fn poll_write_record(
        &mut self,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<Option<usize>>> {
        loop {
            ready!(self.tcp().poll_write_ready(cx))?;
            match self.attempt(Interest::WRITABLE, |session| session.write(data)) {
                // Ready a moment ago and not any more: ask again, and be registered.
                None => {}
                Some(Ok(written)) => return Poll::Ready(Ok(Some(written))),
                // Without renegotiation a write never waits for a read.
                Some(Err(Stop::WantWrite | Stop::WantRead)) => return Poll::Ready(Ok(None)),
                Some(Err(Stop::Failed(failure))) => {
                    return Poll::Ready(Err(self.broken(failure)));
                }
            }
        }
    }

    /// Writes what is gathered.
    fn poll_drain(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.out.is_empty() {
            // Taken out for the call, which borrows all of self.
            let out = std::mem::take(&mut self.out);
            let data = if self.refused > 0 {
                &out.pending()[..self.refused]
            } else {
                out.pending()
            };
            let offered = data.len();
            let result = self.poll_write_record(cx, data);
            match result {
                Poll::Ready(Ok(Some(written))) => {
                    self.out = out;
                    self.out.consume(written);
                    self.refused = 0;
                }
                Poll::Ready(Ok(None)) => {
                    self.out = out;
                    self.refused = offered;
                }
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => {
                    self.out = out;
                    return Poll::Pending;
                }
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Takes what it can of `data`, at least one byte unless it is pending.
    fn poll_accept(&mut self, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        if self.closing != Closing::Open {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        if self.out.is_full() {
            ready!(self.poll_drain(cx))?;
        }
        if self.out.is_empty() && data.len() >= RECORD {
            let record = &data[..RECORD];
            return Poll::Ready(Ok(match ready!(self.poll_write_record(cx, record))? {
                Some(written) => written,
                None => {
                    self.refused = self.out.push(record);
                    RECORD
                }
            }));
        }
        let taken = self.out.push(data);
        if self.out.is_full() {
            // A full record gains nothing by waiting. Pending: the next call waits.
            if let Poll::Ready(Err(error)) = self.poll_drain(cx) {
                return Poll::Ready(Err(error));
            }
        }
        Poll::Ready(Ok(taken))
    }

    /// Takes what it can of one slice after the other. Pending only if nothing.
    fn poll_accept_all<'a>(
        &mut self,
        cx: &mut Context<'_>,
        slices: impl Iterator<Item = &'a [u8]>,
    ) -> Poll<io::Result<usize>> {
        let mut total = 0;
        for slice in slices {
            let mut rest = slice;
            while !rest.is_empty() {
                match self.poll_accept(cx, rest) {
                    Poll::Ready(Ok(taken)) => {
                        total += taken;
                        rest = &rest[taken..];
                    }
                    Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                    Poll::Pending if total > 0 => return Poll::Ready(Ok(total)),
                    Poll::Pending => return Poll::Pending,
                }
            }
        }
        Poll::Ready(Ok(total))
    }

    fn poll_close_notify(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            ready!(self.tcp().poll_write_ready(cx))?;
            match self.attempt(Interest::WRITABLE, Session::shutdown) {
                None | Some(Err(Stop::WantWrite)) => {}
                // The peer is gone: there is nobody to notify.
                _ => return Poll::Ready(Ok(())),
            }
        }
    }
}
