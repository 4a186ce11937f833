//! The pages by path.

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::Full;

use super::AdminState;

const TEXT: &str = "text/plain; charset=utf-8";
/// The version is the exposition format's.
const METRICS: &str = "text/plain; version=0.0.4; charset=utf-8";

const INDEX: &str = "\
qat-gateway

/healthz  200 while the process lives
/readyz   200 while it wants new connections, else 503
/metrics  Prometheus metrics
/accelerators  what does the private-key work, and why others do not
";

pub(super) fn respond<B>(request: &Request<B>, state: &AdminState) -> Response<Full<Bytes>> {
    let page = match request.uri().path() {
        "/" => page(StatusCode::OK, TEXT, INDEX),
        "/healthz" => page(StatusCode::OK, TEXT, "ok\n"),
        "/readyz" if state.readiness.get() => page(StatusCode::OK, TEXT, "ready\n"),
        "/readyz" => page(StatusCode::SERVICE_UNAVAILABLE, TEXT, "not ready\n"),
        "/accelerators" => page(StatusCode::OK, TEXT, state.accelerators.clone()),
        "/metrics" => metrics(request.method(), state),
        _ => page(StatusCode::NOT_FOUND, TEXT, "no such page; / lists them\n"),
    };
    // hyper leaves the body out of an answer to HEAD.
    if page.status() == StatusCode::NOT_FOUND
        || [Method::GET, Method::HEAD].contains(request.method())
    {
        return page;
    }
    let mut wrong = self::page(StatusCode::METHOD_NOT_ALLOWED, TEXT, "GET or HEAD only\n");
    let allow = HeaderValue::from_static("GET, HEAD");
    wrong.headers_mut().insert(header::ALLOW, allow);
    wrong
}

fn metrics(method: &Method, state: &AdminState) -> Response<Full<Bytes>> {
    // Refreshing and encoding cost milliseconds: not for a method that is refused.
    if method != Method::GET {
        return page(StatusCode::OK, METRICS, "");
    }
    state.refresh.iter().for_each(|refresh| refresh());
    page(StatusCode::OK, METRICS, state.metrics.encode())
}

fn page(status: StatusCode, kind: &'static str, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
