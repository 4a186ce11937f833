//! The files in `config/`.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;

use super::super::tree::{self, Kind, Node};
use super::super::{load, schema};
use super::certs;
use super::schema::keys;
use crate::accelerator::{AccelerationParams, AcceleratorName, Polling};
use crate::http::HttpParams;
use crate::route::{HostMatch, PathMatch, ValueMatch};
use crate::tls::{Alpn, ClientAuth, TlsVersion};
use crate::upstream::{BalancerKind, EndpointAddress, Protocol};

pub(super) const FULL: &str = include_str!("../../../config/full.yaml");
const QAT: &str = include_str!("../../../config/qat.yaml");
pub(super) const MINIMAL: &str = include_str!("../../../config/minimal.yaml");

#[test]
fn minimal_loads_from_a_file_without_warnings() {
    let dir = certs::folder();
    let file = dir.path().join("minimal.yaml");
    std::fs::write(&file, MINIMAL).unwrap();
    let loaded = load(&file, &|_| None).unwrap();
    assert_eq!(loaded.warnings, []);
    let params = loaded.params;
    assert!(params.workers >= 1 && params.admin.is_none());
    let listener = &params.listeners[0];
    assert_eq!(listener.name, "edge");
    assert_eq!(listener.address, SocketAddr::from(([0, 0, 0, 0], 8443)));
    assert_eq!(listener.routes[0].host, HostMatch::Any);
    assert_eq!(listener.routes[0].path, PathMatch::Any);
    assert_eq!(listener.routes[0].timeout, None);
    let tls = listener.tls.as_ref().unwrap();
    assert_eq!(
        tls.certificates[0].names,
        ["edge.example.com", "*.example.com"]
    );
    assert_eq!(tls.alpn, [Alpn::H2, Alpn::Http11]);
    assert_eq!(tls.session_tickets, 1);
    assert!(tls.groups.contains(&"X25519".to_owned()));
    assert_eq!(params.clusters[0].protocol, Protocol::H2c);
}

#[test]
fn qat_loads_without_warnings() {
    let dir = certs::folder();
    let file = dir.path().join("qat.yaml");
    std::fs::write(&file, QAT).unwrap();
    let loaded = load(&file, &|_| None).unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!(loaded.warnings, []);
    let acceleration = loaded.params.acceleration;
    assert_eq!(acceleration.prefer[0], AcceleratorName::QatEngine);
    assert!(!acceleration.require);
    let (engine, defaults) = (acceleration.engine, AccelerationParams::default());
    assert_eq!(engine.id, defaults.engine.id);
    assert_eq!(engine.options.polling, Polling::External);
    assert_eq!(acceleration.breaker, defaults.breaker);
}

#[test]
fn full_loads_with_no_warning_but_for_what_this_openssl_lacks() {
    let dir = certs::folder();
    let file = dir.path().join("full.yaml");
    std::fs::write(&file, FULL).unwrap();
    let loaded = load(&file, &|_| None).unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!(loaded.warnings, []);
    let params = loaded.params;
    assert_eq!(
        params.acceleration.prefer,
        [
            AcceleratorName::QatEngine,
            AcceleratorName::QatProvider,
            AcceleratorName::Multibuffer
        ]
    );
    assert_eq!(params.dns.max_ttl, Duration::from_secs(300));
    assert_eq!(params.drain.timeout, Duration::from_secs(30));
    let listener = &params.listeners[0];
    let trusted = &listener.proxy_protocol.as_ref().unwrap().trusted;
    assert_eq!(trusted[0], "10.0.0.0/8".parse().unwrap());
    let tls = listener.tls.as_ref().unwrap();
    assert_eq!(tls.minimum_version, TlsVersion::Tls12);
    assert_eq!(tls.handshake_timeout, Duration::from_secs(10));
    assert_eq!(tls.session_lifetime, Duration::from_secs(7200));
    assert!(matches!(&tls.client_auth, ClientAuth::Optional(ca) if ca.roots.len() == 1));
    let route = &listener.routes[0];
    assert_eq!(route.name, "llama");
    assert_eq!(route.host, HostMatch::Suffix(".example.com".to_owned()));
    assert_eq!(route.path, PathMatch::Prefix("/v2".to_owned()));
    assert_eq!(route.headers.len(), 3);
    assert_eq!(
        route.headers[1].value,
        ValueMatch::Prefix("grpc-".to_owned())
    );
    assert_eq!(route.request_headers.set[0].0, "x-gateway");
    assert_eq!(listener.routes[1].name, "edge/1");
    assert_eq!(listener.routes[1].cluster, 1);
    let backend = &params.clusters[0];
    assert_eq!(backend.balancer, BalancerKind::LeastRequest);
    assert_eq!(
        backend.endpoints[1],
        EndpointAddress::Name {
            host: "triton.default.svc.cluster.local".to_owned(),
            port: 8001
        }
    );
    assert_eq!(backend.pool.tcp_keepalive.unwrap().probes, 3);
    let upstream_tls = params.clusters[1].tls.as_ref().unwrap();
    assert!(upstream_tls.verify && upstream_tls.identity.is_some());
}

