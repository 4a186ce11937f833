//! What is added to a request's headers, and what does not pass.

use support::backend::Backend;
use support::client::curl::Curl;
use support::client::raw::Raw;

use crate::{h2_backend, setup};

#[test]
fn the_backend_is_told_about_the_client() {
    let backend = h2_backend();
    let gateway = setup(&backend).start();
    let Some(curl) = Curl::new(&gateway) else {
        return;
    };
    let forged = [
        "-H",
        "x-forwarded-for: 6.6.6.6",
        "-H",
        "x-forwarded-proto: gopher",
        "-H",
        "x-forwarded-host: evil.example",
        "-H",
        "forwarded: for=6.6.6.6",
        "-H",
        "x-request-id: forged",
    ];
    curl.h2("/plain", &forged).expect(200);
    curl.h1("/plain", &forged).expect(200);
    let mut identifiers = Vec::new();
    for seen in backend.record().seen() {
        assert_eq!(seen.header("x-forwarded-for"), Some("127.0.0.1"));
        assert_eq!(seen.header("x-forwarded-proto"), Some("https"));
        let host = format!("localhost:{}", gateway.port());
        assert_eq!(seen.header("x-forwarded-host"), Some(host.as_str()));
        assert_eq!(seen.authority.as_deref(), Some(host.as_str()));
        assert_eq!(seen.header("forwarded"), None);
        let identifier = seen.header("x-request-id").expect("an id").to_owned();
        assert_ne!(identifier, "forged");
        assert!(identifier.len() >= 16, "{identifier}");
        identifiers.push(identifier);
    }
    assert_ne!(identifiers[0], identifiers[1]);
}

#[test]
fn forwarding_can_append_and_trust() {
    let backend = h2_backend();
    let gateway = setup(&backend)
        .listener("/forwarding/x_forwarded", "append")
        .listener("/forwarding/forwarded", "append")
        .listener("/forwarding/trust_request_id", true)
        .start();
    let Some(curl) = Curl::new(&gateway) else {
        return;
    };
    let headers = [
        "-H",
        "x-forwarded-for: 192.0.2.7",
        "-H",
        "forwarded: for=192.0.2.7",
        "-H",
        "x-request-id: mine-1",
    ];
    curl.h2("/plain", &headers).expect(200);
    let seen = backend.record().last();
    let list = |name: &str| -> String {
        let values = seen.headers.get_all(name).iter();
        let values: Vec<_> = values.filter_map(|value| value.to_str().ok()).collect();
        values.join(", ").replace(' ', "")
    };
    assert_eq!(list("x-forwarded-for"), "192.0.2.7,127.0.0.1");
    let forwarded = list("forwarded");
    assert!(forwarded.starts_with("for=192.0.2.7,"), "{forwarded}");
    assert!(forwarded.contains("for=127.0.0.1"), "{forwarded}");
    assert!(forwarded.contains("proto=https"), "{forwarded}");
    assert_eq!(seen.header("x-request-id"), Some("mine-1"));
}

#[test]
fn forwarding_can_be_off() {
    let backend = h2_backend();
    let gateway = setup(&backend)
        .listener("/forwarding/x_forwarded", "off")
        .start();
    let Some(curl) = Curl::new(&gateway) else {
        return;
    };
    curl.h2("/plain", &["-H", "x-forwarded-for: 6.6.6.6"])
        .expect(200);
    let seen = backend.record().last();
    for name in [
        "x-forwarded-for",
        "x-forwarded-proto",
        "x-forwarded-host",
        "forwarded",
    ] {
        assert_eq!(seen.header(name), None, "{name}");
    }
}

#[test]
fn trace_context_and_cookies_pass_untouched() {
    let backend = h2_backend();
    let gateway = setup(&backend).start();
    let Some(curl) = Curl::new(&gateway) else {
        return;
    };
    let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let header = format!("traceparent: {parent}");
    for version in [Curl::h2, Curl::h1] {
        let arguments = [
            "-H",
            &header,
            "-H",
            "tracestate: a=b",
            "-H",
            "cookie: x=1; y=2",
        ];
        let response = version(&curl, "/cookie", &arguments).expect(200);
        assert_eq!(response.header_all("set-cookie"), ["a=1", "b=2"]);
        let seen = backend.record().last();
        assert_eq!(seen.header("traceparent"), Some(parent));
        assert_eq!(seen.header("tracestate"), Some("a=b"));
        let cookies = seen.headers.get_all("cookie").iter();
        let cookies: Vec<_> = cookies.filter_map(|value| value.to_str().ok()).collect();
        assert_eq!(cookies.join("; "), "x=1; y=2");
    }
}

