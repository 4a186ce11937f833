//! Connections are shared, bounded, retired and kept alive.

use std::time::Duration;

use support::backend::{Backend, h2};
use support::client::curl::Curl;
use support::client::h2::{Client, request, whole};
use support::client::raw::Raw;
use support::eventually_async;

use crate::{h2_backend, setup};

#[tokio::test]
async fn requests_of_all_clients_share_a_connection() {
    let backend = h2_backend();
    let gateway = setup(&backend).start();
    for _ in 0..5 {
        let mut client = Client::connect(&gateway).await;
        for _ in 0..5 {
            client.get("/plain").await.expect("an answer");
        }
    }
    assert_eq!(backend.record().count(), 25);
    assert_eq!(backend.record().connections(), 1);
    let metrics = gateway.metrics();
    let labels = [("cluster", "backend")];
    assert_eq!(
        metrics.sum("gateway_upstream_connections_total", &labels),
        1.0
    );
    assert_eq!(
        metrics.sum("gateway_upstream_requests_total", &labels),
        25.0
    );
}

#[test]
fn connections_are_opened_ahead() {
    let backend = h2_backend();
    let gateway = setup(&backend).cluster("/pool/warm_up", 3).start();
    support::eventually("warm connections", || {
        (backend.record().open_connections() == 3).then_some(())
    });
    drop(gateway);
}

#[tokio::test]
async fn a_connection_is_retired_after_its_requests() {
    let backend = h2_backend();
    let gateway = setup(&backend)
        .cluster("/pool/max_requests_per_connection", 4)
        .start();
    let mut client = Client::connect(&gateway).await;
    for _ in 0..12 {
        assert_eq!(client.get("/plain").await.expect("an answer").status(), 200);
    }
    let mut by_connection = std::collections::BTreeMap::new();
    for seen in backend.record().seen() {
        *by_connection.entry(seen.connection).or_insert(0) += 1;
    }
    assert!(
        by_connection.values().all(|count| *count <= 4),
        "{by_connection:?}"
    );
    assert_eq!(by_connection.len(), 3);
    eventually_async("retired connections closed", || {
        (backend.record().open_connections() <= 1).then_some(())
    })
    .await;
}

/// Starts that many requests of the path, and gives their answers' statuses.
async fn at_once(gateway: &support::Gateway, path: &str, count: usize) -> Vec<u16> {
    let mut client = Client::connect(gateway).await;
    let mut answers = Vec::new();
    for _ in 0..count {
        let (response, _) = client.send(request("GET", path), true).await.expect("sent");
        answers.push(tokio::spawn(whole(response)));
    }
    let mut statuses = Vec::new();
    for answer in answers {
        statuses.push(answer.await.expect("a task").expect("an answer").status());
    }
    statuses
}

#[tokio::test]
async fn streams_on_a_connection_are_bounded_by_both_sides() {
    for (ours, theirs) in [(2, None), (100, Some(2))] {
        let backend = Backend::h2(h2::Options {
            max_concurrent_streams: theirs,
            ..h2::Options::default()
        });
        let gateway = setup(&backend)
            .cluster("/pool/max_concurrent_streams", ours)
            .start();
        let statuses = at_once(&gateway, "/delay?ms=200", 10).await;
        assert!(statuses.iter().all(|status| *status == 200), "{statuses:?}");
        assert_eq!(backend.record().most_streams(), 2);
        assert!(backend.record().connections() >= 2);
    }
}

#[tokio::test]
async fn requests_past_every_bound_are_503() {
    let backend = h2_backend();
    let gateway = setup(&backend)
        .cluster("/pool/max_connections", 1)
        .cluster("/pool/max_concurrent_streams", 2)
        .cluster("/pool/max_pending_requests", 3)
        .start();
    // Before there is a connection, all requests wait for it.
    assert_eq!(at_once(&gateway, "/plain", 1).await, [200]);
    let mut statuses = at_once(&gateway, "/delay?ms=500", 10).await;
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 200, 200, 200, 200, 503, 503, 503, 503, 503]);
    assert_eq!(backend.record().connections(), 1);
    assert_eq!(backend.record().most_streams(), 2);
    let labels = [("cluster", "backend"), ("reason", "overflow")];
    let rejected = gateway
        .metrics()
        .sum("gateway_upstream_pending_rejected_total", &labels);
    assert_eq!(rejected, 5.0);
}

