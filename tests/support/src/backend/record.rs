//! What a backend was asked.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use http::{HeaderMap, request::Parts};

use crate::PATIENCE;

/// How a request ended, as the backend saw it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Not yet.
    Open,
    /// With its response.
    Complete,
    /// RST_STREAM from the gateway, with this code.
    Reset(u32),
    /// The connection broke, or the backend itself cut it.
    Broken,
}

/// One request.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Which of the backend's connections it came over, from 0.
    pub connection: usize,
    pub method: http::Method,
    pub path: String,
    pub authority: Option<String>,
    pub headers: HeaderMap,
    /// Body bytes read so far.
    pub body: u64,
    pub trailers: Option<HeaderMap>,
    pub ended: Ended,
}

impl Seen {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

#[derive(Default)]
struct Inner {
    connections: usize,
    open_connections: usize,
    seen: Vec<Seen>,
    /// Requests not ended, by connection, and the most there ever were.
    streams: Vec<(usize, usize)>,
}

/// All that a backend was asked, in the order of the requests' heads.
#[derive(Default)]
pub struct Record {
    inner: Mutex<Inner>,
    changed: Condvar,
}

impl Record {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn connected(&self) -> usize {
        let mut inner = self.lock();
        inner.connections += 1;
        inner.open_connections += 1;
        inner.streams.push((0, 0));
        self.changed.notify_all();
        inner.connections - 1
    }

    pub(super) fn disconnected(&self) {
        self.lock().open_connections -= 1;
        self.changed.notify_all();
    }

    pub(super) fn begun(&self, connection: usize, parts: &Parts) -> usize {
        let mut inner = self.lock();
        let (now, most) = &mut inner.streams[connection];
        *now += 1;
        *most = (*most).max(*now);
        let path = parts.uri.path_and_query().map_or("", |path| path.as_str());
        inner.seen.push(Seen {
            connection,
            method: parts.method.clone(),
            path: path.to_owned(),
            authority: parts.uri.authority().map(ToString::to_string),
            headers: parts.headers.clone(),
            body: 0,
            trailers: None,
            ended: Ended::Open,
        });
        self.changed.notify_all();
        inner.seen.len() - 1
    }

    pub(super) fn read(&self, request: usize, bytes: u64) {
        self.lock().seen[request].body += bytes;
        self.changed.notify_all();
    }

    pub(super) fn trailers(&self, request: usize, trailers: HeaderMap) {
        self.lock().seen[request].trailers = Some(trailers);
        self.changed.notify_all();
    }

    /// Only the first end counts.
    pub(super) fn ended(&self, request: usize, ended: Ended) {
        let mut inner = self.lock();
        let seen = &mut inner.seen[request];
        if seen.ended == Ended::Open {
            seen.ended = ended;
            let connection = seen.connection;
            inner.streams[connection].0 -= 1;
        }
        self.changed.notify_all();
    }

    /// Connections ever.
    pub fn connections(&self) -> usize {
        self.lock().connections
    }

    pub fn open_connections(&self) -> usize {
        self.lock().open_connections
    }

    /// The most requests at once on one connection.
    pub fn most_streams(&self) -> usize {
        let inner = self.lock();
        inner
            .streams
            .iter()
            .map(|(_, most)| *most)
            .max()
            .unwrap_or(0)
    }

    pub fn seen(&self) -> Vec<Seen> {
        self.lock().seen.clone()
    }

    /// Requests so far.
    pub fn count(&self) -> usize {
        self.lock().seen.len()
    }

    /// The last request.
    pub fn last(&self) -> Seen {
        self.lock().seen.last().cloned().expect("a request")
    }

    /// Waits until something is so.
    ///
    /// # Panics
    /// After [`PATIENCE`].
    pub fn wait<T>(&self, what: &str, answer: impl Fn(&[Seen]) -> Option<T>) -> T {
        let since = Instant::now();
        let mut inner = self.lock();
        loop {
            if let Some(answer) = answer(&inner.seen) {
                return answer;
            }
            let left = PATIENCE.saturating_sub(since.elapsed());
            assert!(
                !left.is_zero(),
                "not in time: {what}; seen: {:#?}",
                inner.seen
            );
            let (next, _) = self
                .changed
                .wait_timeout(inner, left)
                .unwrap_or_else(PoisonError::into_inner);
            inner = next;
        }
    }

    /// Waits until so many requests have come.
    pub fn wait_count(&self, count: usize) {
        self.wait("requests", |seen| (seen.len() >= count).then_some(()));
    }
}
