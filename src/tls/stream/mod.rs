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
//! Writing: small writes are gathered to one record, which is sealed when it is full or
//! flushed; large ones skip the buffer. Sealed records gather too, and are sent when
//! there are enough of them, or when flushed. A connection that is not writing owns
//! neither buffer.
//!
//! Invariant: after an error nothing more is written; what is read stays the end.

mod io_impl;
mod plaintext;

use std::io::{self, IoSlice};
use std::net::Shutdown;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::BufMut;
use qat_sys::{Connection, Failure, Stop};
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::TcpStream;

use super::error::reasons;
use super::info::TlsInfo;
use super::wire;
use plaintext::{Plaintext, RECORD};

/// A TLS connection whose handshake is done.
///
/// The end of the socket's stream without a close_notify alert is reported as the end
/// of the stream: HTTP's own framing tells whether a request was complete.
pub struct TlsStream {
    connection: Connection<TcpStream>,
    /// Plaintext that waits for more to share its record.
    plain: Plaintext,
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
            plain: Plaintext::default(),
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

    /// Reads within a readiness check of the socket, which it steers. None if the socket
    /// is known to be empty.
    fn read_socket(&mut self, buf: &mut impl BufMut) -> Option<Result<usize, Stop>> {
        let (session, tcp) = self.connection.parts();
        let mut result = None;
        let _ = tcp.try_io(Interest::READABLE, || {
            session.socket_readable();
            result = Some(session.read(buf));
            if session.socket_drained() {
                Err(io::ErrorKind::WouldBlock.into())
            } else {
                Ok(())
            }
        });
        result
    }

    /// Reads what the SSL has inside.
    fn read_inside(&mut self, buf: &mut impl BufMut) -> Result<usize, Stop> {
        self.connection.parts().0.read(buf)
    }

    /// Sends what reading has given cause for, an alert for instance. A client that
    /// keeps giving cause and does not listen is not kept.
    fn answer(&mut self, before: usize) -> io::Result<()> {
        let after = self.output_len();
        if after <= before {
            return Ok(());
        }
        if after > wire::MOST {
            return Err(self.broken(Failure::Io(io::ErrorKind::QuotaExceeded.into())));
        }
        // A socket that takes nothing any more is the writer's to find.
        let _ = self.send_some();
        Ok(())
    }

    /// What a read came to; None if it must be tried again when the socket is ready.
    fn settle_read(&mut self, result: Result<usize, Stop>) -> Option<io::Result<()>> {
        match result {
            Ok(_) => Some(Ok(())),
            Err(Stop::WantRead) => None,
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
        self.plain.clear();
        // The alert, if there is one: nobody flushes after an error.
        let _ = self.send_some();
        match failure {
            Failure::CloseNotify | Failure::Eof => io::ErrorKind::BrokenPipe.into(),
            Failure::Io(error) => error,
            Failure::Tls(stack) => io::Error::new(io::ErrorKind::InvalidData, reasons(&stack)),
        }
    }

    /// Seals one record.
    fn seal(&mut self, data: &[u8]) -> io::Result<usize> {
        let session = self.connection.parts().0;
        wire::prepare(session.output());
        match session.write(data) {
            Ok(written) => Ok(written),
            // Without renegotiation a write never waits for a read.
            Err(Stop::WantRead) => Err(io::ErrorKind::Unsupported.into()),
            Err(Stop::Failed(failure)) => Err(self.broken(failure)),
        }
    }

    /// Seals what is gathered.
    fn seal_gathered(&mut self) -> io::Result<()> {
        while !self.plain.is_empty() {
            // Taken out for the call, which borrows all of self.
            let mut plain = std::mem::take(&mut self.plain);
            plain.consume(self.seal(plain.pending())?);
            self.plain = plain;
        }
        Ok(())
    }

    /// Sends what is sealed.
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let (session, tcp) = self.connection.parts();
        let sent = ready!(wire::poll_send(tcp, session.output(), cx));
        Poll::Ready(sent.map_err(|error| self.broken(Failure::Io(error))))
    }

    /// Sends what the socket takes at once.
    fn send_some(&mut self) -> io::Result<bool> {
        let (session, tcp) = self.connection.parts();
        wire::try_send(tcp, session.output())
    }

    /// Bytes that are sealed and not sent.
    fn output_len(&mut self) -> usize {
        self.connection.parts().0.output().len()
    }

    /// Takes what it can of `data`, at least one byte unless it is pending.
    fn poll_accept(&mut self, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        if self.closing != Closing::Open {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        if self.output_len() >= wire::ENOUGH {
            ready!(self.poll_send(cx))?;
        }
        if self.plain.is_empty() && data.len() >= RECORD {
            return Poll::Ready(self.seal(&data[..RECORD]));
        }
        let taken = self.plain.push(data);
        if self.plain.is_full() {
            self.seal_gathered()?;
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

    fn notify_close(&mut self) {
        let session = self.connection.parts().0;
        wire::prepare(session.output());
        // It fails only on a connection that has failed before.
        let _ = session.shutdown();
    }
}
