//! HTTP/1.1 and TLS towards backends.

use serde_json::json;
use support::backend::{Backend, h2};
use support::certificates::{Authority, Key};
use support::client::curl::Curl;

use crate::setup;

#[test]
fn http_1_backends_serve_both_versions() {
    let backend = Backend::http1(None);
    let gateway = setup(&backend).cluster("/protocol", "http1").start();
    let Some(curl) = Curl::new(&gateway) else {
        return;
    };
    for version in [Curl::h2, Curl::h1] {
        assert_eq!(version(&curl, "/plain", &[]).expect(200).text(), "ok");
        let echoed = version(&curl, "/echo", &["-d", "some text"]).expect(200);
        assert_eq!(echoed.text(), "some text");
        let long = version(&curl, "/download?bytes=1000000", &[]).expect(200);
        assert_eq!(long.body.len(), 1_000_000);
        assert_eq!(long.header("content-length"), Some("1000000"));
        let head = version(&curl, "/download?bytes=1000000", &["--head"]).expect(200);
        assert_eq!(head.header("content-length"), Some("1000000"));
        // A backend that waits for a body is told that none comes.
        version(&curl, "/plain", &["-X", "POST"]).expect(200);
        let seen = backend.record().last();
        assert_eq!(seen.header("content-length"), Some("0"));
        version(&curl, "/close", &[]).expect(200);
        version(&curl, "/plain", &[]).expect(200);
    }
    let seen = backend.record().seen();
    let host = format!("localhost:{}", gateway.port());
    assert!(
        seen.iter().all(|seen| seen.header("host") == Some(&host)),
        "{seen:#?}"
    );
    // Connections are kept, except those that were closed after an answer.
    assert!(
        backend.record().connections() <= 4,
        "{}",
        backend.record().connections()
    );
}

#[test]
fn tls_backends_are_verified() {
    let authority = Authority::new("Backends");
    let stranger = Authority::new("Strangers");
    let named = |authority: &Authority, name| Some(authority.server(Key::P256, &[name]));
    for (identity, status) in [
        (named(&authority, "backend.internal"), 200),
        (named(&authority, "other.internal"), 503),
        (named(&stranger, "backend.internal"), 503),
        (
            Some(authority.expired_server(Key::P256, &["backend.internal"])),
            503,
        ),
        // Plaintext where TLS is expected.
        (None, 503),
    ] {
        let with_tls = identity.is_some();
        let backend = Backend::h2(h2::Options {
            tls: identity,
            ..h2::Options::default()
        });
        let setup = setup(&backend);
        let file = authority.write(setup.folder(), "backends");
        let tls = json!({ "ca_file": file, "server_name": "backend.internal" });
        let gateway = setup.cluster("/tls", tls).start();
        let Some(curl) = Curl::new(&gateway) else {
            return;
        };
        let response = curl.h2("/plain", &[]);
        let expected = [status, if status == 200 { 200 } else { 502 }];
        assert!(
            expected.contains(&response.status),
            "{with_tls}: {response:#?}"
        );
    }
}

#[test]
fn tls_backends_may_go_unverified_and_speak_http_1() {
    let identity = Authority::new("Anyone").server(Key::Rsa2048, &["whatever"]);
    let backend = Backend::http1(Some(identity));
    let gateway = setup(&backend)
        .cluster("/protocol", "http1")
        .cluster("/tls", json!({ "verify": false }))
        .start();
    let Some(curl) = Curl::new(&gateway) else {
        return;
    };
    assert_eq!(curl.h2("/plain", &[]).expect(200).text(), "ok");
}

#[test]
fn the_gateway_shows_a_certificate_where_backends_ask() {
    let authority = Authority::new("Backends");
    let server = authority.server(Key::P256, &["backend.internal"]);
    let backend = Backend::h2(h2::Options {
        tls: Some(server),
        clients: Some(authority.clone()),
        ..h2::Options::default()
    });
    for (known, allowed) in [(true, true), (false, false)] {
        let setup = setup(&backend);
        let file = authority.write(setup.folder(), "backends");
        let mut tls = json!({ "ca_file": file, "server_name": "backend.internal" });
        if known {
            let own = authority.client(Key::P256, "gateway");
            let files = own.write(setup.folder(), "own");
            tls["certificate_chain"] = json!(files.certificate_chain);
            tls["private_key"] = json!(files.private_key);
        }
        let gateway = setup.cluster("/tls", tls).start();
        let Some(curl) = Curl::new(&gateway) else {
            return;
        };
        let response = curl.h2("/plain", &[]);
        assert_eq!(response.status == 200, allowed, "{response:#?}");
    }
}
