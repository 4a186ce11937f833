use std::time::Duration;

use http::header::{CONNECTION, COOKIE, FORWARDED, HOST, HeaderMap, HeaderName, HeaderValue, TE};
use http::{Method, Request};

use super::failure::{Failure, Grpc, grpc_status};
use super::headers::*;
use super::{Forwarding, Peer, ProxyParams};
use crate::route::{HeaderOps, HostMatch, PathMatch, RetryPolicy, RouteParams};

fn route() -> RouteParams {
    RouteParams {
        host: HostMatch::Any,
        path: PathMatch::Any,
        methods: vec![],
        headers: vec![],
        cluster: 0,
        name: "r".into(),
        rewrite: None,
        request_headers: HeaderOps::default(),
        response_headers: HeaderOps::default(),
        timeout: None,
        idle_timeout: None,
        max_body: None,
        retry: RetryPolicy {
            attempts: 0,
            on_connection_failure: false,
            buffer: 0,
        },
    }
}

fn params() -> ProxyParams {
    ProxyParams {
        x_forwarded: Forwarding::Replace,
        forwarded: Forwarding::Off,
        trust_request_id: false,
        identity_header: Some(HeaderName::from_static("x-forwarded-client-cert")),
    }
}

fn peer() -> Peer {
    Peer::new("192.0.2.7:4000".parse().unwrap(), true, None, None)
}

fn head(uri: &str, headers: &[(&'static str, &'static str)]) -> Request<()> {
    let mut request = Request::builder().method(Method::POST).uri(uri);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(()).unwrap()
}

fn prepared(head: &mut Request<()>, params: &ProxyParams) -> Result<(), Failure> {
    let authority = take_authority(head)?;
    prepare(head, authority, params, &route(), &peer())
}

fn value<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers
        .get(name)
        .map_or("", |value| value.to_str().unwrap())
}

#[test]
fn what_is_for_one_connection_stays_on_it() {
    let mut head = head(
        "/x",
        &[
            ("connection", "keep-alive, X-Hop, te"),
            ("x-hop", "1"),
            ("keep-alive", "5"),
            ("transfer-encoding", "chunked"),
            ("upgrade", "websocket"),
            ("proxy-connection", "close"),
            ("te", "gzip;q=0.5, Trailers"),
            ("x-kept", "1"),
        ],
    );
    remove_hop_by_hop(head.headers_mut());
    assert_eq!(head.headers().len(), 2, "{:?}", head.headers());
    assert_eq!(head.headers()[TE], "trailers");
    assert!(!head.headers().contains_key(CONNECTION));
}

#[test]
fn the_backend_gets_the_host_and_the_client_in_standard_headers() {
    let mut head = head(
        "/v2/x?q",
        &[
            ("host", "api.example.com:8443"),
            ("x-forwarded-for", "6.6.6.6"),
            ("x-forwarded-client-cert", "forged"),
            ("x_forwarded_client_cert", "forged"),
            ("X-Forwarded_Client-Cert", "forged"),
            ("x-forwarded-client", "kept"),
            ("x_request_id", "forged"),
            ("x_forwarded-for", "forged"),
            ("x_forwarded", "kept"),
            ("x-request-id", "forged"),
            ("forwarded", "for=6.6.6.6"),
        ],
    );
    prepared(&mut head, &params()).unwrap();
    let headers = head.headers();
    assert_eq!(*head.uri(), "http://api.example.com:8443/v2/x?q");
    assert_eq!(value(headers, "x-forwarded-for"), "192.0.2.7");
    assert_eq!(value(headers, "x-forwarded-proto"), "https");
    assert_eq!(value(headers, "x-forwarded-host"), "api.example.com:8443");
    assert_eq!(value(headers, "x-request-id").len(), 32);
    assert_eq!(value(headers, "x-forwarded-client"), "kept");
    assert_eq!(value(headers, "x_forwarded"), "kept");
    assert!(!headers.values().any(|value| value == "forged"));
    for absent in [
        "host",
        "forwarded",
        "x-forwarded-client-cert",
        "x_forwarded_client_cert",
        "x-forwarded_client-cert",
    ] {
        assert!(!headers.contains_key(absent), "{absent}");
    }
}

#[test]
fn appending_keeps_earlier_proxies_and_forwarded_follows_rfc_7239() {
    let mut params = params();
    params.x_forwarded = Forwarding::Append;
    params.forwarded = Forwarding::Append;
    params.trust_request_id = true;
    let mut head = head(
        "/",
        &[
            ("host", "h"),
            ("x-forwarded-for", "10.0.0.1"),
            ("x-forwarded-proto", "http"),
            ("forwarded", "for=10.0.0.1"),
            ("x-request-id", "theirs"),
        ],
    );
    prepared(&mut head, &params).unwrap();
    let headers = head.headers();
    assert_eq!(value(headers, "x-forwarded-for"), "10.0.0.1, 192.0.2.7");
    assert_eq!(value(headers, "x-forwarded-proto"), "http");
    assert_eq!(
        headers[FORWARDED],
        "for=10.0.0.1, for=192.0.2.7;host=\"h\";proto=https"
    );
    assert_eq!(value(headers, "x-request-id"), "theirs");
}

