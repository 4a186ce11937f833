//! A client's HTTP/2 connection (RFC 9113).
//!
//! ```text
//! Preface ─→ Open ─drain, idle, request limit→ Closing ─last stream→ end
//!             │                                  │
//!             └─ silent peer, cut ───────────────┴─→ end at once
//! ```
//!
//! One task drives the connection and spawns one per stream; both stay on the
//! worker. While Closing, streams that the client had begun are still served: the
//! first GOAWAY allows all, the second follows when the client has seen it.

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use h2::server::{Builder, Connection, SendResponse};
use h2::{Ping, PingPong, Reason, RecvStream};
use http::{Request, Response, StatusCode};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, Sleep};
use tracing::Instrument;

use super::turn::Turn;
use super::{FIRST_REQUEST, HttpParams, Service};
use crate::drain::Watch;
use crate::proxy::{Body, Downstream, Outgoing, Peer, Pump};

/// Stream errors of a client before its connection is closed.
const STREAM_ERRORS: usize = 10_000;
/// Streams reset by the gateway whose late frames are still recognised.
const RESETS_REMEMBERED: usize = 256;

pub async fn serve<IO>(service: Rc<Service>, io: IO, peer: Rc<Peer>, drain: Watch)
where
    IO: AsyncRead + AsyncWrite + Unpin + 'static,
{
    let params = &service.params;
    let io = Turn::new(io);
    let preface = preface(builder(params), &io);
    let connection = match tokio::time::timeout(params.header_timeout, preface).await {
        Ok(Ok(connection)) => connection,
        Ok(Err(error)) => {
            if !error.is_io() {
                service.proxy.refused("malformed");
            }
            return tracing::debug!(%error, "no HTTP/2 preface");
        }
        Err(_) => {
            service.proxy.refused("timeout");
            return tracing::debug!("no HTTP/2 preface in time");
        }
    };
    let proxy = service.proxy.clone();
    if let Err(error) = Driver::new(service, connection, io, peer, drain).await {
        let protocol = error.downcast_ref::<h2::Error>();
        if protocol.is_some_and(|error| error.is_go_away() && error.is_library()) {
            proxy.refused("malformed");
        }
        tracing::debug!(%error, "HTTP/2 connection ended");
    }
}

/// Exchanges prefaces (RFC 9113, 3.4). When the client's is there already, ours leaves at the
/// end of the connection's first turn, in one packet with the answer to the client's and
/// with what `io` holds of the TLS handshake.
async fn preface<IO>(
    builder: Builder,
    io: &Turn<IO>,
) -> Result<Connection<Turn<IO>, Bytes>, h2::Error>
where
    IO: AsyncRead + AsyncWrite + Unpin,
{
    let mut handshake = pin!(builder.handshake(io.clone()));
    poll_fn(|cx| {
        let polled = handshake.as_mut().poll(cx);
        if polled.is_pending() {
            // The client may wait for it. An error is found again by who reads.
            let _ = io.poll_end(cx);
        }
        polled
    })
    .await
}

fn builder(params: &HttpParams) -> Builder {
    let mut builder = Builder::new();
    builder
        .max_concurrent_streams(params.max_concurrent_streams)
        .initial_window_size(params.stream_window)
        .initial_connection_window_size(params.connection_window)
        .max_frame_size(params.max_frame_size)
        .max_header_list_size(params.max_header_list_size)
        .max_send_buffer_size(params.max_send_buffer)
        // Late frames of streams the gateway has reset count as well, and they are the
        // network's doing: h2's own 1024 in a connection's life are few.
        .max_local_error_reset_streams(Some(STREAM_ERRORS))
        .max_concurrent_reset_streams(RESETS_REMEMBERED);
    builder
}

/// Drives the connection until its end.
struct Driver<IO: AsyncRead + AsyncWrite + Unpin> {
    service: Rc<Service>,
    connection: Connection<Turn<IO>, Bytes>,
    io: Turn<IO>,
    peer: Rc<Peer>,
    drain: Watch,
    /// Until the connection is to close: for retiring, then for the first request. Boxed
    /// once: the same future waits as long as the connection lives.
    staying: Option<Pin<Box<dyn Future<Output = ()>>>>,
    cut: Pin<Box<dyn Future<Output = ()>>>,
    streams: Rc<Cell<usize>>,
    requests: u64,
    retired: bool,
    closing: bool,
    upkeep: Upkeep,
}

