//! HTTP/2 requests that mean something else once they are HTTP/1.1 (RFC 9113 8.2, 8.3,
//! 10.3), or whose body is not as long as they say (8.1.1).

use support::backend::Ended;
use support::client::frames::{Answer, Frames};

use super::before_either_protocol;

type Fields<'a> = &'a [(&'a str, &'a str)];

const SMUGGLED: &str = "GET /smuggled HTTP/1.1\r\nhost: localhost\r\n\r\n";

/// A sound head, and what is added to it.
fn post<'a>(more: Fields<'a>) -> Vec<(&'a str, &'a str)> {
    let mut fields = vec![
        (":method", "POST"),
        (":scheme", "https"),
        (":path", "/echo"),
        (":authority", "localhost"),
    ];
    fields.extend(more);
    fields
}

/// A sound head but for one pseudo-header field.
fn post_with<'a>(name: &str, value: &'a str) -> Vec<(&'a str, &'a str)> {
    let mut fields = post(&[]);
    let field = fields.iter_mut().find(|field| field.0 == name);
    field.expect("a pseudo-header field").1 = value;
    fields
}

const INJECTED: &str = "a\r\ncontent-length: 0\r\n\r\nGET /smuggled HTTP/1.1\r\nhost: x";

#[test]
fn heads_that_http_1_would_read_differently_are_refused() {
    let long = format!("/ HTTP/1.1\r\nhost: x\r\n\r\n{SMUGGLED}");
    let no = |name: &str| {
        let mut fields = post(&[]);
        fields.retain(|field| field.0 != name);
        fields
    };
    let heads = [
        post(&[("connection", "close")]),
        post(&[("connection", "x-forwarded-for")]),
        post(&[("keep-alive", "timeout=5")]),
        post(&[("proxy-connection", "keep-alive")]),
        post(&[("transfer-encoding", "chunked")]),
        post(&[("transfer-encoding", "identity")]),
        post(&[("upgrade", "h2c")]),
        post(&[("te", "gzip")]),
        post(&[("x", INJECTED)]),
        post(&[("x", "a\nb: c")]),
        post(&[("x", "a\rb: c")]),
        post(&[("x", "a\0b")]),
        post(&[("x: y\r\nb", "c")]),
        post(&[("x:", "y")]),
        post(&[("x y", "z")]),
        post(&[("X", "y")]),
        post(&[("", "y")]),
        post(&[("host", "other.example")]),
        post(&[("host", "localhost"), ("host", "localhost")]),
        post(&[("host", INJECTED)]),
        post(&[(":path", "/again")]),
        post(&[(":authority", "again")]),
        post(&[("x", "y"), (":status", "200")]),
        post(&[("content-length", "1"), ("content-length", "2")]),
        post(&[("content-length", "0"), ("content-length", "0")]),
        post_with(":method", ""),
        post_with(":method", "GET / HTTP/1.1\r\nhost: x\r\n\r\nGET"),
        post_with(":method", "GET /smuggled"),
        post_with(":path", ""),
        post_with(":path", "echo"),
        post_with(":path", "/a b"),
        post_with(":path", "/a\tb"),
        post_with(":path", &long),
        post_with(":authority", ""),
        post_with(":authority", "a b"),
        post_with(":authority", "user@localhost"),
        post_with(":authority", "localhost/x"),
        post_with(":authority", INJECTED),
        no(":method"),
        no(":path"),
        no(":authority"),
    ];
    for (backend, gateway) in before_either_protocol() {
        for fields in &heads {
            let answer = Frames::connect(&gateway).request(fields, None);
            assert_ne!(answer, Answer::Ok, "{fields:?}");
            let seen = backend.record().seen();
            assert!(seen.is_empty(), "{fields:?}: {seen:#?}");
        }
    }
}

/// What the backend sees of a body whose length is a lie is never a whole request.
#[test]
fn bodies_of_another_length_than_declared_are_no_requests() {
    let lengths = [
        ("5", Some("abc")),
        ("3", Some(SMUGGLED)),
        ("0", Some(SMUGGLED)),
        ("5", None),
        ("+3", Some("abc")),
        ("3, 3", Some("abc")),
        ("0x3", Some("abc")),
        ("", Some("abc")),
        ("99999999999999999999", Some("abc")),
    ];
    for (backend, gateway) in before_either_protocol() {
        for (length, body) in lengths {
            let field = [("content-length", length)];
            let head = post(&field);
            let answer = Frames::connect(&gateway).request(&head, body);
            assert_ne!(answer, Answer::Ok, "{length}, {body:?}");
        }
        backend.record().wait("no whole request", |seen| {
            let broken = |end| matches!(end, Ended::Reset(_) | Ended::Broken);
            seen.iter().all(|seen| broken(seen.ended)).then_some(())
        });
        let seen = backend.record().seen();
        assert!(seen.iter().all(|seen| seen.path == "/echo"), "{seen:#?}");
    }
}

/// What HTTP/2 allows passes, in the form that the backend's protocol has for it.
#[test]
fn sound_requests_pass() {
    for (backend, gateway) in before_either_protocol() {
        let heads = [
            (post(&[("te", "trailers"), ("host", "LOCALHOST")]), "/echo"),
            (post(&[("content-length", "3")]), "/echo"),
            // Of a fragment nothing is left (RFC 9110 4.2.5).
            (post_with(":path", "/echo?a=b#c"), "/echo?a=b"),
        ];
        for (fields, path) in heads {
            let answer = Frames::connect(&gateway).request(&fields, Some("abc"));
            assert_eq!(answer, Answer::Ok, "{fields:?}");
            assert_eq!(backend.record().last().path, path);
        }
        // Without a body, too, a length passes; HTTP/1.1 wants one.
        let fields = post(&[("content-length", "0")]);
        let answer = Frames::connect(&gateway).request(&fields, None);
        assert_eq!(answer, Answer::Ok);
        assert_eq!(backend.record().last().header("content-length"), Some("0"));
    }
}
