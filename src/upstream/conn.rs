//! One connection as the pool sees it: slots, and whether it takes more.
//!
//! ```text
//! Open ──retire──→ Draining ──last slot released──→ closing ──driver ends──→ gone
//!   └────────────────────────── the peer closes ──────────────────────────────┘
//! ```
//!
//! Invariants: `in_flight` is the number of live [`Slot`]s (HTTP/1: until the
//! connection is ready again); an Open connection is in its pool's list, a Draining
//! one is not; the sender is dropped only when Draining and without slots, which is
//! what makes the protocol's connection end.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::task::Waker;

use bytes::Bytes;
use tokio::time::Instant;

use super::lease::Http1Body;
use super::pool::Pool;
use super::stats::{Shard, Stat};

pub(super) struct Conn {
    pool: Weak<Pool>,
    pub(super) endpoint: SocketAddr,
    stats: Arc<Shard>,
    pub(super) wire: Wire,
    pub(super) in_flight: Cell<usize>,
    /// Slots at most: the parameter's or the peer's, whichever is less.
    pub(super) limit: Cell<usize>,
    pub(super) served: Cell<u64>,
    /// Takes new requests.
    pub(super) open: Cell<bool>,
    /// Why it was retired, for the count of its end.
    pub(super) reason: Cell<Option<Stat>>,
    pub(super) opened: Instant,
    pub(super) idle_since: Cell<Instant>,
}

pub(super) enum Wire {
    H2(H2Wire),
    Http1(Http1Wire),
}

pub(super) struct H2Wire {
    /// Never sent on itself, see [`H2Lease::send`](super::H2Lease::send).
    pub(super) send: RefCell<Option<h2::client::SendRequest<Bytes>>>,
    /// Bytes given to the socket so far.
    pub(super) written: Rc<Cell<u64>>,
}

pub(super) struct Http1Wire {
    pub(super) send: RefCell<Option<hyper::client::conn::http1::SendRequest<Http1Body>>>,
    /// The lease is gone, the exchange perhaps not: the driver decides.
    pub(super) returning: Cell<bool>,
    /// The driver is gone; a slot that comes back is freed by itself.
    pub(super) ended: Cell<bool>,
    pub(super) driver: RefCell<Option<Waker>>,
}

impl Conn {
    pub(super) fn new(pool: &Rc<Pool>, stats: Arc<Shard>, wire: Wire, limit: usize) -> Rc<Self> {
        let now = Instant::now();
        stats.add(Stat::ConnectionsOpen, 1);
        stats.add(Stat::ConnectionsOpened, 1);
        Rc::new(Conn {
            pool: Rc::downgrade(pool),
            endpoint: pool.endpoint.address,
            stats,
            wire,
            in_flight: Cell::new(0),
            limit: Cell::new(limit),
            served: Cell::new(0),
            open: Cell::new(true),
            reason: Cell::new(None),
            opened: now,
            idle_since: Cell::new(now),
        })
    }

    pub(super) fn has_room(&self) -> bool {
        self.open.get() && self.in_flight.get() < self.limit.get()
    }

    /// The pool has checked [`Conn::has_room`].
    pub(super) fn reserve(self: &Rc<Self>) -> Slot {
        self.in_flight.set(self.in_flight.get() + 1);
        self.served.set(self.served.get() + 1);
        self.stats.add(Stat::StreamsActive, 1);
        self.stats.add(Stat::Requests, 1);
        Slot(self.clone())
    }

    /// Lets the protocol's connection end once nothing uses it.
    pub(super) fn close_if_unused(&self) {
        if self.open.get() || self.in_flight.get() > 0 {
            return;
        }
        // Dropped outside the borrow: the drop wakes the driver.
        match &self.wire {
            Wire::H2(wire) => drop(wire.send.take()),
            Wire::Http1(wire) => {
                drop(wire.send.take());
                wire.wake_driver();
            }
        }
    }

    pub(super) fn is_closing(&self) -> bool {
        !self.open.get() && self.in_flight.get() == 0
    }

    /// One slot is free again.
    pub(super) fn freed(&self) {
        self.in_flight.set(self.in_flight.get() - 1);
        self.stats.sub(Stat::StreamsActive, 1);
        if self.in_flight.get() == 0 {
            self.idle_since.set(Instant::now());
        }
        let pool = self.pool.upgrade();
        if let Some(pool) = &pool {
            pool.load.set(pool.load.get() - 1);
        }
        if !self.open.get() {
            self.close_if_unused();
        } else if let Some(pool) = pool {
            pool.grant();
        }
    }
}

impl Http1Wire {
    /// Nothing was sent, or the exchange is over on the wire too.
    fn is_ready(&self) -> bool {
        self.send
            .borrow()
            .as_ref()
            .is_some_and(|send| send.is_ready())
    }

    pub(super) fn wake_driver(&self) {
        if let Some(waker) = self.driver.borrow().as_ref() {
            waker.wake_by_ref();
        }
    }
}

/// The right to one request on a connection; freed on drop.
pub(super) struct Slot(pub(super) Rc<Conn>);

impl Drop for Slot {
    fn drop(&mut self) {
        match &self.0.wire {
            Wire::H2(_) => self.0.freed(),
            Wire::Http1(wire) if wire.ended.get() || wire.is_ready() => self.0.freed(),
            // The next request must wait until this exchange has left the wire.
            Wire::Http1(wire) => {
                wire.returning.set(true);
                wire.wake_driver();
            }
        }
    }
}
