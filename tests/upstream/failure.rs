//! Backends that refuse, fall silent, or die. Only what was in flight may fail, with
//! a status that says why, and nothing is sent twice that may have been processed.

use std::collections::HashMap;
use std::time::Duration;

use serde_json::json;
use support::backend::{Backend, h2, raw};
use support::client::curl::Curl;
use support::client::h2::{Client, request, whole};
use support::ports;

use crate::{h2_backend, setup};

/// Every request has a number; which came more than once.
fn repeated(backends: &[&Backend]) -> Vec<String> {
    let mut counts = HashMap::new();
    for backend in backends {
        for seen in backend.record().seen() {
            *counts.entry(seen.path).or_insert(0) += 1;
        }
    }
    let repeated = counts.into_iter().filter(|(_, count)| *count > 1);
    repeated.map(|(path, _)| path).collect()
}

#[test]
fn nobody_listening_is_told_at_once() {
    let nobody = h2_backend();
    let gateway = setup(&nobody)
        .cluster("/endpoints", json!([ports::free_address()]))
        .start();
    let Some(curl) = Curl::new(&gateway) else {
        return;
    };
    for response in [curl.h2("/plain", &[]), curl.h1("/plain", &[])] {
        assert!(matches!(response.status, 502 | 503), "{response:#?}");
        assert!(response.total < 10.0, "{response:?}");
    }
    let failures = gateway.metrics();
    let labels = [("cluster", "backend")];
    assert!(failures.sum("gateway_upstream_connect_failures_total", &labels) >= 1.0);
}

#[tokio::test]
async fn a_refusing_endpoint_costs_no_request() {
    let backend = h2_backend();
    let gateway = setup(&backend)
        .cluster(
            "/endpoints",
            json!([ports::free_address(), backend.address()]),
        )
        .cluster("/balancer", "round_robin")
        .start();
    let mut client = Client::connect(&gateway).await;
    for _ in 0..20 {
        assert_eq!(client.get("/plain").await.expect("an answer").status(), 200);
        let post = client.post("/echo", "x".into()).await.expect("an answer");
        assert_eq!(post.text(), "x");
    }
    assert_eq!(backend.record().count(), 40);
}

#[test]
fn a_silent_backend_is_504() {
    let backend = Backend::silent();
    let gateway = setup(&backend).route("/timeout", "500ms").start();
    let Some(curl) = Curl::new(&gateway) else {
        return;
    };
    curl.h2("/plain", &[]).expect(504);
    curl.h1("/plain", &[]).expect(504);
}

/// Of a full backlog the kernel answers no more SYNs, as a host that is gone.
#[test]
fn connecting_has_an_end() {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None);
    let socket = socket.expect("a socket");
    let any = std::net::SocketAddr::from(([127, 0, 0, 1], 0));
    socket.bind(&any.into()).expect("a port");
    socket.listen(0).expect("listening");
    let address = socket.local_addr().expect("an address").as_socket();
    let address = address.expect("an IP address");
    let most = Duration::from_millis(200);
    let mut filled = Vec::new();
    while let Ok(stream) = std::net::TcpStream::connect_timeout(&address, most) {
        filled.push(stream);
    }
    let nobody = h2_backend();
    let gateway = setup(&nobody)
        .cluster("/endpoints", json!([address]))
        .cluster("/connect_timeout", "300ms")
        .start();
    let Some(curl) = Curl::new(&gateway) else {
        return;
    };
    let response = curl.h2("/plain", &[]);
    assert!(matches!(response.status, 503 | 504), "{response:#?}");
    assert!(response.total < 10.0, "{response:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_backend_fails_what_was_in_flight_alone() {
    let (dying, living) = (h2_backend(), h2_backend());
    let gateway = setup(&dying)
        .cluster("/endpoints", json!([dying.address(), living.address()]))
        .cluster("/balancer", "round_robin")
        .start();
    let mut client = Client::connect(&gateway).await;
    let mut flying = Vec::new();
    for n in 0..10 {
        let request = request("GET", &format!("/never?n={n}"));
        let (response, _) = client.send(request, true).await.expect("sent");
        flying.push(tokio::spawn(whole(response)));
    }
    dying.record().wait_count(5);
    let seen = dying.record().seen();
    dying.kill();
    let mut failed = 0;
    for _ in 0..5 {
        // The dead one's requests end; the living one's stay open.
        let at = support::eventually_async("a failure", || {
            flying.iter().position(tokio::task::JoinHandle::is_finished)
        });
        let answer = flying.remove(at.await).await.expect("a task");
        assert_eq!(answer.expect("a status").status(), 502);
        failed += 1;
    }
    assert_eq!(failed, seen.len());
    assert_eq!(living.record().count(), 5, "a request was sent again");
    for _ in 0..20 {
        assert_eq!(client.get("/plain").await.expect("an answer").status(), 200);
    }
}

#[tokio::test]
async fn a_response_cut_in_the_middle_never_looks_whole() {
    let backend = h2_backend();
    let gateway = setup(&backend).start();
    let mut client = Client::connect(&gateway).await;
    let error = client.get("/cut?bytes=50000").await.expect_err("cut");
    assert!(error.is_reset(), "{error}");
    assert_eq!(client.get("/plain").await.expect("an answer").status(), 200);
    let Some(curl) = Curl::new(&gateway) else {
        return;
    };
    let response = tokio::task::spawn_blocking(move || curl.h1("/cut?bytes=50000", &[])).await;
    let response = response.expect("curl ran");
    assert_ne!(response.exit, 0, "{response:?}");
}

