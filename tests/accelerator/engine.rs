//! The gateway with the simulated engine.

use std::path::PathBuf;

use qat_sys::offload::Algorithm;
use serde_json::json;
use support::backend::Backend;
use support::certificates::Key;
use support::gateway::Metrics;
use support::{Gateway, Setup, eventually, simulated, tool};

use crate::setup;

/// How a paused operation says that it is done.
pub(super) const COMPLETIONS: [&str; 2] = ["callback", "fd"];

const SCRIPT: &str = "script";

/// Two workers that offload everything from the first handshake on, certificates with both
/// kinds of keys, and a breaker that never opens. None, said aloud, without an engine.
pub(super) fn offloading(backend: &Backend, completion: &str) -> Option<Setup> {
    let setup = setup(backend);
    if !simulated::install(setup.folder()).expect("linked") {
        tool::skip("this OpenSSL has no engines");
        return None;
    }
    let library = setup.folder().join("simulated.so");
    let script = setup.folder().join(SCRIPT);
    let names = ["localhost", "127.0.0.1"];
    let rsa = setup.authority().server(Key::Rsa2048, &names);
    let rsa = rsa.write(setup.folder(), "rsa");
    let never = json!({
        "failures": 1_000_000, "queue_full": 1_000_000, "stuck_after": "10m",
    });
    let setup = setup
        .env(simulated::SCRIPT_FILE, script)
        .set("/workers", 2)
        .set("/acceleration/prefer", json!(["qat_engine"]))
        .set("/acceleration/require", true)
        .set("/acceleration/offload", json!(["rsa", "x25519", "ecdsa"]))
        .set("/acceleration/break_even", 1)
        .set("/acceleration/completion", completion)
        .set("/acceleration/qat_engine/id", "simulated")
        .set("/acceleration/qat_engine/library", path(library))
        .set("/acceleration/breaker", never)
        .listener("/tls/certificates/1", rsa.json())
        .listener("/max_handshakes_per_client", 512);
    Some(setup)
}

/// Until [`tell`], it works.
pub(super) fn start(backend: &Backend, completion: &str) -> Option<Gateway> {
    Some(offloading(backend, completion)?.start())
}

fn path(path: PathBuf) -> String {
    path.into_os_string().into_string().expect("UTF-8")
}

/// Gives the engine another script, or the word `release`; returns when it obeys.
pub(super) fn tell(gateway: &Gateway, script: &str) {
    let (new, path) = (
        gateway.folder().join("script.new"),
        gateway.folder().join(SCRIPT),
    );
    std::fs::write(&new, script).expect("written");
    std::fs::rename(&new, &path).expect("renamed");
    eventually("a script that is obeyed", || (!path.exists()).then_some(()));
}

/// Private-key operations so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Operations {
    pub(super) accelerated: u64,
    pub(super) software: u64,
    pub(super) redone: u64,
}

impl Operations {
    pub(super) fn since(self, before: Operations) -> Operations {
        Operations {
            accelerated: self.accelerated - before.accelerated,
            software: self.software - before.software,
            redone: self.redone - before.redone,
        }
    }
}

/// Of the contexts that may offload; what software contexts do is not counted there.
fn operations(metrics: &Metrics, algorithm: &str) -> Operations {
    let sum = |path| {
        let labels = [("algorithm", algorithm), ("path", path)];
        metrics.sum("gateway_accelerator_operations_total", &labels) as u64
    };
    Operations {
        accelerated: sum("accelerated"),
        software: sum("software"),
        redone: sum("redone"),
    }
}

/// Of RSA, X25519 and ECDSA.
pub(super) fn all_operations(metrics: &Metrics) -> [Operations; 3] {
    Algorithm::ALL.map(|one| operations(metrics, one.as_str()))
}

/// Ended handshakes with that outcome.
pub(super) fn handshakes(gateway: &Gateway, outcome: &str) -> u64 {
    let labels = [("outcome", outcome)];
    gateway
        .metrics()
        .sum("gateway_tls_handshakes_total", &labels) as u64
}

/// Workers whose breaker is in that state.
pub(super) fn breakers(metrics: &Metrics, state: &str) -> u64 {
    metrics.sum("gateway_accelerator_breaker_workers", &[("state", state)]) as u64
}
