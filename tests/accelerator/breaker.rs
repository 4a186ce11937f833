//! The breaker keeps handshakes off an accelerator that fails, and lets them back when it
//! works again. Clients see neither.

use serde_json::json;
use support::gateway::Metrics;
use support::{Gateway, eventually, eventually_async};

use super::crowd::visits;
use super::engine::{COMPLETIONS, all_operations, breakers, offloading, tell};
use crate::h2_backend;

const CROWD: usize = 64;

fn start(backend: &support::backend::Backend, completion: &str) -> Option<Gateway> {
    let quick = json!({
        "failures": 5, "queue_full": 20, "window": "1m", "stuck_after": "10m",
        "open_for": "100ms", "open_at_most": "200ms",
    });
    let setup = offloading(backend, completion)?;
    Some(setup.set("/acceleration/breaker", quick).start())
}

fn opened(metrics: &Metrics, cause: &str) -> f64 {
    let labels = [("cause", cause)];
    metrics.sum("gateway_accelerator_breaker_opened_total", &labels)
}

/// Completed handshakes that were begun with that accelerator.
fn completed(metrics: &Metrics, accelerator: &str) -> f64 {
    let labels = [("outcome", "completed"), ("accelerator", accelerator)];
    metrics.sum("gateway_tls_handshakes_total", &labels)
}

async fn crowd(gateway: &Gateway, told: &str) {
    assert_eq!(visits(gateway, CROWD).await, [""; 0], "{told}");
}

/// Handshakes until every worker's breaker has opened.
async fn until_open(gateway: &Gateway, told: &str) {
    for _ in 0..50 {
        crowd(gateway, told).await;
        if breakers(&gateway.metrics(), "closed") == 0 {
            return;
        }
    }
    panic!("{told}: no breaker opens");
}

async fn until_closed(gateway: &Gateway) {
    eventually_async("closed breakers", || {
        (breakers(&gateway.metrics(), "closed") == 2).then_some(())
    })
    .await;
}

#[tokio::test]
async fn it_opens_while_the_accelerator_fails_and_closes_by_itself() {
    let backend = h2_backend();
    for completion in COMPLETIONS {
        let Some(gateway) = start(&backend, completion) else {
            return;
        };
        for script in ["*=error", "rsa=wrong", "ecdsa=wrong", "*=reset"] {
            let told = format!("{completion} {script}");
            let before = gateway.metrics();
            tell(&gateway, script);
            until_open(&gateway, &told).await;
            let open = gateway.metrics();
            assert!(opened(&open, "failures") >= opened(&before, "failures") + 2.0);
            // The probe finds it bad as often as it is made: only software is used.
            crowd(&gateway, &told).await;
            let later = gateway.metrics();
            let by_software = completed(&later, "software") - completed(&open, "software");
            assert_eq!(by_software, CROWD as f64, "{told}");
            for (later, open) in all_operations(&later)
                .into_iter()
                .zip(all_operations(&open))
            {
                let done = later.since(open);
                assert_eq!((done.accelerated, done.redone), (0, 0), "{told}");
            }
            eventually("a probe that fails", || {
                (opened(&gateway.metrics(), "probe") > opened(&open, "probe")).then_some(())
            });

            tell(&gateway, "");
            until_closed(&gateway).await;
            let closed = gateway.metrics();
            crowd(&gateway, &told).await;
            let later = gateway.metrics();
            let back = completed(&later, "qat_engine") - completed(&closed, "qat_engine");
            assert_eq!(back, CROWD as f64, "{told}");
        }
        let log = gateway.log();
        for words in [
            "the accelerator's breaker opens",
            "the accelerator works again",
        ] {
            assert!(log.contains(words), "no {words:?} in {log}");
        }
    }
}

#[tokio::test]
async fn full_queues_open_it() {
    let backend = h2_backend();
    let Some(gateway) = start(&backend, "callback") else {
        return;
    };
    let refused = ["queue_full:3,later:1"; 30].join(",");
    tell(&gateway, &format!("*={refused}"));
    for _ in 0..3 {
        crowd(&gateway, "queue_full").await;
    }
    assert!(opened(&gateway.metrics(), "queue_full") >= 1.0);
    // What is left of the script would open it once more.
    tell(&gateway, "");
    until_closed(&gateway).await;
    let closed = gateway.metrics();
    crowd(&gateway, "afterwards").await;
    let back = completed(&gateway.metrics(), "qat_engine") - completed(&closed, "qat_engine");
    assert_eq!(back, CROWD as f64);
}
