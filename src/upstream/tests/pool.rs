//! Slots, limits, the queue, retirement.

use super::peer::Backend;
use super::*;

use futures_util::future::join_all;
use std::cell::RefCell;
use std::task::{Context, Waker};
use tokio::task::spawn_local;

#[test]
fn requests_one_after_the_other_share_a_connection() {
    on_worker(async {
        let backend = Backend::new(100).await;
        let (cluster, stats) = cluster(params(&[backend.address]));
        for _ in 0..20 {
            let (status, body) = get(&cluster, "/now").await.unwrap();
            assert_eq!((status, &body[..]), (StatusCode::OK, &b"now"[..]));
        }
        assert_eq!(backend.state.accepted.get(), 1);
        let now = stats.snapshot();
        assert_eq!(now.get(Stat::Requests), 20);
        assert_eq!(now.get(Stat::StreamsActive), 0);
        assert_eq!(now.get(Stat::ConnectionsOpen), 1);
        assert!(
            cluster.choose(&[]).unwrap().try_lease().is_some(),
            "the fast way"
        );
    });
}

#[test]
fn the_peers_stream_limit_holds_and_connections_open_as_needed() {
    on_worker(async {
        let backend = Backend::new(3).await;
        let (cluster, _) = cluster(params(&[backend.address]));
        let all = join_all((0..7).map(|_| get(&cluster, "/hold")));
        let release = async {
            backend.until_held(7).await;
            backend.release();
        };
        let (results, ()) = tokio::join!(all, release);
        assert!(results.iter().all(Result::is_ok), "{results:?}");
        assert_eq!(backend.state.peak.get(), 3);
        // The first was opened expecting 100 streams; the rest once 3 was known.
        assert_eq!(backend.state.accepted.get(), 3);
    });
}

#[test]
fn our_own_stream_limit_holds() {
    on_worker(async {
        let backend = Backend::new(100).await;
        let mut params = params(&[backend.address]);
        params.pool.max_concurrent_streams = 2;
        params.pool.max_connections = 2;
        let (cluster, stats) = cluster(params);
        let all = join_all((0..6).map(|_| get(&cluster, "/hold")));
        let release = async {
            backend.until_held(4).await;
            assert_eq!(stats.snapshot().get(Stat::Pending), 2);
            backend.release();
            backend.until_held(2).await;
            backend.release();
        };
        let (results, ()) = tokio::join!(all, release);
        assert!(results.iter().all(Result::is_ok));
        assert_eq!(backend.state.peak.get(), 2);
        assert_eq!(backend.state.accepted.get(), 2, "max_connections");
    });
}

#[test]
fn a_connection_retires_after_its_requests() {
    on_worker(async {
        let backend = Backend::new(100).await;
        let mut params = params(&[backend.address]);
        params.pool.max_requests_per_connection = 3;
        let (cluster, stats) = cluster(params);
        for _ in 0..9 {
            get(&cluster, "/now").await.unwrap();
        }
        assert_eq!(backend.state.accepted.get(), 3);
        until(&stats, Stat::ClosedRetired, 3).await;
        until(&stats, Stat::ConnectionsOpen, 0).await;
    });
}

#[test]
fn a_retired_connection_finishes_its_streams() {
    on_worker(async {
        let backend = Backend::new(100).await;
        let mut params = params(&[backend.address]);
        params.pool.max_requests_per_connection = 2;
        params.pool.max_connections = 1;
        let (cluster, stats) = cluster(params);
        let held = spawn_local({
            let cluster = cluster.clone();
            async move { get(&cluster, "/hold").await }
        });
        backend.until_held(1).await;
        get(&cluster, "/now").await.unwrap();
        // The first is retired with a stream in flight, and does not keep the
        // endpoint from a new one though only one connection is allowed.
        get(&cluster, "/now").await.unwrap();
        assert_eq!(backend.state.accepted.get(), 2);
        backend.release();
        assert_eq!(&held.await.unwrap().unwrap().1[..], b"held");
        until(&stats, Stat::ClosedRetired, 1).await;
    });
}

#[test]
fn the_queue_is_bounded_in_number_and_time() {
    on_worker(async {
        let backend = Backend::new(1).await;
        let mut params = params(&[backend.address]);
        params.pool.max_connections = 1;
        params.pool.max_pending_requests = 2;
        params.pool.pending_timeout = ms(100);
        let (cluster, stats) = cluster(params);
        let held = h2_lease(&cluster).await;
        let waiting: Vec<_> = (0..2)
            .map(|_| {
                let cluster = cluster.clone();
                spawn_local(async move { cluster.acquire(&[]).await.err() })
            })
            .collect();
        until(&stats, Stat::Pending, 2).await;
        let error = cluster.acquire(&[]).await.err().unwrap();
        assert!(matches!(error, AcquireError::PendingFull { .. }), "{error}");
        assert!(error.retriable());
        for waiting in waiting {
            let error = waiting.await.unwrap().unwrap();
            assert!(
                matches!(error, AcquireError::PendingTimeout { .. }),
                "{error}"
            );
            assert!(!error.retriable());
        }
        let now = stats.snapshot();
        assert_eq!(now.get(Stat::Pending), 0);
        assert_eq!(now.get(Stat::PendingRejected), 1);
        assert_eq!(now.get(Stat::PendingTimeouts), 2);
        drop(held);
        get(&cluster, "/now").await.unwrap();
    });
}