#[tokio::test]
async fn refused_streams_are_sent_again() {
    // The first stream of each connection is refused, all others are answered.
    let backend = Backend::raw(|mut peer: raw::Peer| async move {
        if !peer.greet(&[]).await {
            return;
        }
        let mut first = true;
        while let Some(stream) = peer.request().await {
            match first {
                true => peer.reset(stream, h2::REFUSED_STREAM).await,
                false => peer.answer(stream).await,
            }
            first = false;
        }
    });
    let gateway = setup(&backend).start();
    let mut client = Client::connect(&gateway).await;
    let answer = client.get("/plain").await.expect("an answer");
    assert_eq!((answer.status(), answer.text().as_str()), (200, "ok"));
    let posted = client
        .post("/plain", "body".into())
        .await
        .expect("an answer");
    assert_eq!(posted.status(), 200);
    let labels = [("cluster", "backend")];
    assert!(
        gateway
            .metrics()
            .sum("gateway_upstream_retries_total", &labels)
            >= 1.0
    );
}

/// Every stream is refused.
fn refusing() -> Backend {
    Backend::raw(|mut peer: raw::Peer| async move {
        if peer.greet(&[]).await {
            while let Some(stream) = peer.request().await {
                peer.reset(stream, h2::REFUSED_STREAM).await;
            }
        }
    })
}

#[tokio::test]
async fn a_backend_that_always_refuses_is_given_up() {
    let backend = refusing();
    let gateway = setup(&backend).start();
    let mut client = Client::connect(&gateway).await;
    let answer = client.get("/plain").await.expect("an answer");
    assert!(matches!(answer.status(), 502 | 503), "{answer:?}");
}

#[tokio::test]
async fn retries_end_with_their_budget() {
    for (budget, retries, refused) in [
        // Of 10 requests each is sent twice more.
        (json!("off"), 20.0, 0.0),
        // The first has a full budget, and each of the others earns half a retry.
        (
            json!({ "percent": 50, "per_second": 0, "burst": 3 }),
            7.0,
            9.0,
        ),
    ] {
        let backend = refusing();
        let gateway = setup(&backend).cluster("/retry_budget", budget).start();
        let mut client = Client::connect(&gateway).await;
        for _ in 0..10 {
            let answer = client.get("/plain").await.expect("an answer");
            assert_eq!(answer.status(), 502);
        }
        let metrics = gateway.metrics();
        let labels = [("cluster", "backend")];
        let counted = ["retries_total", "retries_refused_total"]
            .map(|name| metrics.sum(&format!("gateway_upstream_{name}"), &labels));
        assert_eq!(counted, [retries, refused]);
        let limit = [("name", "backend"), ("limit", "retry_budget_burst")];
        let limited = if refused > 0.0 { 3.0 } else { 0.0 };
        assert_eq!(metrics.sum("gateway_limit", &limit), limited);
    }
}

#[tokio::test]
async fn idempotent_requests_are_sent_again_only_if_a_route_allows() {
    for (allowed, status) in [(false, 502), (true, 200)] {
        // The first connection dies with its first request, before any answer.
        let backend = Backend::raw(|mut peer: raw::Peer| async move {
            if !peer.greet(&[]).await {
                return;
            }
            while let Some(stream) = peer.request().await {
                if peer.connection == 0 {
                    return;
                }
                peer.answer(stream).await;
            }
        });
        let gateway = setup(&backend)
            .route("/retry", json!({ "on_connection_failure": allowed }))
            .start();
        let mut client = Client::connect(&gateway).await;
        let answer = client.get("/plain").await.expect("an answer");
        assert_eq!(answer.status(), status, "allowed: {allowed}");
        // What may have been processed and is not idempotent is never sent again.
        let backend = Backend::raw(|mut peer: raw::Peer| async move {
            if peer.greet(&[]).await {
                peer.request().await;
            }
        });
        let gateway = setup(&backend)
            .route("/retry", json!({ "on_connection_failure": allowed }))
            .start();
        let mut client = Client::connect(&gateway).await;
        let answer = client.post("/plain", "x".into()).await.expect("an answer");
        assert_eq!(answer.status(), 502);
    }
}

#[tokio::test]
async fn what_is_no_http_2_is_502() {
    let backend = Backend::raw(|mut peer: raw::Peer| async move {
        peer.bytes(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
        peer.until_closed().await;
    });
    let gateway = setup(&backend).start();
    let mut client = Client::connect(&gateway).await;
    let answer = client.get("/plain").await.expect("an answer");
    assert!(matches!(answer.status(), 502 | 503), "{answer:?}");
}

#[tokio::test]
async fn a_restarted_backend_is_used_again_and_nothing_comes_twice() {
    let mut backend = h2_backend();
    let gateway = setup(&backend).start();
    let mut client = Client::connect(&gateway).await;
    for round in 0..3 {
        support::eventually_async("an answer after the restart", || Some(())).await;
        let mut answered = 0;
        for n in 0..200 {
            let path = format!("/plain?{round}-{n}");
            match client.get(&path).await.expect("a status").status() {
                200 => answered += 1,
                // While the pool learns of the restart.
                502 | 503 => tokio::time::sleep(Duration::from_millis(20)).await,
                status => panic!("{status}"),
            }
        }
        assert!(answered > 100, "{answered}");
        assert_eq!(repeated(&[&backend]), [""; 0]);
        let address = backend.kill();
        backend = Backend::h2_at(address, h2::Options::default());
    }
}
