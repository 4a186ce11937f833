//! A client's HTTP/1.1 connection (RFC 9112), by hyper.
//!
//! hyper takes requests apart and frames them anew, so a request's length is what
//! the gateway understood and never what a backend might make of it. One whose length
//! could be understood in two ways is refused ([`heads`]).

mod heads;
mod progress;

use std::convert::Infallible;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::Bytes;
use h2::Reason;
use http::{HeaderValue, Request, Response, StatusCode, Version, header};
use hyper::body::Incoming;
use hyper::server::conn::http1::{Builder, Connection};
use hyper::service::{HttpService, service_fn};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tracing::Instrument;

use progress::{Flight, InFlight, Progress, Verdict, Watched, tick_of};

use super::{FIRST_REQUEST, HttpParams, Service, Upgrade, tunnel};
use crate::drain::Watch;
use crate::proxy::{Body, Downstream, Outgoing, Peer, Tunnel};

/// Longest wait for a client to close after us.
const LINGER: std::time::Duration = std::time::Duration::from_secs(1);

pub async fn serve<IO>(service: Rc<Service>, mut io: IO, peer: Rc<Peer>, mut drain: Watch)
where
    IO: AsyncRead + AsyncWrite + Unpin + 'static,
{
    let (params, proxy) = (service.params.clone(), service.proxy.clone());
    // hyper reads first, and the client may wait for what is left of the TLS handshake.
    let flushed = tokio::time::timeout(params.header_timeout, io.flush()).await;
    if !matches!(flushed, Ok(Ok(()))) {
        return;
    }
    let progress = Rc::new(Progress::new(&params));
    let handler = {
        let progress = progress.clone();
        service_fn(move |request: Request<Incoming>| {
            let span =
                tracing::debug_span!("proxy", method = %request.method(), uri = %request.uri());
            Box::pin(
                handle(service.clone(), peer.clone(), progress.clone(), request).instrument(span),
            )
        })
    };
    let io = TokioIo::new(Watched {
        io,
        progress: progress.clone(),
    });
    let mut connection = builder(&params).serve_connection(io, handler);
    match drive(&mut connection, &params, &progress, &drain).await {
        End::Cut => return,
        End::Closed => {}
        End::Failed(error) => {
            if let Some(reason) = refused(&error) {
                proxy.refused(reason);
            }
            tracing::debug!(%error, "HTTP/1.1 connection ended");
        }
    }
    let parts = connection.into_parts();
    let mut io = parts.io.into_inner().io;
    match progress.tunnel.take() {
        Some(tunnel) => {
            tunnel::run(io, parts.read_buf, tunnel, params.idle_timeout, &mut drain).await;
        }
        None => {
            let _ = tokio::time::timeout(LINGER, linger(&mut io)).await;
        }
    }
}

/// Closes so that the last response arrives: a socket closed with unread data in it
/// resets the connection, and the reset may overtake the response.
async fn linger<IO: AsyncRead + AsyncWrite + Unpin>(io: &mut IO) -> std::io::Result<()> {
    io.shutdown().await?;
    let mut rest = [0; 4096];
    while io.read(&mut rest).await? > 0 {}
    Ok(())
}

enum End {
    Closed,
    /// The client has been told where there was a request to answer.
    Failed(hyper::Error),
    Cut,
}

/// Why a request never came to a route, if that is what the error means.
fn refused(error: &hyper::Error) -> Option<&'static str> {
    if error.is_parse_too_large() {
        Some("too_large")
    } else if error.is_parse() {
        Some("malformed")
    } else if error.is_timeout() {
        Some("timeout")
    } else {
        None
    }
}

/// Serves until the connection's end.
async fn drive<IO, S>(
    connection: &mut Connection<TokioIo<IO>, S>,
    params: &HttpParams,
    progress: &Progress,
    drain: &Watch,
) -> End
where
    IO: AsyncRead + AsyncWrite + Unpin,
    S: HttpService<Incoming, ResBody = InFlight, Error = Infallible, Future: Unpin> + Unpin,
{
    let (mut draining, mut cut) = (drain.clone(), drain.clone());
    let mut draining = pin!(last_call(&mut draining, progress));
    let mut cut = pin!(cut.cut());
    let mut closing = false;
    let mut tick = tokio::time::interval(tick_of(params));
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            biased;
            // The connection itself first: it is what all else is about.
            result = std::future::poll_fn(|cx| connection.poll_without_shutdown(cx)) => {
                return match result {
                    Ok(()) => End::Closed,
                    Err(error) => End::Failed(error),
                };
            }
            // Tells the client to close after the response at hand.
            () = &mut draining, if !closing => {
                closing = true;
                close(connection);
            }
            // The deadline has passed.
            () = &mut cut => return End::Cut,
            // Timeouts need no more than to be noticed within a tick.
            _ = tick.tick() => match progress.verdict(params) {
                Some(Verdict::Slow) => {
                    tracing::debug!("request head not read in time");
                    return End::Cut;
                }
                Some(Verdict::Idle) => close(connection),
                None => {}
            },
        }
    }
}

