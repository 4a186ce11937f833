use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, Method};

use super::*;

pub(super) fn route(host: HostMatch, path: PathMatch) -> RouteParams {
    RouteParams {
        host,
        path,
        methods: vec![],
        headers: vec![],
        cluster: 0,
        name: String::new(),
        rewrite: None,
        request_headers: HeaderOps::default(),
        response_headers: HeaderOps::default(),
        timeout: Some(Duration::from_secs(60)),
        idle_timeout: None,
        max_body: None,
        retry: RetryPolicy {
            attempts: 1,
            on_connection_failure: false,
            buffer: 0,
        },
    }
}

fn prefix(p: &str) -> PathMatch {
    PathMatch::Prefix(p.into())
}

fn find(table: &RouteTable, host: &str, path: &str) -> Option<usize> {
    table.find(host, path, &Method::GET, &HeaderMap::new())
}

#[test]
fn the_most_specific_host_then_path_wins_whatever_the_order() {
    let table = RouteTable::new(&[
        route(HostMatch::Any, PathMatch::Any),
        route(HostMatch::Suffix(".example.com".into()), prefix("/v2")),
        route(HostMatch::Suffix(".a.example.com".into()), PathMatch::Any),
        route(HostMatch::Exact("x.example.com".into()), prefix("/v2/")),
        route(
            HostMatch::Exact("x.example.com".into()),
            PathMatch::Exact("/v2/models".into()),
        ),
    ]);
    assert_eq!(find(&table, "x.example.com:8443", "/v2/models"), Some(4));
    assert_eq!(find(&table, "X.EXAMPLE.com", "/v2/models/a"), Some(3));
    assert_eq!(find(&table, "x.example.com", "/v3"), Some(0));
    assert_eq!(find(&table, "y.example.com", "/v2"), Some(1));
    assert_eq!(find(&table, "y.a.example.com", "/v2"), Some(2));
    assert_eq!(find(&table, "example.com", "/v2"), Some(0));
    assert_eq!(find(&table, "[::1]:80", "/"), Some(0));
}

#[test]
fn prefixes_end_on_segment_borders() {
    let table = RouteTable::new(&[route(HostMatch::Any, prefix("/v2/"))]);
    for (path, expected) in [
        ("/v2", Some(0)),
        ("/v2/", Some(0)),
        ("/v2/x", Some(0)),
        ("/v2x", None),
        ("/v", None),
    ] {
        assert_eq!(find(&table, "h", path), expected, "{path}");
    }
}

#[test]
fn methods_and_headers_narrow_a_route() {
    let mut narrow = route(HostMatch::Any, PathMatch::Any);
    narrow.methods = vec![Method::POST];
    narrow.headers = vec![
        HeaderMatch {
            name: HeaderName::from_static("x-model"),
            value: ValueMatch::Prefix("llama".into()),
        },
        HeaderMatch {
            name: HeaderName::from_static("x-key"),
            value: ValueMatch::Present,
        },
    ];
    let table = RouteTable::new(&[route(HostMatch::Any, PathMatch::Any), narrow]);
    let mut headers = HeaderMap::new();
    headers.append("x-model", HeaderValue::from_static("other"));
    headers.append("x-model", HeaderValue::from_static("llama-3"));
    assert_eq!(table.find("h", "/", &Method::POST, &headers), Some(0));
    headers.append("x-key", HeaderValue::from_static(""));
    assert_eq!(table.find("h", "/", &Method::POST, &headers), Some(1));
    assert_eq!(table.find("h", "/", &Method::GET, &headers), Some(0));
}

#[test]
fn rewriting_keeps_the_rest_and_the_query() {
    let mut r = route(HostMatch::Any, prefix("/v2/"));
    r.rewrite = Some("/".into());
    assert_eq!(r.rewritten("/v2/a", Some("q=1")).unwrap(), "/a?q=1");
    assert_eq!(r.rewritten("/v2", None).unwrap(), "/");
    r.rewrite = Some("/new".into());
    assert_eq!(r.rewritten("/v2/a", None).unwrap(), "/new/a");
    r.path = PathMatch::Exact("/v2".into());
    assert_eq!(r.rewritten("/v2", Some("x")).unwrap(), "/new?x");
}

#[test]
fn header_changes_remove_then_set_then_add() {
    let name = |n| HeaderName::from_static(n);
    let value = |v| HeaderValue::from_static(v);
    let ops = HeaderOps {
        remove: vec![name("x-gone")],
        set: vec![(name("x-set"), value("1"))],
        add: vec![(name("x-add"), value("b"))],
    };
    let mut headers = HeaderMap::new();
    for (n, v) in [
        ("x-gone", "1"),
        ("x-set", "0"),
        ("x-set", "2"),
        ("x-add", "a"),
    ] {
        headers.append(name(n), value(v));
    }
    ops.apply(&mut headers);
    assert!(!headers.contains_key("x-gone"));
    assert_eq!(headers.get_all("x-set").iter().count(), 1);
    assert_eq!(headers.get_all("x-add").iter().count(), 2);
}
