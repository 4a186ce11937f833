//! Requests whose length two servers could read in two ways (RFC 9112 6.3, 11.2).
//!
//! Each shape hides a second request, `/smuggled`. Whatever the gateway answers, the
//! backend must never see that one.

use support::client::raw::Raw;

use crate::{h2_backend, setup};

/// Name and request.
const SHAPES: &[(&str, &str)] = &[
    (
        "CL.TE",
        "POST /a HTTP/1.1\r\nhost: localhost\r\ncontent-length: 44\r\n\
         transfer-encoding: chunked\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nhost: x\r\n\r\n",
    ),
    (
        "TE.CL",
        "POST /a HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\
         content-length: 4\r\n\r\n2c\r\nGET /smuggled HTTP/1.1\r\nhost: localhost\r\n\r\n\r\n0\r\n\r\n",
    ),
    (
        "two lengths",
        "POST /a HTTP/1.1\r\nhost: localhost\r\ncontent-length: 0\r\ncontent-length: 43\r\n\r\n\
         GET /smuggled HTTP/1.1\r\nhost: localhost\r\n\r\n",
    ),
    (
        "a list of lengths",
        "POST /a HTTP/1.1\r\nhost: localhost\r\ncontent-length: 0, 43\r\n\r\n\
         GET /smuggled HTTP/1.1\r\nhost: localhost\r\n\r\n",
    ),
    (
        "a signed length",
        "POST /a HTTP/1.1\r\nhost: localhost\r\ncontent-length: +0\r\n\r\n\
         GET /smuggled HTTP/1.1\r\nhost: localhost\r\n\r\n",
    ),
    (
        "a length in hexadecimal",
        "POST /a HTTP/1.1\r\nhost: localhost\r\ncontent-length: 0x0\r\n\r\n\
         GET /smuggled HTTP/1.1\r\nhost: localhost\r\n\r\n",
    ),
    (
        "an unknown coding",
        "POST /a HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: xchunked\r\n\r\n\
         0\r\n\r\nGET /smuggled HTTP/1.1\r\nhost: localhost\r\n\r\n",
    ),
    (
        "chunked is not the last coding",
        "POST /a HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked, gzip\r\n\r\n\
         0\r\n\r\nGET /smuggled HTTP/1.1\r\nhost: localhost\r\n\r\n",
    ),
    (
        "two codings",
        "POST /a HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: identity\r\n\
         transfer-encoding: chunked, identity\r\n\r\n\
         0\r\n\r\nGET /smuggled HTTP/1.1\r\nhost: localhost\r\n\r\n",
    ),
    (
        "a space before the colon",
        "POST /a HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding : chunked\r\n\
         content-length: 0\r\n\r\nGET /smuggled HTTP/1.1\r\nhost: localhost\r\n\r\n",
    ),
    (
        "a folded header",
        "POST /a HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding:\r\n chunked\r\n\
         content-length: 0\r\n\r\nGET /smuggled HTTP/1.1\r\nhost: localhost\r\n\r\n",
    ),
    (
        "a chunk size with a sign",
        "POST /a HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n\
         -1\r\nGET /smuggled HTTP/1.1\r\nhost: localhost\r\n\r\n0\r\n\r\n",
    ),
    (
        "a chunk size past 64 bits",
        "POST /a HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n\
         10000000000000000\r\nGET /smuggled HTTP/1.1\r\nhost: localhost\r\n\r\n0\r\n\r\n",
    ),
    (
        "a coding in HTTP/1.0",
        "POST /a HTTP/1.0\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n\
         0\r\n\r\nGET /smuggled HTTP/1.1\r\nhost: localhost\r\n\r\n",
    ),
];

#[test]
fn no_shape_hides_a_request() {
    let backend = h2_backend();
    let gateway = setup(&backend).start();
    for (name, shape) in SHAPES {
        let mut raw = Raw::connect(&gateway);
        raw.send(shape.as_bytes());
        raw.close_write();
        let answer = raw
            .read_to_end()
            .unwrap_or_else(|| panic!("{name}: not closed"));
        let smuggled = backend.record().seen();
        let smuggled = smuggled.iter().find(|seen| seen.path == "/smuggled");
        assert!(smuggled.is_none(), "{name}: {smuggled:?}, answer: {answer}");
        // With both lengths the coding stands and the connection closes (RFC 9112 6.3);
        // everything else is an error.
        let one = answer.matches("HTTP/1.1 ").count() == 1;
        let closed = one && answer.contains("connection: close");
        let served = answer.contains("HTTP/1.1 200");
        let both = matches!(*name, "CL.TE" | "TE.CL");
        assert!(!served || (both && closed), "{name}: {answer}");
    }
}

/// What is no request at all is refused with 400 (or by closing), never forwarded.
#[test]
fn malformed_requests_are_refused() {
    let backend = h2_backend();
    let gateway = setup(&backend).start();
    let requests: &[&[u8]] = &[
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: a b\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: localhost\r\nx: a\x00b\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: localhost\r\nb\xc3d header: x\r\n\r\n",
        b"GET /a b HTTP/1.1\r\nhost: localhost\r\n\r\n",
        b"GET /\x01 HTTP/1.1\r\nhost: localhost\r\n\r\n",
        b"GET / HTTP/3.7\r\nhost: localhost\r\n\r\n",
        b"G@T / HTTP/1.1\r\nhost: localhost\r\n\r\n",
        b"CONNECT example.com:443 HTTP/1.1\r\nhost: example.com:443\r\n\r\n",
        b"\x16\x03\x01\x00\x05hello",
    ];
    for request in requests {
        let shown = String::from_utf8_lossy(request).into_owned();
        let mut raw = Raw::connect(&gateway);
        raw.send(request);
        raw.close_write();
        let answer = raw
            .read_to_end()
            .unwrap_or_else(|| panic!("{shown:?}: not closed"));
        let refused = answer.is_empty()
            || answer.starts_with("HTTP/1.1 4")
            || answer.starts_with("HTTP/1.1 505")
            || answer.starts_with("HTTP/1.1 501");
        assert!(refused, "{shown:?}: {answer}");
    }
    let malformed = [("reason", "malformed")];
    support::eventually("they are counted", || {
        let counted = gateway
            .metrics()
            .sum("gateway_http_errors_total", &malformed);
        (counted >= 5.0).then_some(())
    });
    assert_eq!(
        backend.record().count(),
        0,
        "{:#?}",
        backend.record().seen()
    );
}

/// HTTP/2 towards the backend leaves no room for lengths that lie.
#[test]
fn a_body_of_the_wrong_length_is_no_request() {
    let backend = h2_backend();
    let gateway = setup(&backend).start();
    let mut raw = Raw::connect(&gateway);
    raw.send(b"POST /echo HTTP/1.1\r\nhost: localhost\r\ncontent-length: 10\r\n\r\nabc");
    backend.record().wait_count(1);
    raw.close_write();
    raw.read_to_end().expect("closed");
    backend.record().wait("an end that is not clean", |seen| {
        use support::backend::Ended;
        matches!(seen[0].ended, Ended::Reset(_) | Ended::Broken).then_some(())
    });
}
