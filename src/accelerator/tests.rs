//! Selection, with the accelerators of the registry.

use super::*;

fn tree(name: &str) -> System {
    System {
        root: format!("tests/fixtures/sysfs/{name}").into(),
        memlock: None,
    }
}

fn none() -> System {
    tree("none")
}

fn params(prefer: &[AcceleratorName], require: bool) -> AccelerationParams {
    AccelerationParams {
        prefer: prefer.to_vec(),
        require,
    }
}

const ALL: [AcceleratorName; 3] = [
    AcceleratorName::Multibuffer,
    AcceleratorName::QatEngine,
    AcceleratorName::QatProvider,
];

#[test]
fn every_name_of_the_configuration_is_registered_once() {
    for name in ALL {
        let found = registry();
        let found = found.iter().filter(|one| one.name() == name.as_str());
        assert_eq!(found.count(), 1, "{name:?}");
    }
    assert_eq!(registry().len(), ALL.len() + 1);
}

#[test]
fn nothing_asked_for_is_software_without_reasons() {
    let selection = select(&params(&[], false), &none()).expect("software");
    assert_eq!(selection.chosen, SOFTWARE);
    assert!(selection.reasons.is_empty());
    assert!(
        selection
            .to_string()
            .starts_with("software: in use (OpenSSL 3")
    );
}

#[test]
fn what_is_preferred_is_tried_in_its_order_and_always_has_reasons() {
    let selection = select(&params(&ALL, false), &none()).expect("software");
    assert_eq!(selection.chosen, SOFTWARE);
    let names: Vec<_> = selection.reasons.iter().map(|(name, _)| *name).collect();
    assert_eq!(names, ["multibuffer", "qat_engine", "qat_provider"]);
    for (name, reasons) in &selection.reasons {
        assert!(!reasons.is_empty(), "{name}");
        for reason in reasons {
            assert!(selection.to_string().contains(&reason.to_string()));
        }
    }
}

#[test]
fn what_is_required_is_not_replaced_by_software() {
    let unavailable = select(&params(&ALL, true), &none()).expect_err("none of them");
    assert_eq!(unavailable.0.len(), ALL.len());
    let text = unavailable.to_string();
    assert!(
        text.contains("qat_engine: not used\n  - no QAT card"),
        "{text}"
    );
}

#[test]
fn an_engine_that_loads_claims_no_offload() {
    let probe = |id| QatEngine { id }.probe(&tree("ready"));
    if !qat_sys::engine::PRESENT {
        assert_eq!(probe("dynamic"), Err(vec![Reason::NoEngines]));
        return;
    }
    // Always built in, and never to be started.
    let refused = probe("dynamic").expect_err("not started");
    assert!(
        matches!(&refused[..], [Reason::EngineNotStarted { .. }]),
        "{refused:?}"
    );
    // Comes with OpenSSL, mostly.
    let loaded = probe("loader_attic").expect_err("not offloading");
    match &loaded[..] {
        [Reason::NotOffloading { what }] => assert!(what.contains("loader_attic"), "{what}"),
        [Reason::EngineNotLoaded { .. }] => eprintln!("SKIPPED: no engine loader_attic"),
        other => panic!("{other:?}"),
    }
    let missing = probe("no-such-engine").expect_err("not loaded");
    assert!(
        missing[0].to_string().contains("no-such-engine"),
        "{missing:?}"
    );
}

#[test]
fn an_engine_is_not_started_where_it_cannot_work() {
    let reasons = QatEngine { id: "dynamic" }.probe(&none());
    let reasons = reasons.expect_err("neither card nor CPU");
    if qat_sys::engine::PRESENT {
        assert!(
            matches!(&reasons[..], [Reason::NoCard, Reason::Cpu(_)]),
            "{reasons:?}"
        );
    }
}

#[test]
fn a_provider_that_loads_claims_no_offload() {
    // Built into libcrypto.
    let reasons = QatProvider { provider: "base" }.probe(&tree("ready"));
    let reasons = reasons.expect_err("not offloading");
    let what = "the provider base".to_owned();
    assert_eq!(reasons, [Reason::NotOffloading { what }]);
    let text = reasons[0].to_string();
    assert!(text.ends_with("loads, but offloading handshakes is not in this version"));
}
