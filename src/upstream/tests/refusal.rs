//! Connects that fail, and back-off.

use super::peer::Backend;
use super::*;

use tokio::net::TcpListener;
use tokio::time::Instant;

/// An address nobody listens on.
async fn nobody() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    listener.local_addr().unwrap()
}

#[test]
fn a_refused_connect_fails_fast_backs_off_and_recovers() {
    on_worker(async {
        let address = nobody().await;
        let (cluster, stats) = cluster(params(&[address]));
        let error = cluster.acquire(&[]).await.err().unwrap();
        assert!(matches!(error, AcquireError::Connect { .. }), "{error}");
        assert!(error.retriable());
        assert_eq!(error.endpoint(), Some(address));
        // In back-off: answered from memory.
        for _ in 0..100 {
            assert!(cluster.acquire(&[]).await.is_err());
        }
        let now = stats.snapshot();
        assert!(
            now.get(Stat::ConnectFailures) <= 2,
            "no connect per request"
        );
        assert_eq!(now.get(Stat::BackedOff), 1);

        let backend = Backend::on(address, 100).await;
        let recovered = async {
            while get_or_none(&cluster).await.is_none() {
                tokio::time::sleep(ms(10)).await;
            }
        };
        // The longest pause is 400 ms.
        timeout(Duration::from_secs(5), recovered).await.unwrap();
        assert_eq!(stats.snapshot().get(Stat::BackedOff), 0);
        assert_eq!(backend.state.accepted.get(), 1);
    });
}

async fn get_or_none(cluster: &Rc<Cluster>) -> Option<Bytes> {
    match cluster.acquire(&[]).await {
        Ok(Lease::H2(lease)) => Some(exchange(lease, "/now").await.unwrap().1),
        _ => None,
    }
}

#[test]
fn many_refused_at_once_are_one_failure() {
    on_worker(async {
        let mut params = params(&[nobody().await]);
        params.pool.max_concurrent_streams = 1;
        params.pool.backoff_initial = Duration::from_secs(10);
        params.pool.backoff_maximum = Duration::from_secs(100);
        let (cluster, stats) = cluster(params);
        let all = (0..20).map(|_| cluster.acquire(&[]));
        let results = futures_util::future::join_all(all).await;
        assert!(results.iter().all(Result::is_err));
        assert_eq!(stats.snapshot().get(Stat::BackOffs), 1);
        assert_eq!(stats.snapshot().get(Stat::Pending), 0);
    });
}

#[test]
fn warm_up_opens_ahead_and_again_after_an_outage() {
    on_worker(async {
        let address = nobody().await;
        let mut params = params(&[address]);
        params.pool.warm_up = 3;
        let (_cluster, stats) = cluster(params);
        until_that(
            || stats.snapshot().get(Stat::ConnectFailures) >= 3,
            || "no warm-up was tried".into(),
        )
        .await;
        let backend = Backend::on(address, 100).await;
        until(&stats, Stat::ConnectionsOpen, 3).await;
        backend.kill();
        until(&stats, Stat::ClosedPeer, 3).await;
        until(&stats, Stat::ConnectionsOpen, 3).await;
    });
}

#[test]
fn the_balancer_goes_around_an_endpoint_in_backoff() {
    on_worker(async {
        let backend = Backend::new(100).await;
        let dead = nobody().await;
        for kind in [
            BalancerKind::RoundRobin,
            BalancerKind::LeastRequest,
            BalancerKind::Random,
        ] {
            let mut params = params(&[dead, backend.address]);
            params.balancer = kind;
            params.pool.backoff_initial = Duration::from_secs(30);
            params.pool.backoff_maximum = Duration::from_secs(30);
            let (cluster, _) = cluster(params);
            let mut failed = 0;
            for _ in 0..200 {
                match cluster.acquire(&[]).await {
                    Ok(lease) => assert_eq!(lease.endpoint(), backend.address),
                    Err(error) => {
                        failed += 1;
                        let again = cluster.acquire(&[error.endpoint().unwrap()]).await;
                        assert_eq!(again.unwrap().endpoint(), backend.address);
                    }
                }
            }
            assert!(failed <= 1, "{kind:?}: {failed}");
        }
    });
}

#[test]
fn a_peer_that_accepts_and_never_answers_is_a_connect_timeout() {
    on_worker(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        for tls in [false, true] {
            let mut params = params(&[address]);
            params.connect_timeout = ms(150);
            if tls {
                params.tls = Some(UpstreamTls {
                    roots: Vec::new(),
                    server_name: None,
                    verify: false,
                    identity: None,
                });
            }
            let (cluster, stats) = cluster(params);
            let started = Instant::now();
            let error = cluster.acquire(&[]).await.err().unwrap();
            assert!(
                matches!(error, AcquireError::ConnectTimeout { .. }),
                "{error}"
            );
            assert!(error.retriable());
            assert!(started.elapsed() < Duration::from_secs(4));
            assert_eq!(stats.snapshot().get(Stat::ConnectTimeouts), 1);
            assert_eq!(stats.snapshot().get(Stat::ConnectionsOpen), 0);
        }
    });
}

#[test]
fn requests_do_not_wait_for_an_endpoint_that_timed_out_once() {
    on_worker(async {
        let backend = Backend::new(100).await;
        let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let dead = silent.local_addr().unwrap();
        let mut params = params(&[dead, backend.address]);
        params.connect_timeout = ms(300);
        params.pool.backoff_initial = ms(20);
        params.pool.backoff_maximum = ms(20);
        let (cluster, stats) = cluster(params);
        // One of the first two meets it.
        while stats.snapshot().get(Stat::ConnectTimeouts) == 0 {
            let _ = cluster.acquire(&[]).await;
        }
        let mut slow = 0;
        for _ in 0..100 {
            let started = Instant::now();
            let lease = cluster.acquire(&[]).await.unwrap();
            assert_eq!(lease.endpoint(), backend.address);
            slow += usize::from(started.elapsed() > ms(150));
            tokio::time::sleep(ms(10)).await;
        }
        assert_eq!(slow, 0);
        let timeouts = stats.snapshot().get(Stat::ConnectTimeouts);
        assert!(timeouts >= 2, "the pool goes on trying by itself");
    });
}

#[test]
fn a_peer_that_accepts_and_closes_is_backed_off() {
    on_worker(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::task::spawn_local(async move {
            loop {
                drop(listener.accept().await);
            }
        });
        let (cluster, stats) = cluster(params(&[address]));
        let error = cluster.acquire(&[]).await.err().unwrap();
        assert!(matches!(error, AcquireError::Connect { .. }), "{error}");
        assert_eq!(stats.snapshot().get(Stat::BackedOff), 1);
    });
}

#[test]
fn no_endpoints() {
    on_worker(async {
        let (cluster, _, _sender) = steered(params(&[]), &[]);
        let error = cluster.acquire(&[]).await.err().unwrap();
        assert!(matches!(error, AcquireError::NoEndpoints));
        assert!(!error.retriable());
    });
}
