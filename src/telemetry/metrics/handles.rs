//! Handles with their labels resolved: what the hot path touches.
//!
//! A handle belongs to one worker (`!Send`) and is cheap to clone. What can only be
//! known late, such as a status code, is resolved on its first use and found again
//! by a scan of the few values seen.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use prometheus::{Histogram, IntCounter, IntGauge};

use super::families::Families;

/// Few keys, each with its metric.
struct Seen<K, M>(RefCell<Vec<(K, M)>>);

impl<K: PartialEq, M> Seen<K, M> {
    fn new() -> Self {
        Seen(RefCell::default())
    }

    fn with(&self, key: K, resolve: impl FnOnce() -> M, apply: impl FnOnce(&M)) {
        let mut seen = self.0.borrow_mut();
        if let Some((_, metric)) = seen.iter().find(|(known, _)| *known == key) {
            return apply(metric);
        }
        let metric = resolve();
        apply(&metric);
        seen.push((key, metric));
    }
}

/// Keeps a gauge one higher while it lives.
pub struct ActiveGuard(IntGauge);

impl ActiveGuard {
    pub fn new(gauge: &IntGauge) -> ActiveGuard {
        gauge.inc();
        ActiveGuard(gauge.clone())
    }
}

impl Drop for ActiveGuard {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// What a handshake was. The values come from the program, never from a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HandshakeLabels {
    /// `completed`, or why not: `timeout`, `client_closed`, `no_shared_cipher`, …
    pub outcome: &'static str,
    /// `software` and so on.
    pub accelerator: &'static str,
    /// Of the certificate used: `rsa`, `ecdsa`; `none` if it never came to that.
    pub key_type: &'static str,
    /// `TLSv1.3`; `none` if it never came to that.
    pub version: &'static str,
    pub resumed: bool,
}

struct ListenerInner {
    families: Arc<Families>,
    name: String,
    accepted: IntCounter,
    active: IntGauge,
    handshaking: IntGauge,
    unmatched: IntCounter,
    rejected: Seen<&'static str, IntCounter>,
    handshakes: Seen<HandshakeLabels, (IntCounter, Histogram)>,
    pauses: Seen<&'static str, Histogram>,
    protocols: Seen<&'static str, IntCounter>,
    errors: Seen<&'static str, IntCounter>,
}

/// A listener's connections and handshakes, and the requests no route took.
#[derive(Clone)]
pub struct ListenerMetrics(Rc<ListenerInner>);

impl ListenerMetrics {
    pub(super) fn new(families: &Arc<Families>, name: &str) -> ListenerMetrics {
        let labels = &[name];
        ListenerMetrics(Rc::new(ListenerInner {
            accepted: families.listener.connections.with_label_values(labels),
            active: families.listener.active.with_label_values(labels),
            handshaking: families.tls.in_progress.with_label_values(labels),
            unmatched: families.route.unmatched.with_label_values(labels),
            rejected: Seen::new(),
            handshakes: Seen::new(),
            pauses: Seen::new(),
            protocols: Seen::new(),
            errors: Seen::new(),
            name: name.to_owned(),
            families: families.clone(),
        }))
    }

    /// A connection was accepted; the guard lives as long as it does.
    pub fn accepted(&self) -> ActiveGuard {
        self.0.accepted.inc();
        ActiveGuard::new(&self.0.active)
    }

    /// A connection was closed before TLS. `reason` comes from the program.
    pub fn rejected(&self, reason: &'static str) {
        let inner = &*self.0;
        let resolve = || {
            let labels = &[inner.name.as_str(), reason];
            inner.families.listener.rejected.with_label_values(labels)
        };
        inner.rejected.with(reason, resolve, IntCounter::inc);
    }

    /// A handshake begins; the guard lives until it ends.
    pub fn handshake_begins(&self) -> ActiveGuard {
        ActiveGuard::new(&self.0.handshaking)
    }

    /// A handshake ended; `elapsed` is recorded of completed ones.
    pub fn handshake_ended(&self, labels: HandshakeLabels, elapsed: Duration) {
        let inner = &*self.0;
        let resolve = || inner.resolve_handshake(labels);
        inner
            .handshakes
            .with(labels, resolve, |(counter, seconds)| {
                counter.inc();
                if labels.outcome == "completed" {
                    seconds.observe(elapsed.as_secs_f64());
                }
            });
    }

    /// A handshake that `accelerator` served was completed, with so many pauses.
    pub fn handshake_paused(&self, accelerator: &'static str, pauses: u32) {
        let inner = &*self.0;
        let resolve = || {
            let labels = &[inner.name.as_str(), accelerator];
            inner.families.tls.pauses.with_label_values(labels)
        };
        let observe = |histogram: &Histogram| histogram.observe(pauses.into());
        inner.pauses.with(accelerator, resolve, observe);
    }

    /// A connection speaks HTTP from now on: `h2`, `http/1.1`.
    pub fn http_begins(&self, protocol: &'static str) {
        let inner = &*self.0;
        let resolve = || {
            let labels = &[inner.name.as_str(), protocol];
            inner.families.http.connections.with_label_values(labels)
        };
        inner.protocols.with(protocol, resolve, IntCounter::inc);
    }

    /// A request was refused before routing. `reason` comes from the program.
    pub fn http_error(&self, reason: &'static str) {
        let inner = &*self.0;
        let resolve = || {
            let labels = &[inner.name.as_str(), reason];
            inner.families.http.errors.with_label_values(labels)
        };
        inner.errors.with(reason, resolve, IntCounter::inc);
    }

    /// No route matched a request.
    pub fn unmatched(&self) {
        self.0.unmatched.inc();
    }
}

