//! The upstream side against real peers on loopback.

mod balance;
mod coalesce;
mod dns;
mod end;
mod http1;
mod peer;
mod pool;
mod refusal;
mod scripted;
mod tls;

use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{Request, StatusCode};
use tokio::sync::watch;
use tokio::time::timeout;

use super::*;

/// Nothing here should take this long; hanging tests fail instead.
const LONG: Duration = Duration::from_secs(20);

fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// Runs a test as a worker would run it.
fn on_worker<F: Future>(test: F) -> F::Output {
    let runtime = crate::rt::local_runtime().unwrap();
    runtime.block_on(async { timeout(LONG, test).await.expect("the test hangs") })
}

fn params(endpoints: &[SocketAddr]) -> ClusterParams {
    ClusterParams {
        name: "test".into(),
        protocol: Protocol::H2c,
        tls: None,
        endpoints: endpoints
            .iter()
            .copied()
            .map(EndpointAddress::Socket)
            .collect(),
        balancer: BalancerKind::RoundRobin,
        connect_timeout: Duration::from_secs(5),
        pool: PoolParams {
            warm_up: 0,
            max_connections: 100,
            max_requests_per_connection: 0,
            max_concurrent_streams: 100,
            max_pending_requests: 1000,
            pending_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(60),
            tcp_keepalive: Some(TcpKeepalive {
                time: Duration::from_secs(30),
                interval: Duration::from_secs(5),
                probes: 3,
            }),
            ping_keepalive: None,
            backoff_initial: ms(100),
            backoff_maximum: ms(400),
            stream_window: 65_535,
            connection_window: 1 << 20,
            max_frame_size: 16_384,
            max_header_list_size: 16_384,
        },
        retry_budget: None,
    }
}

fn cluster(params: ClusterParams) -> (Rc<Cluster>, Arc<ClusterStats>) {
    let handle = tokio::runtime::Handle::current();
    let watch = Endpoints::spawn(&params, &DnsParams::default(), &handle, Arc::default());
    let stats = watch.stats().clone();
    let tls = params.tls.as_ref();
    let tls = tls.map(|tls| TlsConnector::new(tls, params.protocol).unwrap());
    (Cluster::new(Arc::new(params), watch, tls), stats)
}

/// A cluster whose endpoints the test changes.
fn steered(
    params: ClusterParams,
    endpoints: &[SocketAddr],
) -> (
    Rc<Cluster>,
    Arc<ClusterStats>,
    watch::Sender<Arc<[Endpoint]>>,
) {
    let (sender, receiver) = watch::channel(list(endpoints));
    let stats = Arc::new(ClusterStats::default());
    let watch = EndpointsWatch::new(receiver, stats.clone());
    (Cluster::new(Arc::new(params), watch, None), stats, sender)
}

fn list(endpoints: &[SocketAddr]) -> Arc<[Endpoint]> {
    let endpoint = |address: &SocketAddr| Endpoint {
        address: *address,
        host: address.ip().to_string().into(),
    };
    endpoints.iter().map(endpoint).collect()
}

fn request(path: &str) -> Request<()> {
    let uri = format!("http://backend.test{path}");
    Request::get(uri).body(()).unwrap()
}

async fn h2_lease(cluster: &Rc<Cluster>) -> H2Lease {
    match cluster.acquire(&[]).await.unwrap() {
        Lease::H2(lease) => lease,
        Lease::Http1(_) => panic!("an HTTP/2 cluster"),
    }
}

/// A whole exchange.
async fn get(cluster: &Rc<Cluster>, path: &str) -> Result<(StatusCode, Bytes), h2::Error> {
    exchange(h2_lease(cluster).await, path).await
}

async fn exchange(mut lease: H2Lease, path: &str) -> Result<(StatusCode, Bytes), h2::Error> {
    let (response, _) = lease.send(request(path), true)?;
    let response = response.await?;
    let status = response.status();
    let mut body = response.into_body();
    let mut all = BytesMut::new();
    while let Some(data) = body.data().await {
        let data = data?;
        body.flow_control().release_capacity(data.len())?;
        all.extend_from_slice(&data);
    }
    body.trailers().await?;
    Ok((status, all.freeze()))
}

/// Waits until the numbers are as expected.
async fn until(stats: &ClusterStats, stat: Stat, value: u64) {
    until_that(
        || stats.snapshot().get(stat) == value,
        || format!("{stat:?} is {}, not {value}", stats.snapshot().get(stat)),
    )
    .await;
}

async fn until_that(reached: impl Fn() -> bool, what: impl Fn() -> String) {
    for _ in 0..1000 {
        if reached() {
            return;
        }
        tokio::time::sleep(ms(5)).await;
    }
    panic!("{}", what());
}