#[test]
fn freed_slots_go_to_the_longest_waiting_and_skip_those_that_gave_up() {
    on_worker(async {
        let backend = Backend::new(1).await;
        let mut params = params(&[backend.address]);
        params.pool.max_connections = 1;
        let (cluster, stats) = cluster(params);
        let held = h2_lease(&cluster).await;
        let order = Rc::new(RefCell::new(Vec::new()));
        let mut tasks = Vec::new();
        for i in 0..6 {
            let (cluster, order) = (cluster.clone(), order.clone());
            tasks.push(spawn_local(async move {
                let lease = h2_lease(&cluster).await;
                order.borrow_mut().push(i);
                exchange(lease, "/now").await.unwrap();
            }));
            until(&stats, Stat::Pending, i + 1).await;
        }
        tasks[0].abort();
        tasks[3].abort();
        until(&stats, Stat::Pending, 4).await;
        drop(held);
        for (i, task) in tasks.into_iter().enumerate() {
            assert_eq!(task.await.is_ok(), i != 0 && i != 3);
        }
        assert_eq!(*order.borrow(), [1, 2, 4, 5]);
        assert_eq!(stats.snapshot().get(Stat::StreamsActive), 0);
    });
}

#[test]
fn a_slot_granted_to_one_that_gives_up_goes_on() {
    on_worker(async {
        let backend = Backend::new(1).await;
        let mut params = params(&[backend.address]);
        params.pool.max_connections = 1;
        let (cluster, stats) = cluster(params);
        let held = h2_lease(&cluster).await;
        let mut idle = Context::from_waker(Waker::noop());
        let mut first = Box::pin(cluster.acquire(&[]));
        assert!(first.as_mut().poll(&mut idle).is_pending());
        let mut second = Box::pin(cluster.acquire(&[]));
        assert!(second.as_mut().poll(&mut idle).is_pending());
        drop(held);
        // Granted, but never polled again.
        drop(first);
        assert!(second.await.is_ok());
        assert_eq!(stats.snapshot().get(Stat::Pending), 0);
        assert_eq!(stats.snapshot().get(Stat::StreamsActive), 0);
    });
}

#[test]
fn many_at_once_with_cancellations_leave_nothing_behind() {
    on_worker(async {
        let backend = Backend::new(4).await;
        let mut params = params(&[backend.address]);
        params.pool.max_connections = 3;
        params.pool.max_requests_per_connection = 50;
        let (cluster, stats) = cluster(params);
        let tasks: Vec<_> = (0..600)
            .map(|i| {
                let cluster = cluster.clone();
                spawn_local(async move {
                    if i % 5 == 0 {
                        let _ = timeout(ms(1), get(&cluster, "/endless")).await;
                    } else {
                        get(&cluster, "/now").await.unwrap();
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        let now = stats.snapshot();
        assert_eq!(now.get(Stat::StreamsActive), 0);
        assert_eq!(now.get(Stat::Pending), 0);
        assert!(backend.state.peak.get() <= 4);
    });
}

#[test]
fn a_client_that_reads_no_small_frames_does_not_end_the_connection() {
    on_worker(async {
        let backend = Backend::new(100).await;
        let (cluster, _) = cluster(params(&[backend.address]));
        let mut stalled = Vec::new();
        for _ in 0..15 {
            let mut lease = h2_lease(&cluster).await;
            let (response, _) = lease.send(request("/drip"), true).unwrap();
            stalled.push((lease, response.await.unwrap()));
        }
        for _ in 0..50 {
            get(&cluster, "/now").await.unwrap();
        }
        for (_lease, response) in stalled {
            let mut body = response.into_body();
            let mut total = 0;
            while let Some(data) = body.data().await {
                let data = data.unwrap();
                body.flow_control().release_capacity(data.len()).unwrap();
                total += data.len();
            }
            assert_eq!(total, 32_000);
        }
        assert_eq!(backend.state.accepted.get(), 1);
    });
}

#[test]
fn at_the_stream_limit_a_request_body_is_not_forgotten() {
    on_worker(async {
        let backend = Backend::new(1).await;
        let mut params = params(&[backend.address]);
        params.pool.max_connections = 1;
        let (cluster, _) = cluster(params);
        get(&cluster, "/now").await.unwrap();
        for _ in 0..20 {
            // The lease goes back while h2 still counts the stream, so the next
            // request waits inside h2.
            let mut cancelled = h2_lease(&cluster).await;
            drop(cancelled.send(request("/hold"), true).unwrap());
            drop(cancelled);
            assert_eq!(upload(&cluster).await, StatusCode::OK);
        }
    });
}

/// Sends 200 kB as capacity comes.
async fn upload(cluster: &Rc<Cluster>) -> StatusCode {
    let mut lease = h2_lease(cluster).await;
    let (response, mut body) = lease.send(request("/upload"), false).unwrap();
    let mut left = 200_000;
    while left > 0 {
        body.reserve_capacity(left);
        let ready = std::future::poll_fn(|cx| body.poll_capacity(cx)).await;
        let n = ready.unwrap().unwrap().min(left);
        left -= n;
        body.send_data(vec![1; n].into(), left == 0).unwrap();
    }
    response.await.unwrap().status()
}
