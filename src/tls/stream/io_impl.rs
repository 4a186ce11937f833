//! The stream as tokio sees it.

use super::*;

impl AsyncRead for TlsStream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.read_closed || buf.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        let before = this.output_len();
        loop {
            let (result, empty) = match this.tcp().poll_read_ready(cx) {
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Ready(Ok(())) => match this.read_socket(buf) {
                    Some(result) => (result, false),
                    None => continue,
                },
                // Its waker is registered, but there may be records inside.
                Poll::Pending if this.connection.session().has_pending() => {
                    (this.read_inside(buf), true)
                }
                Poll::Pending => return Poll::Pending,
            };
            this.answer(before)?;
            match this.settle_read(result) {
                Some(end) => return Poll::Ready(end),
                None if empty => return Poll::Pending,
                None => {}
            }
        }
    }
}

impl AsyncWrite for TlsStream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.get_mut().poll_accept_all(cx, std::iter::once(data))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.get_mut()
            .poll_accept_all(cx, slices.iter().map(|slice| &**slice))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.seal_gathered()?;
        this.poll_send(cx)
    }

    /// Does not wait for the peer's close_notify.
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.closing == Closing::Open {
            this.seal_gathered()?;
            this.notify_close();
            this.closing = Closing::Notified;
        }
        if this.closing == Closing::Notified {
            ready!(this.poll_send(cx))?;
            this.closing = Closing::Shut;
            match socket2::SockRef::from(this.tcp()).shutdown(Shutdown::Write) {
                Err(error) if error.kind() != io::ErrorKind::NotConnected => {
                    return Poll::Ready(Err(error));
                }
                _ => {}
            }
        }
        Poll::Ready(Ok(()))
    }
}
