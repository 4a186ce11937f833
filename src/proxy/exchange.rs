//! One try at one endpoint: the request goes up, the response's head comes back.
//!
//! The request's body moves while the response is awaited, and after it: the
//! [`Pump`] goes along with the response's body.

use std::future::Future;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use bytes::Bytes;
use h2::client::ResponseFuture;
use http::header::{CONTENT_LENGTH, HOST, HeaderValue};
use http::{Method, Request, Response, Version};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use tokio::sync::mpsc;

use super::body::{Body, BodyError};
use super::failure::Failure;
use super::forward::{Downstream, Flow, Outgoing};
use super::headers;
use super::pump::{Pump, PumpError};
use super::response::Source;
use crate::route::RouteParams;
use crate::upstream::{H2Lease, Http1Lease, Lease, unprocessed};

/// Interim responses that wait for their turn; no exchange has that many.
const INTERIMS: usize = 8;

/// How a try ended.
pub enum Attempt {
    Answered(Box<Sent>),
    Failed(Failure),
    /// Nothing was processed and the body is still known: another try is safe.
    Again(Body, Failure),
}

/// A response that has begun.
pub struct Sent {
    pub response: Response<Source>,
    pub upload: Option<Pump>,
    pub lease: Lease,
}

pub async fn run<D: Downstream>(
    flow: &mut Flow<'_, D>,
    lease: Lease,
    out: &mut Outgoing,
) -> Attempt {
    match lease {
        Lease::H2(lease) => h2(flow, lease, out).await,
        // Boxed: the common path's future stays small.
        Lease::Http1(lease) => Box::pin(http1(flow, lease, out)).await,
    }
}

async fn h2<D: Downstream>(
    flow: &mut Flow<'_, D>,
    mut lease: H2Lease,
    out: &mut Outgoing,
) -> Attempt {
    let (mut response, mut upload) = match send_h2(flow.route, &mut lease, out) {
        Ok(sent) => sent,
        // An error here means that nothing was sent.
        Err((body, error)) => return Attempt::Again(body, broken(&error)),
    };
    let answer = std::future::poll_fn(|cx| poll_h2(flow, &mut response, &mut upload, cx)).await;
    match answer {
        Ok(response) => {
            upload.forget();
            Attempt::Answered(Box::new(Sent {
                response: response.map(Source::H2),
                upload: Some(upload),
                lease: Lease::H2(lease),
            }))
        }
        Err((failure, retriable)) => {
            if let Failure::Gone(reason) = &failure {
                upload.reset_sink(*reason);
            } else if let Failure::Timeout(_) = &failure {
                upload.reset_sink(h2::Reason::CANCEL);
            }
            // What never left the gateway was not processed either.
            let broke = matches!(failure, Failure::Broken(_));
            let retriable = retriable || (broke && lease.never_written());
            let again = retriable.then(|| upload.into_replay()).flatten();
            match again {
                Some(body) => Attempt::Again(body, failure),
                None => Attempt::Failed(failure),
            }
        }
    }
}

/// Not in the future of [`h2`], which would keep the room for what is gone.
fn send_h2(
    route: &RouteParams,
    lease: &mut H2Lease,
    out: &mut Outgoing,
) -> Result<(ResponseFuture, Pump), (Body, h2::Error)> {
    let mut request = std::mem::take(&mut out.request);
    let body = std::mem::replace(&mut out.body, Body::Empty);
    *request.version_mut() = Version::HTTP_2;
    // Only what h2 itself needs goes along.
    request.extensions_mut().clear();
    let end = body.is_end();
    match lease.send(request, end) {
        Ok((response, sink)) if end => Ok((response, Pump::finished(sink))),
        Ok((response, sink)) => {
            let upload = Pump::new(body, sink)
                .limited(route.max_body)
                .remembering(route.retry.buffer);
            Ok((response, upload))
        }
        Err(error) => Err((body, error)),
    }
}

type Answer<B> = Result<Response<B>, (Failure, bool)>;

fn poll_h2<D: Downstream>(
    flow: &mut Flow<'_, D>,
    response: &mut ResponseFuture,
    upload: &mut Pump,
    cx: &mut Context<'_>,
) -> Poll<Answer<h2::RecvStream>> {
    // First the request's body: it must flow whatever the response does.
    if !upload.is_done() {
        let before = upload.moved();
        let result = upload.poll(cx);
        if upload.moved() != before {
            flow.timer.touch();
        }
        match result {
            Poll::Ready(Err(PumpError::Source(BodyError::TooLarge))) => {
                let limit = flow.route.max_body.unwrap_or(0);
                return Poll::Ready(Err((Failure::TooLarge(limit), false)));
            }
            Poll::Ready(Err(PumpError::Source(BodyError::Reset(reason)))) => {
                return Poll::Ready(Err((Failure::Gone(reason), false)));
            }
            Poll::Ready(Err(PumpError::Source(_))) => {
                return Poll::Ready(Err((Failure::RequestBody, false)));
            }
            // Why the backend wants no more, its response says.
            Poll::Ready(Ok(()) | Err(PumpError::Sink(_))) | Poll::Pending => {}
        }
    }
    while let Poll::Ready(Some(Ok(interim))) = response.poll_informational(cx) {
        flow.down.interim(interim);
    }
    if let Poll::Ready(result) = Pin::new(response).poll(cx) {
        return Poll::Ready(result.map_err(|error| {
            let retriable = unprocessed(&error) || connection_failure(flow, &error);
            (broken(&error), retriable)
        }));
    }
    if let Poll::Ready(reason) = flow.down.poll_gone(cx) {
        return Poll::Ready(Err((Failure::Gone(reason), false)));
    }
    flow.timer
        .poll(cx)
        .map(|limit| Err((Failure::Timeout(limit), false)))
}

