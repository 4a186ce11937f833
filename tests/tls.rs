//! Versions, ciphers, certificates, resumption, client certificates.

use openssl::ssl::SslVersion;
use serde_json::json;
use support::Gateway;
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

/// The common name of the certificate a client is served, and whether its key is RSA.
pub(crate) async fn served(gateway: &Gateway, options: &Options) -> (String, bool) {
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

/// `openssl rand`, with a name that is the number.
fn ticket_key(folder: &std::path::Path, number: u8) -> String {
    let mut key = [number; 80];
    openssl::rand::rand_bytes(&mut key[16..]).expect("random");
    let file = folder.join(format!("ticket-{number}.key"));
    std::fs::write(&file, key).expect("written");
    file.display().to_string()
}

/// Whether a session is resumed that another handshake may have begun, which goes to `file`.
fn resumes(gateway: &Gateway, version: &str, file: &std::path::Path) -> Option<bool> {
    // A request makes s_client read, and with that take the ticket.
    let request = b"GET /plain HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    let file_name = file.display().to_string();
    let mut arguments = vec![version, "-ign_eof", "-sess_out", &file_name];
    if file.exists() {
        arguments.extend(["-sess_in", &file_name]);
    }
    let output = s_client::run(gateway, &arguments, request)?;
    assert!(output.text.contains("HTTP/1.1 200"), "{}", output.text);
    let reused = output.text.contains("Reused, ");
    assert!(reused || output.text.contains("New, "), "{}", output.text);
    Some(reused)
}

#[test]
fn replicas_with_the_same_ticket_keys_resume_each_others_sessions() {
    let backend = h2_backend();
    let keys = tempfile::tempdir().expect("a folder");
    let [first, second, third] = [1, 2, 3].map(|number| ticket_key(keys.path(), number));
    let start = |keys: &[&String]| {
        let setup = setup(&backend);
        setup
            .listener("/tls/session_tickets", json!({ "keys": keys }))
            .start()
    };
    let one = start(&[&first]);
    let both = start(&[&second, &first]);
    let other = start(&[&third, &second]);
    for version in ["-tls1_2", "-tls1_3"] {
        let file = keys.path().join(format!("session{version}"));
        // Sealed by the first key, opened and sealed anew by another, which a third gateway
        // has as its older one.
        for (gateway, resumed) in [
            (&one, false),
            (&one, true),
            (&both, true),
            (&both, true),
            // s_client does not keep what renews a ticket of TLS 1.2.
            (&other, version == "-tls1_3"),
            (&one, false),
            (&other, false),
        ] {
            let Some(found) = resumes(gateway, version, &file) else {
                return;
            };
            let all = [&one, &both, &other].map(Gateway::port);
            assert_eq!(found, resumed, "{version}: {} of {all:?}", gateway.port());
        }
    }
}

#[test]
fn ticket_keys_are_rotated_by_a_reload() {
    let backend = h2_backend();
    let setup = setup(&backend);
    let [old, new] = [1, 2].map(|number| ticket_key(setup.folder(), number));
    let gateway = setup
        .listener("/tls/session_tickets", json!({ "keys": [old] }))
        .start();
    let file = gateway.folder().join("session");
    for (keys, resumed) in [
        (json!([old]), false),
        (json!([new, old]), true),
        (json!([new]), true),
        (json!([old]), false),
    ] {
        gateway.set("/listeners/0/tls/session_tickets/keys", keys.clone());
        gateway.reload("applied");
        let Some(found) = resumes(&gateway, "-tls1_3", &file) else {
            return;
        };
        assert_eq!(found, resumed, "{keys}");
    }
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
            let _ = std::fs::remove_file(&file);
            for again in [false, true] {
                let Some(found) = resumes(&gateway, version, &file) else {
                    return;
                };
                assert_eq!(found, again && resumed, "{version}");
            }
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