#[test]
fn the_defaults_are_those_of_the_shipped_file() {
    let dir = certs::folder();
    let load = |text: &str| super::load_in(dir.path(), text).unwrap().params;
    let (full, minimal) = (load(FULL), load(MINIMAL));
    // Shown with other values than the default, as the file says.
    let http = HttpParams {
        ping_keepalive: None,
        ..(*full.listeners[0].http).clone()
    };
    assert_eq!(
        format!("{:?}", minimal.listeners[0].http),
        format!("{http:?}")
    );
    let mut pool = full.clusters[0].pool.clone();
    pool.ping_keepalive = None;
    assert_eq!(
        format!("{:?}", minimal.clusters[0].pool),
        format!("{pool:?}")
    );
    assert_eq!(
        format!("{:?}", minimal.listeners[0].proxy),
        format!("{:?}", full.listeners[0].proxy)
    );
}

#[test]
fn full_has_every_key_of_the_schema() {
    let Ok((root, _)) = tree::parse(FULL) else {
        panic!("not YAML");
    };
    let missing: Vec<String> = keys()
        .into_iter()
        .filter(|key| !has(&root, &key.replace("[]", ".[]")))
        .collect();
    assert_eq!(missing, [""; 0]);
}

fn has(node: &Node, path: &str) -> bool {
    let (segment, rest) = match path.split_once('.') {
        Some((segment, rest)) => (segment, Some(rest)),
        None => (path, None),
    };
    let below = |node: &Node| rest.is_none_or(|rest| has(node, rest));
    match (&node.kind, segment) {
        (Kind::List(items), "[]") => items.iter().any(below),
        (Kind::Map(entries), "*") => entries.iter().any(|entry| below(&entry.node)),
        (Kind::Map(_), key) => node.child(key).is_some_and(below),
        _ => false,
    }
}

/// What the file shows is the default, or the comment says what is.
#[test]
fn full_says_where_it_shows_other_than_the_default() {
    let Ok((root, _)) = tree::parse(FULL) else {
        panic!("not YAML");
    };
    let schema = schema();
    let lines: Vec<&str> = FULL.lines().collect();
    let mut silent = Vec::new();
    compare(&root, &schema, &schema, &lines, &mut silent);
    assert_eq!(silent, [""; 0]);
}

fn compare(node: &Node, sub: &Value, schema: &Value, lines: &[&str], silent: &mut Vec<String>) {
    if let Some(reference) = sub["$ref"].as_str() {
        let target = schema.pointer(reference.trim_start_matches('#')).unwrap();
        compare(node, target, schema, lines, silent);
    }
    for branch in sub["anyOf"].as_array().into_iter().flatten() {
        compare(node, branch, schema, lines, silent);
    }
    match &node.kind {
        Kind::List(items) => items
            .iter()
            .for_each(|item| compare(item, &sub["items"], schema, lines, silent)),
        Kind::Map(entries) => {
            for entry in entries {
                let property = &sub["properties"][&entry.key];
                if property.is_null() {
                    continue;
                }
                let remark = remark(lines, entry.mark.line as usize);
                let default = &property["default"];
                let shown = entry.node.to_json();
                let required = sub["required"]
                    .as_array()
                    .is_some_and(|all| all.contains(&entry.key.as_str().into()));
                let first = !entry.node.path.contains("[1]");
                let differs = match &entry.node.kind {
                    // A section shows its keys' defaults one by one.
                    Kind::Map(_) if !default.is_null() => false,
                    _ => *default != shown,
                };
                let word = match required {
                    true => "Required",
                    false => "Default:",
                };
                if first
                    && (differs || required)
                    && !remark.contains(word)
                    && !optional_condition(&entry.key)
                {
                    silent.push(entry.node.path.clone());
                }
                compare(&entry.node, property, schema, lines, silent);
            }
        }
        Kind::Scalar(_) => {}
    }
}

/// Of a header's two conditions one is written, so neither has a default.
fn optional_condition(key: &str) -> bool {
    ["prefix", "present"].contains(&key)
}

/// The comment lines right above a line.
fn remark(lines: &[&str], line: usize) -> String {
    let above = lines[..line - 1]
        .iter()
        .rev()
        .take_while(|line| line.trim_start().starts_with('#'));
    let mut remark: Vec<&str> = above.copied().collect();
    remark.reverse();
    remark.join("\n")
}
