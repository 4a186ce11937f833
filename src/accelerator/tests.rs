//! Selection, with the accelerators of the registry.

use super::params::QATENGINE;
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
        // Wherever the machine has one: these tests are about machines without.
        multibuffer: MultibufferParams {
            library: Some("/nonexistent".into()),
            ..MultibufferParams::default()
        },
        ..AccelerationParams::default()
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
        let found = registry(&params(&[], false));
        let found = found.iter().filter(|one| one.name() == name.as_str());
        assert_eq!(found.count(), 1, "{name:?}");
    }
    assert_eq!(registry(&params(&[], false)).len(), ALL.len() + 1);
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
    let unavailable = select(&params(&ALL, true), &none())
        .err()
        .expect("none of them");
    assert_eq!(unavailable.0.len(), ALL.len());
    let text = unavailable.to_string();
    assert!(
        text.contains("qat_engine: not used\n  - no QAT card"),
        "{text}"
    );
}

fn engine(id: &str) -> AccelerationParams {
    let mut params = params(&[AcceleratorName::QatEngine], false);
    params.engine.id = id.to_owned();
    params
}

fn engine_reasons(id: &str) -> Vec<Reason> {
    let selection = select(&engine(id), &none()).expect("software");
    assert_eq!(selection.chosen, SOFTWARE);
    selection.reasons[0].1.clone()
}

#[test]
fn an_engine_that_does_nothing_is_not_used() {
    if !qat_sys::engine::PRESENT {
        assert_eq!(engine_reasons("dynamic"), [Reason::NoEngines]);
        return;
    }
    // Always built in, and never to be started.
    let reasons = engine_reasons("dynamic");
    assert!(
        matches!(&reasons[..], [Reason::EngineNotStarted { .. }]),
        "{reasons:?}"
    );
    // Comes with OpenSSL, mostly, and does no private-key work.
    match &engine_reasons("loader_attic")[..] {
        [Reason::NothingWanted] => {}
        [Reason::EngineNotLoaded { .. }] => eprintln!("SKIPPED: no engine loader_attic"),
        other => panic!("{other:?}"),
    }
    let missing = engine_reasons("no-such-engine");
    assert!(
        missing[0].to_string().contains("no-such-engine"),
        "{missing:?}"
    );
}

#[test]
fn intels_engine_is_not_started_where_it_cannot_work() {
    let reasons = engine_reasons(QATENGINE);
    if qat_sys::engine::PRESENT {
        assert!(
            matches!(&reasons[..], [Reason::NoCard, Reason::Cpu(_), ..]),
            "{reasons:?}"
        );
    }
}

#[test]
fn a_library_that_is_not_there_is_named() {
    let params = params(&[AcceleratorName::Multibuffer], false);
    let selection = select(&params, &none()).expect("software");
    let text = selection.to_string();
    assert!(text.contains("/nonexistent"), "{text}");
}
