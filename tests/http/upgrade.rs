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
