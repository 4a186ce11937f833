//! How connections end: GOAWAY, resets, idleness, endpoints that leave.

use super::peer::Backend;
use super::*;

use tokio::task::spawn_local;

#[test]
fn goaway_under_load_loses_nothing() {
    on_worker(async {
        let backend = Backend::new(100).await;
        let (cluster, stats) = cluster(params(&[backend.address]));
        let tasks: Vec<_> = (0..40)
            .map(|_| {
                let cluster = cluster.clone();
                spawn_local(async move {
                    for _ in 0..50 {
                        // What the proxy does: again, if it was not processed.
                        loop {
                            match get(&cluster, "/now").await {
                                Ok(_) => break,
                                Err(error) => assert!(unprocessed(&error), "{error:?}"),
                            }
                        }
                    }
                })
            })
            .collect();
        for _ in 0..10 {
            tokio::time::sleep(ms(10)).await;
            backend.go_away();
        }
        for task in tasks {
            task.await.unwrap();
        }
        assert!(backend.state.accepted.get() > 1);
        assert!(stats.snapshot().get(Stat::GoAwaysReceived) > 0);
        assert_eq!(stats.snapshot().get(Stat::StreamsActive), 0);
    });
}

#[test]
fn after_goaway_old_streams_finish_and_new_ones_go_elsewhere() {
    on_worker(async {
        let backend = Backend::new(100).await;
        let (cluster, stats) = cluster(params(&[backend.address]));
        let held = spawn_local({
            let cluster = cluster.clone();
            async move { get(&cluster, "/hold").await }
        });
        backend.until_held(1).await;
        backend.go_away();
        until(&stats, Stat::GoAwaysReceived, 1).await;
        get(&cluster, "/now").await.unwrap();
        assert_eq!(backend.state.accepted.get(), 2);
        backend.release();
        assert_eq!(&held.await.unwrap().unwrap().1[..], b"held");
        until(&stats, Stat::ClosedGoAway, 1).await;
    });
}

#[test]
fn a_refused_stream_is_unprocessed_and_the_connection_lives() {
    on_worker(async {
        let backend = Backend::new(100).await;
        let (cluster, _) = cluster(params(&[backend.address]));
        let error = get(&cluster, "/refuse").await.unwrap_err();
        assert!(unprocessed(&error), "{error:?}");
        get(&cluster, "/now").await.unwrap();
        assert_eq!(backend.state.accepted.get(), 1);
    });
}

#[test]
fn a_killed_backend_fails_what_was_in_flight_only() {
    on_worker(async {
        let backend = Backend::new(100).await;
        let (cluster, stats) = cluster(params(&[backend.address]));
        let held = spawn_local({
            let cluster = cluster.clone();
            async move {
                let mut lease = h2_lease(&cluster).await;
                let (response, _) = lease.send(request("/hold"), true).unwrap();
                (response.await.unwrap_err(), lease.never_written())
            }
        });
        backend.until_held(1).await;
        backend.kill();
        let (error, never_written) = held.await.unwrap();
        assert!(!unprocessed(&error) && !never_written, "{error:?}");
        until(&stats, Stat::ClosedPeer, 1).await;
        get(&cluster, "/now").await.unwrap();
    });
}

#[test]
fn a_request_that_met_a_closed_connection_was_never_written() {
    on_worker(async {
        let backend = Backend::new(100).await;
        let (cluster, _) = cluster(params(&[backend.address]));
        get(&cluster, "/now").await.unwrap();
        let mut lease = h2_lease(&cluster).await;
        backend.kill();
        // Let the server's end act, and the kernel deliver it, but not our driver:
        // the next turn reads the end before it writes.
        tokio::task::yield_now().await;
        std::thread::sleep(ms(20));
        let failed = match lease.send(request("/now"), true) {
            Err(_) => true,
            Ok((response, _)) => response.await.is_err() && lease.never_written(),
        };
        assert!(failed);
        assert_eq!(backend.state.requests.get(), 1);
    });
}

