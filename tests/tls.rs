//! Versions, ciphers, certificates, resumption, client certificates.

use openssl::ssl::SslVersion;
use serde_json::json;
use support::certificates::{Authority, Key};
use support::client::h2::{Client, Session};
use support::client::tls::{self, Options};
use support::client::{curl::Curl, s_client};

use crate::{h2_backend, setup};

#[test]
fn versions_1_2_and_1_3_with_alpn() {
    let backend = h2_backend();
    let gateway = setup(&backend).start();
    for (argument, version) in [("-tls1_2", "TLSv1.2"), ("-tls1_3", "TLSv1.3")] {
        for (alpn, chosen) in [("h2,http/1.1", "h2"), ("http/1.1", "http/1.1")] {
            let arguments = [argument, "-alpn", alpn, "-verify_return_error"];
            let Some(output) = s_client::run(&gateway, &arguments, b"") else {
                return;
            };
            let session = output.session().map(|(version, _)| version);
            assert_eq!(session, Some(version), "{}", output.text);
            assert_eq!(
                output.value("ALPN protocol"),
                Some(chosen),
                "{}",
                output.text
            );
            assert!(output.text.contains("Verification: OK"), "{}", output.text);
        }
    }
    for old in ["-tls1_1", "-tls1"] {
        let arguments = [old, "-cipher", "ALL:@SECLEVEL=0"];
        let output = s_client::run(&gateway, &arguments, b"").expect("openssl was here");
        assert!(!output.connected(), "{old}: {}", output.text);
    }
    for version in ["TLSv1.2", "TLSv1.3"] {
        let labels = [("version", version), ("outcome", "completed")];
        support::eventually("counted handshakes", || {
            let metrics = gateway.metrics();
            let counted = metrics.sum("gateway_tls_handshakes_total", &labels);
            (counted == 2.0).then_some(())
        });
    }
}

#[test]
fn protocols_nobody_offered_are_not_spoken() {
    let backend = h2_backend();
    let gateway = setup(&backend)
        .listener("/tls/alpn", vec!["http/1.1"])
        .start();
    let Some(curl) = Curl::new(&gateway) else {
        return;
    };
    // curl offers both: the gateway takes what it speaks.
    assert_eq!(curl.h2("/plain", &[]).expect(200).version, "1.1");
    // A client that offers none speaks HTTP/1.1; one that offers only others is told.
    let request = b"GET /plain HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    let none = s_client::run(&gateway, &["-quiet", "-ign_eof"], request);
    let none = none.expect("openssl was here");
    assert!(none.text.contains("HTTP/1.1 200"), "{}", none.text);
    let other = s_client::run(&gateway, &["-alpn", "spdy/3"], b"");
    let other = other.expect("openssl was here");
    assert!(!other.connected(), "{}", other.text);
}

#[test]
fn a_minimum_version_holds() {
    let backend = h2_backend();
    let gateway = setup(&backend)
        .listener("/tls/minimum_version", "1.3")
        .start();
    let Some(refused) = s_client::run(&gateway, &["-tls1_2"], b"") else {
        return;
    };
    assert!(!refused.connected(), "{}", refused.text);
    let output = s_client::run(&gateway, &["-tls1_3"], b"").expect("openssl was here");
    assert!(output.connected(), "{}", output.text);
    let gateway = setup(&backend)
        .listener("/tls/maximum_version", "1.2")
        .start();
    let output = s_client::run(&gateway, &[], b"").expect("openssl was here");
    let version = output.session().map(|(version, _)| version.to_owned());
    assert_eq!(version.as_deref(), Some("TLSv1.2"));
}

#[test]
fn ciphers_suites_and_groups_are_those_configured() {
    let backend = h2_backend();
    let gateway = setup(&backend)
        .listener("/tls/cipher_list", "ECDHE-ECDSA-CHACHA20-POLY1305")
        .listener("/tls/cipher_suites", "TLS_AES_128_GCM_SHA256")
        .listener("/tls/groups", vec!["P-384"])
        .start();
    let Some(output) = s_client::run(&gateway, &["-tls1_3"], b"") else {
        return;
    };
    let cipher = output.session().map(|(_, cipher)| cipher);
    assert_eq!(cipher, Some("TLS_AES_128_GCM_SHA256"), "{}", output.text);
    let key = output.value("Server Temp Key").unwrap_or("");
    assert!(
        key.contains("secp384r1") || key.contains("P-384"),
        "{}",
        output.text
    );
    let output = s_client::run(&gateway, &["-tls1_2"], b"").expect("openssl was here");
    let cipher = output.session().map(|(_, cipher)| cipher);
    assert_eq!(
        cipher,
        Some("ECDHE-ECDSA-CHACHA20-POLY1305"),
        "{}",
        output.text
    );
    for refused in [
        &["-tls1_3", "-ciphersuites", "TLS_AES_256_GCM_SHA384"][..],
        &["-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-GCM-SHA256"],
        &["-tls1_3", "-groups", "X25519"],
    ] {
        let output = s_client::run(&gateway, refused, b"").expect("openssl was here");
        assert!(!output.connected(), "{refused:?}: {}", output.text);
    }
}

