//! Certificates and keys: what is loaded, and what is said about those that are wrong.

use std::path::Path;

use openssl::symm::Cipher;
use serde_json::{Value, json};

use super::certs::{self, Made, Wanted, make};
use super::{base, load_in, said, set};

/// A listener with these certificate files.
fn config(pairs: &[(&str, &str)]) -> String {
    let mut config = base();
    let certificates: Vec<Value> = pairs
        .iter()
        .map(|(chain, key)| json!({ "certificate_chain": chain, "private_key": key }))
        .collect();
    set(
        &mut config,
        "listeners[0].tls.certificates",
        json!(certificates),
    );
    config.to_string()
}

fn folder_with(made: &Made) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    made.write(dir.path(), "a");
    dir
}

fn assert_said_once(dir: &Path, pairs: &[(&str, &str)], words: &str) {
    let said = said(dir, &config(pairs));
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(said[0].contains(words), "{words} is not in {}", said[0]);
}

#[test]
fn a_chain_is_split_and_rsa_and_ecdsa_stand_side_by_side() {
    let dir = tempfile::tempdir().unwrap();
    let ca = make(Wanted {
        names: &["ca"],
        ..Wanted::default()
    });
    let leaf = make(Wanted {
        issuer: Some(&ca),
        ..Wanted::default()
    });
    leaf.write(dir.path(), "ec");
    let mut chain = leaf.cert.to_pem().unwrap();
    chain.extend(ca.cert.to_pem().unwrap());
    std::fs::write(dir.path().join("ec.pem"), chain).unwrap();
    let rsa = make(Wanted {
        key: certs::rsa_key(2048),
        ..Wanted::default()
    });
    rsa.write(dir.path(), "rsa");
    let text = config(&[("ec.pem", "ec.key"), ("rsa.pem", "rsa.key")]);
    let loaded = load_in(dir.path(), &text).unwrap();
    assert_eq!(loaded.warnings, []);
    let tls = loaded.params.listeners[0].tls.clone().unwrap();
    assert_eq!(tls.certificates[0].leaf, leaf.cert);
    assert_eq!(tls.certificates[0].intermediates, [ca.cert]);
    assert!(tls.certificates[1].key.public_eq(&rsa.key));
    assert_eq!(
        tls.certificates[1].names,
        ["edge.example.com", "*.example.com"]
    );
}

#[test]
fn a_key_of_another_certificate_is_named() {
    let dir = folder_with(&make(Wanted::default()));
    make(Wanted::default()).write(dir.path(), "b");
    assert_said_once(
        dir.path(),
        &[("a.pem", "b.key")],
        "\"b.key\" is not the key of the certificate \"edge.example.com\" in certificate_chain",
    );
    // The server's certificate belongs first.
    let ca = make(Wanted {
        names: &["ca"],
        ..Wanted::default()
    });
    let leaf = make(Wanted {
        issuer: Some(&ca),
        ..Wanted::default()
    });
    leaf.write(dir.path(), "c");
    let mut chain = ca.cert.to_pem().unwrap();
    chain.extend(leaf.cert.to_pem().unwrap());
    std::fs::write(dir.path().join("c.pem"), chain).unwrap();
    let said = said(dir.path(), &config(&[("c.pem", "c.key")]));
    assert!(
        said.iter()
            .any(|s| s.contains("put the server's certificate first")),
        "{said:?}"
    );
    assert!(
        said.iter()
            .any(|s| s.contains("warning:") && s.contains("is out of order")),
        "{said:?}"
    );
}

#[test]
fn an_encrypted_key_is_refused_without_asking_for_its_passphrase() {
    let made = make(Wanted::default());
    let dir = folder_with(&made);
    let pem = made
        .key
        .private_key_to_pem_pkcs8_passphrase(Cipher::aes_128_cbc(), b"secret")
        .unwrap();
    std::fs::write(dir.path().join("a.key"), pem).unwrap();
    assert_said_once(
        dir.path(),
        &[("a.pem", "a.key")],
        "has an encrypted key; decrypt it: openssl pkey -in a.key",
    );
}

