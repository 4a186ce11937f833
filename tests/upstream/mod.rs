//! Clusters: pools, balancers, resolution, and what happens when backends fail.

mod failure;
mod goaway;
mod pool;
mod protocol;

use serde_json::json;
use support::backend::{Backend, h2};
use support::client::curl::Curl;
use support::client::h2::Client;
use support::ports;

use crate::{h2_backend, setup};

/// Requests seen by each backend after that many through the gateway.
async fn spread(balancer: &str, backends: &[&Backend], requests: usize) -> Vec<usize> {
    let endpoints: Vec<_> = backends.iter().map(|backend| backend.address()).collect();
    let gateway = setup(backends[0])
        .cluster("/endpoints", json!(endpoints))
        .cluster("/balancer", balancer)
        .start();
    let mut client = Client::connect(&gateway).await;
    for _ in 0..requests {
        assert_eq!(client.get("/plain").await.expect("an answer").status(), 200);
    }
    backends
        .iter()
        .map(|backend| backend.record().count())
        .collect()
}

#[tokio::test]
async fn balancers_spread_requests() {
    for balancer in ["round_robin", "least_request", "random"] {
        let backends = [h2_backend(), h2_backend(), h2_backend()];
        let backends: Vec<_> = backends.iter().collect();
        let counts = spread(balancer, &backends, 90).await;
        assert_eq!(counts.iter().sum::<usize>(), 90, "{balancer}: {counts:?}");
        match balancer {
            "round_robin" => assert_eq!(counts, [30, 30, 30]),
            _ => assert!(
                counts.iter().all(|count| *count >= 5),
                "{balancer}: {counts:?}"
            ),
        }
    }
}

#[tokio::test]
async fn least_request_avoids_the_busy_one() {
    let (busy, free) = (h2_backend(), h2_backend());
    let gateway = setup(&busy)
        .cluster("/endpoints", json!([busy.address(), free.address()]))
        .start();
    let mut client = Client::connect(&gateway).await;
    let mut held = Vec::new();
    // Streams that stay open, on whichever backend they land.
    for _ in 0..10 {
        let request = support::client::h2::request("GET", "/never");
        held.push(client.send(request, true).await.expect("sent"));
    }
    support::eventually_async("held streams", || {
        (busy.record().count() + free.record().count() == 10).then_some(())
    })
    .await;
    let difference = busy.record().count().abs_diff(free.record().count());
    assert!(
        difference <= 4,
        "{} to {}",
        busy.record().count(),
        free.record().count()
    );
}

#[test]
fn names_are_resolved() {
    let backend = h2_backend();
    let endpoint = format!("localhost:{}", backend.address().port());
    let gateway = setup(&backend)
        .cluster("/endpoints", json!([endpoint]))
        .start();
    let Some(curl) = Curl::new(&gateway) else {
        return;
    };
    curl.h2("/plain", &[]).expect(200);
}

#[test]
fn a_name_nobody_knows_is_503() {
    let backend = h2_backend();
    let gateway = setup(&backend)
        .cluster("/endpoints", json!(["no-such-host.invalid:80"]))
        .cluster("/pool/pending_timeout", "1s")
        .start();
    let Some(curl) = Curl::new(&gateway) else {
        return;
    };
    curl.h2("/plain", &[]).expect(503);
}

#[test]
fn routes_lead_to_their_clusters() {
    let (first, second) = (h2_backend(), h2_backend());
    let gateway = setup(&first)
        .set(
            "/clusters/1",
            json!({ "name": "second", "endpoints": [second.address()] }),
        )
        .listener(
            "/routes/1",
            json!({ "match": { "path_prefix": "/second" }, "cluster": "second" }),
        )
        .start();
    let Some(curl) = Curl::new(&gateway) else {
        return;
    };
    curl.h2("/second/x", &[]).expect(200);
    curl.h2("/x", &[]).expect(200);
    assert_eq!((first.record().count(), second.record().count()), (1, 1));
}

/// A gateway before a port where nobody listens yet.
#[test]
fn a_backend_may_come_later() {
    let address = ports::free_address();
    let gateway = {
        let nobody = h2_backend();
        setup(&nobody)
            .cluster("/endpoints", json!([address]))
            .start()
    };
    let Some(curl) = Curl::new(&gateway) else {
        return;
    };
    let refused = curl.h2("/plain", &[]);
    assert!(matches!(refused.status, 502 | 503), "{refused:#?}");
    let backend = Backend::h2_at(address, h2::Options::default());
    support::eventually("the backend is found", || {
        (curl.h2("/plain", &[]).status == 200).then_some(())
    });
    assert!(backend.record().count() >= 1);
}
