//! The accelerator `qat_provider`, with the simulated provider of `tests/support/engine`.

use std::process::Command;

use openssl::ssl::SslVersion;
use serde_json::json;
use support::certificates::Key;
use support::client::h2::Client;
use support::client::tls::Options;
use support::{Setup, simulated};

use crate::{EXECUTABLE, h2_backend, setup};

/// With the provider's module in its folder, and an RSA certificate. None, and said so, where
/// there is no module.
fn with_provider(setup: Setup) -> Option<Setup> {
    let modules = setup.folder().join("modules");
    std::fs::create_dir(&modules).expect("made");
    if !simulated::install_module(&modules).expect("linked") {
        eprintln!("SKIPPED: the simulated provider was not built beside this test");
        return None;
    }
    let rsa = setup.authority().server(Key::Rsa2048, &["localhost"]);
    let rsa = rsa.write(setup.folder(), "rsa").json();
    Some(
        setup
            .listener("/tls/certificates", vec![rsa])
            .set("/acceleration/prefer", json!(["qat_provider"]))
            .set("/acceleration/require", true)
            .set("/acceleration/qat_provider/name", "simulated")
            .set("/acceleration/qat_provider/folder", "modules"),
    )
}

#[tokio::test]
async fn handshakes_are_offloaded_to_a_provider_by_its_name() {
    for completion in ["callback", "fd"] {
        let backend = h2_backend();
        let Some(setup) = with_provider(setup(&backend)) else {
            return;
        };
        // It is slower than software: only asked for by name it is used.
        let gateway = setup
            .set("/acceleration/offload", json!(["rsa", "x25519"]))
            .set("/acceleration/break_even", 1)
            .set("/acceleration/completion", completion)
            .start();
        for version in [SslVersion::TLS1_2, SslVersion::TLS1_3] {
            let options = Options {
                version: Some(version),
                groups: Some("X25519"),
                ..Options::default()
            };
            let builder = h2::client::Builder::new();
            let mut client = Client::connect_with(&gateway, &options, builder).await;
            assert_eq!(client.get("/plain").await.expect("an answer").status(), 200);
        }
        let (_, page) = gateway.admin_get("/accelerators").expect("an answer");
        let words = "qat_provider: in use (the provider simulated (provider=simulated))\n  \
                     - offloads rsa and x25519, from 1 handshakes";
        assert!(page.starts_with(words), "{page}");
        let metrics = gateway.metrics();
        let operations = |algorithm, path| {
            let labels = [
                ("accelerator", "qat_provider"),
                ("algorithm", algorithm),
                ("path", path),
            ];
            metrics.sum("gateway_accelerator_operations_total", &labels)
        };
        assert_eq!(operations("rsa", "accelerated"), 2.0);
        assert_eq!(operations("x25519", "accelerated"), 4.0);
        for path in ["software", "redone"] {
            assert_eq!(operations("rsa", path) + operations("x25519", path), 0.0);
        }
        let labels = [("accelerator", "qat_provider")];
        assert!(metrics.sum("gateway_accelerator_pauses_total", &labels) >= 6.0);
    }
}

#[test]
fn a_provider_that_does_wrong_is_not_used_and_says_why() {
    let cases = [
        ("rsa=error", "its test failed: rsa: it fails"),
        ("rsa=wrong", "its test failed: rsa: its result is wrong"),
        ("ecdsa=wrong", "its test failed: ecdsa: its result is wrong"),
        (
            "derive=wrong",
            "its test failed: x25519: its result is wrong",
        ),
        (
            "generate=never",
            "its test failed: x25519: it does not finish within",
        ),
    ];
    let backend = h2_backend();
    for (script, words) in cases {
        let Some(setup) = with_provider(setup(&backend)) else {
            return;
        };
        let (code, stderr) = ended(&setup, script);
        // EX_UNAVAILABLE of sysexits.h.
        assert_eq!(code, Some(69), "{stderr}");
        let words = format!("qat_provider: not used\n  - {words}");
        assert!(stderr.contains(&words), "{script}: {stderr}");
    }
}

#[test]
fn what_the_query_finds_elsewhere_is_not_used() {
    let backend = h2_backend();
    let Some(setup) = with_provider(setup(&backend)) else {
        return;
    };
    let setup = setup.set("/acceleration/qat_provider/properties", "provider=default");
    let (code, stderr) = ended(&setup, "");
    assert_eq!(code, Some(69), "{stderr}");
    let words = "the provider simulated is loaded, but \"provider=default\" finds no RSA";
    assert!(stderr.contains(words), "{stderr}");
}

/// Of a gateway that does not start.
fn ended(setup: &Setup, script: &str) -> (Option<i32>, String) {
    let output = Command::new(EXECUTABLE)
        .args(["run", "--config"])
        .arg(setup.write())
        .current_dir(setup.folder())
        .env(simulated::SCRIPT, script)
        .output()
        .expect("it runs");
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.code(), stderr)
}
