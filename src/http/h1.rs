//! A client's HTTP/1.1 connection (RFC 9112), by hyper.
//!
//! hyper takes requests apart and frames them anew, so a request's length is what
//! the gateway understood and never what a backend might make of it.

use std::cell::Cell;
use std::convert::Infallible;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll};

use h2::Reason;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1::{Builder, Connection};
use hyper::service::{HttpService, service_fn};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::time::Instant;
use tracing::Instrument;

use super::{HttpParams, Service, Upgrade, tunnel};
use crate::drain::Watch;
use crate::proxy::{Body, BodyError, Downstream, Outgoing, Peer, Tunnel};

/// Longest wait for a client to close after us.
const LINGER: std::time::Duration = std::time::Duration::from_secs(1);

/// How long a draining connection waits for its first request.
const FIRST_REQUEST: std::time::Duration = std::time::Duration::from_secs(1);

/// What the connection's task knows of its progress.
#[derive(Default)]
struct Progress {
    in_flight: Cell<usize>,
    requests: Cell<u64>,
    /// Since when bytes of a request's head have been arriving.
    reading: Cell<Option<Instant>>,
    /// Since when nothing has been asked or answered.
    idle: Cell<Option<Instant>>,
    /// What the connection turns into when hyper has written its last response.
    tunnel: Cell<Option<Tunnel>>,
}

pub async fn serve<IO>(service: Rc<Service>, mut io: IO, peer: Rc<Peer>, mut drain: Watch)
where
    IO: AsyncRead + AsyncWrite + Unpin + 'static,
{
    // hyper reads first, and the client may wait for what is left of the TLS handshake.
    if io.flush().await.is_err() {
        return;
    }
    let (params, proxy) = (service.params.clone(), service.proxy.clone());
    let progress = Rc::new(Progress::default());
    progress.idle.set(Some(Instant::now()));
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
                Pin::new(&mut *connection).graceful_shutdown();
            }
            // The deadline has passed.
            () = &mut cut => return End::Cut,
            // Timeouts need no more than to be noticed within a tick.
            _ = tick.tick() => match progress.verdict(params) {
                Some(Verdict::Slow) => {
                    tracing::debug!("request head not read in time");
                    return End::Cut;
                }
                Some(Verdict::Idle) => Pin::new(&mut *connection).graceful_shutdown(),
                None => {}
            },
        }
    }
}

/// Returns when a draining connection is to take no more requests. One that has had none
/// yet was opened for one, which may be under way.
async fn last_call(drain: &mut Watch, progress: &Progress) {
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

fn tick_of(params: &HttpParams) -> std::time::Duration {
    let shortest = params.header_timeout.min(params.idle_timeout) / 4;
    shortest.clamp(
        std::time::Duration::from_millis(10),
        std::time::Duration::from_secs(5),
    )
}

enum Verdict {
    Slow,
    Idle,
}

impl Progress {
    fn verdict(&self, params: &HttpParams) -> Option<Verdict> {
        if self.in_flight.get() > 0 {
            return None;
        }
        let passed =
            |since: Option<Instant>, limit| since.is_some_and(|since| since.elapsed() >= limit);
        if passed(self.reading.get(), params.header_timeout) {
            return Some(Verdict::Slow);
        }
        passed(self.idle.get(), params.idle_timeout).then_some(Verdict::Idle)
    }
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
    let request = request.map(|body| match http_body::Body::is_end_stream(&body) {
        true => Body::Empty,
        false => Body::H1(body),
    });
    let mut client = Client {
        upgrade: match service.params.upgrade {
            Upgrade::Refuse => None,
            Upgrade::Tunnel => request.headers().get(http::header::UPGRADE).cloned(),
        },
        progress: progress.clone(),
    };
    let mut out = Outgoing::new(request);
    let mut response = match service.proxy.forward(&mut out, &peer, &mut client).await {
        Ok(response) => response,
        // It said it is gone: whatever is sent reaches nobody.
        Err(_) => Response::new(Body::Empty),
    };
    if last {
        let close = http::HeaderValue::from_static("close");
        response
            .headers_mut()
            .insert(http::header::CONNECTION, close);
    }
    Ok(response.map(|body| InFlight {
        body,
        _flight: flight,
    }))
}

/// A response's body, which keeps its connection busy until it has ended.
struct InFlight {
    body: Body,
    _flight: Flight,
}

impl http_body::Body for InFlight {
    type Data = bytes::Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<bytes::Bytes>, BodyError>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> http_body::SizeHint {
        self.body.size_hint()
    }
}

/// A request from its head to its response's end.
struct Flight(Rc<Progress>);

impl Flight {
    fn new(progress: Rc<Progress>) -> Self {
        progress.in_flight.set(progress.in_flight.get() + 1);
        progress.reading.set(None);
        progress.idle.set(None);
        Flight(progress)
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        let progress = &self.0;
        progress.in_flight.set(progress.in_flight.get() - 1);
        progress.reading.set(None);
        progress.idle.set(Some(Instant::now()));
    }
}

/// hyper drops the handler when the client is gone, and sends no interim responses
/// but 100.
struct Client {
    upgrade: Option<http::HeaderValue>,
    progress: Rc<Progress>,
}

impl Downstream for Client {
    fn poll_gone(&mut self, _: &mut Context<'_>) -> Poll<Reason> {
        Poll::Pending
    }

    fn interim(&mut self, _: Response<()>) {}

    fn upgrade(&self) -> Option<&http::HeaderValue> {
        self.upgrade.as_ref()
    }

    fn tunnel(&mut self, tunnel: Tunnel) {
        self.progress.tunnel.set(Some(tunnel));
    }
}

/// Notes when a request's bytes begin to arrive.
struct Watched<IO> {
    io: IO,
    progress: Rc<Progress>,
}

impl<IO: AsyncRead + Unpin> AsyncRead for Watched<IO> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        let before = buffer.filled().len();
        let result = Pin::new(&mut self.io).poll_read(cx, buffer);
        let progress = &self.progress;
        if buffer.filled().len() > before
            && progress.in_flight.get() == 0
            && progress.reading.get().is_none()
        {
            progress.reading.set(Some(Instant::now()));
        }
        result
    }
}

impl<IO: AsyncWrite + Unpin> AsyncWrite for Watched<IO> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, data)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[std::io::IoSlice<'_>],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, data)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}
