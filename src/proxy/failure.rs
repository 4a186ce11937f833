//! What the client is told when its request cannot be served, in one place.

use std::time::Duration;

use bytes::Bytes;
use h2::Reason;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{HeaderMap, Response, StatusCode};

use super::body::Body;
use crate::error::Fault;
use crate::upstream::AcquireError;

/// Why a request was not served.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    #[error("no route matches the request")]
    NoRoute,
    #[error("{0}")]
    BadRequest(&'static str),
    #[error("the method is not supported")]
    Method,
    #[error("the request body is longer than {0} bytes")]
    TooLarge(u64),
    /// No connection to a backend was to be had.
    #[error("{0}")]
    Acquire(AcquireError),
    #[error("the backend reset the stream: {0}")]
    Reset(Reason),
    #[error("the connection to the backend broke: {0}")]
    Broken(String),
    #[error("no response within {0:?}")]
    Timeout(Duration),
    /// The request's own body failed; there may be nobody left to tell.
    #[error("the client's request body ended early")]
    RequestBody,
    /// The client went away.
    #[error("the client reset the stream: {0}")]
    Gone(Reason),
}

/// gRPC status codes the gateway makes (grpc/doc/statuscodes.md).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grpc {
    Cancelled = 1,
    InvalidArgument = 3,
    DeadlineExceeded = 4,
    ResourceExhausted = 8,
    Unimplemented = 12,
    Internal = 13,
    Unavailable = 14,
}

impl Failure {
    pub fn fault(&self) -> Fault {
        match self {
            Failure::NoRoute
            | Failure::BadRequest(_)
            | Failure::Method
            | Failure::TooLarge(_)
            | Failure::RequestBody
            | Failure::Gone(_) => Fault::Downstream,
            Failure::Acquire(error) => error.fault(),
            Failure::Reset(_) | Failure::Broken(_) | Failure::Timeout(_) => Fault::Upstream,
        }
    }

    /// A short word for metrics and the access log.
    pub fn label(&self) -> &'static str {
        match self {
            Failure::NoRoute => "no_route",
            Failure::BadRequest(_) => "bad_request",
            Failure::Method => "method",
            Failure::TooLarge(_) => "body_too_large",
            Failure::Acquire(AcquireError::NoEndpoints) => "no_endpoints",
            Failure::Acquire(AcquireError::PendingFull { .. }) => "pending_full",
            Failure::Acquire(AcquireError::PendingTimeout { .. }) => "pending_timeout",
            Failure::Acquire(AcquireError::ConnectTimeout { .. }) => "connect_timeout",
            Failure::Acquire(_) => "connect",
            Failure::Reset(_) => "upstream_reset",
            Failure::Broken(_) => "upstream_broken",
            Failure::Timeout(_) => "timeout",
            Failure::RequestBody => "request_body",
            Failure::Gone(_) => "client_gone",
        }
    }

    pub fn status(&self) -> StatusCode {
        match self {
            Failure::NoRoute => StatusCode::NOT_FOUND,
            Failure::BadRequest(_) | Failure::RequestBody => StatusCode::BAD_REQUEST,
            Failure::Method => StatusCode::METHOD_NOT_ALLOWED,
            Failure::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Failure::Acquire(AcquireError::ConnectTimeout { .. }) => StatusCode::GATEWAY_TIMEOUT,
            Failure::Acquire(_) => StatusCode::SERVICE_UNAVAILABLE,
            Failure::Reset(_) | Failure::Broken(_) => StatusCode::BAD_GATEWAY,
            Failure::Timeout(_) => StatusCode::GATEWAY_TIMEOUT,
            // nginx's code for it; it reaches the log, never the client.
            Failure::Gone(_) => StatusCode::from_u16(499).unwrap_or(StatusCode::BAD_REQUEST),
        }
    }

    /// The status a gRPC client gets, resets translated as the gRPC specification's
    /// table of HTTP/2 codes says (grpc/doc/PROTOCOL-HTTP2.md).
    pub fn grpc(&self) -> Grpc {
        match self {
            Failure::NoRoute | Failure::Method => Grpc::Unimplemented,
            Failure::BadRequest(_) => Grpc::InvalidArgument,
            Failure::TooLarge(_) => Grpc::ResourceExhausted,
            Failure::Timeout(_) => Grpc::DeadlineExceeded,
            Failure::RequestBody | Failure::Gone(_) => Grpc::Cancelled,
            Failure::Acquire(_) | Failure::Broken(_) => Grpc::Unavailable,
            Failure::Reset(Reason::REFUSED_STREAM) => Grpc::Unavailable,
            Failure::Reset(Reason::CANCEL) => Grpc::Cancelled,
            Failure::Reset(Reason::ENHANCE_YOUR_CALM) => Grpc::ResourceExhausted,
            Failure::Reset(_) => Grpc::Internal,
        }
    }

    /// The whole answer.
    pub fn response(&self, grpc: bool) -> Response<Body> {
        if grpc {
            let mut response = Response::new(Body::Empty);
            let headers = response.headers_mut();
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
            grpc_status(headers, self.grpc(), &self.to_string());
            return response;
        }
        let message = Bytes::from(format!("{self}\n"));
        let mut response = Response::new(Body::Full(message));
        *response.status_mut() = self.status();
        response
            .headers_mut()
            .insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
        response
    }
}

/// Sets grpc-status and grpc-message, percent-encoded as gRPC wants it.
pub fn grpc_status(headers: &mut HeaderMap, status: Grpc, message: &str) {
    headers.insert(
        &super::headers::GRPC_STATUS,
        HeaderValue::from(status as u16),
    );
    let mut encoded = String::with_capacity(message.len());
    for byte in message.bytes() {
        match byte {
            b' '..=b'~' if byte != b'%' => encoded.push(byte as char),
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    if let Ok(value) = HeaderValue::try_from(encoded) {
        headers.insert("grpc-message", value);
    }
}

/// Whether the request is gRPC, whose errors are statuses in the trailers.
pub fn is_grpc(headers: &HeaderMap) -> bool {
    headers
        .get(CONTENT_TYPE)
        .is_some_and(|value| value.as_bytes().starts_with(b"application/grpc"))
}
