//! Requests whose length two servers could read in two ways (RFC 9112 6.3, 11.2).
//!
//! Each shape hides a second request, `/smuggled`. Whatever the gateway answers, the
//! backend must never see that one.

use support::Gateway;
use support::backend::Backend;
use support::client::raw::Raw;

use super::before_either_protocol;
use crate::{h2_backend, setup};

/// Heads, and what stands between them and the hidden request.
const HEADS: &[(&str, &str, &str)] = &[
    (
        "CL.TE",
        "content-length: 44\r\ntransfer-encoding: chunked",
        "0\r\n\r\n",
    ),
    (
        "TE.CL",
        "transfer-encoding: chunked\r\ncontent-length: 4",
        "1\r\nx\r\n0\r\n\r\n",
    ),
    (
        "CL.TE, two codings",
        "content-length: 5\r\ntransfer-encoding: identity, chunked",
        "0\r\n\r\n",
    ),
    ("two lengths", "content-length: 0\r\ncontent-length: 43", ""),
    (
        "the same length twice",
        "content-length: 0\r\ncontent-length: 0",
        "",
    ),
    ("a list of lengths", "content-length: 0, 43", ""),
    ("a list of the same length", "content-length: 0, 0", ""),
    ("a signed length", "content-length: +0", ""),
    ("a negative length", "content-length: -0", ""),
    ("a length in hexadecimal", "content-length: 0x0", ""),
    ("a length with a space", "content-length: 0 0", ""),
    ("a length with an underscore", "content-length: 0_0", ""),
    ("no length", "content-length:", ""),
    (
        "a length past 64 bits",
        "content-length: 18446744073709551616",
        "",
    ),
    (
        "an unknown coding",
        "transfer-encoding: xchunked",
        "0\r\n\r\n",
    ),
    ("no coding", "transfer-encoding:", "0\r\n\r\n"),
    ("identity", "transfer-encoding: identity", "0\r\n\r\n"),
    (
        "a vertical tab before the coding",
        "transfer-encoding: \x0bchunked",
        "0\r\n\r\n",
    ),
    (
        "a vertical tab after the coding",
        "transfer-encoding: chunked\x0b",
        "0\r\n\r\n",
    ),
    (
        "a quoted coding",
        "transfer-encoding: \"chunked\"",
        "0\r\n\r\n",
    ),
    (
        "a coding with a parameter",
        "transfer-encoding: chunked;q=1",
        "0\r\n\r\n",
    ),
    (
        "chunked is not the last coding",
        "transfer-encoding: chunked, gzip",
        "0\r\n\r\n",
    ),
    (
        "chunked is not the only coding",
        "transfer-encoding: gzip, chunked",
        "0\r\n\r\n",
    ),
    (
        "identity before chunked",
        "transfer-encoding: identity, chunked",
        "0\r\n\r\n",
    ),
    (
        "chunked twice",
        "transfer-encoding: chunked, chunked",
        "0\r\n\r\n",
    ),
    (
        "two fields of codings",
        "transfer-encoding: chunked\r\ntransfer-encoding: chunked",
        "0\r\n\r\n",
    ),
    (
        "two fields, the last unknown",
        "transfer-encoding: chunked\r\ntransfer-encoding: x",
        "0\r\n\r\n",
    ),
    (
        "a space before the colon",
        "transfer-encoding : chunked\r\ncontent-length: 0",
        "",
    ),
    (
        "a space before the name",
        "content-length: 0\r\n transfer-encoding: chunked",
        "",
    ),
    (
        "a folded header",
        "transfer-encoding:\r\n chunked\r\ncontent-length: 0",
        "",
    ),
    (
        "a folded header of no meaning",
        "x: a\r\n\tb\r\ncontent-length: 0",
        "",
    ),
    (
        "a tab in the name",
        "transfer-encoding\x0b: chunked\r\ncontent-length: 0",
        "",
    ),
    ("a lone LF", "x: y\ntransfer-encoding: chunked", "0\r\n\r\n"),
    (
        "a lone CR",
        "x: y\rtransfer-encoding: chunked\r\ncontent-length: 0",
        "",
    ),
    ("a NUL in a value", "x: a\0b\r\ncontent-length: 0", ""),
    ("a NUL in a name", "x\0: a\r\ncontent-length: 0", ""),
];