impl<IO: AsyncRead + AsyncWrite + Unpin> Driver<IO> {
    fn new(
        service: Rc<Service>,
        mut connection: Connection<Turn<IO>, Bytes>,
        io: Turn<IO>,
        peer: Rc<Peer>,
        drain: Watch,
    ) -> Self {
        let upkeep = Upkeep::new(&service.params, connection.ping_pong());
        let (mut retiring, mut cut) = (drain.clone(), drain.clone());
        Driver {
            service,
            connection,
            io,
            peer,
            drain,
            staying: Some(Box::pin(async move { retiring.retiring().await })),
            cut: Box::pin(async move { cut.cut().await }),
            streams: Rc::default(),
            requests: 0,
            retired: false,
            closing: false,
            upkeep,
        }
    }

    fn start(&mut self, request: Request<RecvStream>, respond: SendResponse<Bytes>) {
        self.requests += 1;
        let limit = self.service.params.max_requests_per_connection;
        if self.retired || (limit > 0 && self.requests >= limit) {
            self.close();
        }
        let guard = StreamGuard::new(&self.streams);
        let (service, peer) = (self.service.clone(), self.peer.clone());
        // Of the stream and not of the forwarding alone: the response's body is part of it.
        let span = tracing::debug_span!("proxy", method = %request.method(), uri = %request.uri());
        let serve = stream(service, peer, guard, request, respond);
        // Boxed: the runtime moves the future seven times (2,500 of a small request's
        // 68,000 instructions).
        tokio::task::spawn_local(Box::pin(serve.instrument(span)));
    }

    /// Closes if it is time to.
    fn poll_staying(&mut self, cx: &mut Context<'_>) {
        while let Some(staying) = &mut self.staying
            && staying.as_mut().poll(cx).is_ready()
        {
            // The future is spent.
            self.staying = None;
            if self.retired || self.requests > 0 {
                self.close();
            } else {
                let mut drain = self.drain.clone();
                self.staying = Some(Box::pin(async move {
                    drain.draining().await;
                    tokio::time::sleep(FIRST_REQUEST).await;
                }));
            }
            self.retired = true;
        }
    }

    fn close(&mut self) {
        if !self.closing {
            self.closing = true;
            self.connection.graceful_shutdown();
        }
    }
}

impl<IO: AsyncRead + AsyncWrite + Unpin> Future for Driver<IO> {
    type Output = Result<(), Box<dyn std::error::Error>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        this.poll_staying(cx);
        // The deadline has passed: what is open is lost.
        if this.cut.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Ok(()));
        }
        match this.upkeep.poll(cx, this.streams.get() > 0, this.requests) {
            Poll::Ready(Verdict::Idle) => this.close(),
            Poll::Ready(Verdict::Silent) => {
                this.connection.abrupt_shutdown(Reason::NO_ERROR);
                return Poll::Ready(Ok(()));
            }
            Poll::Pending => {}
        }
        // Last, so that GOAWAY frames made above are written by this same poll.
        loop {
            match this.connection.poll_accept(cx) {
                Poll::Ready(Some(accepted)) => {
                    let (request, respond) = accepted?;
                    this.start(request, respond);
                }
                Poll::Ready(None) => return Poll::Ready(Ok(())),
                Poll::Pending => break,
            }
        }
        match this.io.poll_end(cx) {
            Poll::Ready(Err(error)) => Poll::Ready(Err(error.into())),
            Poll::Ready(Ok(())) | Poll::Pending => Poll::Pending,
        }
    }
}

enum Verdict {
    Idle,
    Silent,
}

/// Idle timeout and PING keep-alive on one timer, set again when it fires early.
struct Upkeep {
    idle_timeout: Duration,
    ping: Option<(PingPong, Duration, Duration)>,
    /// Of the PING on its way.
    answer_by: Option<Instant>,
    next_ping: Option<Instant>,
    idle_since: Instant,
    seen_requests: u64,
    sleep: Pin<Box<Sleep>>,
}

