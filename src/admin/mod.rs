//! The admin server: health, readiness, metrics, accelerators.
//!
//! ```text
//! accept (at most MAX_CONNECTIONS, then the backlog) ─→ serve ─→ closed by the peer,
//!      after HEADER_TIMEOUT without a request, or after CONNECTION_TIMEOUT in all
//! ```
//!
//! It runs on the control thread, within its own future: dropping that closes
//! everything. It must not know what the gateway does; what it shows comes through
//! [`AdminState`].

mod pages;
#[cfg(test)]
mod tests;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};

use crate::telemetry::Metrics;

#[derive(Clone, Debug)]
pub struct AdminParams {
    pub address: SocketAddr,
}

/// Connections served at once; more wait in the listen backlog.
const MAX_CONNECTIONS: usize = 64;
/// To the end of a request's head, idle time before it included.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);
/// A connection's whole life: a client that reads slowly holds no place forever.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(300);
/// A pause after accept fails for want of descriptors or memory: it would fail again
/// at once.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Whether the gateway wants new connections: false until the workers listen, and
/// again from the first sign of the end.
#[derive(Clone, Debug, Default)]
pub struct Readiness(Arc<AtomicBool>);

impl Readiness {
    pub fn set(&self, ready: bool) {
        self.0.store(ready, Ordering::Release);
    }

    pub fn get(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// What the pages show.
pub struct AdminState {
    pub metrics: Arc<Metrics>,
    pub readiness: Readiness,
    /// What does the private-key work, and why what was asked for does not; lines.
    pub accelerators: String,
    /// Called before metrics are encoded, to bring them up to date.
    pub refresh: Vec<Box<dyn Fn() + Send + Sync>>,
}

/// Serves the pages, forever; errors of a connection end that connection.
pub async fn serve(listener: TcpListener, state: AdminState) {
    let state = Arc::new(state);
    let mut connections = FuturesUnordered::new();
    loop {
        tokio::select! {
            // Ended connections first: they make room for the next.
            biased;
            Some(()) = connections.next(), if !connections.is_empty() => {}
            accepted = listener.accept(), if connections.len() < MAX_CONNECTIONS => match accepted {
                Ok((stream, _)) => connections.push(connection(stream, state.clone())),
                Err(error) => {
                    tracing::warn!(%error, "admin: accept failed");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
        }
    }
}

async fn connection(stream: TcpStream, state: Arc<AdminState>) {
    let service = service_fn(|request| {
        let response = pages::respond(&request, &state);
        async { Ok::<_, Infallible>(response) }
    });
    let serving = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .max_buf_size(16 * 1024)
        .serve_connection(TokioIo::new(stream), service);
    match tokio::time::timeout(CONNECTION_TIMEOUT, pin!(serving)).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%error, "admin: connection failed"),
        Err(_) => tracing::debug!("admin: connection closed for its age"),
    }
}
