//! HTTP/1.1 backends: hyper's server.

use super::*;

use std::cell::Cell;
use std::convert::Infallible;

use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::spawn_local;

struct Server {
    address: SocketAddr,
    accepted: Rc<Cell<usize>>,
}

/// `/close` closes after its answer, `/big` sends a MiB, else the request's body.
async fn serve() -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let accepted = Rc::new(Cell::new(0));
    let count = accepted.clone();
    spawn_local(async move {
        loop {
            let (tcp, _) = listener.accept().await.unwrap();
            count.set(count.get() + 1);
            spawn_local(
                hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(tcp), service_fn(answer)),
            );
        }
    });
    Server { address, accepted }
}

async fn answer(request: Request<Incoming>) -> Result<http::Response<Full<Bytes>>, Infallible> {
    let path = request.uri().path().to_owned();
    let body = request.into_body().collect().await.unwrap().to_bytes();
    let mut response = http::Response::new(Full::new(body));
    match path.as_str() {
        "/close" => {
            let close = http::HeaderValue::from_static("close");
            response.headers_mut().insert("connection", close);
        }
        "/big" => *response.body_mut() = Full::new(vec![0; 1 << 20].into()),
        "/slow" => tokio::time::sleep(LONG).await,
        _ => {}
    }
    Ok(response)
}

fn http1_params(address: SocketAddr) -> ClusterParams {
    let mut params = params(&[address]);
    params.protocol = Protocol::Http1;
    params
}

fn post(path: &str, body: &'static str) -> Request<Http1Body> {
    let body = Full::new(Bytes::from_static(body.as_bytes()));
    let body: Http1Body = Box::pin(body.map_err(|never| match never {}));
    let request = Request::post(path).header("host", "backend.test");
    request.body(body).unwrap()
}

async fn lease(cluster: &Rc<Cluster>) -> Http1Lease {
    match cluster.acquire(&[]).await.unwrap() {
        Lease::Http1(lease) => lease,
        Lease::H2(_) => panic!("an HTTP/1.1 cluster"),
    }
}

async fn exchange(cluster: &Rc<Cluster>, path: &str, body: &'static str) -> Bytes {
    let mut lease = lease(cluster).await;
    let response = lease.send(post(path, body)).await.unwrap();
    response.into_body().collect().await.unwrap().to_bytes()
}

#[test]
fn connections_are_kept_alive_and_used_again() {
    on_worker(async {
        let server = serve().await;
        let (cluster, stats) = cluster(http1_params(server.address));
        for _ in 0..20 {
            assert_eq!(exchange(&cluster, "/", "hello").await, "hello");
        }
        assert_eq!(server.accepted.get(), 1);
        until(&stats, Stat::StreamsActive, 0).await;
    });
}

#[test]
fn one_exchange_at_a_time() {
    on_worker(async {
        let server = serve().await;
        let mut params = http1_params(server.address);
        params.pool.max_connections = 4;
        let (cluster, stats) = cluster(params);
        let all = (0..40).map(|_| exchange(&cluster, "/", "x"));
        let all = futures_util::future::join_all(all).await;
        assert!(all.iter().all(|body| body == "x"));
        assert_eq!(server.accepted.get(), 4);
        until(&stats, Stat::StreamsActive, 0).await;
        assert_eq!(stats.snapshot().get(Stat::Pending), 0);
    });
}

#[test]
fn a_connection_that_closes_is_replaced() {
    on_worker(async {
        let server = serve().await;
        let (cluster, stats) = cluster(http1_params(server.address));
        for _ in 0..3 {
            exchange(&cluster, "/close", "x").await;
        }
        assert_eq!(server.accepted.get(), 3);
        until(&stats, Stat::ConnectionsOpen, 0).await;
        assert_eq!(stats.snapshot().get(Stat::StreamsActive), 0);
    });
}

#[test]
fn a_response_left_unread_closes_the_connection() {
    on_worker(async {
        let server = serve().await;
        let (cluster, stats) = cluster(http1_params(server.address));
        let mut unread = lease(&cluster).await;
        let response = unread.send(post("/big", "x")).await.unwrap();
        drop(response);
        drop(unread);
        assert_eq!(exchange(&cluster, "/", "next").await, "next");
        until(&stats, Stat::StreamsActive, 0).await;
        assert!(server.accepted.get() <= 2);
    });
}

#[test]
fn a_cancelled_exchange_gives_its_slot_back() {
    on_worker(async {
        let server = serve().await;
        let mut params = http1_params(server.address);
        params.pool.max_connections = 1;
        let (cluster, stats) = cluster(params);
        let mut cancelled = lease(&cluster).await;
        let sent = timeout(ms(50), cancelled.send(post("/slow", "x"))).await;
        assert!(sent.is_err());
        drop(cancelled);
        assert_eq!(exchange(&cluster, "/", "next").await, "next");
        until(&stats, Stat::StreamsActive, 0).await;
    });
}

#[test]
fn idle_and_retired_connections_close() {
    on_worker(async {
        let server = serve().await;
        let mut params = http1_params(server.address);
        params.pool.idle_timeout = ms(100);
        params.pool.max_requests_per_connection = 2;
        let (cluster, stats) = cluster(params);
        for _ in 0..5 {
            exchange(&cluster, "/", "x").await;
        }
        until(&stats, Stat::ClosedRetired, 2).await;
        until(&stats, Stat::ClosedIdle, 1).await;
        assert_eq!(server.accepted.get(), 3);
        assert_eq!(stats.snapshot().get(Stat::ConnectionsOpen), 0);
    });
}

#[test]
fn an_exchange_on_a_connection_that_died_says_so() {
    on_worker(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (cluster, stats) = cluster(http1_params(address));
        let mut lease = lease(&cluster).await;
        drop(listener.accept().await.unwrap());
        until(&stats, Stat::ConnectionsOpen, 0).await;
        let error = lease.send(post("/", "x")).await.unwrap_err();
        assert!(unprocessed_http1(&error), "{error:?}");
        drop(lease);
        assert_eq!(stats.snapshot().get(Stat::StreamsActive), 0);
    });
}

#[test]
fn a_backend_may_switch_protocols() {
    on_worker(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (cluster, stats) = cluster(http1_params(address));
        spawn_local(async move {
            let (mut tcp, _) = listener.accept().await.unwrap();
            let mut head = [0; 1024];
            assert!(tcp.read(&mut head).await.unwrap() > 0);
            let switch =
                b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\n";
            tcp.write_all(switch).await.unwrap();
            let mut word = [0; 5];
            tcp.read_exact(&mut word).await.unwrap();
            tcp.write_all(&word).await.unwrap();
        });
        let mut lease = lease(&cluster).await;
        let mut request = post("/", "");
        for (name, value) in [("connection", "upgrade"), ("upgrade", "echo")] {
            let value = http::HeaderValue::from_static(value);
            request.headers_mut().insert(name, value);
        }
        let response = lease.send(request).await.unwrap();
        assert_eq!(response.status(), StatusCode::SWITCHING_PROTOCOLS);
        let mut tunnel = TokioIo::new(hyper::upgrade::on(response).await.unwrap());
        drop(lease);
        tunnel.write_all(b"hello").await.unwrap();
        let mut word = [0; 5];
        tunnel.read_exact(&mut word).await.unwrap();
        assert_eq!(&word, b"hello");
        until(&stats, Stat::ConnectionsOpen, 0).await;
        assert_eq!(stats.snapshot().get(Stat::StreamsActive), 0);
    });
}