/// Bodies in chunks that are none. Their heads are sound.
const CHUNKS: &[(&str, &str)] = &[
    ("a sign", "-1\r\n"),
    ("a size past 64 bits", "10000000000000000\r\n"),
    ("a prefix", "0x0\r\n\r\n"),
    ("a space before the size", " 0\r\n\r\n"),
    ("no size", "\r\n\r\n"),
    ("a size that a lone LF ends", "0\n\r\n"),
    ("an LF in an extension", "0;x\n\r\n\r\n"),
    ("a chunk without its end", "1\r\nxx\r\n0\r\n\r\n"),
    ("a chunk that a lone LF ends", "1\r\nx\n0\r\n\r\n"),
];

const SMUGGLED: &str = "GET /smuggled HTTP/1.1\r\nhost: localhost\r\n\r\n";

/// Sends the bytes, and whatever they hold nobody gets to see `/smuggled`. Returns the
/// answers until the connection's end.
fn attempt(gateway: &Gateway, backend: &Backend, name: &str, pieces: &[&str]) -> String {
    let mut raw = Raw::connect(gateway);
    for piece in pieces {
        raw.send(piece.as_bytes());
    }
    let answer = raw.read_to_end();
    let answer = answer.unwrap_or_else(|| panic!("{name}: not closed"));
    let seen = backend.record().seen();
    let smuggled = seen.iter().find(|seen| seen.path == "/smuggled");
    assert!(smuggled.is_none(), "{name}: {smuggled:?}, answer: {answer}");
    answer
}

#[test]
fn a_length_that_can_be_read_in_two_ways_is_refused() {
    for (backend, gateway) in before_either_protocol() {
        for (name, headers, body) in HEADS {
            let head = format!("POST /a HTTP/1.1\r\nhost: localhost\r\n{headers}\r\n\r\n");
            let whole = format!("{head}{body}{SMUGGLED}");
            let (first, second) = whole.split_at(head.len() - 3);
            for pieces in [&[whole.as_str()][..], &[first, second]] {
                let answer = attempt(&gateway, &backend, name, pieces);
                assert!(answer.starts_with("HTTP/1.1 400 "), "{name}: {answer}");
                assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{name}: {answer}");
            }
        }
        assert_eq!(backend.record().count(), 0);
        let malformed = [("reason", "malformed")];
        let counted = gateway.metrics();
        let counted = counted.sum("gateway_http_errors_total", &malformed);
        assert_eq!(counted, 2.0 * HEADS.len() as f64);
    }
}

#[test]
fn a_coding_in_http_1_0_is_refused() {
    let backend = h2_backend();
    let gateway = setup(&backend).start();
    let head = "POST /a HTTP/1.0\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n";
    let pieces = [head, "0\r\n\r\n", SMUGGLED];
    let answer = attempt(&gateway, &backend, "HTTP/1.0", &pieces);
    assert!(answer.contains(" 400 "), "{answer}");
    assert_eq!(backend.record().count(), 0);
}

#[test]
fn chunks_that_are_none_end_the_request() {
    for (backend, gateway) in before_either_protocol() {
        for (name, chunks) in CHUNKS {
            let head = "POST /echo HTTP/1.1\r\nhost: localhost\r\n\
                        transfer-encoding: chunked\r\n\r\n";
            let answer = attempt(&gateway, &backend, name, &[head, chunks, SMUGGLED]);
            assert!(answer.matches("HTTP/1.1 ").count() <= 1, "{name}: {answer}");
            let whole = answer.contains("content-length") || answer.ends_with("0\r\n\r\n");
            assert!(!answer.contains(" 200 ") || !whole, "{name}: {answer}");
        }
    }
}