#[tokio::test]
async fn waiting_for_a_connection_has_an_end() {
    let backend = h2_backend();
    let gateway = setup(&backend)
        .cluster("/pool/max_connections", 1)
        .cluster("/pool/max_concurrent_streams", 1)
        .cluster("/pool/pending_timeout", "300ms")
        .start();
    let mut statuses = at_once(&gateway, "/delay?ms=2000", 2).await;
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 503]);
}

#[test]
fn idle_connections_are_closed() {
    let backend = h2_backend();
    let gateway = setup(&backend)
        .cluster("/pool/idle_timeout", "300ms")
        .start();
    let Some(curl) = Curl::new(&gateway) else {
        return;
    };
    curl.h2("/plain", &[]).expect(200);
    support::eventually("no connection", || {
        (backend.record().open_connections() == 0).then_some(())
    });
    curl.h2("/plain", &[]).expect(200);
    assert_eq!(backend.record().connections(), 2);
}

#[test]
fn a_dead_connection_is_found_by_ping() {
    // It greets, takes the request, and falls silent: not even PINGs are answered.
    let backend = Backend::raw(|mut peer: support::backend::raw::Peer| async move {
        if peer.greet(&[]).await && peer.request().await.is_some() {
            std::future::pending::<()>().await;
        }
    });
    let gateway = setup(&backend)
        .cluster(
            "/pool/ping_keepalive",
            serde_json::json!({ "interval": "200ms", "timeout": "300ms" }),
        )
        .start();
    let Some(curl) = Curl::new(&gateway) else {
        return;
    };
    let response = curl.h2("/never", &[]);
    assert!(matches!(response.status, 502..=504), "{response:#?}");
    assert!(response.total < 20.0, "{response:?}");
}

#[test]
fn an_idle_client_holds_no_stream() {
    let backend = h2_backend();
    let gateway = setup(&backend).start();
    let mut raw = Raw::connect(&gateway);
    raw.send(b"GET /plain HTTP/1.1\r\nhost: localhost\r\n\r\n");
    raw.read_until("ok");
    support::eventually("no stream", || {
        let labels = [("cluster", "backend")];
        let active = gateway
            .metrics()
            .sum("gateway_upstream_streams_active", &labels);
        (active == 0.0).then_some(())
    });
    assert!(raw.is_silent_for(Duration::from_millis(50)));
}

/// The timers that the kernel runs for established connections to a port: 2 is
/// keep-alive (`timer_active` of proc_net_tcp, tcp_diag).
fn timers(port: u16) -> Vec<String> {
    let table = std::fs::read_to_string("/proc/net/tcp").expect("a table");
    let remote = format!("0100007F:{port:04X}");
    let rows = table
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>());
    // sl local remote state queues timer:when …; 01 is ESTABLISHED.
    rows.filter(|row| row.get(2) == Some(&remote.as_str()) && row.get(3) == Some(&"01"))
        .filter_map(|row| Some(row.get(5)?.split(':').next()?.to_owned()))
        .collect()
}

#[test]
fn tcp_keepalive_is_on_unless_off() {
    for (keepalive, timer) in [
        (
            serde_json::json!({ "time": "20s", "interval": "5s", "probes": 3 }),
            "02",
        ),
        (serde_json::json!("off"), "00"),
    ] {
        let backend = h2_backend();
        let gateway = setup(&backend)
            .cluster("/pool/tcp_keepalive", keepalive)
            .start();
        let Some(curl) = Curl::new(&gateway) else {
            return;
        };
        curl.h2("/plain", &[]).expect(200);
        support::eventually("an idle connection's timer", || {
            (timers(backend.address().port()) == [timer]).then_some(())
        });
    }
}
