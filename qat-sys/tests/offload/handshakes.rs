//! Handshakes with OpenSSL's own client.

use std::ffi::{c_char, c_void};
use std::sync::Arc;

use crate::support::*;
use foreign_types::ForeignTypeRef;
use openssl::ssl::SslVersion;
use qat_sys::Completion;
use qat_sys::offload::{Algorithm, Offload, Path};

const VERSIONS: [SslVersion; 2] = [SslVersion::TLS1_2, SslVersion::TLS1_3];

fn counted(offload: &Offload, algorithm: Algorithm) -> [u64; 3] {
    Path::ALL.map(|path| offload.counters().get(algorithm, path))
}

#[test]
fn handshakes_are_accelerated() {
    for kind in [
        Kind::Rsa(2048),
        Kind::Rsa(3072),
        Kind::Rsa(4096),
        Kind::Ecdsa,
        Kind::P384,
    ] {
        let offload = offload(Behaviour::Right);
        let context = server(&offload, kind);
        for version in VERSIONS {
            handshake(&context, version, None).unwrap();
        }
        let rsa = if matches!(kind, Kind::Rsa(_)) { 2 } else { 0 };
        assert_eq!(counted(&offload, Algorithm::Rsa), [rsa, 0, 0], "{kind:?}");
        let ecdsa = [2 - rsa, 0, 0];
        assert_eq!(counted(&offload, Algorithm::Ecdsa), ecdsa, "{kind:?}");
        assert_eq!(counted(&offload, Algorithm::X25519), [4, 0, 0], "{kind:?}");
    }
}

#[test]
fn every_signature_scheme_of_tls_works() {
    let offload = offload(Behaviour::Right);
    let context = server(&offload, Kind::Rsa(2048));
    let pss = ["RSA-PSS+SHA256", "RSA-PSS+SHA384", "RSA-PSS+SHA512"];
    let pkcs1 = [
        "RSA+SHA1",
        "RSA+SHA224",
        "RSA+SHA256",
        "RSA+SHA384",
        "RSA+SHA512",
    ];
    for version in VERSIONS {
        for scheme in pss {
            handshake(&context, version, Some(scheme)).unwrap();
        }
    }
    for scheme in pkcs1 {
        handshake(&context, SslVersion::TLS1_2, Some(scheme)).unwrap();
    }
    assert_eq!(counted(&offload, Algorithm::Rsa), [11, 0, 0]);
}

#[test]
fn no_handshake_fails_with_a_bad_backend() {
    for (behaviour, signed, x25519) in [
        (Behaviour::Failing, [0, 0, 2], [0, 0, 4]),
        (Behaviour::Panicking, [0, 0, 2], [0, 0, 4]),
        (Behaviour::Declining, [0, 2, 0], [0, 4, 0]),
        // Of X25519 it only lies where that can be seen: with zeros.
        (Behaviour::Lying, [0, 0, 2], [2, 0, 2]),
    ] {
        for (algorithm, kind) in [
            (Algorithm::Rsa, Kind::Rsa(2048)),
            (Algorithm::Ecdsa, Kind::Ecdsa),
            (Algorithm::Ecdsa, Kind::P384),
        ] {
            let offload = offload(behaviour);
            let context = server(&offload, kind);
            for version in VERSIONS {
                handshake(&context, version, None).unwrap();
            }
            let told = format!("{behaviour:?} {kind:?}");
            assert_eq!(counted(&offload, algorithm), signed, "{told}");
            assert_eq!(counted(&offload, Algorithm::X25519), x25519, "{told}");
        }
    }
}

/// Else OpenSSL's own signatures would do as well, and nobody would notice.
#[test]
fn ec_keys_can_be_taken_over() {
    unsafe extern "C" {
        // EVP_KEYMGMT-fetch(3)
        fn EVP_KEYMGMT_fetch(
            context: *mut openssl_sys::OSSL_LIB_CTX,
            name: *const c_char,
            properties: *const c_char,
        ) -> *mut c_void;
        fn EVP_KEYMGMT_free(manager: *mut c_void);
    }
    let offload = Offload::software().unwrap();
    let context = offload.library().as_ptr();
    let properties = c"provider=offload-signing".as_ptr();
    // SAFETY: a living context and two texts; freed once.
    unsafe {
        let manager = EVP_KEYMGMT_fetch(context, c"EC".as_ptr(), properties);
        assert!(!manager.is_null());
        EVP_KEYMGMT_free(manager);
    }
}

