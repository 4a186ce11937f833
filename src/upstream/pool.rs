//! The connections of one worker to one endpoint, and the requests that wait for them.
//!
//! 1. A request takes a slot on the least loaded open connection; no task, no timer.
//! 2. Without a free slot it queues (FIFO, bounded in number and time), and as many
//!    connections are opened as the queue needs streams.
//! 3. A freed slot, a higher limit of the peer or a new connection wakes the queue's
//!    head, which owns its slot before it runs.
//! 4. A failed connection puts the endpoint into back-off; if nothing else can serve
//!    the queue, the queue fails at once with that error. At the end of the pause the
//!    pool tries by itself, and requests return when that succeeds.
//! 5. A retired connection (request limit, GOAWAY, removal) leaves the list, finishes
//!    its streams, and closes.
//!
//! Invariants: nobody takes a slot past a waiting request; sockets (opening, open,
//! draining) stay within `max_connections`, except that draining ones cannot keep the
//! endpoint without any usable connection; no borrow of the lists is held while a
//! slot, a waiter or a sender is dropped or woken.
//!
//! Must not know: which protocol runs on a connection, or other endpoints.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::task::spawn_local;
use tokio::time::{Instant, sleep, timeout};

use super::backoff::Backoff;
use super::conn::{Conn, Slot};
use super::connect::TlsConnector;
use super::error::AcquireError;
use super::params::{ClusterParams, PoolParams};
use super::resolver::Endpoint;
use super::stats::{Shard, Stat};

/// A connection that ends this soon without having served counts as a failed connect,
/// or a backend that accepts and closes would be connected to without pause.
const STILLBORN: Duration = Duration::from_secs(1);

/// The longest pause of a timer; longer ones overflow the clock.
pub(super) const FOREVER: Duration = Duration::from_secs(365 * 24 * 3600);

/// What the pools of a worker's cluster share.
pub(super) struct Shared {
    pub(super) params: Arc<ClusterParams>,
    pub(super) tls: Option<TlsConnector>,
    pub(super) stats: Arc<Shard>,
}

type Waiter = oneshot::Sender<Result<Slot, AcquireError>>;

pub(super) struct Pool {
    pub(super) endpoint: Endpoint,
    pub(super) shared: Rc<Shared>,
    conns: RefCell<Vec<Rc<Conn>>>,
    opening: Cell<usize>,
    draining: Cell<usize>,
    waiters: RefCell<VecDeque<Waiter>>,
    /// Live requests in `waiters`; it may also hold some that gave up.
    waiting: Cell<usize>,
    /// Slots taken.
    pub(super) load: Cell<usize>,
    /// Streams that a connection to this endpoint brings.
    expected: Cell<usize>,
    /// No attempts to connect but one at the pause's end (or as a trial).
    backed_off: Cell<bool>,
    failure: RefCell<Failure>,
    removed: Cell<bool>,
}

struct Failure {
    backoff: Backoff,
    last: Option<(Instant, AcquireError)>,
}

impl Pool {
    pub(super) fn new(endpoint: Endpoint, shared: Rc<Shared>) -> Rc<Self> {
        let params = &shared.params.pool;
        let backoff = Backoff::new(params.backoff_initial, params.backoff_maximum);
        let expected = params.max_concurrent_streams;
        Rc::new(Pool {
            endpoint,
            conns: RefCell::default(),
            opening: Cell::new(0),
            draining: Cell::new(0),
            waiters: RefCell::default(),
            waiting: Cell::new(0),
            load: Cell::new(0),
            expected: Cell::new(expected.max(1)),
            backed_off: Cell::new(false),
            failure: RefCell::new(Failure {
                backoff,
                last: None,
            }),
            removed: Cell::new(false),
            shared,
        })
    }

    pub(super) fn params(&self) -> &PoolParams {
        &self.shared.params.pool
    }

    pub(super) fn idle_timeout(&self) -> Duration {
        // Zero would make the connections' timers a busy loop.
        let timeout = self.params().idle_timeout;
        timeout.clamp(Duration::from_millis(10), FOREVER)
    }