impl Upkeep {
    fn new(params: &HttpParams, ping_pong: Option<PingPong>) -> Self {
        let now = Instant::now();
        let ping = params
            .ping_keepalive
            .zip(ping_pong)
            .map(|((interval, timeout), pong)| (pong, interval, timeout));
        let mut upkeep = Upkeep {
            idle_timeout: params.idle_timeout,
            next_ping: ping.as_ref().map(|(_, interval, _)| now + *interval),
            ping,
            answer_by: None,
            idle_since: now,
            seen_requests: 0,
            sleep: Box::pin(tokio::time::sleep_until(now)),
        };
        let first = upkeep.next();
        upkeep.sleep.as_mut().reset(first);
        upkeep
    }

    fn next(&self) -> Instant {
        let mut next = self.idle_since + self.idle_timeout;
        for at in [self.next_ping, self.answer_by].into_iter().flatten() {
            next = next.min(at);
        }
        next
    }

    fn poll(&mut self, cx: &mut Context<'_>, busy: bool, requests: u64) -> Poll<Verdict> {
        if let Some((pong, interval, _)) = &mut self.ping
            && self.answer_by.is_some()
            && pong.poll_pong(cx).is_ready()
        {
            self.answer_by = None;
            self.next_ping = Some(Instant::now() + *interval);
        }
        while self.sleep.as_mut().poll(cx).is_ready() {
            let now = Instant::now();
            if busy || requests != self.seen_requests {
                self.seen_requests = requests;
                self.idle_since = now;
            }
            if self.idle_since + self.idle_timeout <= now {
                // Asked once; the connection then ends by itself.
                self.idle_since = now;
                let next = self.next();
                self.sleep.as_mut().reset(next);
                return Poll::Ready(Verdict::Idle);
            }
            if self.answer_by.is_some_and(|by| by <= now) {
                return Poll::Ready(Verdict::Silent);
            }
            if self.next_ping.is_some_and(|at| at <= now)
                && let Some((pong, interval, timeout)) = &mut self.ping
            {
                self.next_ping = Some(now + *interval);
                if self.answer_by.is_none() && pong.send_ping(Ping::opaque()).is_ok() {
                    self.answer_by = Some(now + *timeout);
                    self.next_ping = None;
                    let _ = pong.poll_pong(cx);
                }
            }
            let next = self.next();
            self.sleep.as_mut().reset(next);
        }
        Poll::Pending
    }
}

/// Counts a stream for as long as it lives.
struct StreamGuard(Rc<Cell<usize>>);

impl StreamGuard {
    fn new(streams: &Rc<Cell<usize>>) -> Self {
        streams.set(streams.get() + 1);
        StreamGuard(streams.clone())
    }
}

impl Drop for StreamGuard {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

struct Client(SendResponse<Bytes>);

impl Downstream for Client {
    fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<Reason> {
        self.0
            .poll_reset(cx)
            .map(|reason| reason.unwrap_or(Reason::CANCEL))
    }

    fn interim(&mut self, head: Response<()>) {
        // A client that is gone is noticed by what comes next.
        let _ = self.0.send_informational(head);
    }
}

/// Serves one stream.
fn stream(
    service: Rc<Service>,
    peer: Rc<Peer>,
    guard: StreamGuard,
    request: Request<RecvStream>,
    respond: SendResponse<Bytes>,
) -> impl Future<Output = ()> {
    let mut client = Client(respond);
    let mut out = Outgoing::new(request.map(Body::h2));
    // Not an async fn: its future would hold the arguments twice.
    async move {
        let _guard = guard;
        if out.request.headers().len() > service.params.max_headers {
            return refuse(&service, client);
        }
        if let Ok(response) = service.proxy.forward(&mut out, &peer, &mut client).await {
            answer(client, response).await;
        }
    }
}

/// Too many headers.
fn refuse(service: &Service, mut client: Client) {
    service.proxy.refused("too_large");
    let mut refusal = Response::new(());
    *refusal.status_mut() = StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;
    // A client that is gone needs no answer.
    let _ = client.0.send_response(refusal, true);
}

/// Sends the response's head; what is left is its body.
fn answer(mut client: Client, response: Response<Body>) -> impl Future<Output = ()> {
    let (head, body) = response.into_parts();
    let end = body.is_end();
    let pump = match client.0.send_response(Response::from_parts(head, ()), end) {
        Ok(stream) if !end => Some(Pump::new(body, stream)),
        Ok(_) => None,
        Err(error) => {
            tracing::debug!(%error, "response not sent");
            None
        }
    };
    async move {
        if let Some(mut pump) = pump {
            // Either way both sides have been told.
            let _ = poll_fn(|cx| pump.poll(cx)).await;
        }
    }
}
