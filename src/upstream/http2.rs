//! An HTTP/2 connection to a backend.
//!
//! 1. [`start`]: preface and SETTINGS out; the connection counts as established when
//!    the peer's SETTINGS came (within `connect_timeout`). Its stream limit is known
//!    then, and a peer that accepts without answering is a failed connect.
//! 2. [`Driver`]: one turn = h2 reads, handles and writes all it can; the turn's
//!    frames leave in one system call; limit and GOAWAY are read off for the pool;
//!    the timer (PING, idle) is looked at.
//! 3. Retired and unused, the sender is dropped; h2 then says GOAWAY and closes.
//!
//! Invariant: the limit and `open` are updated in the same turn that received the
//! frame, so a slot is never given on a connection known to be going away.

use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use h2::client::{Builder, Connection, SendRequest};
use h2::{Ping, PingPong};
use std::cell::RefCell;
use std::future::poll_fn;
use tokio::time::{Instant, Sleep, sleep_until};

use super::conn::{Conn, H2Wire, Wire};
use super::connect::Stream;
use super::io::Coalesce;
use super::params::{PingKeepalive, PoolParams};
use super::pool::{FOREVER, Pool};
use super::stats::Stat;

/// How long a connection that only has to say GOAWAY may take to close.
const CLOSING: Duration = Duration::from_secs(5);

/// Streams that were reset are remembered, so that what the peer still sends for them
/// is dropped quietly. More than these at once cost a RST_STREAM per late frame.
const REMEMBERED_RESETS: usize = 1024;

const MAX_WINDOW: u32 = (1 << 31) - 1;

fn builder(params: &PoolParams) -> Builder {
    let mut builder = Builder::new();
    // The bounds of RFC 9113 6.5.2 and 6.9.1, beyond which h2 panics.
    builder
        .initial_window_size(params.stream_window.min(MAX_WINDOW))
        .initial_connection_window_size(params.connection_window.min(MAX_WINDOW))
        .max_frame_size(params.max_frame_size.clamp(16_384, (1 << 24) - 1))
        .max_header_list_size(params.max_header_list_size)
        .enable_push(false)
        // None until the peer's SETTINGS come; `start` waits for them.
        .initial_max_send_streams(0)
        .max_concurrent_reset_streams(REMEMBERED_RESETS)
        // h2 counts over the connection's life the resets it had to send for late
        // frames, and ends the connection at 1024. Clients that cancel would so end
        // a shared connection that lives long; a hostile backend gains nothing but
        // one small frame for each of its own.
        .max_local_error_reset_streams(None)
        .data_frame_budget(data_frame_budget(params.connection_window));
    builder
}

/// h2 charges each buffered DATA frame below 256 bytes with what it lacks to 256, and
/// ends the connection when the charges exceed the budget (by default half the
/// connection window). Streaming backends send a frame per token: one client that
/// stops reading would, with frames of 100 bytes, end the connection for all others
/// long before its flow-control window is full. The budget is what a full connection
/// window of 8-byte frames costs, `window / 8 × (256 - 8)`: flow control then always
/// acts first, and memory stays bounded by it (a few hundred bytes per frame at most).
fn data_frame_budget(connection_window: u32) -> usize {
    (connection_window as usize).saturating_mul(31)
}

/// Speaks HTTP/2 on a fresh stream, up to the peer's SETTINGS.
pub(super) async fn start(pool: &Rc<Pool>, stream: Stream) -> io::Result<Driver> {
    let params = pool.params();
    let io = Coalesce::new(stream);
    let (mut send, mut connection) = builder(params)
        .handshake::<_, Bytes>(io.clone())
        .await
        .map_err(into_io)?;
    poll_fn(|cx| {
        match Pin::new(&mut connection).poll(cx) {
            Poll::Ready(Ok(())) => {
                return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
            }
            Poll::Ready(Err(error)) => return Poll::Ready(Err(into_io(error))),
            Poll::Pending => {}
        }
        if let Poll::Ready(Err(error)) = io.poll_send(cx) {
            return Poll::Ready(Err(error));
        }
        // A peer that allows no stream at all is not usable (yet): go on waiting.
        match send.current_max_send_streams() {
            0 => Poll::Pending,
            _ => send.poll_ready(cx).map_err(into_io),
        }
    })
    .await?;
    let max_streams = params.max_concurrent_streams.max(1);
    let limit = max_streams.min(send.current_max_send_streams());
    let ping = params
        .ping_keepalive
        .and_then(|params| Some(Keepalive::new(params, connection.ping_pong()?)));
    let wire = Wire::H2(H2Wire {
        send: RefCell::new(Some(send)),
        written: io.written(),
    });
    Ok(Driver {
        conn: Conn::new(pool, pool.shared.stats.clone(), wire, limit),
        connection,
        io,
        ping,
        idle_timeout: pool.idle_timeout(),
        max_streams,
        timer: Box::pin(sleep_until(Instant::now())),
        closing: None,
    })
}

fn into_io(error: h2::Error) -> io::Error {
    match error.get_io() {
        Some(_) => error.into_io().expect("get_io gave it"),
        None => io::Error::other(error),
    }
}

/// Drives one connection.
pub(super) struct Driver {
    conn: Rc<Conn>,
    connection: Connection<Coalesce<Stream>, Bytes>,
    io: Coalesce<Stream>,
    ping: Option<Keepalive>,
    idle_timeout: Duration,
    max_streams: usize,
    /// Fires at the earliest moment something may be due; moved only then, so that a
    /// request costs no timer.
    timer: Pin<Box<Sleep>>,
    closing: Option<Instant>,
}

