//! The same handshakes with every accelerator: what curl and `openssl s_client` see, and
//! many at once.
//!
//! The real qatengine's are in `tests/real-engine.sh`, which needs a system that has it.

use qat_sys::lanes::Library;
use serde_json::json;
use support::backend::Backend;
use support::certificates::Key;
use support::client::curl::Curl;
use support::client::s_client;
use support::{Gateway, Setup, simulated, tool};

use super::crowd::{Clients, visits_by};
use super::engine::{Operations, all_operations};
use crate::{h2_backend, setup};

const KEYS: [Key; 5] = [
    Key::Rsa2048,
    Key::Rsa3072,
    Key::Rsa4096,
    Key::P256,
    Key::P384,
];
const CROWD: usize = 64;

/// One worker that offloads everything it can, and one certificate.
fn offloading(backend: &Backend, key: Key, accelerator: &str) -> Setup {
    let setup = setup(backend);
    let certificate = setup.authority().server(key, &["localhost"]);
    let certificate = certificate.write(setup.folder(), "only");
    setup
        .listener("/tls/certificates", json!([certificate.json()]))
        .listener("/max_handshakes_per_client", 512)
        .set("/acceleration/prefer", json!([accelerator]))
        .set("/acceleration/require", true)
        .set("/acceleration/offload", json!(["rsa", "x25519", "ecdsa"]))
        .set("/acceleration/break_even", 1)
}

/// Answers for both programs, with both versions.
fn programs(gateway: &Gateway, told: &str) {
    let Some(curl) = Curl::new(gateway) else {
        return;
    };
    for version in ["1.2", "1.3"] {
        let arguments = [&format!("--tlsv{version}")[..], "--tls-max", version];
        let response = curl.h2("/plain", &arguments).expect(200);
        assert_eq!(response.version, "2", "{told}");
    }
    let request = b"GET /plain HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    for version in ["-tls1_2", "-tls1_3"] {
        let arguments = [version, "-quiet", "-ign_eof", "-verify_return_error"];
        let Some(output) = s_client::run(gateway, &arguments, request) else {
            return;
        };
        let text = &output.text;
        assert!(text.contains("HTTP/1.1 200"), "{told} {version}: {text}");
    }
}

/// Crowds until some of all that was to be offloaded is: what finds itself alone in a batch
/// is quicker in software.
async fn crowds(gateway: &Gateway, expected: [bool; 3], told: &str) -> [Operations; 3] {
    let clients = Clients::any(gateway);
    let mut done = Default::default();
    for _ in 0..10 {
        let failed = visits_by(&clients, gateway, CROWD).await;
        assert_eq!(failed, [""; 0], "{told}");
        done = all_operations(&gateway.metrics());
        if done.map(|one| one.accelerated > 0) == expected {
            break;
        }
    }
    done
}

async fn handshakes(accelerator: &str, start: impl Fn(Key) -> Setup) {
    for key in KEYS {
        let gateway = start(key).start();
        let told = format!("{accelerator} {key:?}");
        let (_, page) = gateway.admin_get("/accelerators").expect("an answer");
        let named = format!("{accelerator}: in use (");
        assert!(page.starts_with(&named), "{told}: {page}");
        programs(&gateway, &told);
        let ec = matches!(key, Key::P256 | Key::P384);
        // RSA, X25519, ECDSA, of which libcrypto_mb is given none.
        let expected = [!ec, true, ec && accelerator != "multibuffer"];
        let done = crowds(&gateway, expected, &told).await;
        let told = format!("{told}: {done:?}");
        assert_eq!(done.map(|one| one.accelerated > 0), expected, "{told}");
        assert_eq!(done.map(|one| one.redone), [0; 3], "{told}");
        let labels = [("accelerator", accelerator), ("outcome", "completed")];
        let accelerated = gateway
            .metrics()
            .sum("gateway_tls_handshakes_total", &labels);
        assert!(accelerated >= CROWD as f64, "{told}: {accelerated}");
    }
}

#[tokio::test]
async fn the_simulated_engine() {
    let backend = h2_backend();
    if simulated::library().is_none() {
        return tool::skip("this OpenSSL has no engines");
    }
    handshakes("qat_engine", |key| {
        let setup = offloading(&backend, key, "qat_engine");
        assert!(simulated::install(setup.folder()).expect("linked"));
        let library = setup.folder().join("simulated.so");
        setup
            .set("/acceleration/qat_engine/id", "simulated")
            .set("/acceleration/qat_engine/library", library.to_str())
    })
    .await;
}

#[tokio::test]
async fn the_simulated_provider() {
    if simulated::module().is_none() {
        return tool::skip("the simulated provider was not built beside this test");
    }
    let backend = h2_backend();
    handshakes("qat_provider", |key| {
        let setup = offloading(&backend, key, "qat_provider");
        let modules = setup.folder().join("modules");
        std::fs::create_dir(&modules).expect("made");
        assert!(simulated::install_module(&modules).expect("linked"));
        setup
            .set("/acceleration/qat_provider/name", "simulated")
            .set("/acceleration/qat_provider/folder", "modules")
    })
    .await;
}

/// `QAT_GATEWAY_CRYPTO_MB` may name libcrypto_mb, or the folder it is in.
#[tokio::test]
async fn multibuffer() {
    let named = std::env::var("QAT_GATEWAY_CRYPTO_MB").ok();
    if let Err(error) = Library::load(named.as_deref().map(std::path::Path::new)) {
        assert!(named.is_none(), "QAT_GATEWAY_CRYPTO_MB: {error}");
        return tool::cannot(&format!("multibuffer: {error}"));
    }
    let backend = h2_backend();
    handshakes("multibuffer", |key| {
        let setup = offloading(&backend, key, "multibuffer");
        match &named {
            Some(library) => setup.set("/acceleration/multibuffer/library", library.as_str()),
            None => setup,
        }
    })
    .await;
}
