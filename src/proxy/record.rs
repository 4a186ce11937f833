//! What is counted and logged of one exchange, once, when it has ended.

use std::net::SocketAddr;
use std::rc::Rc;
use std::time::SystemTime;

use http::{HeaderMap, Request, response};
use tokio::time::Instant;

use super::body::BodyError;
use super::failure::Failure;
use super::{Peer, PeerTls, Proxy, RouteHandle, headers};
use crate::telemetry::{AccessSink, ActiveGuard, Finished, TlsRecord};

/// Counts and logs when dropped.
pub struct Record {
    started: Instant,
    route: Option<(Rc<RouteHandle>, ActiveGuard)>,
    status: Option<u16>,
    grpc_status: Option<u16>,
    received: u64,
    sent: u64,
    endpoint: Option<SocketAddr>,
    log: Option<Box<Line>>,
    /// Moved on or already told.
    over: bool,
}

/// What only the access log wants.
struct Line {
    sink: AccessSink,
    time: SystemTime,
    client: SocketAddr,
    tls: Option<Rc<PeerTls>>,
    method: String,
    host: Option<String>,
    path: String,
    protocol: &'static str,
    request_id: Option<String>,
}

impl Proxy {
    pub(super) fn record(&self, head: &Request<()>, peer: &Peer) -> Record {
        Record {
            started: Instant::now(),
            route: None,
            status: None,
            grpc_status: None,
            received: 0,
            sent: 0,
            endpoint: None,
            log: self
                .access
                .as_ref()
                .map(|sink| Box::new(Line::new(sink.clone(), head, peer))),
            over: false,
        }
    }
}

impl Line {
    fn new(sink: AccessSink, head: &Request<()>, peer: &Peer) -> Self {
        let host = match head.uri().authority() {
            Some(authority) => Some(authority.to_string()),
            None => head
                .headers()
                .get(http::header::HOST)
                .map(|host| String::from_utf8_lossy(host.as_bytes()).into_owned()),
        };
        let path = head
            .uri()
            .path_and_query()
            .map_or("*", |path| path.as_str());
        Line {
            sink,
            time: SystemTime::now(),
            client: peer.address,
            tls: peer.tls.clone(),
            method: head.method().to_string(),
            host,
            path: path.to_owned(),
            protocol: match head.version() {
                http::Version::HTTP_2 => "HTTP/2.0",
                http::Version::HTTP_10 => "HTTP/1.0",
                _ => "HTTP/1.1",
            },
            request_id: None,
        }
    }
}

impl Record {
    pub fn started(&self) -> Instant {
        self.started
    }

    pub fn routed(&mut self, route: &Rc<RouteHandle>) {
        self.route = Some((route.clone(), route.metrics.begins()));
    }

    /// The request's head has got its id.
    pub fn identified(&mut self, headers: &HeaderMap) {
        if let Some(line) = &mut self.log
            && let Some(id) = headers.get(&headers::X_REQUEST_ID)
        {
            line.request_id = Some(String::from_utf8_lossy(id.as_bytes()).into_owned());
        }
    }

    pub fn endpoint(&mut self, endpoint: SocketAddr) {
        self.endpoint = Some(endpoint);
    }

    pub fn retried(&mut self) {
        if let Some((route, _)) = &self.route {
            route.cluster.retries.inc();
        }
    }

    /// The retry budget is spent.
    pub fn retry_refused(&mut self) {
        tracing::debug!(endpoint = ?self.endpoint, "not sent again: the retry budget is spent");
        if let Some((route, _)) = &self.route {
            route.cluster.retries_refused.inc();
        }
    }

    /// The response's head is here; the record goes on with its body.
    pub fn answered(&mut self, head: &response::Parts) -> Record {
        let mut record = Record {
            started: self.started,
            route: self.route.take(),
            status: Some(head.status.as_u16()),
            grpc_status: None,
            received: self.received,
            sent: 0,
            endpoint: self.endpoint,
            log: self.log.take(),
            over: false,
        };
        self.over = true;
        // A response of headers alone has its status there.
        record.trailers(&head.headers);
        record
    }

    /// The gateway answers itself.
    pub fn refuse(&mut self, failure: &Failure, grpc: bool) {
        tracing::debug!(reason = failure.label(), fault = ?failure.fault(), %failure, "refused");
        self.status = match (failure, grpc) {
            (Failure::Gone(_), _) => None,
            (_, true) => Some(200),
            (failure, false) => Some(failure.status().as_u16()),
        };
        self.grpc_status = grpc.then(|| failure.grpc() as u16);
    }

    /// Body bytes for the client.
    pub fn sent(&mut self, bytes: usize) {
        self.sent += bytes as u64;
    }

    /// All body bytes from the client.
    pub fn received(&mut self, bytes: u64) {
        self.received = bytes;
    }

    pub fn trailers(&mut self, trailers: &HeaderMap) {
        if let Some(status) = trailers.get(&headers::GRPC_STATUS) {
            self.grpc_status = status.to_str().ok().and_then(|status| status.parse().ok());
        }
    }

    pub fn failed(&mut self, error: &BodyError) {
        tracing::debug!(%error, endpoint = ?self.endpoint, "response ended early");
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        if self.over {
            return;
        }
        let elapsed = self.started.elapsed();
        if let Some((route, _)) = &self.route {
            route.metrics.finished(Finished {
                status: self.status,
                grpc_status: self.grpc_status,
                elapsed,
            });
            route.metrics.received(self.received);
            route.metrics.sent(self.sent);
        }
        let Some(line) = self.log.take() else {
            return;
        };
        let route = self.route.as_ref().map(|(route, _)| route);
        line.sink.log(&crate::telemetry::Record {
            time: line.time,
            client: line.client,
            method: &line.method,
            host: line.host.as_deref(),
            path: &line.path,
            protocol: line.protocol,
            status: self.status,
            grpc_status: self.grpc_status,
            bytes_in: self.received,
            bytes_out: self.sent,
            duration: elapsed,
            route: route.map(|route| route.name.as_str()),
            cluster: route.map(|route| route.cluster_name.as_str()),
            endpoint: self.endpoint,
            request_id: line.request_id.as_deref(),
            tls: line.tls.as_ref().map(|tls| TlsRecord {
                version: &tls.version,
                cipher: &tls.cipher,
                sni: tls.sni.as_deref(),
            }),
        });
    }
}
