//! One request: route, head, endpoint, answer; tried again where nothing was
//! processed, as long as the cluster's retry budget lasts. A try that found no connection
//! is no load on anyone and costs nothing of it; back-off bounds those.
//!
//! ```text
//! head ─→ route ─→ prepare ─→ acquire ─→ exchange ─→ response
//!                               ↑            │ unprocessed, and the body is still known
//!                               └────────────┘
//! ```

use std::future::Future;
use std::net::SocketAddr;
use std::task::{Context, Poll};

use h2::Reason;
use http::uri::Authority;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use tokio::time::Instant;
use tracing::Instrument;

use super::body::Body;
use super::exchange::{self, Attempt, Sent};
use super::failure::{Failure, is_grpc};
use super::headers;
use super::record::Record;
use super::timer::Timer;
use super::{Peer, Proxy};
use crate::route::RouteParams;
use crate::upstream::{AcquireError, Choice, Cluster, Lease, Protocol};

/// The client's side of one exchange, as the HTTP version has it.
pub trait Downstream {
    /// Whether the version can pass interim responses on.
    const TAKES_INTERIM: bool = true;

    /// Ready once the client has reset the stream.
    fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<Reason>;

    /// Passes an interim response (1xx) on.
    fn interim(&mut self, head: Response<()>);

    /// The protocol the client asks for by Upgrade, where it may have it.
    fn upgrade(&self) -> Option<&HeaderValue> {
        None
    }

    /// The backend agreed: after the response's head the connection is its tunnel.
    fn tunnel(&mut self, _: Tunnel) {}
}

/// A backend's connection that has switched protocols.
pub struct Tunnel {
    pub backend: hyper::upgrade::OnUpgrade,
    pub lease: Lease,
}

/// What one exchange carries through its tries.
pub(super) struct Flow<'a, D> {
    pub route: &'a RouteParams,
    pub cluster: &'a std::rc::Rc<Cluster>,
    pub down: &'a mut D,
    pub timer: Timer,
    pub grpc: bool,
    /// Whether doing it twice is doing it once (RFC 9110 9.2.2).
    pub idempotent: bool,
}

/// A request on its way out. Passed by reference: it is large, and futures that carry
/// it by value are copied with it.
pub struct Outgoing {
    pub request: Request<()>,
    pub body: Body,
}

impl Outgoing {
    pub fn new(request: Request<Body>) -> Self {
        let (head, body) = request.into_parts();
        Outgoing {
            request: Request::from_parts(head, ()),
            body,
        }
    }
}

impl Proxy {
    /// Always answers: failures become responses. Only a client that is gone gets
    /// none.
    pub async fn forward<D: Downstream>(
        &self,
        out: &mut Outgoing,
        peer: &Peer,
        down: &mut D,
    ) -> Result<Response<Body>, Reason> {
        let bodiless = out.request.method() == Method::HEAD;
        let grpc = is_grpc(out.request.headers());
        let mut record = self.record(&out.request, peer);
        let mut flow = match self.begin(&mut out.request, peer, down, grpc, &mut record) {
            Ok(flow) => flow,
            Err(failure) => return refuse(&failure, grpc, bodiless, &mut record),
        };
        match self.run(&mut flow, out, &mut record).await {
            Ok(response) => Ok(response),
            Err(failure) => refuse(&failure, grpc, bodiless, &mut record),
        }
    }

