//! The server's secrets, by AWS-LC, are those of OpenSSL's client. That a handshake ends well
//! proves the ones it uses itself; exporters have any label, context and length.

use openssl::ssl::{SslRef, SslVersion};
use qat_sys::offload::Offload;

use crate::support::*;

/// `SSL_export_keying_material(3)`.
fn exported(ssl: &SslRef) -> Vec<Vec<u8>> {
    let long = "a label of some length, longer than those that TLS itself has";
    let contexts = [None, Some(&b""[..]), Some(&[7; 300])];
    let mut all = Vec::new();
    for label in ["x", long] {
        for context in contexts {
            for length in [1, 32, 48, 100, 1000] {
                let mut out = vec![0; length];
                ssl.export_keying_material(&mut out, label, context)
                    .unwrap();
                all.push(out);
            }
        }
    }
    all
}

fn agrees(client: Client) {
    let offload = Offload::software().unwrap();
    let context = server(&offload, Kind::Ecdsa);
    let (ours, theirs) = both_ends(&context, client, None, exported).unwrap();
    assert_eq!(ours, theirs);
    assert_ne!(ours[1], vec![0; 32]);
}

#[test]
fn every_suite_of_tls_1_3() {
    for suite in [
        "TLS_AES_128_GCM_SHA256",
        "TLS_AES_256_GCM_SHA384",
        "TLS_CHACHA20_POLY1305_SHA256",
    ] {
        agrees(Client {
            suites: Some(suite),
            ..Client::new(SslVersion::TLS1_3)
        });
    }
}

#[test]
fn every_hash_of_tls_1_2() {
    for cipher in [
        "ECDHE-ECDSA-AES128-GCM-SHA256",
        "ECDHE-ECDSA-AES256-GCM-SHA384",
        "ECDHE-ECDSA-AES128-SHA",
    ] {
        agrees(Client {
            ciphers: Some(cipher),
            ..Client::new(SslVersion::TLS1_2)
        });
    }
}