    fn stats(&self) -> &Shard {
        &self.shared.stats
    }

    fn address(&self) -> SocketAddr {
        self.endpoint.address
    }

    /// In flight and waiting.
    pub(super) fn load(&self) -> usize {
        self.load.get() + self.waiting.get()
    }

    /// In back-off and without a connection that works: no use to the balancer.
    pub(super) fn is_out(&self) -> bool {
        self.backed_off.get() && self.conns.borrow().is_empty()
    }

    /// A slot, if one is free and nobody waits for it.
    pub(super) fn try_acquire(self: &Rc<Self>) -> Option<Slot> {
        if self.waiting.get() > 0 {
            return None;
        }
        self.take_slot()
    }

    fn take_slot(self: &Rc<Self>) -> Option<Slot> {
        let conn = {
            let conns = self.conns.borrow();
            // The least loaded serves; at low load that is always the first, so that
            // the others can become idle and close.
            let free = conns.iter().filter(|conn| conn.has_room());
            free.min_by_key(|conn| conn.in_flight.get())?.clone()
        };
        self.load.set(self.load.get() + 1);
        let slot = conn.reserve();
        if conn.served.get() >= self.max_requests() {
            self.retire(&conn, Stat::ClosedRetired);
        }
        Some(slot)
    }

    fn max_requests(&self) -> u64 {
        match self.params().max_requests_per_connection {
            // HTTP/2 has 2^30 client streams in a connection.
            0 => 1 << 30,
            max => max.min(1 << 30),
        }
    }

    /// Waits for a slot. `trial`: no endpoint is out of back-off, so one attempt may
    /// be made now even though this one is not.
    pub(super) async fn wait(self: &Rc<Self>, trial: bool) -> Result<Slot, AcquireError> {
        if self.removed.get() {
            return Err(self.gone());
        }
        let mut queued = self.enqueue()?;
        self.open_on_demand(trial);
        if let Some(error) = self.hopeless() {
            return Err(error);
        }
        let limit = self.params().pending_timeout;
        match timeout(limit, &mut queued.receiver).await {
            Ok(Ok(result)) => result,
            Ok(Err(_closed)) => Err(self.gone()),
            Err(_elapsed) => {
                self.stats().add(Stat::PendingTimeouts, 1);
                Err(AcquireError::PendingTimeout {
                    endpoint: self.address(),
                    waited: limit,
                })
            }
        }
    }

    fn enqueue(self: &Rc<Self>) -> Result<Queued, AcquireError> {
        // Without one place nobody could wait even for the first connection.
        let limit = self.params().max_pending_requests.max(1);
        if self.waiting.get() >= limit {
            self.stats().add(Stat::PendingRejected, 1);
            return Err(AcquireError::PendingFull {
                endpoint: self.address(),
            });
        }
        let (sender, receiver) = oneshot::channel();
        let mut waiters = self.waiters.borrow_mut();
        // Those that gave up leave by the front when their turn comes; if no turn
        // comes they must not pile up.
        if waiters.len() > 2 * limit {
            waiters.retain(|waiter| !waiter.is_closed());
        }
        waiters.push_back(sender);
        self.waiting.set(self.waiting.get() + 1);
        self.stats().add(Stat::Pending, 1);
        Ok(Queued {
            pool: self.clone(),
            receiver,
        })
    }

    /// The last failure, if nothing is there or on its way that could end the wait.
    fn hopeless(&self) -> Option<AcquireError> {
        if self.opening.get() > 0 || !self.conns.borrow().is_empty() {
            return None;
        }
        let failure = self.failure.borrow();
        failure.last.as_ref().map(|(_, error)| error.clone())
    }

    fn gone(&self) -> AcquireError {
        AcquireError::EndpointGone {
            endpoint: self.address(),
        }
    }