/// Ends the connection after the response at hand.
fn close<IO, S>(connection: &mut Connection<TokioIo<IO>, S>)
where
    IO: AsyncRead + AsyncWrite + Unpin,
    S: HttpService<Incoming, ResBody = InFlight, Error = Infallible, Future: Unpin> + Unpin,
{
    Pin::new(connection).graceful_shutdown();
}

/// Returns when a draining connection is to take no more requests; a retiring one is to end
/// with its next response.
async fn last_call(drain: &mut Watch, progress: &Progress) {
    drain.retiring().await;
    progress.retired.set(true);
    drain.draining().await;
    // The task that polls this is woken by the connection.
    let begun = std::future::poll_fn(|_| match progress.requests.get() {
        0 => Poll::Pending,
        _ => Poll::Ready(()),
    });
    let _ = tokio::time::timeout(FIRST_REQUEST, begun).await;
}

fn builder(params: &HttpParams) -> Builder {
    let mut builder = Builder::new();
    builder
        .max_headers(params.max_headers)
        .max_header_size(params.max_header_list_size as usize)
        .max_buf_size((params.max_header_list_size as usize).max(16 * 1024));
    builder
}

async fn handle(
    service: Rc<Service>,
    peer: Rc<Peer>,
    progress: Rc<Progress>,
    request: Request<Incoming>,
) -> Result<Response<InFlight>, Infallible> {
    let flight = Flight::new(progress.clone());
    progress.requests.set(progress.requests.get() + 1);
    let limit = service.params.max_requests_per_connection;
    let last = limit > 0 && progress.requests.get() >= limit;
    if !progress.heads.borrow().is_sound(progress.requests.get()) {
        service.proxy.refused("malformed");
        tracing::debug!("a request's length could be read in two ways");
        return Ok(ambiguous().map(|body| InFlight::new(body, flight)));
    }
    let request = request.map(|body| match http_body::Body::is_end_stream(&body) {
        true => Body::Empty,
        false => Body::H1(body),
    });
    let mut client = Client {
        upgrade: match service.params.upgrade {
            Upgrade::Refuse => None,
            Upgrade::Tunnel => asked_protocol(&request),
        },
        progress: progress.clone(),
    };
    let mut out = Outgoing::new(request);
    let mut response = match service.proxy.forward(&mut out, &peer, &mut client).await {
        Ok(response) => response,
        // It said it is gone: whatever is sent reaches nobody.
        Err(_) => Response::new(Body::Empty),
    };
    if last || progress.retired.get() {
        close_after(&mut response);
    }
    Ok(response.map(|body| InFlight::new(body, flight)))
}

/// What the request asks to switch to (RFC 9110 7.8). Never HTTP/2: requests in such a
/// tunnel would reach the backend past all routes and checks.
fn asked_protocol<B>(request: &Request<B>) -> Option<HeaderValue> {
    let headers = request.headers();
    let has = |name, token: &str| {
        let values = headers.get_all(name).iter();
        let mut tokens = values.flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
        tokens.any(|other| other.trim_ascii().eq_ignore_ascii_case(token.as_bytes()))
    };
    let asked = request.version() == Version::HTTP_11 && has(header::CONNECTION, "upgrade");
    let protocol = headers.get(header::UPGRADE)?;
    (asked && !has(header::UPGRADE, "h2c")).then(|| protocol.clone())
}

fn close_after<B>(response: &mut Response<B>) {
    let close = HeaderValue::from_static("close");
    response.headers_mut().insert(header::CONNECTION, close);
}

/// Where its body ends and the next request begins is anyone's guess.
fn ambiguous() -> Response<Body> {
    let message = "the request's length can be read in two ways: send one Content-Length or \
                   `Transfer-Encoding: chunked`, and end lines with CRLF\n";
    let mut response = Response::new(Body::Full(Bytes::from_static(message.as_bytes())));
    *response.status_mut() = StatusCode::BAD_REQUEST;
    let text = HeaderValue::from_static("text/plain");
    response.headers_mut().insert(header::CONTENT_TYPE, text);
    close_after(&mut response);
    response
}

/// hyper drops the handler when the client is gone.
struct Client {
    upgrade: Option<HeaderValue>,
    progress: Rc<Progress>,
}

impl Downstream for Client {
    /// hyper's server sends none but 100.
    const TAKES_INTERIM: bool = false;

    fn poll_gone(&mut self, _: &mut Context<'_>) -> Poll<Reason> {
        Poll::Pending
    }

    fn interim(&mut self, _: Response<()>) {}

    fn upgrade(&self) -> Option<&HeaderValue> {
        self.upgrade.as_ref()
    }

    fn tunnel(&mut self, tunnel: Tunnel) {
        self.progress.tunnel.set(Some(tunnel));
    }
}