/// Whether the route's policy lets a request whose connection broke be sent again.
fn connection_failure<D>(flow: &Flow<'_, D>, error: &h2::Error) -> bool {
    flow.idempotent && flow.route.retry.on_connection_failure && !error.is_reset()
}

fn broken(error: &h2::Error) -> Failure {
    match error.reason() {
        Some(reason) if error.is_reset() => Failure::Reset(reason),
        _ => Failure::Broken(error.to_string()),
    }
}

async fn http1<D: Downstream>(
    flow: &mut Flow<'_, D>,
    mut lease: Http1Lease,
    out: &mut Outgoing,
) -> Attempt {
    let request = std::mem::take(&mut out.request);
    let body = std::mem::replace(&mut out.body, Body::Empty);
    let empty = body.is_end();
    let mut request = http1_request(flow, request, body);
    let mut interims = D::TAKES_INTERIM.then(|| interims_of(&mut request));
    let outcome = {
        let mut send = pin!(lease.send(request));
        std::future::poll_fn(|cx| {
            while let Some(Poll::Ready(Some(interim))) =
                interims.as_mut().map(|interims| interims.poll_recv(cx))
            {
                flow.down.interim(interim);
            }
            if let Poll::Ready(result) = send.as_mut().poll(cx) {
                return Poll::Ready(result.map_err(|error| {
                    let unsent = error.is_canceled();
                    let again =
                        unsent || (flow.idempotent && flow.route.retry.on_connection_failure);
                    (http1_failure(&error, flow.route.max_body), empty && again)
                }));
            }
            if let Poll::Ready(reason) = flow.down.poll_gone(cx) {
                return Poll::Ready(Err((Failure::Gone(reason), false)));
            }
            flow.timer
                .poll(cx)
                .map(|limit| Err((Failure::Timeout(limit), false)))
        })
        .await
    };
    match outcome {
        Ok(response) => Attempt::Answered(Box::new(Sent {
            response: response.map(Source::H1),
            upload: None,
            lease: Lease::Http1(lease),
        })),
        Err((failure, true)) => Attempt::Again(Body::Empty, failure),
        Err((failure, false)) => Attempt::Failed(failure),
    }
}

/// The interim responses (1xx) to a request, as hyper's connection reads them.
fn interims_of<B>(request: &mut Request<B>) -> mpsc::Receiver<Response<()>> {
    let (sender, interims) = mpsc::channel(INTERIMS);
    hyper::ext::on_informational(request, move |head| {
        let mut interim = Response::new(());
        *interim.status_mut() = head.status();
        *interim.headers_mut() = head.headers().clone();
        headers::remove_hop_by_hop(interim.headers_mut());
        // Past the bound it is lost: nobody depends on it.
        let _ = sender.try_send(interim);
    });
    interims
}

/// HTTP/1.1 has the host in a header and the path alone in its first line.
fn http1_request<D>(
    flow: &Flow<'_, D>,
    request: Request<()>,
    body: Body,
) -> Request<crate::upstream::Http1Body> {
    let (mut head, ()) = request.into_parts();
    if let Some(authority) = head.uri.authority()
        && let Ok(host) = HeaderValue::from_str(authority.as_str())
    {
        head.headers.insert(HOST, host);
    }
    if let Some(path) = head.uri.path_and_query() {
        head.uri = http::Uri::from(path.clone());
    }
    headers::join_cookies(&mut head.headers);
    // Backends that wait for a body are told that none comes (RFC 9110 8.6).
    if body.is_end() && matches!(head.method, Method::POST | Method::PUT | Method::PATCH) {
        head.headers.insert(CONTENT_LENGTH, HeaderValue::from(0));
    }
    head.version = Version::HTTP_11;
    let limit = flow.route.max_body.unwrap_or(u64::MAX);
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let body: crate::upstream::Http1Body = match body.is_end() {
        true => {
            let empty = http_body_util::Empty::<Bytes>::new();
            Box::pin(empty.map_err(|never: std::convert::Infallible| match never {}))
        }
        false => Box::pin(Limited::new(body, limit)),
    };
    Request::from_parts(head, body)
}

fn http1_failure(error: &hyper::Error, limit: Option<u64>) -> Failure {
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        if cause.is::<LengthLimitError>() {
            return Failure::TooLarge(limit.unwrap_or(0));
        }
        if let Some(BodyError::Reset(reason)) = cause.downcast_ref() {
            return Failure::Gone(*reason);
        }
        source = cause.source();
    }
    match error.is_user() {
        true => Failure::RequestBody,
        false => Failure::Broken(error.to_string()),
    }
}
