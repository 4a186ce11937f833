//! Who may come in: connections and handshakes, counted per worker.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::net::IpAddr;
use std::rc::Rc;

use tokio::sync::Notify;

/// A worker's share of a listener's limits.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    pub max_connections: usize,
    pub max_handshakes: usize,
    pub max_handshakes_per_client: usize,
}

pub struct Admission {
    limits: Cell<Limits>,
    connections: Cell<usize>,
    handshakes: Cell<usize>,
    /// Handshakes in progress of each client address; empty ones are removed.
    clients: RefCell<HashMap<IpAddr, usize>>,
    freed: Notify,
}

impl Admission {
    pub fn new(limits: Limits) -> Rc<Self> {
        Rc::new(Admission {
            limits: Cell::new(limits),
            connections: Cell::new(0),
            handshakes: Cell::new(0),
            clients: RefCell::default(),
            freed: Notify::new(),
        })
    }

    /// Other limits, for whoever comes from now on.
    pub fn set_limits(&self, limits: Limits) {
        self.limits.set(limits);
    }

    /// Why the next connection may not come in now, if so.
    pub fn full(&self) -> Option<&'static str> {
        let limits = self.limits.get();
        if self.connections.get() >= limits.max_connections {
            return Some("max_connections");
        }
        (self.handshakes.get() >= limits.max_handshakes).then_some("max_handshakes")
    }

    /// Returns when a connection or handshake has ended.
    pub async fn freed(&self) {
        self.freed.notified().await;
    }

    /// Returns when no connection is left; to be awaited when nobody awaits `freed` any more.
    pub async fn emptied(&self) {
        while self.connections.get() > 0 {
            self.freed().await;
        }
    }

    /// Counts a connection and its handshake.
    pub fn connection(self: &Rc<Self>) -> (ConnectionSlot, HandshakeSlot) {
        self.connections.set(self.connections.get() + 1);
        self.handshakes.set(self.handshakes.get() + 1);
        (
            ConnectionSlot(self.clone()),
            HandshakeSlot(self.clone(), None),
        )
    }
}

/// A connection, until dropped.
pub struct ConnectionSlot(Rc<Admission>);

impl Drop for ConnectionSlot {
    fn drop(&mut self) {
        self.0.connections.set(self.0.connections.get() - 1);
        self.0.freed.notify_one();
    }
}

/// A handshake, until dropped.
pub struct HandshakeSlot(Rc<Admission>, Option<IpAddr>);

impl HandshakeSlot {
    /// Counts the handshake for its client; false if that client has too many.
    #[must_use]
    pub fn claim(&mut self, client: IpAddr) -> bool {
        let mut clients = self.0.clients.borrow_mut();
        let count = clients.entry(client).or_default();
        if *count >= self.0.limits.get().max_handshakes_per_client {
            return false;
        }
        *count += 1;
        self.1 = Some(client);
        true
    }
}

impl Drop for HandshakeSlot {
    fn drop(&mut self) {
        let admission = &self.0;
        admission.handshakes.set(admission.handshakes.get() - 1);
        if let Some(client) = self.1
            && let std::collections::hash_map::Entry::Occupied(mut count) =
                admission.clients.borrow_mut().entry(client)
        {
            *count.get_mut() -= 1;
            if *count.get() == 0 {
                count.remove();
            }
        }
        admission.freed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits {
        max_connections: 3,
        max_handshakes: 2,
        max_handshakes_per_client: 1,
    };

    #[test]
    fn limits_hold_and_slots_come_back() {
        let admission = Admission::new(LIMITS);
        let (a, mut b): (IpAddr, IpAddr) = ([10, 0, 0, 1].into(), [10, 0, 0, 2].into());
        let (connection, mut handshake) = admission.connection();
        assert!(handshake.claim(a));
        let (_connection2, mut handshake2) = admission.connection();
        assert!(!handshake2.claim(a));
        assert!(handshake2.claim(b));
        assert_eq!(admission.full(), Some("max_handshakes"));
        drop((handshake, handshake2));
        assert_eq!(admission.full(), None);
        assert!(admission.clients.borrow().is_empty());
        b = a;
        let (_connection3, mut handshake3) = admission.connection();
        assert!(handshake3.claim(b));
        assert_eq!(admission.full(), Some("max_connections"));
        let max_connections = LIMITS.max_connections + 1;
        admission.set_limits(Limits {
            max_connections,
            ..LIMITS
        });
        assert_eq!(admission.full(), None);
        admission.set_limits(LIMITS);
        drop(connection);
        assert_eq!(admission.full(), None);
    }

    #[tokio::test]
    async fn it_is_empty_after_the_last_connection() {
        let admission = Admission::new(LIMITS);
        admission.emptied().await;
        let (first, handshake) = admission.connection();
        let (second, _) = admission.connection();
        let ends = async move {
            drop(handshake);
            tokio::task::yield_now().await;
            drop(first);
            tokio::task::yield_now().await;
            drop(second);
        };
        tokio::join!(admission.emptied(), ends);
        assert_eq!(admission.connections.get(), 0);
    }
}
