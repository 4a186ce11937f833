//! What parts of the file say about each other, routes above all.

use std::path::Path;

use serde_json::{Value, json};

use super::{base, certs, load_in, said, set};
use crate::route::PathMatch;

fn said_of(changes: &[(&str, Value)]) -> Vec<String> {
    let dir = certs::folder();
    let mut config = base();
    for (path, value) in changes {
        set(&mut config, path, value.clone());
    }
    said(dir.path(), &config.to_string())
}

fn routes(matches: &[Value]) -> Vec<String> {
    let routes: Vec<Value> = matches
        .iter()
        .map(|matches| json!({ "match": matches, "cluster": "backend" }))
        .collect();
    said_of(&[("listeners[0].routes", json!(routes))])
}

fn assert_one(said: &[String], words: &str) {
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(said[0].contains(words), "{words} is not in {}", said[0]);
}

#[test]
fn a_route_whose_requests_another_takes_is_a_problem() {
    let same = "listeners[0].routes[1]: can never match: listeners[0].routes[0] (line 1) takes the same requests";
    for (first, second) in [
        (json!({}), json!({})),
        (json!({ "host": "a.com" }), json!({ "host": "A.com" })),
        (
            json!({ "path_prefix": "/v2" }),
            json!({ "path_prefix": "/v2/" }),
        ),
        (
            json!({ "methods": ["GET", "POST"] }),
            json!({ "methods": ["POST"] }),
        ),
        (
            json!({ "headers": { "X-A": "1" } }),
            json!({ "headers": { "x-a": "1" } }),
        ),
        (
            json!({ "headers": { "x-a": { "prefix": "1" } } }),
            json!({ "headers": { "x-a": { "prefix": "1" } } }),
        ),
    ] {
        assert_one(&routes(&[first, second]), same);
    }
}

#[test]
fn routes_that_differ_may_stand_in_any_order() {
    for (first, second) in [
        (json!({}), json!({ "host": "a.com" })),
        (json!({ "host": "*.a.com" }), json!({ "host": "b.a.com" })),
        (json!({ "path_prefix": "/v2" }), json!({ "path": "/v2" })),
        (
            json!({ "path_prefix": "/v2" }),
            json!({ "path_prefix": "/v2/x" }),
        ),
        (
            json!({ "methods": ["GET"] }),
            json!({ "methods": ["GET", "POST"] }),
        ),
        (json!({}), json!({ "methods": ["GET"] })),
        (
            json!({ "headers": { "x-a": "1" } }),
            json!({ "headers": { "x-a": "2" } }),
        ),
        (
            json!({}),
            json!({ "headers": { "x-a": { "present": true } } }),
        ),
    ] {
        assert_eq!(routes(&[first, second]), [""; 0]);
    }
}

#[test]
fn prefixes_lose_their_last_slash() {
    for (written, kept) in [("/", "/"), ("/v2", "/v2"), ("/v2/", "/v2"), ("//", "/")] {
        let mut config = base();
        let at = "listeners[0].routes[0].match.path_prefix";
        set(&mut config, at, json!(written));
        let loaded = load_in(Path::new("."), &config.to_string()).unwrap();
        let path = &loaded.params.listeners[0].routes[0].path;
        assert_eq!(*path, PathMatch::Prefix(kept.to_owned()));
    }
}

#[test]
fn matches_and_rewrites_that_make_no_sense_are_problems() {
    let at = "listeners[0].routes[0]";
    assert_one(
        &routes(&[json!({ "path": "/a", "path_prefix": "/b" })]),
        "match: has both path and path_prefix",
    );
    assert_one(
        &said_of(&[(at, json!({ "cluster": "backend", "rewrite": "/x" }))]),
        "\"/x\" replaces nothing",
    );
    assert_one(
        &routes(&[json!({ "headers": { "a": { "prefix": "x", "present": true } } })]),
        "headers.a: has both prefix and present",
    );
    assert_one(
        &routes(&[json!({ "path": "/v2/*" })]),
        "warning: listeners[0].routes[0].match.path: \"/v2/*\" matches a literal *; for all that begins so write path_prefix: /v2/",
    );
    assert_one(
        &said_of(&[
            ("listeners[0].routes[0].timeout", json!("1s")),
            ("listeners[0].routes[0].idle_timeout", json!("2s")),
        ]),
        "is longer than timeout (1s) and never comes to pass",
    );
}

