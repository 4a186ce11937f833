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
        loop {
            match this.tcp().poll_read_ready(cx) {
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Ready(Ok(())) => {
                    if let Some(result) = this.attempt(Interest::READABLE, |s| s.read(buf))
                        && let Some(end) = this.settle_read(result)
                    {
                        return Poll::Ready(end);
                    }
                }
                // Its waker is registered, but there may be records inside.
                Poll::Pending => {
                    if !this.connection.session().has_pending() {
                        return Poll::Pending;
                    }
                    let result = this.connection.parts().0.read(buf);
                    return match this.settle_read(result) {
                        Some(end) => Poll::Ready(end),
                        None => Poll::Pending,
                    };
                }
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
        self.get_mut().poll_drain(cx)
    }

    /// Does not wait for the peer's close_notify.
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.closing == Closing::Open {
            ready!(this.poll_drain(cx))?;
            ready!(this.poll_close_notify(cx))?;
            this.closing = Closing::Notified;
        }
        if this.closing == Closing::Notified {
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
