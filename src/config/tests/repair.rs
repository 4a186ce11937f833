//! What is wrong in one place must neither hide nor cause problems in others.

use std::path::Path;

use super::said;

fn assert_said(text: &str, expected: &[&str]) {
    let said = said(Path::new("."), text);
    for (said, expected) in said.iter().zip(expected) {
        assert!(said.starts_with(expected), "{said}\nis not\n{expected}");
    }
    assert_eq!(said.len(), expected.len(), "{said:#?}");
}

#[test]
fn a_missing_key_is_stood_in_for_silently() {
    assert_said(
        r#"
listeners:
  - address: 127.0.0.1:0
    tls: { certificates: [{ private_key: nowhere.key }] }
    routes: [{ match: { host: "a b" } }]
  - {}
clusters:
  - endpoints: [x]
"#,
        &[
            "test.yaml:3:5: listeners[0]: the key name is missing; add it, for example name: edge",
            "test.yaml:4:27: listeners[0].tls.certificates[0]: the key certificate_chain is missing; add it, for example certificate_chain: certs/edge.pem",
            "test.yaml:4:42: listeners[0].tls.certificates[0].private_key: \"nowhere.key\" doesn't exist",
            "test.yaml:5:14: listeners[0].routes[0]: the key cluster is missing",
            "test.yaml:5:31: listeners[0].routes[0].match.host: \"a b\" is not a host name",
            "test.yaml:6:5: listeners[1]: the key name is missing",
            "test.yaml:6:5: listeners[1]: the key address is missing",
            "test.yaml:6:5: listeners[1]: the key routes is missing",
            "test.yaml:8:5: clusters[0]: the key name is missing",
            "test.yaml:8:17: clusters[0].endpoints[0]: \"x\" is not an endpoint",
        ],
    );
}

#[test]
fn a_wrong_cluster_is_still_known_by_its_name() {
    assert_said(
        r#"
listeners:
  - name: edge
    address: 127.0.0.1:0
    routes: [{ cluster: a }]
clusters:
  - name: a
    endpoints: 5
  - name: b
    endpoints: ["127.0.0.1:1"]
"#,
        &["test.yaml:8:16: clusters[0].endpoints: 5 is a number; write a list, such as"],
    );
}

#[test]
fn an_item_that_is_taken_out_leaves_the_others_their_numbers() {
    assert_said(
        r#"
listeners:
  - 7
  - name: edge
    address: nowhere
    routes: [3, { cluster: a, timeout: 0s }]
clusters:
  - name: a
    endpoints: ["127.0.0.1:1"]
"#,
        &[
            "test.yaml:3:5: listeners[0]: 7 is a number; write a mapping with keys such as",
            "test.yaml:5:14: listeners[1].address: \"nowhere\" is not an IP address",
            "test.yaml:6:14: listeners[1].routes[0]: 3 is a number; write a mapping",
            "test.yaml:6:40: listeners[1].routes[1].timeout: \"0s\" is no time at all",
        ],
    );
}

#[test]
fn a_key_without_a_value_counts_as_absent_but_must_be_known() {
    assert_said(
        r#"
admin:
adminn:
listeners:
  - name: edge
    address: 127.0.0.1:0
    routes: [{ cluster: a }]
    tls:
clusters:
  - name: a
    endpoints: ["127.0.0.1:1"]
    pool:
"#,
        &["test.yaml:3:1: adminn: this key is unknown; did you mean admin?"],
    );
}

#[test]
fn anchors_and_merges_work_and_point_to_where_they_are_used() {
    assert_said(
        r#"
listeners:
  - name: a
    address: 127.0.0.1:0
    http: &http { idle_timeout: 1m, upgrade: refuse }
    routes: [{ cluster: a }]
  - name: b
    address: 127.0.0.1:0
    http: { <<: *http, max_headers: 0 }
    routes: [{ cluster: a }]
clusters:
  - { name: a, endpoints: ["127.0.0.1:1"] }
"#,
        &["test.yaml:9:37: listeners[1].http.max_headers: 0 is too small"],
    );
}

#[test]
fn deep_and_long_input_is_refused_not_crashed_on() {
    let deep = "[".repeat(10_000);
    let nested = format!("{}1{}", "{a: ".repeat(5_000), "}".repeat(5_000));
    let bomb = "a: &a [1,1,1,1,1,1,1,1]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c]\ne: &e [*d,*d,*d,*d,*d,*d,*d,*d]\nf: &f [*e,*e,*e,*e,*e,*e,*e,*e]\ng: &g [*f,*f,*f,*f,*f,*f,*f,*f]\n";
    for text in [&deep, &nested, bomb] {
        assert!(!said(Path::new("."), text).is_empty());
    }
}
