//! HTTP/2 and HTTP/1.1 towards clients.
//!
//! 1. The listener hands over an established stream and the protocol agreed on.
//! 2. [`h2`] or [`h1`] reads requests and gives each to the proxy.
//! 3. The response goes back with its body; cancellation and resets go both ways.
//! 4. Idle, full, silent or draining connections are closed gracefully: GOAWAY, or
//!    `Connection: close`.
//!
//! It must not know what TLS is, nor where a request goes.

pub mod h1;
pub mod h2;
mod params;
mod tunnel;
mod turn;

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};

pub use params::{HttpParams, Upgrade};

use crate::drain::Watch;
use crate::proxy::{Peer, Proxy};

/// How long a draining connection waits for its first request: it was opened for one, which
/// may be under way.
const FIRST_REQUEST: Duration = Duration::from_secs(1);

/// Which version a connection speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    H2,
    H1,
}

/// A listener's HTTP side on one worker.
pub struct Service {
    pub params: Arc<HttpParams>,
    pub proxy: Rc<Proxy>,
}

impl Service {
    /// Serves one connection to its end. What fails in it concerns its peer alone. `io` may
    /// hold something that is to be flushed.
    pub async fn serve<IO>(self: Rc<Self>, io: IO, version: Version, peer: Rc<Peer>, drain: Watch)
    where
        IO: AsyncRead + AsyncWrite + Unpin + 'static,
    {
        match version {
            Version::H2 => h2::serve(self, io, peer, drain).await,
            // Boxed: HTTP/2, which most connections speak, needs less memory.
            Version::H1 => Box::pin(h1::serve(self, io, peer, drain)).await,
        }
    }
}