#[test]
fn every_hash_and_curve_of_ecdsa_works() {
    // OpenSSL alone signs with P-521; the software's context counts nothing.
    for (offload, expected) in [
        (Offload::software().unwrap(), [0, 0, 0]),
        (offload(Behaviour::Right), [10, 4, 0]),
    ] {
        for kind in [Kind::Ecdsa, Kind::P384, Kind::P521] {
            let context = server(&offload, kind);
            for version in VERSIONS {
                handshake_with(&context, Client::new(version), None).unwrap();
            }
            for hash in ["SHA1", "SHA224", "SHA256", "SHA384", "SHA512"] {
                let scheme: &'static str = format!("ECDSA+{hash}").leak();
                handshake(&context, SslVersion::TLS1_2, Some(scheme)).unwrap();
            }
        }
        assert_eq!(counted(&offload, Algorithm::Ecdsa), expected);
    }
}

#[test]
fn outside_a_job_it_is_software() {
    let offload = offload(Behaviour::Right);
    let context = server(&offload, Kind::Rsa(2048));
    for version in VERSIONS {
        handshake_with(&context, Client::new(version), None).unwrap();
    }
    assert_eq!(counted(&offload, Algorithm::Rsa), [0, 2, 0]);
    assert_eq!(counted(&offload, Algorithm::X25519), [0, 4, 0]);
}

#[test]
fn what_is_not_asked_for_stays_openssls() {
    for (algorithm, rsa, x25519) in [(Algorithm::Rsa, 2, 0), (Algorithm::X25519, 0, 4)] {
        let backend = Threaded {
            behaviour: Behaviour::Right,
        };
        let offload = Offload::new(Arc::new(backend), &[algorithm]).unwrap();
        let context = server(&offload, Kind::Rsa(2048));
        for version in VERSIONS {
            handshake(&context, version, None).unwrap();
        }
        assert_eq!(counted(&offload, Algorithm::Rsa), [rsa, 0, 0]);
        assert_eq!(counted(&offload, Algorithm::X25519), [x25519, 0, 0]);
    }
}

/// The key exchange by RSA is OpenSSL's: it is no signature.
#[test]
fn a_key_can_decrypt() {
    let offload = offload(Behaviour::Right);
    let context = server(&offload, Kind::Rsa(2048));
    let ciphers = Some("AES128-GCM-SHA256");
    let client = Client {
        ciphers,
        ..Client::new(SslVersion::TLS1_2)
    };
    handshake_with(&context, client, Some(Completion::Callback)).unwrap();
    assert_eq!(counted(&offload, Algorithm::Rsa), [0, 0, 0]);
}

#[test]
fn the_x25519_in_a_hybrid_group_is_accelerated() {
    if openssl::version::number() < 0x3050_0000 {
        println!("SKIPPED: this OpenSSL's client has no X25519MLKEM768");
        return;
    }
    let offload = offload(Behaviour::Right);
    let context = server(&offload, Kind::Ecdsa);
    let groups = "X25519MLKEM768";
    let client = Client {
        groups,
        ..Client::new(SslVersion::TLS1_3)
    };
    handshake_with(&context, client, Some(Completion::Callback)).unwrap();
    assert_eq!(counted(&offload, Algorithm::X25519), [2, 0, 0]);
}

#[test]
fn keys_and_certificates_outlive_the_offload() {
    let plain = key(Kind::Rsa(2048));
    let offload = offload(Behaviour::Right);
    let own = offload
        .private_key(&plain.private_key_to_pkcs8().unwrap())
        .unwrap();
    let leaf = offload
        .certificate(&certificate(&plain).to_der().unwrap())
        .unwrap();
    drop(offload);
    let copy = leaf.clone();
    drop(leaf);
    assert!(own.public_eq(&plain));
    assert!(copy.verify(&own).unwrap());
}

#[test]
fn what_is_no_key_or_certificate_is_refused() {
    let offload = offload(Behaviour::Right);
    assert!(offload.private_key(b"no key").is_err());
    assert!(offload.certificate(b"no certificate").is_err());
}

#[test]
fn contexts_outlive_the_offload() {
    let offload = offload(Behaviour::Right);
    let context = server(&offload, Kind::Rsa(2048));
    let counters = offload.counters().clone();
    drop(offload);
    handshake(&context, SslVersion::TLS1_3, None).unwrap();
    drop(context);
    assert_eq!(counters.get(Algorithm::Rsa, Path::Accelerated), 1);
}

#[test]
fn clients_can_have_certificates() {
    let offload = offload(Behaviour::Right);
    let context = server_asking_for_certificates(&offload);
    for version in VERSIONS {
        for key in [Kind::Rsa(2048), Kind::Ecdsa, Kind::P384] {
            let client = Client {
                key,
                ..Client::new(version)
            };
            handshake_with(&context, client, Some(Completion::Callback)).unwrap();
        }
    }
}