/// The common name of the certificate a client is served.
async fn served(gateway: &support::Gateway, options: &Options) -> (String, bool) {
    let stream = tls::connect(gateway, options).await.expect("TLS");
    let certificate = stream.ssl().peer_certificate().expect("a certificate");
    let mut names = certificate.subject_name().entries();
    let name = names
        .next()
        .expect("a name")
        .data()
        .to_string()
        .expect("text");
    let key = certificate.public_key().expect("a key");
    (name.to_string(), key.rsa().is_ok())
}

fn asking(name: Option<&str>, signature_algorithms: Option<&'static str>) -> Options {
    Options {
        server_name: name.map(str::to_owned),
        signature_algorithms,
        verify: false,
        ..Options::default()
    }
}

#[tokio::test]
async fn certificates_are_chosen_by_name_then_by_key() {
    let backend = h2_backend();
    let mut setup = setup(&backend);
    let issue = |key, names: &[&str], file: &str| {
        let identity = setup.authority().server(key, names);
        identity.write(setup.folder(), file).json()
    };
    let certificates = vec![
        issue(Key::P256, &["default.example"], "default"),
        issue(Key::Rsa2048, &["both.example"], "both-rsa"),
        issue(Key::P256, &["both.example"], "both-ecdsa"),
        issue(Key::P256, &["*.wild.example", "two.example"], "wild"),
        issue(Key::P256, &["one.wild.example"], "one"),
    ];
    setup = setup.listener("/tls/certificates", certificates);
    let gateway = setup.start();
    for (name, common_name) in [
        (Some("both.example"), "both.example"),
        (Some("BOTH.example"), "both.example"),
        (Some("any.wild.example"), "*.wild.example"),
        (Some("one.wild.example"), "one.wild.example"),
        (Some("two.example"), "*.wild.example"),
        // The star stands for one label.
        (Some("a.b.wild.example"), "default.example"),
        (Some("wild.example"), "default.example"),
        (Some("unknown.example"), "default.example"),
        (None, "default.example"),
    ] {
        let (served, _) = served(&gateway, &asking(name, None)).await;
        assert_eq!(served, common_name, "{name:?}");
    }
    for (algorithms, rsa) in [
        ("ECDSA+SHA256:RSA-PSS+SHA256", false),
        ("RSA-PSS+SHA256:ECDSA+SHA256", false),
        ("RSA-PSS+SHA256", true),
    ] {
        let asking = asking(Some("both.example"), Some(algorithms));
        let (name, is_rsa) = served(&gateway, &asking).await;
        assert_eq!(
            (name.as_str(), is_rsa),
            ("both.example", rsa),
            "{algorithms}"
        );
    }
}

#[tokio::test]
async fn strict_names_refuse_strangers() {
    let backend = h2_backend();
    let gateway = setup(&backend).listener("/tls/strict_sni", true).start();
    assert!(
        tls::connect(&gateway, &asking(Some("localhost"), None))
            .await
            .is_ok()
    );
    for name in [Some("unknown.example"), None] {
        let refused = tls::connect(&gateway, &asking(name, None)).await;
        assert!(refused.is_err(), "{name:?}");
    }
}

#[tokio::test]
async fn intermediates_are_sent() {
    let backend = h2_backend();
    let setup = setup(&backend);
    let issuing = setup.authority().intermediate("Issuing Authority");
    let files = issuing.server(Key::P256, &["localhost"]);
    let files = files.write(setup.folder(), "below").json();
    let gateway = setup.listener("/tls/certificates", vec![files]).start();
    let mut client = Client::connect(&gateway).await;
    assert_eq!(client.get("/plain").await.expect("an answer").status(), 200);
}

#[test]
fn sessions_are_resumed_unless_switched_off() {
    let backend = h2_backend();
    for (tickets, resumed) in [(true, true), (false, false)] {
        let gateway = setup(&backend)
            .listener("/tls/session_tickets", tickets)
            .start();
        for version in ["-tls1_2", "-tls1_3"] {
            let file = gateway.folder().join("session");
            let file = file.display().to_string();
            // A request makes s_client read, and with that take the ticket.
            let request = b"GET /plain HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
            let first = [version, "-ign_eof", "-sess_out", &file];
            let Some(first) = s_client::run(&gateway, &first, request) else {
                return;
            };
            assert!(first.text.contains("New, "), "{}", first.text);
            if !resumed && !std::path::Path::new(&file).exists() {
                continue;
            }
            let again = [version, "-ign_eof", "-sess_in", &file];
            let again = s_client::run(&gateway, &again, request).expect("openssl was here");
            assert!(again.text.contains("HTTP/1.1 200"), "{}", again.text);
            let reused = again.text.contains("Reused, ");
            assert_eq!(reused, resumed, "{version}: {}", again.text);
        }
        let labels = [("resumed", "true"), ("outcome", "completed")];
        let counted = gateway
            .metrics()
            .sum("gateway_tls_handshakes_total", &labels);
        assert_eq!(counted > 0.0, resumed);
    }
}

