//! Selection, with the accelerators of the registry.

use super::*;

fn none() -> System {
    System {
        root: "tests/fixtures/sysfs/none".into(),
        memlock: None,
    }
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
    // Always built in where there are engines.
    let dynamic = QatEngine { id: "dynamic" };
    let reasons = dynamic.probe(&none()).expect_err("not offloading");
    assert!(!reasons.is_empty());
    let loader = QatProvider { provider: "base" };
    let reasons = loader.probe(&none()).expect_err("not offloading");
    let not_yet = Reason::NotOffloading {
        what: "the provider base".to_owned(),
    };
    assert!(reasons.contains(&not_yet), "{reasons:?}");
    let text = not_yet.to_string();
    assert!(text.ends_with("loads, but offloading handshakes is not in this version"));
}
