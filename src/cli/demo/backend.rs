//! A backend that behaves like an inference server, over HTTP/2 with prior knowledge
//! and HTTP/1.1 on one port:
//!
//! | path | is |
//! |---|---|
//! | `/inference.InferenceService/…` | gRPC, see `config/inference.proto` |
//! | `POST /v1/chat/completions`, `GET /v1/models` | JSON and server-sent events as OpenAI's API has them |
//! | `/echo` | the request's body, streamed back |
//! | `/echo/headers` | the request's head, as JSON |
//!
//! 1. `spawn` binds, then starts a thread with its own runtime.
//! 2. Dropping the handle, or `stop`, ends the accept loop; connections get
//!    [`STOP_TIMEOUT`] to finish, then the runtime and with it everything is dropped.
//!
//! It must not know that there is a gateway: only addresses join them.

use std::convert::Infallible;
use std::io;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::thread::JoinHandle;
use std::time::Duration;

use http::{Method, Request, Response, StatusCode, header};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tonic::body::Body;

use super::{inference, openai};

/// How long open streams may go on after `stop`.
const STOP_TIMEOUT: Duration = Duration::from_secs(2);
/// More connections wait in the backlog.
const MAX_CONNECTIONS: usize = 1024;

/// A running backend; dropped, it stops.
pub struct BackendHandle {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl BackendHandle {
    /// Where it listens, the port resolved.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stops, and waits until the thread has ended: two seconds at most.
    pub fn stop(mut self) {
        self.end();
    }

    fn end(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Drop for BackendHandle {
    fn drop(&mut self) {
        self.end();
    }
}

/// Starts a backend on `address`; port 0 takes a free one.
///
/// # Errors
/// The address cannot be bound, or the thread or its runtime not be made.
pub fn spawn(address: SocketAddr) -> io::Result<BackendHandle> {
    let listener = StdListener::bind(address)?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let (stop, stopped) = oneshot::channel();
    let thread = std::thread::Builder::new()
        .name("demo-backend".into())
        .spawn(move || runtime.block_on(serve(listener, stopped)))?;
    Ok(BackendHandle {
        address,
        stop: Some(stop),
        thread: Some(thread),
    })
}

async fn serve(listener: StdListener, mut stopped: oneshot::Receiver<()>) {
    let listener = match TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => return tracing::error!(%error, "demo backend"),
    };
    let places = std::sync::Arc::new(tokio::sync::Semaphore::new(MAX_CONNECTIONS));
    let connections = GracefulShutdown::new();
    loop {
        tokio::select! {
            // The end comes before more work.
            biased;
            _ = &mut stopped => break,
            accepted = accept(&listener, &places) => {
                let Some((stream, place)) = accepted else { continue };
                let builder = auto::Builder::new(TokioExecutor::new());
                let serving = builder
                    .serve_connection(TokioIo::new(stream), service_fn(answer))
                    .into_owned();
                let serving = connections.watch(serving);
                tokio::spawn(async move {
                    if let Err(error) = serving.await {
                        tracing::debug!(%error, "demo backend: connection failed");
                    }
                    drop(place);
                });
            }
        }
    }
    drop(listener);
    let _ = tokio::time::timeout(STOP_TIMEOUT, connections.shutdown()).await;
}

type Place = tokio::sync::OwnedSemaphorePermit;

async fn accept(
    listener: &TcpListener,
    places: &std::sync::Arc<tokio::sync::Semaphore>,
) -> Option<(tokio::net::TcpStream, Place)> {
    let place = places.clone().acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, _)) => {
            // Small messages wait for nothing.
            let _ = stream.set_nodelay(true);
            Some((stream, place))
        }
        Err(error) => {
            tracing::warn!(%error, "demo backend: accept failed");
            tokio::time::sleep(Duration::from_millis(100)).await;
            None
        }
    }
}

async fn answer(request: Request<Incoming>) -> Result<Response<Body>, Infallible> {
    let path = request.uri().path();
    if let Some(method) = path.strip_prefix("/inference.InferenceService/") {
        let method = method.to_owned();
        return Ok(inference::call(&method, request).await);
    }
    let known = match path {
        "/v1/chat/completions" => Some(Method::POST),
        "/v1/models" => Some(Method::GET),
        _ => None,
    };
    if let Some(method) = known
        && method != *request.method()
    {
        let mut wrong = text(StatusCode::METHOD_NOT_ALLOWED, format!("{method} only\n"));
        // A method's name is a valid value.
        if let Ok(value) = method.as_str().parse() {
            wrong.headers_mut().insert(header::ALLOW, value);
        }
        return Ok(wrong);
    }
    Ok(match path {
        "/v1/chat/completions" => openai::chat(request).await,
        "/v1/models" => openai::models(),
        "/echo" => echo(request),
        "/echo/headers" => head(&request),
        _ => text(StatusCode::NOT_FOUND, "no such path\n".into()),
    })
}

/// The body goes back frame by frame, trailers too: nothing is kept.
fn echo(request: Request<Incoming>) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let mut response = Response::new(Body::new(body));
    if let Some(kind) = parts.headers.get(header::CONTENT_TYPE) {
        response
            .headers_mut()
            .insert(header::CONTENT_TYPE, kind.clone());
    }
    response
}

fn head(request: &Request<Incoming>) -> Response<Body> {
    let mut headers = serde_json::Map::new();
    for name in request.headers().keys() {
        let values = request.headers().get_all(name).iter();
        let values: Vec<_> = values
            .map(|value| String::from_utf8_lossy(value.as_bytes()))
            .collect();
        headers.insert(name.to_string(), values.join(", ").into());
    }
    json(
        StatusCode::OK,
        &serde_json::json!({
            "method": request.method().as_str(),
            "path": request.uri().path_and_query().map(|path| path.as_str()),
            "authority": request.uri().authority().map(|authority| authority.as_str()),
            "version": format!("{:?}", request.version()),
            "headers": headers,
        }),
    )
}

pub(super) fn text(status: StatusCode, text: String) -> Response<Body> {
    with_body(status, "text/plain; charset=utf-8", text)
}

pub(super) fn json(status: StatusCode, value: &serde_json::Value) -> Response<Body> {
    with_body(status, "application/json", format!("{value}\n"))
}

fn with_body(status: StatusCode, kind: &'static str, body: String) -> Response<Body> {
    let mut response = Response::new(Body::new(http_body_util::Full::from(body)));
    *response.status_mut() = status;
    let kind = http::HeaderValue::from_static(kind);
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}
