//! What is asked of accelerators, and what becomes of it: no claim without offload.
//!
//! The trees in `fixtures/sysfs` are laid out as the kernel's documentation describes
//! sysfs (Documentation/ABI/testing/sysfs-driver-qat, sysfs-bus-pci).

use std::path::Path;
use std::process::Command;

use qat_gateway::accelerator::{
    Accelerator, Cards, EngineParams, QatEngine, Reason, System, cards,
};
use serde_json::json;
use support::client::curl::Curl;

use super::engine::offloading;
use crate::{h2_backend, setup};

const EXIT_UNAVAILABLE: i32 = 69;

fn system(tree: &str) -> System {
    System {
        root: format!("{}/tests/fixtures/sysfs/{tree}", env!("CARGO_MANIFEST_DIR")).into(),
        memlock: None,
    }
}

fn told(cards: &Cards) -> Vec<String> {
    cards.reasons.iter().map(Reason::to_string).collect()
}

/// Wherever this machine has one: these tests are about machines without.
fn absent(prefer: &[&str]) -> serde_json::Value {
    json!({
        "prefer": prefer,
        "qat_engine": { "library": "/nonexistent/qatengine.so" },
        "qat_provider": { "folder": "/nonexistent" },
        "multibuffer": { "library": "/nonexistent" },
    })
}

#[test]
fn preferred_without_being_there_it_serves_in_software_and_says_why() {
    let backend = h2_backend();
    let asked = ["qat_engine", "qat_provider", "multibuffer"];
    let gateway = setup(&backend).set("/acceleration", absent(&asked)).start();
    if let Some(curl) = Curl::new(&gateway) {
        curl.h2("/plain", &[]).expect(200);
    }
    let (status, page) = gateway.admin_get("/accelerators").expect("an answer");
    assert_eq!(status, 200);
    assert!(page.starts_with("software: in use (OpenSSL "), "{page}");
    let (log, metrics) = (gateway.log(), gateway.metrics());
    let state = |accelerator, state| {
        let labels = [("accelerator", accelerator), ("state", state)];
        metrics.sum("gateway_accelerator_info", &labels)
    };
    assert_eq!(state("software", "active"), 1.0);
    for name in asked {
        assert!(page.contains(&format!("{name}: not used\n  - ")), "{page}");
        assert_eq!(state(name, "unavailable"), 1.0, "{name}");
        assert_eq!(state(name, "active"), 0.0, "{name}");
        let lines = log.lines().filter(|line| line.contains("not used"));
        assert_eq!(lines.filter(|line| line.contains(name)).count(), 1, "{log}");
    }
    for reason in page.lines().filter_map(|line| line.strip_prefix("  - ")) {
        assert!(log.contains(reason), "no {reason:?} in {log}");
    }
}

#[test]
fn required_without_being_there_it_refuses_to_start_with_every_reason() {
    let backend = h2_backend();
    let exited = setup(&backend)
        .set("/acceleration", absent(&["qat_engine", "multibuffer"]))
        .set("/acceleration/require", true)
        .try_start()
        .err()
        .expect("it ends");
    assert_eq!(exited.code, Some(EXIT_UNAVAILABLE), "{exited:#?}");
    for words in [
        "acceleration.require is true",
        "qat_engine: not used\n  - ",
        "multibuffer: not used\n  - ",
    ] {
        let stderr = &exited.stderr;
        assert!(stderr.contains(words), "no {words:?} in {stderr}");
    }
}

/// A module of OpenSSL's stands in for one that has nothing to offer.
#[test]
fn a_provider_that_loads_is_not_claimed_to_offload() {
    let openssl = Command::new("openssl").args(["version", "-m"]).output();
    let openssl = openssl.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    let modules = openssl.unwrap_or_default();
    let modules = modules.split('"').nth(1).unwrap_or_default();
    if !Path::new(modules).join("legacy.so").exists() {
        eprintln!("SKIPPED: OpenSSL's module legacy.so is not installed");
        return;
    }
    let backend = h2_backend();
    let exited = setup(&backend)
        .set("/acceleration/prefer", json!(["qat_provider"]))
        .set("/acceleration/require", true)
        .set(
            "/acceleration/qat_provider",
            json!({ "name": "legacy", "folder": modules }),
        )
        .try_start()
        .err()
        .expect("it ends");
    assert_eq!(exited.code, Some(EXIT_UNAVAILABLE), "{exited:#?}");
    let words = "qat_provider: not used\n  - the provider legacy is loaded, but \
                 \"provider=legacy\" finds no RSA, X25519 or ECDSA of its own\n";
    let stderr = &exited.stderr;
    assert!(stderr.contains(words), "no {words:?} in {stderr}");
}

