//! Runs the table of settings: every key of the schema, good values and bad.

use serde_json::{Value, json};

use super::schema::keys;
use super::settings::{Row, rows};
use super::{base, certs, load_in, set};

/// A configuration in which `path` can be set, with what it needs around it.
fn around(path: &str) -> Value {
    let mut config = base();
    let certificate =
        json!({ "certificate_chain": "certs/edge.pem", "private_key": "certs/edge.key" });
    if path.starts_with("listeners[0].tls") {
        set(&mut config, "listeners[0].tls.certificates[0]", certificate);
    }
    if path.starts_with("listeners[0].tls.client_certificates") {
        let at = "listeners[0].tls.client_certificates.ca_file";
        set(&mut config, at, json!("certs/clients-ca.pem"));
        let at = "listeners[0].tls.client_certificates.mode";
        set(&mut config, at, json!("required"));
    }
    if path.starts_with("listeners[0].proxy_protocol") {
        let at = "listeners[0].proxy_protocol.trusted";
        set(&mut config, at, json!(["10.0.0.0/8"]));
    }
    if path == "acceleration.require" {
        set(&mut config, "acceleration.prefer", json!(["qat_engine"]));
    }
    if path == "listeners[0].routes[0].match.path" {
        set(&mut config, "listeners[0].routes[0].match", json!({}));
    }
    if path == "clusters[0].tls.certificate_chain" {
        let at = "clusters[0].tls.private_key";
        set(&mut config, at, json!("certs/gateway.key"));
    }
    if path == "clusters[0].tls.private_key" {
        let at = "clusters[0].tls.certificate_chain";
        set(&mut config, at, json!("certs/gateway.pem"));
    }
    config
}

#[test]
fn good_values_are_taken_and_bad_ones_said_at_their_place() {
    let dir = certs::folder();
    for Row { path, good, bad } in rows() {
        for value in good {
            let mut config = around(path);
            set(&mut config, path, value.clone());
            if let Err(problems) = load_in(dir.path(), &config.to_string()) {
                panic!("{path}: {value} should be good:\n{problems}");
            }
        }
        for (value, words) in bad {
            let mut config = around(path);
            set(&mut config, path, value.clone());
            let Err(problems) = load_in(dir.path(), &format!("{config:#}")) else {
                panic!("{path}: {value} should be bad");
            };
            let found = problems.errors.iter().any(|problem| {
                let here = problem.path.starts_with(path) || path.starts_with(&problem.path);
                here && problem.to_string().contains(words) && problem.help.is_some()
            });
            assert!(found, "{path}: {value}: no {words:?} in\n{problems}");
        }
    }
}

#[test]
fn every_key_of_the_schema_is_in_the_table() {
    let tested: Vec<String> = rows()
        .iter()
        .filter(|row| !row.good.is_empty() && !row.bad.is_empty())
        .map(|row| {
            let path = row.path.replace("[0]", "[]");
            ["x-name", "X-Name"]
                .iter()
                .fold(path, |path, name| path.replace(name, "*"))
        })
        .collect();
    let missing: Vec<String> = keys()
        .into_iter()
        .filter(|key| !tested.contains(key))
        .collect();
    assert_eq!(missing, [""; 0]);
}

#[test]
fn the_table_names_only_keys_there_are() {
    let keys = keys();
    for row in rows() {
        let path = row.path.replace("[0]", "[]").replace("x-name", "*");
        let known = |path: &str| keys.iter().any(|key| key == path);
        assert!(known(&path) || known(path.trim_end_matches(".*")), "{path}");
    }
}
