//! Whatever the accelerator does wrong under load, every handshake succeeds.

use support::Gateway;

use super::crowd::visits;
use super::engine::{COMPLETIONS, Operations, handshakes, operations, start, tell};
use crate::h2_backend;

/// Handshakes with each script: a quarter of them of every kind of client.
const HANDSHAKES: usize = 128;

/// Who does the operations of one algorithm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum By {
    Accelerator,
    /// Software, after the accelerator.
    Again,
    /// Some so, some so.
    Either,
}

/// What a script makes of RSA and X25519.
const SCRIPTS: &[(&str, By, By)] = &[
    ("", By::Accelerator, By::Accelerator),
    ("*=now", By::Accelerator, By::Accelerator),
    ("*=later:20", By::Accelerator, By::Accelerator),
    ("*=twice", By::Accelerator, By::Accelerator),
    ("*=afterwards:5", By::Accelerator, By::Accelerator),
    ("*=batch:5", By::Accelerator, By::Accelerator),
    ("*=error", By::Again, By::Again),
    ("rsa=error;*=later:1", By::Again, By::Accelerator),
    ("rsa=wrong;*=later:1", By::Again, By::Accelerator),
    ("*=reset", By::Again, By::Again),
];

fn assert_by(done: Operations, by: By, told: &str) {
    assert_eq!(done.software, 0, "{told}");
    match by {
        By::Accelerator => assert!(done.redone == 0 && done.accelerated > 0, "{told}"),
        By::Again => assert!(done.accelerated == 0 && done.redone > 0, "{told}"),
        By::Either => assert!(done.accelerated > 0 && done.redone > 0, "{told}"),
    }
}

/// Visits while the script is in force; what was done meanwhile.
async fn under(gateway: &Gateway, script: &str) -> (Operations, Operations) {
    let before = gateway.metrics();
    let completed = handshakes(gateway, "completed");
    tell(gateway, script);
    let failed = visits(gateway, HANDSHAKES).await;
    assert_eq!(failed, [""; 0], "{script}");
    let after = gateway.metrics();
    let done = |algorithm| operations(&after, algorithm).since(operations(&before, algorithm));
    let (rsa, x25519) = (done("rsa"), done("x25519"));
    let told = handshakes(gateway, "completed") - completed;
    assert_eq!(told, HANDSHAKES as u64, "{script}");
    // Half of the clients take RSA certificates; all exchange keys by X25519: two
    // operations.
    let all = |one: Operations| one.accelerated + one.software + one.redone;
    let expected = (HANDSHAKES as u64 / 2, HANDSHAKES as u64 * 2);
    assert_eq!((all(rsa), all(x25519)), expected, "{script}");
    (rsa, x25519)
}

#[tokio::test]
async fn no_handshake_fails() {
    let backend = h2_backend();
    for completion in COMPLETIONS {
        let Some(gateway) = start(&backend, completion) else {
            return;
        };
        let (_, page) = gateway.admin_get("/accelerators").expect("an answer");
        let named = "qat_engine: in use (the engine simulated (Simulated accelerator";
        assert!(page.starts_with(named), "{page}");
        assert!(page.contains("offloads rsa and x25519, from 1 "), "{page}");
        for (script, rsa, x25519) in SCRIPTS {
            let done = under(&gateway, script).await;
            let told = format!("{completion} {script}: {done:?}");
            assert_by(done.0, *rsa, &told);
            assert_by(done.1, *x25519, &told);
        }
        let metrics = gateway.metrics();
        assert!(metrics.sum("gateway_accelerator_pauses_total", &[]) > 0.0);
        assert!(metrics.sum("gateway_accelerator_pause_seconds_total", &[]) > 0.0);
        let in_flight = metrics.sum("gateway_accelerator_operations_in_flight", &[]);
        assert_eq!(in_flight, 0.0, "{completion}");
        let labels = [("accelerator", "qat_engine"), ("outcome", "completed")];
        let accelerated = metrics.sum("gateway_tls_handshakes_total", &labels);
        assert_eq!(accelerated, (SCRIPTS.len() * HANDSHAKES) as f64);
    }
}

#[tokio::test]
async fn a_reset_with_everything_in_flight_fails_nobody() {
    let backend = h2_backend();
    for completion in COMPLETIONS {
        let Some(gateway) = start(&backend, completion) else {
            return;
        };
        // The sixteen are answered by the reset alone.
        let stuck = ["never"; 16].join(",");
        let (rsa, x25519) = under(&gateway, &format!("rsa={stuck},reset,later:1")).await;
        assert_by(rsa, By::Either, &format!("{completion}: {rsa:?}"));
        assert!(rsa.redone >= 17, "{completion}: {rsa:?}");
        assert!(x25519.accelerated > 0, "{completion}: {x25519:?}");
        // All at once, over and over.
        let (rsa, _) = under(&gateway, "rsa=never,never,reset,never,never,never,reset").await;
        assert_by(rsa, By::Again, &format!("{completion}: {rsa:?}"));
    }
}

#[tokio::test]
async fn a_full_queue_is_waited_for() {
    let backend = h2_backend();
    for completion in COMPLETIONS {
        let Some(gateway) = start(&backend, completion) else {
            return;
        };
        let refused = ["queue_full:2,later:1"; 20].join(",");
        let (rsa, x25519) = under(&gateway, &format!("*={refused}")).await;
        assert_by(rsa, By::Accelerator, &format!("{completion}: {rsa:?}"));
        assert_by(
            x25519,
            By::Accelerator,
            &format!("{completion}: {x25519:?}"),
        );
        // Twenty times two, of each of the three operations.
        let metrics = gateway.metrics();
        let refused = metrics.sum("gateway_accelerator_queue_full_total", &[]);
        assert_eq!(refused, 120.0, "{completion}");
    }
}

#[tokio::test]
async fn an_engine_that_the_workers_poll() {
    let backend = h2_backend();
    let Some(setup) = super::engine::offloading(&backend, "callback") else {
        return;
    };
    let gateway = setup
        .set("/acceleration/qat_engine/polling", "external")
        .start();
    let (rsa, x25519) = under(&gateway, "*=later:1").await;
    assert_by(rsa, By::Accelerator, &format!("{rsa:?}"));
    assert_by(x25519, By::Accelerator, &format!("{x25519:?}"));
}