/// The request before may be of any kind, and the ambiguous one may come in any pieces.
#[test]
fn only_the_ambiguous_request_of_a_connection_is_refused() {
    let backend = h2_backend();
    let gateway = setup(&backend).start();
    let sound = "GET /1 HTTP/1.1\r\nhost: localhost\r\n\r\n\
         POST /2 HTTP/1.1\r\nhost: localhost\r\ncontent-length: 30\r\n\r\n\
         content-length: 1\r\ncontent-len\
         POST /3 HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n\
         4;x=y\r\n\r\n\r\n\r\n0\r\ncontent-length: 1\r\n\r\n\
         GET /4 HTTP/1.1\r\nhost: localhost\r\n\r\n";
    let ambiguous = "POST /5 HTTP/1.1\r\nhost: localhost\r\ncontent-length: 5\r\n\
         transfer-encoding: chunked\r\n\r\n0\r\n\r\n";
    let stream = [sound, ambiguous, SMUGGLED].concat();
    for size in [stream.len(), 40, 1] {
        let pieces: Vec<&str> = stream
            .as_bytes()
            .chunks(size)
            .filter_map(|piece| std::str::from_utf8(piece).ok())
            .collect();
        let answer = attempt(&gateway, &backend, "the fifth", &pieces);
        let answers: Vec<&str> = answer
            .split("HTTP/1.1 ")
            .skip(1)
            .map(|answer| &answer[..3])
            .collect();
        assert_eq!(answers, ["200", "200", "200", "200", "400"], "{answer}");
        assert!(answer.contains("connection: close"), "{answer}");
    }
    assert_eq!(backend.record().count(), 3 * 4);
}

/// A request that is answered before its body has come: what comes then is still a body.
#[test]
fn a_body_nobody_reads_is_no_request() {
    let backend = h2_backend();
    let gateway = setup(&backend).route("/match/path_prefix", "/here").start();
    let hidden = "GET /here/smuggled HTTP/1.1\r\nhost: localhost\r\n\r\n";
    let framed = [
        format!("content-length: {}\r\n\r\n{hidden}", hidden.len()),
        format!(
            "transfer-encoding: chunked\r\n\r\n{:x}\r\n{hidden}\r\n0\r\n\r\n",
            hidden.len()
        ),
        format!("content-length: 1000000\r\n\r\n{hidden}"),
    ];
    for framed in framed {
        let request = format!("POST /elsewhere HTTP/1.1\r\nhost: localhost\r\n{framed}");
        let (head, body) = request.split_at(request.len() - hidden.len());
        for pieces in [&[request.as_str()][..], &[head, body]] {
            let mut raw = Raw::connect(&gateway);
            for piece in pieces {
                raw.send(piece.as_bytes());
            }
            let answer = raw.read_until("no route");
            assert!(answer.starts_with("HTTP/1.1 404"), "{answer}");
            raw.close_write();
            let rest = raw.read_to_end().expect("closed");
            assert!(!rest.contains("HTTP/1.1"), "{rest}");
        }
    }
    assert_eq!(backend.record().count(), 0);
}

/// What is no request at all is refused with 400 (or by closing), never forwarded.
#[test]
fn malformed_requests_are_refused() {
    let backend = h2_backend();
    let gateway = setup(&backend).start();
    let requests: &[&[u8]] = &[
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET http://localhost/ HTTP/1.1\r\n\r\n",
        b"GET http://user@localhost/ HTTP/1.1\r\nhost: localhost\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost:\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: localhost\r\nhost: localhost\r\n\r\n",
        b"GET / HTTP/1.1\nhost: localhost\n\n",
        b"GET / HTTP/1.1\rhost: localhost\r\r",
        b"GET  / HTTP/1.1\r\nhost: localhost\r\n\r\n",
        b"GET /\x0b HTTP/1.1\r\nhost: localhost\r\n\r\n",
        b"GET /\thttp/1.1 HTTP/1.1\r\nhost: localhost\r\n\r\n",
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
