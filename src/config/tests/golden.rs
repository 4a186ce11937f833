//! Several problems at once, word by word.

use std::path::Path;

use super::super::load;
use super::{certs, said};

#[test]
fn everything_is_said_in_one_run() {
    let dir = certs::folder();
    let text = r#"workers: 0
log: { format: xml }
listeners:
  - name: edge
    address: localhost:8443
    handshake_timeout: 10 parsecs
    max_conections: 5
    tls:
      minimum_version: 1.2
      certificates:
        - certificate_chain: certs/edge.pem
          private_key: certs/gateway.key
        - certificate_chain: certs/nowhere.pem
          private_key: certs/edge.key
    routes:
      - match: { path_prefix: v2 }
        cluster: bakend
        timeout: 60
clusters:
  - name: backend
    endpoints: ["http://10.0.0.1:8001", "10.0.0.2"]
    pool: { warm_up: 200 }
  - name: backend
    endpoints: ["10.0.0.3:80"]
    protocol: h2
"#;
    let nowhere = dir.path().join("certs/nowhere.pem");
    let expected = [
        "test.yaml:1:10: workers: 0 is too small; write at least 1",
        "test.yaml:2:16: log.format: \"xml\" is not allowed here; write text or json",
        "test.yaml:5:14: listeners[0].address: \"localhost:8443\" is not an IP address with a port; write 0.0.0.0:8443 for every address, or one such as 127.0.0.1:8443 or [::1]:8443",
        "test.yaml:6:24: listeners[0].handshake_timeout: \"10 parsecs\" is not a duration; write a number with a unit, such as 250ms, 10s or 2m",
        "test.yaml:7:5: listeners[0].max_conections: this key is unknown; did you mean max_connections?",
        "test.yaml:9:24: listeners[0].tls.minimum_version: 1.2 is a number, not text; write it in quotes: \"1.2\"",
        "test.yaml:12:24: listeners[0].tls.certificates[0].private_key: \"certs/gateway.key\" is not the key of the certificate \"edge.example.com\" in certificate_chain; write the key that \"edge.example.com\" was issued for",
        &format!(
            "test.yaml:13:30: listeners[0].tls.certificates[1].certificate_chain: \"certs/nowhere.pem\" doesn't exist (looked for {}); write a path relative to the folder of this file, or one that begins with /",
            nowhere.display()
        ),
        "test.yaml:16:31: listeners[0].routes[0].match.path_prefix: \"v2\" can never match: paths begin with /; write /v2",
        "test.yaml:17:18: listeners[0].routes[0].cluster: \"bakend\" is no cluster; did you mean backend?",
        "test.yaml:18:18: listeners[0].routes[0].timeout: 60 has no unit; write 60s, or another unit: ms, s, m, h, d",
        "test.yaml:21:17: clusters[0].endpoints[0]: \"http://10.0.0.1:8001\" is not an endpoint; write 10.0.0.1:8001 without the scheme",
        "test.yaml:21:41: clusters[0].endpoints[1]: \"10.0.0.2\" is not an endpoint; add the port, as in 10.0.0.2:8001",
        "test.yaml:22:22: clusters[0].pool.warm_up: 200 is more than max_connections (100); write at most 100",
        "test.yaml:23:11: clusters[1].name: \"backend\" is the name of another one (line 20); give each its own name",
        "test.yaml:25:15: clusters[1].protocol: \"h2\" is not allowed here; did you mean h2c? write h2c or http1",
    ];
    let said = said(dir.path(), text);
    for (said, expected) in said.iter().zip(expected) {
        assert_eq!(said, expected);
    }
    assert_eq!(said.len(), expected.len(), "{said:#?}");
}

#[test]
fn what_is_not_yaml_is_one_problem_with_its_place() {
    for (text, expected) in [
        (
            "listeners: [",
            "test.yaml:1:12: this is not YAML: unclosed bracket '['",
        ),
        (
            "a: !foo 1\n",
            "test.yaml:1:9: this is not YAML: unsupported tag",
        ),
        (
            "a: b\n  c: d\n",
            "test.yaml:2:4: this is not YAML: mapping values",
        ),
        (
            "a: 1\n---\nb: 2\n",
            "test.yaml:3:1: this is not YAML: only single YAML document expected but multiple \
             found; leave out --- and what follows it",
        ),
        (
            "log:\n\tformat: text\n",
            "test.yaml:2:2: this is not YAML: tabs disallowed within this context (block \
             indentation); indent with spaces",
        ),
        (
            "log: a\n\tformat: text\n",
            "test.yaml:1:6: this is not YAML: while scanning a plain scalar, found a tab; \
             indent with spaces",
        ),
        ("x: *y\n", "test.yaml:1:4: this is not YAML: "),
        ("? [a]\n: 1\n", "test.yaml:1:3: this is not YAML: "),
    ] {
        let said = said(Path::new("."), text);
        assert_eq!(said.len(), 1, "{said:?}");
        assert!(said[0].starts_with(expected), "{}", said[0]);
    }
}

#[test]
fn an_empty_file_and_one_of_another_kind_say_what_to_write() {
    for text in ["", "# nothing\n", "~\n"] {
        let said = said(Path::new("."), text);
        assert_eq!(
            said,
            ["test.yaml:1:1: the file is empty; write at least listeners and clusters"]
        );
    }
    let said = said(Path::new("."), "- listeners\n");
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(
        said[0].starts_with(
            "test.yaml:1:1: is a list; write a mapping with keys such as acceleration"
        ),
        "{}",
        said[0]
    );
}

#[test]
fn a_key_that_stands_twice_is_a_problem_each_time() {
    let text = "workers: 1\nworkers: 2\nlog: { format: text, format: json }\n";
    let said = said(Path::new("."), text);
    assert!(said.contains(&"test.yaml:2:1: workers: this key stands here again, after line 1; keep one of the two".to_owned()), "{said:?}");
    assert!(said.contains(&"test.yaml:3:22: log.format: this key stands here again, after line 3; keep one of the two".to_owned()), "{said:?}");
}

#[test]
fn a_file_that_cannot_be_read_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("none.yaml");
    let problems = load(&file, &|_| None).err().unwrap().to_string();
    assert!(
        problems.contains("none.yaml: the file can't be read: No such file"),
        "{problems}"
    );
    std::fs::write(&file, b"name: \xff\n").unwrap();
    let problems = load(&file, &|_| None).err().unwrap().to_string();
    assert!(
        problems.ends_with("the file is not UTF-8 text; save it as UTF-8"),
        "{problems}"
    );
}