#[test]
fn an_idle_connection_closes_and_one_in_use_does_not() {
    on_worker(async {
        let backend = Backend::new(1).await;
        let mut params = params(&[backend.address]);
        params.pool.idle_timeout = ms(150);
        let (cluster, stats) = cluster(params);
        let mut held = h2_lease(&cluster).await;
        let (response, _) = held.send(request("/hold"), true).unwrap();
        get(&cluster, "/now").await.unwrap();
        assert_eq!(stats.snapshot().get(Stat::ConnectionsOpen), 2);
        until(&stats, Stat::ClosedIdle, 1).await;
        tokio::time::sleep(ms(400)).await;
        assert_eq!(stats.snapshot().get(Stat::ConnectionsOpen), 1);
        backend.release();
        response.await.unwrap();
        drop(held);
        until(&stats, Stat::ConnectionsOpen, 0).await;
        assert_eq!(stats.snapshot().get(Stat::ClosedIdle), 2);
        get(&cluster, "/now").await.unwrap();
    });
}

#[test]
fn warm_connections_stay_when_idle() {
    on_worker(async {
        let backend = Backend::new(100).await;
        let mut params = params(&[backend.address]);
        params.pool.idle_timeout = ms(50);
        params.pool.warm_up = 2;
        let (_cluster, stats) = cluster(params);
        until(&stats, Stat::ConnectionsOpen, 2).await;
        tokio::time::sleep(ms(300)).await;
        assert_eq!(backend.state.accepted.get(), 2);
        assert_eq!(backend.state.open.get(), 2);
    });
}

#[test]
fn endpoints_change_without_dropping_streams() {
    on_worker(async {
        let (old, new) = (Backend::new(100).await, Backend::new(100).await);
        let mut params = params(&[]);
        params.pool.warm_up = 1;
        let (cluster, stats, sender) = steered(params, &[old.address]);
        let held = spawn_local({
            let cluster = cluster.clone();
            async move { get(&cluster, "/hold").await }
        });
        old.until_held(1).await;
        sender.send(list(&[new.address])).unwrap();
        until_that(
            || new.state.open.get() == 1,
            || "no warm-up of the new endpoint".into(),
        )
        .await;
        for _ in 0..10 {
            get(&cluster, "/now").await.unwrap();
        }
        assert_eq!(old.state.requests.get(), 1);
        assert_eq!(new.state.requests.get(), 10);
        old.release();
        assert_eq!(&held.await.unwrap().unwrap().1[..], b"held");
        until(&stats, Stat::ClosedRemoved, 1).await;
        assert_eq!(stats.snapshot().get(Stat::ConnectionsOpen), 1);
    });
}

#[test]
fn those_who_wait_for_an_endpoint_that_leaves_choose_again() {
    on_worker(async {
        let (old, new) = (Backend::new(1).await, Backend::new(1).await);
        let mut params = params(&[]);
        params.pool.max_connections = 1;
        let (cluster, stats, sender) = steered(params, &[old.address]);
        let held = h2_lease(&cluster).await;
        let waiting = spawn_local({
            let cluster = cluster.clone();
            async move { h2_lease(&cluster).await.endpoint() }
        });
        until(&stats, Stat::Pending, 1).await;
        sender.send(list(&[new.address])).unwrap();
        assert_eq!(waiting.await.unwrap(), new.address);
        drop(held);
    });
}

#[test]
fn a_dropped_cluster_finishes_its_streams_and_closes() {
    on_worker(async {
        let backend = Backend::new(100).await;
        let mut params = params(&[backend.address]);
        params.pool.warm_up = 2;
        let (cluster, stats) = cluster(params);
        let mut lease = h2_lease(&cluster).await;
        let (response, _) = lease.send(request("/hold"), true).unwrap();
        backend.until_held(1).await;
        drop(cluster);
        backend.release();
        response.await.unwrap();
        drop(lease);
        until_that(
            || backend.state.open.get() == 0,
            || format!("{} open", backend.state.open.get()),
        )
        .await;
        assert_eq!(stats.snapshot().get(Stat::StreamsActive), 0);
    });
}
