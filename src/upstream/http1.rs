//! An HTTP/1.1 connection to a backend: one exchange at a time, kept alive.
//!
//! ```text
//! idle ──slot taken──→ busy ──slot dropped──→ returning ──hyper ready──→ idle
//!                        └── not reusable (close, unread body, error) ──→ gone
//! ```

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::time::{Instant, Sleep, sleep_until};

use super::conn::{Conn, Http1Wire, Wire};
use super::connect::Stream;
use super::lease::Http1Body;
use super::pool::Pool;
use super::stats::Stat;

/// How long an unused connection may take to close.
const CLOSING: Duration = Duration::from_secs(5);

/// Nothing is exchanged before the first request.
pub(super) async fn start(pool: &Rc<Pool>, stream: Stream) -> io::Result<Driver> {
    let params = pool.params();
    let (send, connection) = http1::Builder::new()
        .max_header_size(params.max_header_list_size as usize)
        .handshake::<_, Http1Body>(TokioIo::new(stream))
        .await
        .map_err(io::Error::other)?;
    let wire = Wire::Http1(Http1Wire {
        send: RefCell::new(Some(send)),
        returning: Cell::new(false),
        ended: Cell::new(false),
        driver: RefCell::new(None),
    });
    Ok(Driver {
        conn: Conn::new(pool, pool.shared.stats.clone(), wire, 1),
        // For backends that switch protocols, such as WebSocket ones.
        connection: Box::pin(connection.with_upgrades()),
        idle_timeout: pool.idle_timeout(),
        timer: Box::pin(sleep_until(Instant::now() + pool.idle_timeout())),
        closing: false,
    })
}

/// Drives one connection.
pub(super) struct Driver {
    conn: Rc<Conn>,
    connection: Pin<Box<dyn Future<Output = hyper::Result<()>>>>,
    idle_timeout: Duration,
    timer: Pin<Box<Sleep>>,
    closing: bool,
}

impl Driver {
    pub(super) async fn run(mut self: Box<Self>, pool: &Rc<Pool>) {
        let conn = self.conn.clone();
        pool.connected(conn.clone());
        let reason = poll_fn(|cx| self.turn(cx, pool)).await;
        drop(self);
        pool.closed(&conn, reason);
        let Wire::Http1(wire) = &conn.wire else {
            return;
        };
        wire.ended.set(true);
        if wire.returning.replace(false) {
            conn.freed();
        }
    }

    fn turn(&mut self, cx: &mut Context<'_>, pool: &Rc<Pool>) -> Poll<Stat> {
        let conn = self.conn.clone();
        let Wire::Http1(wire) = &conn.wire else {
            return Poll::Ready(Stat::ClosedPeer);
        };
        wire.watch(cx);
        if let Poll::Ready(result) = self.connection.as_mut().poll(cx) {
            if let Err(error) = result {
                tracing::debug!(endpoint = %conn.endpoint, %error, "connection ended");
            }
            return Poll::Ready(Stat::ClosedPeer);
        }
        if wire.returning.get() && wire.poll_reusable(cx, pool, &conn).is_ready() {
            wire.returning.set(false);
            conn.freed();
        }
        self.on_time(cx, pool)
    }

    fn on_time(&mut self, cx: &mut Context<'_>, pool: &Rc<Pool>) -> Poll<Stat> {
        if self.conn.is_closing() && !self.closing {
            self.closing = true;
            self.timer.as_mut().reset(Instant::now() + CLOSING);
        }
        while self.timer.as_mut().poll(cx).is_ready() {
            if self.closing {
                return Poll::Ready(Stat::ClosedPeer);
            }
            let now = Instant::now();
            let mut next = now + self.idle_timeout;
            if self.conn.in_flight.get() == 0 {
                let due = self.conn.idle_since.get() + self.idle_timeout;
                if due > now {
                    next = due;
                } else if pool.may_close_idle() {
                    pool.retire(&self.conn, Stat::ClosedIdle);
                    self.closing = true;
                    next = now + CLOSING;
                }
            }
            self.timer.as_mut().reset(next);
        }
        Poll::Pending
    }
}

impl Http1Wire {
    fn watch(&self, cx: &Context<'_>) {
        let mut driver = self.driver.borrow_mut();
        if !driver
            .as_ref()
            .is_some_and(|waker| waker.will_wake(cx.waker()))
        {
            *driver = Some(cx.waker().clone());
        }
    }

    /// Whether the last exchange is over on the wire. One that cannot be used again
    /// is retired.
    fn poll_reusable(&self, cx: &mut Context<'_>, pool: &Rc<Pool>, conn: &Rc<Conn>) -> Poll<()> {
        let ready = match self.send.borrow_mut().as_mut() {
            Some(send) => send.poll_ready(cx),
            None => return Poll::Ready(()),
        };
        if let Poll::Ready(Err(_)) = ready {
            pool.retire(conn, Stat::ClosedPeer);
        }
        ready.map(|_| ())
    }
}