impl Driver {
    pub(super) async fn run(mut self: Box<Self>, pool: &Rc<Pool>) {
        let conn = self.conn.clone();
        pool.connected(conn.clone());
        let reason = poll_fn(|cx| self.turn(cx, pool)).await;
        // Before the pool hears of it, so that streams fail before others start.
        drop(self);
        pool.closed(&conn, reason);
    }

    fn turn(&mut self, cx: &mut Context<'_>, pool: &Rc<Pool>) -> Poll<Stat> {
        if let Poll::Ready(result) = Pin::new(&mut self.connection).poll(cx) {
            if let Err(error) = result {
                tracing::debug!(endpoint = %self.conn.endpoint, %error, "connection ended");
            }
            self.refresh(cx, pool);
            return Poll::Ready(Stat::ClosedPeer);
        }
        if let Poll::Ready(Err(error)) = self.io.poll_send(cx) {
            tracing::debug!(endpoint = %self.conn.endpoint, %error, "cannot write");
            return Poll::Ready(Stat::ClosedPeer);
        }
        self.refresh(cx, pool);
        self.on_time(cx, pool)
    }

    /// Tells the pool what the turn has changed.
    fn refresh(&mut self, cx: &mut Context<'_>, pool: &Rc<Pool>) {
        let Wire::H2(wire) = &self.conn.wire else {
            return;
        };
        let state = wire.send.borrow_mut().as_mut().map(|send| look(send, cx));
        match state {
            // The sender is gone: h2 is closing.
            None => {}
            Some(Ok(peer)) => {
                let limit = peer.min(self.max_streams);
                if self.conn.limit.replace(limit) != limit {
                    pool.limit_known(limit);
                    pool.grant();
                }
            }
            Some(Err(error)) if self.conn.open.get() => {
                if error.is_go_away() && error.is_remote() {
                    pool.shared.stats.add(Stat::GoAwaysReceived, 1);
                    pool.retire(&self.conn, Stat::ClosedGoAway);
                } else {
                    pool.retire(&self.conn, Stat::ClosedPeer);
                }
            }
            Some(Err(_)) => {}
        }
    }

    fn on_time(&mut self, cx: &mut Context<'_>, pool: &Rc<Pool>) -> Poll<Stat> {
        if self.conn.is_closing() && self.closing.is_none() {
            let deadline = Instant::now() + CLOSING;
            self.closing = Some(deadline);
            self.timer.as_mut().reset(deadline);
        }
        if let Some(ping) = &mut self.ping {
            ping.poll_pong(cx);
        }
        while self.timer.as_mut().poll(cx).is_ready() {
            let now = Instant::now();
            if self.closing.is_some_and(|deadline| deadline <= now) {
                return Poll::Ready(Stat::ClosedPeer);
            }
            let mut next = self.closing.unwrap_or(now + CLOSING.max(self.idle_timeout));
            if let Some(ping) = &mut self.ping {
                match ping.due(now, self.io.last_read()) {
                    Some(due) => next = next.min(due),
                    None => {
                        pool.shared.stats.add(Stat::PingTimeouts, 1);
                        self.conn.reason.set(Some(Stat::ClosedPing));
                        return Poll::Ready(Stat::ClosedPing);
                    }
                }
            }
            if self.conn.in_flight.get() > 0 {
                // It cannot have been idle for the timeout before then.
                next = next.min(now + self.idle_timeout);
            } else if self.conn.open.get() {
                let due = self.conn.idle_since.get() + self.idle_timeout;
                if due > now {
                    next = next.min(due);
                } else if pool.may_close_idle() {
                    pool.retire(&self.conn, Stat::ClosedIdle);
                    next = now + CLOSING;
                    self.closing = Some(next);
                } else {
                    next = next.min(now + self.idle_timeout.max(Duration::from_secs(1)));
                }
            }
            self.timer.as_mut().reset(next);
        }
        Poll::Pending
    }
}

/// The peer's stream limit, or why there will be no more streams. On a handle that
/// never sent, `poll_ready` only reads off the connection's error.
fn look(send: &mut SendRequest<Bytes>, cx: &mut Context<'_>) -> Result<usize, h2::Error> {
    match send.poll_ready(cx) {
        Poll::Ready(Err(error)) => Err(error),
        _ => Ok(send.current_max_send_streams()),
    }
}

/// PING when nothing was read for a while (RFC 9113 6.7).
struct Keepalive {
    params: PingKeepalive,
    ping: PingPong,
    /// When the answer must be here.
    deadline: Option<Instant>,
}

impl Keepalive {
    fn new(params: PingKeepalive, ping: PingPong) -> Self {
        // Zero would be a busy loop, and "never" would overflow the clock.
        let sane = |pause: Duration| pause.clamp(Duration::from_millis(10), FOREVER);
        Keepalive {
            params: PingKeepalive {
                interval: sane(params.interval),
                timeout: sane(params.timeout),
            },
            ping,
            deadline: None,
        }
    }

    fn poll_pong(&mut self, cx: &mut Context<'_>) {
        if self.deadline.is_some() && self.ping.poll_pong(cx).is_ready() {
            self.deadline = None;
        }
    }

    /// When to look again; `None` if the answer is overdue.
    fn due(&mut self, now: Instant, last_read: Instant) -> Option<Instant> {
        match self.deadline {
            Some(deadline) if deadline <= now => return None,
            Some(deadline) => return Some(deadline),
            None => {}
        }
        let due = last_read + self.params.interval;
        if due > now {
            return Some(due);
        }
        // Fails only on a connection that is ending anyway.
        let _ = self.ping.send_ping(Ping::opaque());
        let deadline = now + self.params.timeout;
        self.deadline = Some(deadline);
        Some(deadline)
    }
}