fn client_options(authority: &Authority, name: &str) -> Options {
    Options {
        identity: Some(authority.client(Key::P256, name)),
        ..Options::default()
    }
}

/// What a request with this client certificate comes to: TLS 1.3 tells of a refused
/// certificate only after the client's handshake is over.
async fn outcome(gateway: &support::Gateway, options: &Options) -> Result<u16, String> {
    let stream = tls::connect(gateway, options).await;
    let stream = stream.map_err(|error| error.to_string())?;
    let _ = Session::of(stream.ssl());
    let handshake = h2::client::Builder::new().handshake::<_, bytes::Bytes>(stream);
    let (mut requests, connection) = handshake.await.map_err(|error| error.to_string())?;
    tokio::spawn(connection);
    let request = support::client::h2::request("GET", "/plain");
    let (response, _) = requests
        .send_request(request, true)
        .map_err(|error| error.to_string())?;
    let whole = support::client::h2::whole(response).await;
    whole
        .map(|answer| answer.status())
        .map_err(|error| error.to_string())
}

#[tokio::test]
async fn client_certificates_are_required() {
    let backend = h2_backend();
    let clients = Authority::new("Clients");
    let setup = setup(&backend);
    let file = clients.write(setup.folder(), "clients");
    let gateway = setup
        .listener(
            "/tls/client_certificates",
            json!({ "mode": "required", "ca_file": file }),
        )
        .start();
    let good = client_options(&clients, "alice");
    assert_eq!(outcome(&gateway, &good).await, Ok(200));
    let identity = backend
        .record()
        .last()
        .header("x-client-identity")
        .map(str::to_owned);
    assert!(identity.is_some_and(|identity| identity.contains("alice")));
    let below = client_options(&clients.intermediate("Team"), "bob");
    assert_eq!(outcome(&gateway, &below).await, Ok(200));
    let expired = Options {
        identity: Some(clients.expired_client(Key::P256, "alice")),
        ..Options::default()
    };
    // A name does not make an authority.
    let same_name = client_options(&Authority::new("Clients"), "alice");
    for bad in [
        Options::default(),
        client_options(&Authority::new("Strangers"), "mallory"),
        same_name,
        expired,
    ] {
        outcome(&gateway, &bad).await.expect_err("refused");
    }
    for version in [SslVersion::TLS1_2, SslVersion::TLS1_3] {
        let none = Options {
            version: Some(version),
            ..Options::default()
        };
        outcome(&gateway, &none).await.expect_err("refused");
    }
    assert_eq!(backend.record().count(), 2);
}

#[tokio::test]
async fn client_certificates_are_optional_and_never_forged() {
    let backend = h2_backend();
    let clients = Authority::new("Clients");
    let setup = setup(&backend);
    let file = clients.write(setup.folder(), "clients");
    let gateway = setup
        .listener(
            "/tls/client_certificates",
            json!({ "mode": "optional", "ca_file": file }),
        )
        .start();
    for (options, known) in [
        (client_options(&clients, "alice"), true),
        (Options::default(), false),
    ] {
        let mut client = Client::connect_with(&gateway, &options, h2::client::Builder::new()).await;
        let mut request = support::client::h2::request("GET", "/plain");
        let forged = http::HeaderValue::from_static("CN=root");
        for name in [
            "x-client-identity",
            "x_client_identity",
            "x-client_identity",
        ] {
            request.headers_mut().append(name, forged.clone());
            request.headers_mut().append(name, forged.clone());
        }
        let (response, _) = client.send(request, true).await.expect("sent");
        let answer = support::client::h2::whole(response)
            .await
            .expect("an answer");
        assert_eq!(answer.status(), 200);
        let seen = backend.record().last();
        let headers = seen.headers;
        let values = headers.get_all("x-client-identity").iter().count();
        assert_eq!(values, usize::from(known), "{headers:?}");
        let forged = headers.values().any(|value| value == "CN=root");
        assert!(!forged, "{headers:?}");
    }
    let bad = client_options(&Authority::new("Strangers"), "mallory");
    outcome(&gateway, &bad).await.expect_err("refused");
}

#[test]
fn failed_handshakes_are_counted_by_reason() {
    let backend = h2_backend();
    let gateway = setup(&backend)
        .listener("/tls/minimum_version", "1.3")
        .start();
    let Some(refused) = s_client::run(&gateway, &["-tls1_2"], b"") else {
        return;
    };
    assert!(!refused.connected(), "{}", refused.text);
    support::eventually("a counted failure", || {
        let metrics = gateway.metrics();
        let all = metrics.sum("gateway_tls_handshakes_total", &[]);
        let completed = metrics.sum("gateway_tls_handshakes_total", &[("outcome", "completed")]);
        (all > 0.0 && completed == 0.0).then_some(())
    });
    support::eventually("no handshake in progress", || {
        let metrics = gateway.metrics();
        let now = metrics.sum("gateway_tls_handshakes_in_progress", &[]);
        (now == 0.0).then_some(())
    });
}