    /// Finds the route and makes the head the backend's.
    fn begin<'a, D: Downstream>(
        &'a self,
        head: &mut Request<()>,
        peer: &Peer,
        down: &'a mut D,
        grpc: bool,
        record: &mut Record,
    ) -> Result<Flow<'a, D>, Failure> {
        if head.method() == Method::CONNECT {
            return Err(Failure::Method);
        }
        let authority = headers::take_authority(head);
        let authority = authority.inspect_err(|_| self.refused("malformed"))?;
        let Some(index) = self.find(&authority, head) else {
            self.listener.unmatched();
            return Err(Failure::NoRoute);
        };
        let route = &self.table.routes()[index];
        record.routed(&self.handles[index]);
        if let (Some(limit), Some(length)) =
            (route.max_body, headers::content_length(head.headers()))
            && length > limit
        {
            return Err(Failure::TooLarge(limit));
        }
        let mut timeout = route.timeout;
        if grpc && let Some(asked) = headers::grpc_timeout(head.headers()) {
            timeout = Some(timeout.map_or(asked, |timeout| timeout.min(asked)));
        }
        headers::prepare(head, authority, &self.params, route, peer)?;
        let cluster = &self.clusters[route.cluster];
        if let Some(protocol) = down.upgrade()
            && cluster.params().protocol == Protocol::Http1
        {
            headers::ask_upgrade(head.headers_mut(), protocol.clone());
        }
        record.identified(head.headers());
        Ok(Flow {
            route,
            cluster,
            down,
            timer: Timer::new(record.started(), timeout, route.idle_timeout),
            grpc,
            idempotent: head.method().is_idempotent(),
        })
    }

    fn find(&self, host: &Authority, head: &Request<()>) -> Option<usize> {
        let path = head.uri().path();
        let _span = tracing::debug_span!("route").entered();
        self.table
            .find(host.as_str(), path, head.method(), head.headers())
    }

    /// The tries.
    async fn run<D: Downstream>(
        &self,
        flow: &mut Flow<'_, D>,
        out: &mut Outgoing,
        record: &mut Record,
    ) -> Result<Response<Body>, Failure> {
        let attempts = flow.route.retry.attempts;
        let mut exclude: Vec<SocketAddr> = Vec::new();
        let mut tried = 0;
        let mut unavailable: Option<AcquireError> = None;
        flow.cluster.retry_budget().deposit();
        loop {
            let choice = flow.cluster.choose(&exclude).map_err(Failure::Acquire)?;
            match unavailable.take() {
                // Where there was no connection a moment ago there is none now.
                Some(error) if exclude.contains(&choice.endpoint()) => {
                    return Err(Failure::Acquire(error));
                }
                Some(_) => {
                    tried += 1;
                    record.retried();
                }
                None => {}
            }
            let lease = match acquire(flow, choice, &exclude).await {
                Ok(lease) => lease,
                Err(Failure::Acquire(error)) if tried < attempts && error.retriable() => {
                    exclude.extend(error.endpoint());
                    unavailable = Some(error);
                    continue;
                }
                Err(failure) => return Err(failure),
            };
            let endpoint = lease.endpoint();
            record.endpoint(endpoint);
            // The map is cloned only where it may be needed again.
            let spare = (tried < attempts).then(|| clone_head(&out.request));
            match exchange::run(flow, lease, out).await {
                Attempt::Answered(sent)
                    if sent.response.status() == StatusCode::SWITCHING_PROTOCOLS =>
                {
                    return switch(flow, *sent, record);
                }
                Attempt::Answered(sent) => return Ok(respond(flow, *sent, record)),
                Attempt::Failed(failure) => return Err(failure),
                Attempt::Again(again, failure) => {
                    let Some(spare) = spare else {
                        return Err(failure);
                    };
                    if !flow.cluster.retry_budget().withdraw() {
                        record.retry_refused();
                        return Err(failure);
                    }
                    tried += 1;
                    exclude.push(endpoint);
                    record.retried();
                    (out.request, out.body) = (spare, again);
                }
            }
        }
    }
}

/// Answers in the backend's stead.
fn refuse(
    failure: &Failure,
    grpc: bool,
    bodiless: bool,
    record: &mut Record,
) -> Result<Response<Body>, Reason> {
    record.refuse(failure, grpc);
    match failure {
        Failure::Gone(reason) => Err(*reason),
        failure if bodiless => Ok(failure.response(grpc).map(|_| Body::Empty)),
        failure => Ok(failure.response(grpc)),
    }
}

fn respond<D>(flow: &mut Flow<'_, D>, sent: Sent, record: &mut Record) -> Response<Body> {
    let (mut head, source) = sent.response.into_parts();
    headers::finish(&mut head, flow.route);
    head.version = http::Version::HTTP_11;
    let record = record.answered(&head);
    let now = Instant::now();
    let timer = std::mem::replace(&mut flow.timer, Timer::new(now, None, None));
    let body = super::response::ResponseBody::new(
        source,
        sent.upload,
        timer,
        sent.lease,
        record,
        flow.grpc,
    );
    Response::from_parts(head, Body::Response(body))
}

/// 101: what follows the response's head belongs to the tunnel.
fn switch<D: Downstream>(
    flow: &mut Flow<'_, D>,
    mut sent: Sent,
    record: &mut Record,
) -> Result<Response<Body>, Failure> {
    if flow.down.upgrade().is_none() {
        return Err(Failure::Broken("101 without a request to switch".into()));
    }
    let backend = hyper::upgrade::on(&mut sent.response);
    let (mut head, _) = sent.response.into_parts();
    let protocol = head.headers.remove(http::header::UPGRADE);
    headers::finish(&mut head, flow.route);
    if let Some(protocol) = protocol {
        headers::ask_upgrade(&mut head.headers, protocol);
    }
    drop(record.answered(&head));
    flow.down.tunnel(Tunnel {
        backend,
        lease: sent.lease,
    });
    Ok(Response::from_parts(head, Body::Empty))
}

/// A slot on a connection, within the route's timeout and the client's patience.
async fn acquire<D: Downstream>(
    flow: &mut Flow<'_, D>,
    choice: Choice,
    exclude: &[SocketAddr],
) -> Result<Lease, Failure> {
    if let Some(lease) = choice.try_lease() {
        return Ok(lease);
    }
    // Boxed: waiting is rare, and the common path's future stays small.
    let span = tracing::debug_span!("upstream", endpoint = %choice.endpoint());
    let mut acquire = Box::pin(flow.cluster.wait(choice, exclude).instrument(span));
    std::future::poll_fn(|cx| {
        if let Poll::Ready(result) = acquire.as_mut().poll(cx) {
            return Poll::Ready(result.map_err(Failure::Acquire));
        }
        if let Poll::Ready(reason) = flow.down.poll_gone(cx) {
            return Poll::Ready(Err(Failure::Gone(reason)));
        }
        flow.timer
            .poll(cx)
            .map(|limit| Err(Failure::Timeout(limit)))
    })
    .await
}

fn clone_head(head: &Request<()>) -> Request<()> {
    let mut clone = Request::new(());
    *clone.method_mut() = head.method().clone();
    *clone.uri_mut() = head.uri().clone();
    *clone.version_mut() = head.version();
    *clone.headers_mut() = HeaderMap::clone(head.headers());
    clone
}
