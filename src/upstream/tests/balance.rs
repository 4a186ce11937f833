//! Balancers with real endpoints.

use super::peer::Backend;
use super::*;

#[test]
fn requests_spread_over_endpoints() {
    on_worker(async {
        for kind in [
            BalancerKind::RoundRobin,
            BalancerKind::LeastRequest,
            BalancerKind::Random,
        ] {
            let backends = [
                Backend::new(100).await,
                Backend::new(100).await,
                Backend::new(100).await,
            ];
            let addresses: Vec<_> = backends.iter().map(|backend| backend.address).collect();
            let mut params = params(&addresses);
            params.balancer = kind;
            let (cluster, _) = cluster(params);
            for _ in 0..300 {
                get(&cluster, "/now").await.unwrap();
            }
            for backend in &backends {
                let requests = backend.state.requests.get();
                assert!((50..150).contains(&requests), "{kind:?}: {requests}");
            }
        }
    });
}

#[test]
fn least_request_avoids_a_slow_endpoint() {
    on_worker(async {
        let (slow, fast) = (Backend::new(1000).await, Backend::new(1000).await);
        let mut params = params(&[slow.address, fast.address]);
        params.balancer = BalancerKind::LeastRequest;
        params.pool.max_concurrent_streams = 1000;
        let (cluster, _) = cluster(params);
        let mut held = Vec::new();
        for _ in 0..10 {
            let lease = h2_lease(&cluster).await;
            if lease.endpoint() == slow.address {
                held.push(lease);
            }
        }
        assert!(!held.is_empty());
        for _ in 0..100 {
            let lease = h2_lease(&cluster).await;
            assert_eq!(lease.endpoint(), fast.address);
        }
    });
}

#[test]
fn excluded_endpoints_are_avoided_while_there_are_others() {
    on_worker(async {
        let (a, b) = (Backend::new(100).await, Backend::new(100).await);
        let (cluster, _) = cluster(params(&[a.address, b.address]));
        for _ in 0..10 {
            let lease = cluster.acquire(&[a.address]).await.unwrap();
            assert_eq!(lease.endpoint(), b.address);
        }
        let both = [a.address, b.address];
        assert!(cluster.acquire(&both).await.is_ok(), "not forbidden");
    });
}