    /// Gives free slots to the longest waiting.
    pub(super) fn grant(self: &Rc<Self>) {
        while self.waiting.get() > 0 {
            // Before the slot: one taken for a waiter that gave up would come back
            // through its drop, and so call this again.
            let Some(waiter) = self.next_waiter() else {
                return;
            };
            let Some(slot) = self.take_slot() else {
                self.waiters.borrow_mut().push_front(waiter);
                return;
            };
            self.leaves_queue();
            // Cannot fail: it was open, and nothing has run since.
            let _ = waiter.send(Ok(slot));
        }
    }

    fn next_waiter(&self) -> Option<Waiter> {
        let mut waiters = self.waiters.borrow_mut();
        loop {
            let waiter = waiters.pop_front()?;
            if !waiter.is_closed() {
                return Some(waiter);
            }
        }
    }

    /// Opens what the queue needs beyond what is opening already.
    fn open_on_demand(self: &Rc<Self>, trial: bool) {
        if self.backed_off.get() {
            if trial && self.opening.get() == 0 && self.trial_due() {
                self.open();
            }
            return;
        }
        while self.waiting.get() > self.opening.get() * self.expected.get() && self.may_open() {
            self.open();
        }
    }

    fn trial_due(&self) -> bool {
        let failure = self.failure.borrow();
        match &failure.last {
            Some((at, _)) => at.elapsed() >= failure.backoff.initial(),
            None => true,
        }
    }

    fn may_open(&self) -> bool {
        let usable = self.conns.borrow().len() + self.opening.get();
        let sockets = usable + self.draining.get();
        let free = usable == 0 || sockets < self.params().max_connections;
        !self.removed.get() && !self.backed_off.get() && free
    }

    /// Opens connections until `warm_up` are there.
    pub(super) fn warm(self: &Rc<Self>) {
        let target = self.params().warm_up.min(self.params().max_connections);
        while self.conns.borrow().len() + self.opening.get() < target && self.may_open() {
            self.open();
        }
    }

    fn open(self: &Rc<Self>) {
        self.opening.set(self.opening.get() + 1);
        spawn_local(super::establish::run(self.clone()));
    }

    /// Whether an idle connection may close: those of the warm-up stay.
    pub(super) fn may_close_idle(&self) -> bool {
        self.conns.borrow().len() > self.params().warm_up
    }

    /// A connection is there.
    pub(super) fn connected(self: &Rc<Self>, conn: Rc<Conn>) {
        self.opening.set(self.opening.get() - 1);
        self.limit_known(conn.limit.get());
        self.end_backoff();
        self.conns.borrow_mut().push(conn.clone());
        if self.removed.get() {
            self.retire(&conn, Stat::ClosedRemoved);
            return;
        }
        self.grant();
        self.open_on_demand(false);
        self.warm();
    }

    /// How many requests a connection carries at once and in its life.
    pub(super) fn limit_known(&self, limit: usize) {
        let max = usize::try_from(self.max_requests()).unwrap_or(usize::MAX);
        self.expected.set(limit.min(max).max(1));
    }

    /// An attempt to connect failed.
    pub(super) fn connect_failed(self: &Rc<Self>, error: AcquireError, started: Instant) {
        self.opening.set(self.opening.get() - 1);
        tracing::debug!(cluster = %self.shared.params.name, %error, "no connection");
        self.stats().add(
            match error {
                AcquireError::ConnectTimeout { .. } => Stat::ConnectTimeouts,
                _ => Stat::ConnectFailures,
            },
            1,
        );
        self.back_off(error, started);
        // Other attempts may still succeed, and open connections free their slots.
        if let Some(error) = self.hopeless() {
            self.fail_waiters(&error);
        }
    }

    fn fail_waiters(&self, error: &AcquireError) {
        while let Some(waiter) = self.next_waiter() {
            self.leaves_queue();
            let _ = waiter.send(Err(error.clone()));
        }
    }

    fn leaves_queue(&self) {
        self.waiting.set(self.waiting.get() - 1);
        self.stats().sub(Stat::Pending, 1);
    }