#[test]
fn files_without_what_they_should_have_are_told_apart() {
    let made = make(Wanted::default());
    let dir = folder_with(&made);
    std::fs::write(dir.path().join("empty"), "").unwrap();
    let broken = |pem: &[u8]| String::from_utf8_lossy(pem).replace("MI", "!!");
    let cert = broken(&made.cert.to_pem().unwrap());
    std::fs::write(dir.path().join("broken.pem"), cert).unwrap();
    std::fs::write(dir.path().join("broken.key"), broken(&made.key_pem())).unwrap();
    for (chain, key, words) in [
        ("empty", "a.key", "has no certificate"),
        ("a.key", "a.key", "has a private key, but no certificate"),
        ("broken.pem", "a.key", "has a broken certificate ("),
        ("a.pem", "empty", "has no private key"),
        ("a.pem", "a.pem", "has a certificate, but no private key"),
        ("a.pem", "broken.key", "has a broken private key ("),
    ] {
        assert_said_once(dir.path(), &[(chain, key)], words);
    }
}

#[test]
fn expired_and_future_certificates_are_warned_of() {
    for (validity, words) in [
        (
            (1_000_000_000, 1_100_000_000),
            "has expired: \"edge.example.com\", on Nov  9 11:33:20 2004 GMT",
        ),
        (
            (3_000_000_000, 3_100_000_000),
            "is not valid yet: \"edge.example.com\", from Jan 24 05:20:00 2065 GMT",
        ),
    ] {
        let dir = folder_with(&make(Wanted {
            validity,
            ..Wanted::default()
        }));
        assert!(load_in(dir.path(), &config(&[("a.pem", "a.key")])).is_ok());
        assert_said_once(dir.path(), &[("a.pem", "a.key")], words);
    }
}

#[test]
fn a_key_too_small_for_openssl_is_refused() {
    let dir = folder_with(&make(Wanted {
        key: certs::rsa_key(512),
        ..Wanted::default()
    }));
    assert_said_once(
        dir.path(),
        &[("a.pem", "a.key")],
        "is refused by OpenSSL: ee key too small",
    );
}

#[test]
fn certificates_no_client_will_see_are_warned_of() {
    let dir = folder_with(&make(Wanted::default()));
    make(Wanted::default()).write(dir.path(), "b");
    make(Wanted {
        names: &[],
        ..Wanted::default()
    })
    .write(dir.path(), "nameless");
    let first = ("a.pem", "a.key");
    assert_said_once(
        dir.path(),
        &[first, ("b.pem", "b.key")],
        "is a second certificate of its key type",
    );
    assert_said_once(
        dir.path(),
        &[first, ("nameless.pem", "nameless.key")],
        "has no DNS name",
    );
}

#[test]
fn a_file_that_may_not_be_read_says_so() {
    use std::os::unix::fs::PermissionsExt;
    let dir = folder_with(&make(Wanted::default()));
    let key = dir.path().join("a.key");
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o000)).unwrap();
    // root may read anything.
    if std::fs::read(&key).is_err() {
        assert_said_once(
            dir.path(),
            &[("a.pem", "a.key")],
            "let the gateway's user read it",
        );
    }
}

#[test]
fn client_certificates_need_their_authorities() {
    let dir = folder_with(&make(Wanted::default()));
    let with = |value: Value| {
        let mut config: Value = serde_json::from_str(&config(&[("a.pem", "a.key")])).unwrap();
        set(&mut config, "listeners[0].tls.client_certificates", value);
        said(dir.path(), &config.to_string())
    };
    assert!(with(json!({ "mode": "required" }))[0].contains("add ca_file"));
    assert!(with(json!({ "ca_file": "a.pem" }))[0].contains("has no effect: mode is off"));
    assert_eq!(
        with(json!({ "mode": "optional", "ca_file": "a.pem" })),
        [""; 0]
    );
}
