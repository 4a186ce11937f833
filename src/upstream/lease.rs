//! What the proxy holds while a request is with a backend.

use std::cell::Cell;
use std::error::Error;
use std::net::SocketAddr;
use std::pin::Pin;

use bytes::Bytes;
use h2::client::ResponseFuture;
use h2::{Reason, SendStream};
use http::{Request, Response};
use hyper::body::Incoming;

use super::conn::{H2Wire, Http1Wire, Slot, Wire};

/// A request body towards an HTTP/1.1 backend.
pub type Http1Body =
    Pin<Box<dyn http_body::Body<Data = Bytes, Error = Box<dyn Error + Send + Sync>>>>;

/// A slot on a pooled connection, for one request. Hold it until the response's body
/// (and trailers) ended: dropping it gives the slot to the next request.
pub enum Lease {
    H2(H2Lease),
    Http1(Http1Lease),
}

impl Lease {
    pub fn endpoint(&self) -> SocketAddr {
        match self {
            Lease::H2(lease) => lease.endpoint(),
            Lease::Http1(lease) => lease.endpoint(),
        }
    }

    pub(super) fn new(slot: Slot) -> Self {
        match &slot.0.wire {
            Wire::H2(_) => Lease::H2(H2Lease {
                slot,
                mark: Cell::new(u64::MAX),
            }),
            Wire::Http1(_) => Lease::Http1(Http1Lease { slot }),
        }
    }
}

/// One HTTP/2 stream.
pub struct H2Lease {
    slot: Slot,
    /// Bytes the connection had written when the request was queued.
    mark: Cell<u64>,
}

impl H2Lease {
    /// Queues the request on the connection; to be called once. `end`: no body.
    ///
    /// Errors: the connection ended or received GOAWAY since the lease was given, or
    /// the request is malformed (`error.reason()` is `None` and not I/O). Nothing was
    /// sent in any case; what happens later comes from the returned parts, see
    /// [`unprocessed`](super::unprocessed).
    pub fn send(
        &mut self,
        request: Request<()>,
        end: bool,
    ) -> Result<(ResponseFuture, SendStream<Bytes>), h2::Error> {
        let wire = self.wire();
        // A handle remembers a request that h2 could not open at once, and until then
        // refuses others and takes over that request's waker (h2 0.4.20). The shared
        // handle is therefore only cloned.
        let send = wire.send.borrow().clone();
        let mut send = send.ok_or(Reason::REFUSED_STREAM)?;
        self.mark.set(wire.written.get());
        send.send_request(request, end)
    }

    /// True if not one byte went to the socket since the request was queued, so that
    /// the peer cannot have seen it. Ask after an error, to retry also what the race
    /// with a peer that closes an idle connection broke.
    pub fn never_written(&self) -> bool {
        self.mark.get() == self.wire().written.get()
    }

    pub fn endpoint(&self) -> SocketAddr {
        self.slot.0.endpoint
    }

    fn wire(&self) -> &H2Wire {
        match &self.slot.0.wire {
            Wire::H2(wire) => wire,
            Wire::Http1(_) => unreachable!("Lease::new matched the wire"),
        }
    }
}

/// One exchange on an HTTP/1.1 connection.
pub struct Http1Lease {
    slot: Slot,
}

impl Http1Lease {
    /// Sends the request; to be called once. The request needs a `host` header and a
    /// target in the form the backend expects (origin form: path and query only).
    ///
    /// The connection is used again if response and request bodies ended before the
    /// lease is dropped and neither side asked to close; else it is closed.
    ///
    /// Errors: as hyper's; [`unprocessed_http1`](super::unprocessed_http1) says
    /// whether the request may be sent again.
    pub async fn send(
        &mut self,
        request: Request<Http1Body>,
    ) -> Result<Response<Incoming>, hyper::Error> {
        let response = {
            let mut send = self.wire().send.borrow_mut();
            send.as_mut()
                .expect("kept until the last slot is released")
                .send_request(request)
        };
        response.await
    }

    pub fn endpoint(&self) -> SocketAddr {
        self.slot.0.endpoint
    }

    fn wire(&self) -> &Http1Wire {
        match &self.slot.0.wire {
            Wire::Http1(wire) => wire,
            Wire::H2(_) => unreachable!("Lease::new matched the wire"),
        }
    }
}