    /// After a failure of an attempt or connection that began at `started`.
    fn back_off(self: &Rc<Self>, error: AcquireError, started: Instant) {
        let now = Instant::now();
        let pause = {
            let failure = &mut *self.failure.borrow_mut();
            let last = failure.last.as_ref().map(|(at, _)| *at);
            // Attempts made side by side fail together: one failure, not many.
            if last.is_some_and(|at| started <= at) {
                return;
            }
            // An outage long past says nothing about this one.
            let forget = failure.backoff.maximum().saturating_mul(2);
            if last.is_some_and(|at| now.duration_since(at) > forget) {
                failure.backoff.reset();
            }
            failure.last = Some((now, error));
            failure.backoff.next()
        };
        if !self.backed_off.replace(true) {
            self.stats().add(Stat::BackOffs, 1);
            self.stats().add(Stat::BackedOff, 1);
        }
        let pool = Rc::downgrade(self);
        spawn_local(async move {
            sleep(pause).await;
            if let Some(pool) = pool.upgrade() {
                pool.backoff_over(now);
            }
        });
    }

    /// The pause after the failure of `at` is over.
    fn backoff_over(self: &Rc<Self>, at: Instant) {
        let last = self.failure.borrow().last.as_ref().map(|(at, _)| *at);
        // A later failure has its own pause.
        if last != Some(at) || self.removed.get() {
            return;
        }
        if self.is_out() {
            // Requests come back when this one attempt has succeeded: at a host that
            // swallows packets each would wait for `connect_timeout`.
            if self.opening.get() == 0 {
                self.open();
            }
        } else {
            self.end_backoff();
            self.warm();
        }
    }

    fn end_backoff(&self) {
        if self.backed_off.replace(false) {
            self.stats().sub(Stat::BackedOff, 1);
        }
    }

    /// Takes the connection out of use; it ends when its streams have.
    pub(super) fn retire(self: &Rc<Self>, conn: &Rc<Conn>, reason: Stat) {
        if conn.open.replace(false) {
            conn.reason.set(Some(reason));
            self.conns.borrow_mut().retain(|c| !Rc::ptr_eq(c, conn));
            self.draining.set(self.draining.get() + 1);
            conn.close_if_unused();
            self.replace();
        }
    }

    /// The connection is gone. `reason`: if it was not retired before.
    pub(super) fn closed(self: &Rc<Self>, conn: &Rc<Conn>, reason: Stat) {
        if conn.open.get() && conn.served.get() == 0 && conn.opened.elapsed() < STILLBORN {
            let error = AcquireError::Connect {
                endpoint: self.address(),
                source: Arc::new(io::ErrorKind::ConnectionReset.into()),
            };
            self.back_off(error, conn.opened);
        }
        self.retire(conn, reason);
        self.draining.set(self.draining.get() - 1);
        self.stats().sub(Stat::ConnectionsOpen, 1);
        self.stats().add(conn.reason.get().unwrap_or(reason), 1);
        self.replace();
    }

    /// Opens what a retired or closed connection leaves missing.
    fn replace(self: &Rc<Self>) {
        if self.removed.get() {
            return;
        }
        self.warm();
        self.open_on_demand(false);
        if let Some(error) = self.hopeless() {
            self.fail_waiters(&error);
        }
    }

    /// The endpoint left the cluster: nothing new, and what is there finishes.
    pub(super) fn remove(self: &Rc<Self>) {
        self.removed.set(true);
        self.end_backoff();
        self.fail_waiters(&self.gone());
        let conns = self.conns.borrow().clone();
        for conn in conns {
            self.retire(&conn, Stat::ClosedRemoved);
        }
    }
}

/// A request in the queue; leaves it when dropped.
struct Queued {
    pool: Rc<Pool>,
    receiver: oneshot::Receiver<Result<Slot, AcquireError>>,
}

impl Drop for Queued {
    fn drop(&mut self) {
        // Anything else: it was served or failed, and left the queue then. A slot
        // that came too late is freed here.
        if let Err(oneshot::error::TryRecvError::Empty) = self.receiver.try_recv() {
            self.pool.leaves_queue();
        }
    }
}
