//! Operations that never come back, and operations under way when the gateway ends.

use std::time::Duration;

use serde_json::json;
use support::{Gateway, eventually, eventually_async};

use super::crowd::{self, visits};
use super::engine::{COMPLETIONS, breakers, handshakes, offloading, start, tell};
use crate::h2_backend;

const HANDSHAKES: usize = 96;

/// They are counted a moment after their clients have been told.
fn stalled(gateway: &Gateway, count: u64) {
    eventually("stalled handshakes", || {
        (handshakes(gateway, "stalled") == count).then_some(())
    });
}

#[tokio::test]
async fn a_stuck_operation_ends_its_own_handshake_alone() {
    let backend = h2_backend();
    for completion in COMPLETIONS {
        let Some(setup) = offloading(&backend, completion) else {
            return;
        };
        let gateway = setup.listener("/handshake_timeout", "3s").start();
        for (round, operation) in ["rsa", "ecdsa", "generate", "derive"]
            .into_iter()
            .enumerate()
        {
            let told = format!("{completion} {operation}");
            let lost = (round as u64 + 1) * 3;
            tell(&gateway, &format!("{operation}=never,never,never,later:1"));
            let failed = visits(&gateway, HANDSHAKES).await;
            assert_eq!(failed.len(), 3, "{told}: {failed:?}");
            stalled(&gateway, lost);
            let all = (HANDSHAKES * (round + 1)) as u64;
            assert_eq!(handshakes(&gateway, "completed"), all - lost, "{told}");
            let metrics = gateway.metrics();
            assert_eq!(metrics.sum("gateway_tls_graveyard_handshakes", &[]), 3.0);
            assert!(metrics.sum("gateway_tls_graveyard_oldest_seconds", &[]) > 0.0);

            tell(&gateway, "release");
            eventually("an empty graveyard", || {
                let left = gateway
                    .metrics()
                    .sum("gateway_tls_graveyard_handshakes", &[]);
                (left == 0.0).then_some(())
            });
            let buried = gateway
                .metrics()
                .sum("gateway_tls_graveyard_buried_total", &[]);
            assert_eq!(buried, lost as f64, "{told}");
        }
    }
}

#[tokio::test]
async fn a_stuck_operation_opens_the_breaker() {
    let backend = h2_backend();
    let Some(setup) = offloading(&backend, "callback") else {
        return;
    };
    let breaker = json!({ "stuck_after": "1s", "open_for": "100ms" });
    let gateway = setup
        .set("/acceleration/breaker", breaker)
        .listener("/handshake_timeout", "6s")
        .start();
    tell(&gateway, "rsa=never,later:1");
    assert_eq!(visits(&gateway, HANDSHAKES).await.len(), 1);
    // It may have been opened, and closed again, meanwhile; if not it is now.
    assert_eq!(visits(&gateway, HANDSHAKES).await, [""; 0]);
    let labels = [("cause", "stuck")];
    let opened = gateway
        .metrics()
        .sum("gateway_accelerator_breaker_opened_total", &labels);
    assert!(opened >= 1.0, "{opened}");
    eventually("closed breakers", || {
        (breakers(&gateway.metrics(), "closed") == 2).then_some(())
    });
    assert_eq!(visits(&gateway, HANDSHAKES).await, [""; 0]);
    stalled(&gateway, 1);
}

/// Until so many clients are accepted, and some of their handshakes paused.
async fn accepted(gateway: &Gateway, clients: usize) {
    eventually_async("clients with paused handshakes", || {
        let metrics = gateway.metrics();
        let accepted = metrics.sum("gateway_listener_connections_total", &[]);
        let paused = metrics.sum("gateway_accelerator_operations_in_flight", &[]);
        (accepted >= clients as f64 && paused > 0.0).then_some(())
    })
    .await;
}

#[tokio::test]
async fn the_end_waits_for_paused_operations() {
    let backend = h2_backend();
    for completion in COMPLETIONS {
        let Some(mut gateway) = start(&backend, completion) else {
            return;
        };
        tell(&gateway, "*=later:1000");
        let end = async {
            accepted(&gateway, 48).await;
            gateway.terminate();
        };
        let (failed, ()) = tokio::join!(crowd::handshakes(&gateway, 48), end);
        assert_eq!(failed, [""; 0], "{completion}");
        let exited = gateway.wait(Duration::from_secs(30));
        assert_eq!(exited.code, Some(0), "{completion}: {exited:#?}");
    }
}

#[tokio::test]
async fn the_end_does_not_wait_for_ever() {
    let backend = h2_backend();
    for completion in COMPLETIONS {
        let Some(setup) = offloading(&backend, completion) else {
            return;
        };
        let mut gateway = setup.listener("/handshake_timeout", "3s").start();
        tell(&gateway, "rsa=never;*=later:500");
        let end = async {
            accepted(&gateway, 48).await;
            gateway.terminate();
        };
        let (failed, ()) = tokio::join!(crowd::handshakes(&gateway, 48), end);
        // Those with RSA certificates.
        assert_eq!(failed.len(), 24, "{completion}: {failed:?}");
        let exited = gateway.wait(Duration::from_secs(30));
        assert_eq!(exited.code, Some(0), "{completion}: {exited:#?}");
        let words = "operations never came back from the accelerator";
        assert!(exited.stderr.contains(words), "{}", exited.stderr);
    }
}
