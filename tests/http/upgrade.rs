//! HTTP/1.1 Upgrade: refused by default, tunnelled where that is asked for.

use support::backend::Backend;
use support::client::raw::Raw;

use crate::{h2_backend, setup};

const UPGRADE: &[u8] =
    b"GET /upgrade HTTP/1.1\r\nhost: localhost\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\n";

#[test]
fn by_default_the_request_goes_on_without_it() {
    let backend = Backend::http1(None);
    let gateway = setup(&backend).cluster("/protocol", "http1").start();
    let mut raw = Raw::connect(&gateway);
    raw.send(UPGRADE);
    let answer = raw.read_until("ok");
    assert!(answer.contains(" 200 "), "{answer}");
    assert_eq!(backend.record().last().header("upgrade"), None);
}

#[test]
fn a_tunnel_carries_bytes_both_ways() {
    let backend = Backend::http1(None);
    let gateway = setup(&backend)
        .cluster("/protocol", "http1")
        .listener("/http/upgrade", "tunnel")
        .start();
    let mut raw = Raw::connect(&gateway);
    raw.send(UPGRADE);
    let answer = raw.read_until("\r\n\r\n");
    assert!(answer.starts_with("HTTP/1.1 101"), "{answer}");
    assert!(answer.to_lowercase().contains("upgrade: echo"), "{answer}");
    for text in ["ping", "and pong"] {
        raw.send(text.as_bytes());
        raw.read_until(text);
    }
    raw.close_write();
    assert!(raw.read_to_end().is_some(), "the tunnel ends");
}

/// Whatever is tunnelled to a backend as HTTP/2 would get past the routes; and only what
/// is asked for in full is asked for.
#[test]
fn nothing_else_is_tunnelled() {
    let backend = Backend::http1(None);
    let gateway = setup(&backend)
        .cluster("/protocol", "http1")
        .listener("/http/upgrade", "tunnel")
        .start();
    for (version, headers) in [
        (
            "1.1",
            "connection: upgrade, http2-settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABk",
        ),
        ("1.1", "connection: Upgrade\r\nupgrade: echo, H2C"),
        (
            "1.1",
            "connection: upgrade\r\nupgrade: echo\r\nupgrade: h2c",
        ),
        ("1.1", "upgrade: echo"),
        ("1.1", "connection: keep-alive\r\nupgrade: echo"),
        ("1.0", "connection: upgrade\r\nupgrade: echo"),
    ] {
        let mut raw = Raw::connect(&gateway);
        raw.send(format!("GET /upgrade HTTP/{version}\r\nhost: a\r\n{headers}\r\n\r\n").as_bytes());
        let answer = raw.read_until("\r\n\r\n");
        assert!(answer.contains(" 200 "), "{headers}: {answer}");
        let seen = backend.record().last();
        for name in ["upgrade", "http2-settings"] {
            assert_eq!(seen.header(name), None, "{headers}");
        }
    }
}

#[test]
fn a_cluster_of_http_2_is_never_asked_to_upgrade() {
    let backend = h2_backend();
    let gateway = setup(&backend).listener("/http/upgrade", "tunnel").start();
    let mut raw = Raw::connect(&gateway);
    raw.send(UPGRADE);
    let answer = raw.read_until("\r\n\r\n");
    assert!(!answer.starts_with("HTTP/1.1 101"), "{answer}");
    for seen in backend.record().seen() {
        assert_eq!(seen.header("upgrade"), None);
    }
}
