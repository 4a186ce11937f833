//! Whatever the accelerator does wrong under load, every handshake succeeds.

use support::{Gateway, eventually_async};

use super::crowd::visits;
use super::engine::{COMPLETIONS, Operations, all_operations, handshakes, start, tell};
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

/// What a script makes of RSA, X25519 and ECDSA.
const SCRIPTS: &[(&str, [By; 3])] = &[
    ("", [By::Accelerator; 3]),
    ("*=now", [By::Accelerator; 3]),
    ("*=later:20", [By::Accelerator; 3]),
    ("*=twice", [By::Accelerator; 3]),
    ("*=afterwards:5", [By::Accelerator; 3]),
    ("*=batch:5", [By::Accelerator; 3]),
    ("*=error", [By::Again; 3]),
    (
        "rsa=error;*=later:1",
        [By::Again, By::Accelerator, By::Accelerator],
    ),
    (
        "rsa=wrong;ecdsa=wrong;*=later:1",
        [By::Again, By::Accelerator, By::Again],
    ),
    ("*=reset", [By::Again; 3]),
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
async fn under(gateway: &Gateway, script: &str) -> [Operations; 3] {
    let before = all_operations(&gateway.metrics());
    let completed = handshakes(gateway, "completed");
    tell(gateway, script);
    let failed = visits(gateway, HANDSHAKES).await;
    assert_eq!(failed, [""; 0], "{script}");
    let mut done = all_operations(&gateway.metrics());
    for (done, before) in done.iter_mut().zip(before) {
        *done = done.since(before);
    }
    let told = handshakes(gateway, "completed") - completed;
    assert_eq!(told, HANDSHAKES as u64, "{script}");
    // Half of the clients take RSA certificates, half ECDSA; all exchange keys by X25519: two
    // operations.
    let all = |one: Operations| one.accelerated + one.software + one.redone;
    let half = HANDSHAKES as u64 / 2;
    assert_eq!(done.map(all), [half, 4 * half, half], "{script}");
    done
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
        let named = "offloads rsa and x25519 and ecdsa, from 1 ";
        assert!(page.contains(named), "{page}");
        for (script, by) in SCRIPTS {
            let done = under(&gateway, script).await;
            let told = format!("{completion} {script}: {done:?}");
            for (done, by) in done.into_iter().zip(by) {
                assert_by(done, *by, &told);
            }
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

/// Clients that come while versions of the configuration follow each other.
#[tokio::test]
async fn a_reload_with_everything_in_flight_fails_nobody() {
    let backend = h2_backend();
    for completion in COMPLETIONS {
        let Some(gateway) = start(&backend, completion) else {
            return;
        };
        let versions = async {
            for version in 0..6 {
                let before = gateway.reloads("applied");
                if version % 2 == 1 {
                    gateway.set("/listeners/0/routes/0/name", format!("version-{version}"));
                }
                gateway.hang_up();
                let applied = || (gateway.reloads("applied") > before).then_some(());
                eventually_async("applied", applied).await;
            }
        };
        let (failed, ()) = tokio::join!(visits(&gateway, 512), versions);
        assert_eq!(failed, [""; 0], "{completion}");
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
        let [rsa, x25519, _] = under(&gateway, &format!("rsa={stuck},reset,later:1")).await;
        assert_by(rsa, By::Either, &format!("{completion}: {rsa:?}"));
        assert!(rsa.redone >= 17, "{completion}: {rsa:?}");
        assert!(x25519.accelerated > 0, "{completion}: {x25519:?}");
        // All at once, over and over.
        let [rsa, ..] = under(&gateway, "rsa=never,never,reset,never,never,never,reset").await;
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
        for done in under(&gateway, &format!("*={refused}")).await {
            assert_by(done, By::Accelerator, &format!("{completion}: {done:?}"));
        }
        // Twenty times two, of each of the four operations.
        let metrics = gateway.metrics();
        let refused = metrics.sum("gateway_accelerator_queue_full_total", &[]);
        assert_eq!(refused, 160.0, "{completion}");
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
    for done in under(&gateway, "*=later:1").await {
        assert_by(done, By::Accelerator, &format!("{done:?}"));
    }
}