/// They would drive the fields that do come again out of the table that a backend's
/// connection has for the requests of all clients.
#[test]
fn what_differs_from_request_to_request_is_not_indexed() {
    let given = [
        ("host", "h"),
        ("x-forwarded-for", "10.0.0.1"),
        ("x-request-id", "theirs"),
        ("traceparent", "00-1-2-01"),
        ("user-agent", "curl"),
    ];
    for forwarding in [Forwarding::Replace, Forwarding::Append] {
        let mut params = params();
        params.x_forwarded = forwarding;
        params.forwarded = forwarding;
        params.trust_request_id = forwarding == Forwarding::Append;
        let mut head = head("/", &given);
        let identity = Some(HeaderValue::from_static("Subject=client"));
        let peer = Peer::new("192.0.2.7:4000".parse().unwrap(), true, identity, None);
        let authority = take_authority(&mut head).unwrap();
        prepare(&mut head, authority, &params, &route(), &peer).unwrap();
        let indexed = head
            .headers()
            .iter()
            .filter(|(_, value)| !value.is_sensitive());
        let mut indexed = Vec::from_iter(indexed.map(|(name, _)| name.as_str()));
        indexed.sort_unstable();
        assert_eq!(
            indexed,
            ["user-agent", "x-forwarded-host", "x-forwarded-proto"]
        );
    }
}

#[test]
fn hosts_that_disagree_are_refused() {
    for (uri, hosts) in [
        ("https://a/", &[("host", "b")][..]),
        ("/", &[("host", "a"), ("host", "a")]),
        ("/", &[("host", "user@a")]),
        ("/", &[("host", "a b")]),
        ("/", &[]),
        ("https://user@a/", &[]),
        ("https://user@a/", &[("host", "user@a")]),
    ] {
        let mut head = head(uri, hosts);
        *head.version_mut() = http::Version::HTTP_2;
        let result = prepared(&mut head, &params());
        assert!(
            matches!(result, Err(Failure::BadRequest(_))),
            "{uri} {hosts:?}"
        );
    }
    let mut same = head("https://A:1/", &[("host", "a:1")]);
    prepared(&mut same, &params()).unwrap();
    assert!(!same.headers().contains_key(HOST));
    let mut absolute = head("http://a/", &[("host", "b")]);
    prepared(&mut absolute, &params()).unwrap();
    assert_eq!(*absolute.uri(), "http://a/");
    for (uri, hosts) in [("http://a/", &[][..]), ("http://u@a/", &[("host", "a")])] {
        let result = prepared(&mut head(uri, hosts), &params());
        assert!(
            matches!(result, Err(Failure::BadRequest(_))),
            "{uri} {hosts:?}"
        );
    }
}

#[test]
fn cookies_are_joined_for_http1() {
    let mut headers = HeaderMap::new();
    headers.append(COOKIE, HeaderValue::from_static("a=1"));
    headers.append(COOKIE, HeaderValue::from_static("b=2"));
    join_cookies(&mut headers);
    assert_eq!(headers[COOKIE], "a=1; b=2");
}

#[test]
fn grpc_timeouts_are_read_as_specified() {
    for (text, expected) in [
        ("2H", Some(Duration::from_secs(7200))),
        ("99999999S", Some(Duration::from_secs(99_999_999))),
        ("250m", Some(Duration::from_millis(250))),
        ("7n", Some(Duration::from_nanos(7))),
        ("100000000S", None),
        ("S", None),
        ("", None),
        ("-1S", None),
        ("1x", None),
    ] {
        let mut headers = HeaderMap::new();
        headers.insert("grpc-timeout", HeaderValue::from_str(text).unwrap());
        assert_eq!(grpc_timeout(&headers), expected, "{text:?}");
    }
}

#[test]
fn failures_answer_each_client_in_its_own_terms() {
    let response = Failure::NoRoute.response(false);
    assert_eq!(response.status(), 404);
    let response = Failure::Timeout(Duration::from_secs(1)).response(true);
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["grpc-status"], "4");
    let mut headers = HeaderMap::new();
    grpc_status(&mut headers, Grpc::Internal, "100% ü");
    assert_eq!(headers["grpc-message"], "100%25 %C3%BC");
}