#[test]
fn names_and_addresses_are_given_once() {
    let listener = |name: &str, address: &str| json!({ "name": name, "address": address, "routes": [{ "cluster": "backend" }] });
    let two = |second| said_of(&[("listeners[1]", second)]);
    assert_one(
        &two(listener("edge", "127.0.0.1:1")),
        "listeners[1].name: \"edge\" is the name of another one (line 1)",
    );
    assert_one(
        &two(listener("b", "127.0.0.1:8443")),
        "\"127.0.0.1:8443\" is taken by listeners[0].address (line 1)",
    );
    assert_eq!(two(listener("b", "127.0.0.2:8443")), [""; 0]);
    let zero = said_of(&[
        ("listeners[0].address", json!("127.0.0.1:0")),
        ("listeners[1]", listener("b", "127.0.0.1:0")),
    ]);
    assert_eq!(zero, [""; 0]);
}

#[test]
fn clusters_are_used_and_known() {
    let other = json!({ "name": "other", "endpoints": ["127.0.0.1:1"] });
    assert_one(
        &said_of(&[("clusters[1]", other)]),
        "warning: clusters[1].name: \"other\" is a cluster that no route leads to",
    );
    let at = "listeners[0].routes[0].cluster";
    let said = said_of(&[(at, json!("zzz"))]);
    assert!(
        said.iter()
            .any(|s| s.contains("\"zzz\" is no cluster; the clusters are backend")),
        "{said:?}"
    );
}

#[test]
fn settings_without_effect_are_warned_of() {
    let tls = json!({ "certificates": [{ "certificate_chain": "certs/edge.pem", "private_key": "certs/edge.key" }] });
    let with_tls = |key: &str, value: Value| {
        let mut tls = tls.clone();
        tls["minimum_version"] = json!("1.3");
        tls[key] = value;
        said_of(&[("listeners[0].tls", tls)])
    };
    assert_one(
        &with_tls("cipher_list", json!("HIGH")),
        "has no effect: it is for TLS 1.2",
    );
    assert_one(
        &with_tls("maximum_version", json!("1.2")),
        "is newer than maximum_version",
    );
    assert_one(
        &said_of(&[("listeners[0].handshake_timeout", json!("1s"))]),
        "without tls",
    );
    assert_one(
        &said_of(&[("listeners[0].http.upgrade", json!("tunnel"))]),
        "no route of this listener leads to a cluster with protocol http1",
    );
    assert_one(
        &said_of(&[
            ("clusters[0].protocol", json!("http1")),
            ("clusters[0].pool.ping_keepalive", json!({})),
        ]),
        "has no effect: the cluster speaks HTTP/1.1",
    );
    assert_one(
        &said_of(&[("clusters[0].tls.verify", json!(false))]),
        "read and change everything",
    );
    assert_one(
        &said_of(&[
            ("listeners[0].http.stream_window", json!("2MiB")),
            ("listeners[0].http.connection_window", json!("1MiB")),
        ]),
        "less than one stream's window",
    );
    assert_one(
        &said_of(&[("listeners[0].proxy_protocol.trusted", json!(["10.1.2.3/8"]))]),
        "write 10.0.0.0/8",
    );
    assert_one(
        &said_of(&[
            ("listeners[0].tls", tls.clone()),
            (
                "listeners[0].routes[0].match",
                json!({ "host": "other.org" }),
            ),
        ]),
        "\"other.org\" is in no certificate of this listener",
    );
    assert_one(
        &said_of(&[(
            "listeners[0].routes[0].retry",
            json!({ "attempts": 0, "on_connection_failure": true }),
        )]),
        "has no effect: attempts is 0",
    );
}

#[test]
fn limits_that_contradict_are_problems() {
    assert_one(
        &said_of(&[
            ("workers", json!(8)),
            ("listeners[0].max_connections", json!(4)),
        ]),
        "4 is less than one for each of the 8 workers",
    );
    assert_one(
        &said_of(&[
            ("acceleration.prefer", json!([])),
            ("acceleration.require", json!(true)),
        ]),
        "asks for an accelerator, but prefer names none",
    );
    assert_one(
        &said_of(&[(
            "clusters[0].tls.certificate_chain",
            json!("certs/gateway.pem"),
        )]),
        "has no key beside it; add private_key",
    );
    assert_one(
        &said_of(&[("clusters[0].tls.private_key", json!("certs/gateway.key"))]),
        "has no certificate beside it; add certificate_chain",
    );
}

#[test]
fn a_default_gives_way_to_what_is_written() {
    let mut config = base();
    set(&mut config, "listeners[0].max_handshakes", json!(8));
    set(
        &mut config,
        "listeners[0].tls.certificates[0].certificate_chain",
        json!("certs/edge.pem"),
    );
    set(
        &mut config,
        "listeners[0].tls.certificates[0].private_key",
        json!("certs/edge.key"),
    );
    let dir = certs::folder();
    let loaded = load_in(dir.path(), &config.to_string()).unwrap();
    assert_eq!(loaded.warnings, []);
    assert_eq!(loaded.params.listeners[0].max_handshakes_per_client, 8);
}
