//! The accept loop of one listener on one worker.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tracing::Instrument;

use super::socket::adjust;
use super::{Listener, Overload};
use crate::drain::Watch;

/// After a failed accept, such as EMFILE: time for descriptors to come back.
const PAUSE: Duration = Duration::from_millis(50);

/// A listener as one version of the configuration has it, and the drain its connections
/// follow.
#[derive(Clone)]
pub struct Serving {
    pub listener: Rc<Listener>,
    pub drain: Watch,
}

/// Accepts for the current listener until its retiring begins. When another takes its place
/// the socket goes on, with all that wait in its queue.
pub async fn accept(socket: TcpListener, mut current: watch::Receiver<Serving>) {
    loop {
        let Serving { listener, drain } = current.borrow_and_update().clone();
        tokio::select! {
            biased;
            // A new version of the configuration. Before the old one's end, which follows.
            Ok(()) = current.changed() => {
                if let Err(error) = adjust(&current.borrow().listener.params, &socket) {
                    tracing::warn!(%error, "the listening socket's options stay as they are");
                }
            }
            // Nothing takes its place.
            () = listener.run(&socket, drain) => return,
        }
    }
}

impl Listener {
    /// Accepts until retiring begins, then takes what the kernel has already queued:
    /// those clients believe themselves connected.
    async fn run(self: Rc<Self>, socket: &TcpListener, drain: Watch) {
        let mut stop = drain.clone();
        let mut stop = pin!(stop.retiring());
        loop {
            if self.params.overload == Overload::Queue && self.admission.full().is_some() {
                tokio::select! {
                    biased;
                    // Nobody is waited for once the listener is to close.
                    () = &mut stop => break,
                    // Some slot is free again; which, the loop looks up.
                    () = self.admission.freed() => {}
                }
                continue;
            }
            match next(socket, stop.as_mut()).await {
                Some(Ok((tcp, peer))) => self.admit(tcp, peer, &drain),
                Some(Err(error)) => self.failed(error).await,
                None => break,
            }
        }
        while let Poll::Ready(Ok((tcp, peer))) = futures_util::poll!(pin!(socket.accept())) {
            self.admit(tcp, peer, &drain);
        }
    }

    fn admit(self: &Rc<Self>, tcp: TcpStream, peer: SocketAddr, drain: &Watch) {
        if let Some(reason) = self.admission.full() {
            self.metrics.rejected(reason);
            return;
        }
        let slots = self.admission.connection();
        let (listener, drain) = (self.clone(), drain.clone());
        let span = tracing::debug_span!("listener", name = %self.params.name, %peer);
        tokio::task::spawn_local(
            listener
                .connection(tcp, peer, slots, drain)
                .instrument(span),
        );
    }

    async fn failed(&self, error: io::Error) {
        match error.kind() {
            // The client left before it was accepted.
            io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset => {}
            _ => {
                self.metrics.rejected("accept_error");
                tracing::warn!(listener = %self.params.name, %error, "accept failed");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

/// The next connection; none once the listener is to stop.
async fn next(
    socket: &TcpListener,
    mut stop: Pin<&mut impl Future<Output = ()>>,
) -> Option<io::Result<(TcpStream, SocketAddr)>> {
    std::future::poll_fn(|cx| {
        if stop.as_mut().poll(cx).is_ready() {
            return Poll::Ready(None);
        }
        socket.poll_accept(cx).map(Some)
    })
    .await
}