impl ListenerInner {
    fn resolve_handshake(&self, labels: HandshakeLabels) -> (IntCounter, Histogram) {
        let resumed = if labels.resumed { "true" } else { "false" };
        let counter = self.families.tls.handshakes.with_label_values(&[
            &self.name,
            labels.outcome,
            labels.accelerator,
            labels.key_type,
            labels.version,
            resumed,
        ]);
        let seconds = self.families.tls.seconds.with_label_values(&[
            self.name.as_str(),
            labels.accelerator,
            resumed,
        ]);
        (counter, seconds)
    }
}

/// How a request ended.
#[derive(Clone, Copy, Debug)]
pub struct Finished {
    /// None: the client was gone before there was a status.
    pub status: Option<u16>,
    /// Of gRPC responses.
    pub grpc_status: Option<u16>,
    pub elapsed: Duration,
}

struct RouteInner {
    families: Arc<Families>,
    name: String,
    cluster: String,
    seconds: Histogram,
    active: IntGauge,
    request_bytes: IntCounter,
    response_bytes: IntCounter,
    codes: Seen<u16, IntCounter>,
    grpc: Seen<u16, IntCounter>,
}

/// The requests of one route.
#[derive(Clone)]
pub struct RouteMetrics(Rc<RouteInner>);

/// Statuses of gRPC end at 16 (UNAUTHENTICATED); others are counted together, so
/// that a backend cannot make labels without end.
const GRPC_OTHER: u16 = 17;

impl RouteMetrics {
    pub(super) fn new(families: &Arc<Families>, name: &str, cluster: &str) -> RouteMetrics {
        let labels = &[name, cluster];
        RouteMetrics(Rc::new(RouteInner {
            seconds: families.route.seconds.with_label_values(labels),
            active: families.route.active.with_label_values(labels),
            request_bytes: families.route.request_bytes.with_label_values(labels),
            response_bytes: families.route.response_bytes.with_label_values(labels),
            codes: Seen::new(),
            grpc: Seen::new(),
            name: name.to_owned(),
            cluster: cluster.to_owned(),
            families: families.clone(),
        }))
    }

    /// A request begins; the guard lives until its response has ended.
    pub fn begins(&self) -> ActiveGuard {
        ActiveGuard::new(&self.0.active)
    }

    pub fn finished(&self, finished: Finished) {
        let inner = &*self.0;
        let code = finished.status.unwrap_or(0);
        inner
            .codes
            .with(code, || inner.resolve_code(code), IntCounter::inc);
        if let Some(status) = finished.grpc_status {
            let status = status.min(GRPC_OTHER);
            inner
                .grpc
                .with(status, || inner.resolve_grpc(status), IntCounter::inc);
        }
        inner.seconds.observe(finished.elapsed.as_secs_f64());
    }

    /// Body bytes that came from the client.
    pub fn received(&self, bytes: u64) {
        self.0.request_bytes.inc_by(bytes);
    }

    /// Body bytes that went to the client.
    pub fn sent(&self, bytes: u64) {
        self.0.response_bytes.inc_by(bytes);
    }
}

impl RouteInner {
    fn resolve_code(&self, code: u16) -> IntCounter {
        let text = match code {
            0 => "none".to_owned(),
            code => code.to_string(),
        };
        let labels = &[self.name.as_str(), &self.cluster, &text];
        self.families.route.requests.with_label_values(labels)
    }

    fn resolve_grpc(&self, status: u16) -> IntCounter {
        let text = match status {
            GRPC_OTHER => "other".to_owned(),
            status => status.to_string(),
        };
        let labels = &[self.name.as_str(), &self.cluster, &text];
        self.families.route.grpc.with_label_values(labels)
    }
}

/// A cluster's connections, streams and waiting requests. Plain counters: either the
/// pool counts as it goes, or its own totals are copied with [`super::set_total`]
/// before a scrape.
#[derive(Clone)]
pub struct ClusterMetrics {
    pub connections: IntCounter,
    pub connections_active: IntGauge,
    pub connect_failures: IntCounter,
    pub requests: IntCounter,
    pub streams_active: IntGauge,
    pub pending: IntGauge,
    pub pending_overflows: IntCounter,
    pub pending_timeouts: IntCounter,
    pub retries: IntCounter,
    pub retries_refused: IntCounter,
    pub goaways: IntCounter,
    pub endpoints: IntGauge,
    pub dns_successes: IntCounter,
    pub dns_failures: IntCounter,
}

impl ClusterMetrics {
    pub(super) fn new(families: &Families, name: &str) -> ClusterMetrics {
        let labels = &[name];
        let rejected = |why| {
            families
                .upstream
                .pending_rejected
                .with_label_values(&[name, why])
        };
        let dns = |outcome| families.upstream.dns.with_label_values(&[name, outcome]);
        ClusterMetrics {
            connections: families.upstream.connections.with_label_values(labels),
            connections_active: families
                .upstream
                .connections_active
                .with_label_values(labels),
            connect_failures: families.upstream.connect_failures.with_label_values(labels),
            requests: families.upstream.requests.with_label_values(labels),
            streams_active: families.upstream.streams_active.with_label_values(labels),
            pending: families.upstream.pending.with_label_values(labels),
            pending_overflows: rejected("overflow"),
            pending_timeouts: rejected("timeout"),
            retries: families.upstream.retries.with_label_values(labels),
            retries_refused: families.upstream.retries_refused.with_label_values(labels),
            goaways: families.upstream.goaways.with_label_values(labels),
            endpoints: families.upstream.endpoints.with_label_values(labels),
            dns_successes: dns("success"),
            dns_failures: dns("failure"),
        }
    }
}