/// An engine does in software what its mask leaves out, and says nothing.
#[test]
fn what_an_engine_does_not_offload_is_not_claimed() {
    let backend = h2_backend();
    let Some(setup) = offloading(&backend, "callback") else {
        return;
    };
    let gateway = setup
        .set("/acceleration/qat_engine/software_algorithms", "0x21")
        .start();
    let (_, page) = gateway.admin_get("/accelerators").expect("an answer");
    assert!(page.contains("offloads rsa and x25519, from 1 "), "{page}");
}

#[test]
fn nothing_asked_for_nothing_is_probed() {
    let backend = h2_backend();
    let gateway = setup(&backend).start();
    let (_, page) = gateway.admin_get("/accelerators").expect("an answer");
    assert_eq!(page.lines().count(), 1, "{page}");
    assert!(!gateway.log().contains("not used"), "{}", gateway.log());
}

#[test]
fn by_default_it_takes_what_the_machine_has_and_warns_of_nothing() {
    let backend = h2_backend();
    let gateway = setup(&backend).set("/acceleration", json!({})).start();
    let (_, page) = gateway.admin_get("/accelerators").expect("an answer");
    let software = page.starts_with("software: in use");
    let names = ["qat_engine", "qat_provider", "multibuffer"];
    let told = |name: &&str| page.contains(&format!("{name}: "));
    assert!(!software || names.iter().all(told), "{page}");
    let warned = |line: &str| line.contains("WARN") && line.contains("not used");
    assert!(!gateway.log().lines().any(warned), "{}", gateway.log());
}

#[test]
fn a_ready_card_gives_no_reason() {
    let found = cards(&system("ready"));
    assert_eq!(told(&found), Vec::<String>::new());
    assert_eq!(found.usable, ["0000:6b:00.1", "0000:6b:00.2"]);
}

#[test]
fn locked_memory_bounds_the_functions_in_use() {
    let mut short = system("ready");
    short.memlock = Some(20 << 20);
    let found = cards(&short);
    assert_eq!(found.usable, ["0000:6b:00.1"]);
    let needed = 32 << 20;
    let limit = 20 << 20;
    assert_eq!(found.reasons, [Reason::Memlock { limit, needed }]);
}

#[test]
fn every_fault_of_a_card_is_told_in_order() {
    let found = cards(&system("wrong"));
    assert_eq!(found.usable, Vec::<String>::new());
    let card = |address: &str| address.to_owned();
    let (wrong, compresses, undivided) = (
        card("0000:6b:00.0"),
        card("0000:70:00.0"),
        card("0000:75:00.0"),
    );
    assert_eq!(
        found.reasons,
        [
            Reason::NoIommu {
                card: wrong.clone()
            },
            Reason::NoSriov {
                card: wrong.clone()
            },
            Reason::NotUp {
                card: wrong.clone(),
                state: "down".to_owned()
            },
            Reason::NoAsym {
                card: wrong,
                services: "dc".to_owned()
            },
            Reason::NoAsym {
                card: compresses,
                services: "dc;dcc".to_owned()
            },
            Reason::NoVirtualFunctions { card: undivided },
        ]
    );
}

#[test]
fn a_missing_driver_and_a_failing_one_are_told_apart() {
    let found = cards(&system("undriven"));
    assert_eq!(
        found.reasons,
        [
            Reason::DriverFailed {
                card: "0000:6b:00.0".to_owned(),
                module: "qat_4xxx"
            },
            Reason::NoDriver {
                card: "0000:b6:00.0".to_owned(),
                module: "qat_6xxx"
            },
        ]
    );
}

#[test]
fn a_virtual_machine_has_functions_alone() {
    let found = cards(&system("guest"));
    assert_eq!(found.usable, Vec::<String>::new());
    let told = told(&found);
    assert_eq!(told.len(), 3, "{told:#?}");
    assert!(told[0].contains("0000:00:05.0: there is no /dev/vfio/5"));
    assert!(told[1].contains("not bound to vfio-pci, but to 4xxxvf"));
    assert!(told[2].contains("not bound to vfio-pci, but to nothing"));
}

#[test]
fn a_machine_without_cards_says_so() {
    for tree in ["none", "no-such-tree"] {
        assert_eq!(cards(&system(tree)).reasons, [Reason::NoCard], "{tree}");
    }
}

#[test]
fn the_cpu_decides_on_multi_buffer() {
    let lacks = |tree| {
        let engine = QatEngine::new(&EngineParams {
            library: Some("/nonexistent".into()),
            ..EngineParams::default()
        });
        let reasons = engine.load(&system(tree)).err().expect("no such engine");
        reasons.into_iter().find_map(|reason| match reason {
            Reason::Cpu(lacks) => Some(lacks),
            _ => None,
        })
    };
    assert_eq!(lacks("ready"), None);
    assert_eq!(
        lacks("wrong").as_deref(),
        Some("Intel's mark (GenuineIntel)")
    );
    let old = lacks("undriven");
    assert_eq!(old.as_deref(), Some("avx512ifma, vaes, vpclmulqdq"));
}
