//! Parameters that OpenSSL refuses, by field.

use super::support::*;
use crate::tls::*;

fn field(change: impl FnOnce(&mut TlsParams)) -> TlsField {
    let mut params = plain_params();
    check(&params).unwrap();
    change(&mut params);
    let error = check(&params).unwrap_err();
    assert!(error.to_string().starts_with(error.field.key()), "{error}");
    assert!(!error.reason.is_empty());
    error.field
}

#[test]
fn each_bad_field_is_named() {
    use TlsField::{CipherList, CipherSuites, Group, MinimumVersion, PrivateKey};
    let bad = || Some("NO-SUCH-THING".to_owned());
    assert_eq!(field(|p| p.cipher_list = bad()), CipherList);
    assert_eq!(field(|p| p.cipher_suites = bad()), CipherSuites);
    assert_eq!(
        field(|p| p.groups = vec!["X25519".to_owned(), "P-257".to_owned()]),
        Group(1)
    );
    assert_eq!(field(|p| p.certificates.clear()), TlsField::Certificate(0));
    let nobody = || ClientCa {
        roots: Vec::new(),
        depth: 1,
    };
    assert_eq!(
        field(|p| p.client_auth = ClientAuth::Required(nobody())),
        TlsField::ClientAuth
    );
    let turned = |p: &mut TlsParams| {
        p.minimum_version = TlsVersion::Tls13;
        p.maximum_version = TlsVersion::Tls12;
    };
    assert_eq!(field(turned), MinimumVersion);
    let other = Ca::new("CA").issue(Kind::Ec, &["b.test"]);
    let mixed = Certificate {
        leaf: other.leaf,
        ..plain_params().certificates[0].clone()
    };
    assert_eq!(field(|p| p.certificates.push(mixed)), PrivateKey(1));
}

#[test]
fn good_fields_pass() {
    let mut params = plain_params();
    params.cipher_list = Some("ECDHE+AESGCM:!aNULL".to_owned());
    params.cipher_suites = Some("TLS_AES_128_GCM_SHA256".to_owned());
    params.groups = Vec::new();
    check(&params).unwrap();
    // Whatever OpenSSL has.
    params.groups = vec!["X25519MLKEM768".to_owned()];
    check(&params).unwrap();
}

#[test]
fn groups_are_known_by_name() {
    assert!(supported_group("X25519"));
    assert!(supported_group("P-256"));
    for bad in [
        "",
        "X25519:P-256",
        "nonesuch",
        "?X25519",
        "*X25519",
        "DEFAULT:",
    ] {
        assert!(!supported_group(bad), "{bad}");
    }
}

#[test]
fn ticket_keys_are_fresh_and_do_not_show() {
    let [one, two] = [0, 1].map(|_| TicketKeys::generate().unwrap());
    assert!(one.as_slice() != two.as_slice());
    assert_eq!(format!("{one:?}"), "TicketKeys(..)");
}
