//! `${NAME}` in values.

use std::path::Path;

use serde_json::json;

use super::super::{Loaded, Problems, load_str};
use super::{base, set};

fn load_with(path: &str, value: &str, env: &[(&str, &str)]) -> Result<Loaded, Problems> {
    let mut config = base();
    set(&mut config, path, json!(value));
    let env = |name: &str| {
        let found = env.iter().find(|(key, _)| *key == name);
        found.map(|(_, value)| (*value).to_owned())
    };
    load_str("test.yaml", &config.to_string(), Path::new("."), &env)
}

#[test]
fn a_whole_value_takes_the_type_of_its_text() {
    let workers =
        |value, env: &[(&str, &str)]| load_with("workers", value, env).unwrap().params.workers;
    assert_eq!(workers("${W}", &[("W", "3")]), 3);
    assert_eq!(workers("${W:-2}", &[]), 2);
    assert_eq!(workers("${W:-2}", &[("W", "")]), 2, "as the shell has it");
    assert_eq!(workers("${W:-2}", &[("W", "4")]), 4);
    let cut = load_with("listeners[0].tls.strict_sni", "${S}", &[("S", "true")]);
    let problems = cut.err().map(|p| p.to_string()).unwrap_or_default();
    assert!(!problems.contains("strict_sni"), "{problems}");
}

#[test]
fn text_that_looks_like_a_number_stays_text_where_text_fits() {
    let loaded = load_with("listeners[0].name", "${NAME}", &[("NAME", "8443")]).unwrap();
    assert_eq!(loaded.params.listeners[0].name, "8443");
    let path = "listeners[0].routes[0].match.headers.x-shard";
    let loaded = load_with(path, "${SHARD}", &[("SHARD", "007")]).unwrap();
    let header = &loaded.params.listeners[0].routes[0].headers[0];
    assert_eq!(
        header.value,
        crate::route::ValueMatch::Exact("007".to_owned())
    );
}

#[test]
fn parts_are_joined_and_escapes_are_literal() {
    let name = |value, env: &[(&str, &str)]| {
        let loaded = load_with("listeners[0].name", value, env).unwrap();
        loaded.params.listeners[0].name.clone()
    };
    assert_eq!(name("a-${X}-${Y:-z}!", &[("X", "b")]), "a-b-z!");
    assert_eq!(name("$${X}", &[]), "${X}");
    assert_eq!(name("cost: 5$", &[]), "cost: 5$");
    assert_eq!(name("$X", &[("X", "no")]), "$X");
    assert_eq!(
        name("${X}", &[("X", "${Y}")]),
        "${Y}",
        "not substituted again"
    );
}

#[test]
fn what_a_variable_holds_cannot_change_the_structure() {
    for text in [
        "x, tls: {}",
        "a: b",
        "[1, 2]",
        "{a: 1}",
        "*x",
        "&x 1",
        "5 # five",
        "a\nb: c",
    ] {
        let loaded = load_with("listeners[0].name", "${X}", &[("X", text)]).unwrap();
        assert_eq!(loaded.params.listeners[0].name, text);
    }
}

#[test]
fn an_unset_variable_is_a_problem_at_its_place() {
    let text = "workers: 2\nlisteners:\n  - name: ${NAME}\n    address: ${A:-}\n";
    let problems = load_str("e.yaml", text, Path::new("."), &|_| None)
        .err()
        .unwrap();
    let lines = problems.to_string();
    assert!(
        lines.contains(
            "e.yaml:3:11: listeners[0].name: \"${NAME}\" needs the environment variable NAME, \
             which is not set; set it, or give a default: ${NAME:-default}"
        ),
        "{lines}"
    );
    assert!(
        lines.contains("e.yaml:4:14: listeners[0].address: \"\" (from ${A:-}) is not an IP"),
        "{lines}"
    );
    for bad in ["${", "${}", "${1A}", "${A-B}", "x${A B}", "${A:-${B}}"] {
        let problems = load_with("listeners[0].name", bad, &[]).err().unwrap();
        assert_eq!(problems.errors.len(), 1, "{problems}");
        assert!(
            problems.to_string().contains("${NAME:-default}"),
            "{problems}"
        );
    }
}
