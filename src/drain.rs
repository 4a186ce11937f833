//! The end of a process's life, or of a version of its configuration: tell everyone once, wait
//! for everyone, boundedly.
//!
//! 1. `Running`: nothing happens.
//! 2. `Retiring`, of a version: listeners stop, HTTP/2 connections take no new streams,
//!    HTTP/1.1 connections end with their next response: a client that sends one just now
//!    would never know whether to send it again.
//! 3. `Draining`: connections finish what they have and take nothing new.
//! 4. `Cut`: what is still open is closed.
//!
//! A phase never goes back. Whoever holds a [`Watch`] holds the process up until the
//! cut; the [`Signal`]'s owner bounds that wait.

use std::time::Duration;

use tokio::sync::watch;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    Running,
    Retiring,
    Draining,
    Cut,
}

/// Makes a pair; clone the [`Watch`] for everyone who must hear.
pub fn channel() -> (Signal, Watch) {
    let (sender, receiver) = watch::channel(Phase::Running);
    (Signal(sender), Watch(receiver))
}

/// The side that decides.
#[derive(Debug)]
pub struct Signal(watch::Sender<Phase>);

impl Signal {
    /// One more to hear.
    pub fn watch(&self) -> Watch {
        Watch(self.0.subscribe())
    }

    /// Tells everyone to finish when it suits their clients.
    pub fn retire(&self) {
        self.raise(Phase::Retiring);
    }

    /// Tells everyone to finish.
    pub fn drain(&self) {
        self.raise(Phase::Draining);
    }

    /// Tells everyone to stop where they are.
    pub fn cut(&self) {
        self.raise(Phase::Cut);
    }

    pub fn phase(&self) -> Phase {
        *self.0.borrow()
    }

    /// Waits until every [`Watch`] is dropped, at most `limit`; false past it.
    pub async fn finished(&self, limit: Duration) -> bool {
        tokio::time::timeout(limit, self.0.closed()).await.is_ok()
    }

    fn raise(&self, to: Phase) {
        self.0.send_if_modified(|phase| {
            let higher = to > *phase;
            if higher {
                *phase = to;
            }
            higher
        });
    }
}

/// The side that listens.
#[derive(Clone, Debug)]
pub struct Watch(watch::Receiver<Phase>);

impl Watch {
    pub fn phase(&self) -> Phase {
        *self.0.borrow()
    }

    /// Returns once retiring, or draining, has begun.
    pub async fn retiring(&mut self) {
        self.reached(Phase::Retiring).await;
    }

    /// Returns once draining has begun.
    pub async fn draining(&mut self) {
        self.reached(Phase::Draining).await;
    }

    /// Returns once the rest is to be cut.
    pub async fn cut(&mut self) {
        self.reached(Phase::Cut).await;
    }

    async fn reached(&mut self, phase: Phase) {
        // A dropped signal is a cut: nobody is left to wait for us.
        let _ = self.0.wait_for(|now| *now >= phase).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn phases_only_rise_and_the_wait_ends_with_the_last_watch() {
        let (signal, mut watch) = channel();
        assert_eq!(watch.phase(), Phase::Running);
        signal.retire();
        watch.retiring().await;
        assert_eq!(watch.phase(), Phase::Retiring);
        signal.drain();
        signal.retire();
        assert_eq!(watch.phase(), Phase::Draining);
        watch.draining().await;
        assert!(!signal.finished(Duration::from_millis(5)).await);
        signal.cut();
        signal.drain();
        assert_eq!(watch.phase(), Phase::Cut);
        watch.cut().await;
        drop(watch);
        assert!(signal.finished(Duration::from_secs(5)).await);
    }
}
