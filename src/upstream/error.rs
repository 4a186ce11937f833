//! Why a request got no connection, and which failures mean "not processed".

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::error::Fault;

/// Why [`Cluster::acquire`](super::Cluster::acquire) gave no lease.
#[derive(Clone, Debug, thiserror::Error)]
pub enum AcquireError {
    /// Nothing to choose from: no name has resolved yet.
    #[error("the cluster has no endpoints")]
    NoEndpoints,
    /// `max_pending_requests` are waiting for this endpoint already.
    #[error("{endpoint}: too many requests wait for a connection")]
    PendingFull { endpoint: SocketAddr },
    /// No stream came free within `pending_timeout`.
    #[error("{endpoint}: no connection came free within {waited:?}")]
    PendingTimeout {
        endpoint: SocketAddr,
        waited: Duration,
    },
    /// Refused, unreachable, or a failed TLS or HTTP/2 start. Also given while the
    /// endpoint is in back-off from such a failure.
    #[error("{endpoint}: cannot connect: {source}")]
    Connect {
        endpoint: SocketAddr,
        source: Arc<io::Error>,
    },
    /// Not ready (TCP, TLS and the peer's HTTP/2 SETTINGS) within `connect_timeout`.
    #[error("{endpoint}: not connected within {after:?}")]
    ConnectTimeout {
        endpoint: SocketAddr,
        after: Duration,
    },
    /// The endpoint left the cluster while the request waited for it.
    #[error("{endpoint}: no longer an endpoint of the cluster")]
    EndpointGone { endpoint: SocketAddr },
}

impl AcquireError {
    /// Whether another endpoint may do better now. Nothing was sent in any case.
    pub fn retriable(&self) -> bool {
        match self {
            AcquireError::PendingFull { .. }
            | AcquireError::Connect { .. }
            | AcquireError::ConnectTimeout { .. }
            | AcquireError::EndpointGone { .. } => true,
            // Waiting once more would double the longest wait the user configured.
            AcquireError::NoEndpoints | AcquireError::PendingTimeout { .. } => false,
        }
    }

    /// The endpoint that failed, for the next attempt's `exclude`.
    pub fn endpoint(&self) -> Option<SocketAddr> {
        match self {
            AcquireError::NoEndpoints => None,
            AcquireError::PendingFull { endpoint }
            | AcquireError::PendingTimeout { endpoint, .. }
            | AcquireError::Connect { endpoint, .. }
            | AcquireError::ConnectTimeout { endpoint, .. }
            | AcquireError::EndpointGone { endpoint } => Some(*endpoint),
        }
    }

    pub fn fault(&self) -> Fault {
        match self {
            AcquireError::PendingFull { .. } | AcquireError::PendingTimeout { .. } => {
                Fault::Gateway
            }
            _ => Fault::Upstream,
        }
    }
}

/// Whether the peer declared that it did not process the request, so that sending
/// it again is safe whatever its method (RFC 9113 8.7).
///
/// Holds for a stream's error (of `ResponseFuture`, `RecvStream`, `SendStream`):
///
/// - RST_STREAM with REFUSED_STREAM.
/// - A GOAWAY that came from the peer. h2 gives that error only to streams whose id
///   is above the GOAWAY's last stream id, and to those never opened because of it.
///   Streams at or below it go on; when the connection ends before they do, they see
///   an I/O error (`BrokenPipe`), which says nothing about processing and is not
///   counted here. See also [`H2Lease::never_written`](super::H2Lease::never_written).
///
/// Any error that [`H2Lease::send`](super::H2Lease::send) itself returns means that
/// nothing was sent.
pub fn unprocessed(error: &h2::Error) -> bool {
    if error.is_go_away() {
        return error.is_remote();
    }
    error.reason() == Some(h2::Reason::REFUSED_STREAM) && !error.is_library()
}

/// As [`unprocessed`], for HTTP/1.1: true only where not a byte was written.
pub fn unprocessed_http1(error: &hyper::Error) -> bool {
    error.is_canceled()
}