#[test]
fn hop_by_hop_headers_stay_on_their_hop() {
    let backend = h2_backend();
    let gateway = setup(&backend).start();
    let mut raw = Raw::connect(&gateway);
    raw.send(
        b"GET /plain HTTP/1.1\r\nhost: localhost\r\nconnection: x-mine, close\r\nx-mine: 1\r\n\
          keep-alive: timeout=5\r\nproxy-connection: keep-alive\r\nte: trailers, gzip\r\n\
          proxy-authorization: basic x\r\nx-kept: yes\r\n\r\n",
    );
    let answer = raw.read_to_end().expect("closed");
    assert!(answer.contains(" 200 "), "{answer}");
    let seen = backend.record().last();
    for gone in [
        "connection",
        "x-mine",
        "keep-alive",
        "proxy-connection",
        "transfer-encoding",
    ] {
        assert_eq!(seen.header(gone), None, "{gone}");
    }
    assert!(
        matches!(seen.header("te"), None | Some("trailers")),
        "{seen:?}"
    );
    assert_eq!(seen.header("x-kept"), Some("yes"));
}

#[test]
fn hop_by_hop_headers_of_responses_stay_on_their_hop() {
    let backend = Backend::http1(None);
    let gateway = setup(&backend).cluster("/protocol", "http1").start();
    let Some(curl) = Curl::new(&gateway) else {
        return;
    };
    for response in [curl.h2("/hop", &[]), curl.h1("/hop", &[])] {
        let response = response.expect(200);
        assert_eq!(response.header("x-hop"), None);
        assert_eq!(response.header("keep-alive"), None);
        assert_eq!(response.header("x-kept"), Some("yes"));
    }
}

#[test]
fn heads_past_the_limits_are_refused() {
    let backend = h2_backend();
    let gateway = setup(&backend)
        .listener("/http/max_header_list_size", "8KiB")
        .listener("/http/max_headers", 20)
        .start();
    let Some(curl) = Curl::new(&gateway) else {
        return;
    };
    let long = format!("x-long: {}", "a".repeat(20_000));
    let many: Vec<String> = (0..30).map(|n| format!("x-{n}: 1")).collect();
    let many: Vec<&str> = many.iter().flat_map(|header| ["-H", header]).collect();
    for arguments in [&["-H", &long][..], &many[..]] {
        let response = curl.h1("/plain", arguments);
        assert_eq!(response.status, 431, "{response:#?}");
        let response = curl.h2("/plain", arguments);
        let refused = response.exit != 0 || response.status == 431;
        assert!(refused, "{response:#?}");
    }
    curl.h2("/plain", &[]).expect(200);
    assert_eq!(backend.record().count(), 1);
    let too_large = [("reason", "too_large")];
    let counted = gateway.metrics();
    let counted = counted.sum("gateway_http_errors_total", &too_large);
    // Of a list that is too long h2 tells its peer alone.
    assert!(counted >= 3.0, "{counted}");
}

#[test]
fn a_target_in_absolute_form_is_one_in_origin_form() {
    let backend = h2_backend();
    let gateway = setup(&backend).start();
    let mut raw = Raw::connect(&gateway);
    raw.send(b"GET http://localhost/a?b HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
    let answer = raw.read_to_end().expect("closed");
    assert!(answer.contains(" 200 "), "{answer}");
    let seen = backend.record().last();
    assert_eq!(seen.path, "/a?b");
    assert_eq!(seen.authority.as_deref(), Some("localhost"));
    // Of two names that differ the target's stands (RFC 9112 3.2.2).
    let mut raw = Raw::connect(&gateway);
    raw.send(b"GET http://localhost/ HTTP/1.1\r\nhost: other.example\r\nconnection: close\r\n\r\n");
    let answer = raw.read_to_end().expect("closed");
    assert!(answer.contains(" 200 "), "{answer}");
    let seen = backend.record().last();
    assert_eq!(seen.authority.as_deref(), Some("localhost"));
    assert_eq!(seen.header("host"), None);
    assert_eq!(seen.header("x-forwarded-host"), Some("localhost"));
}
