//! What comes out of the provider is what OpenSSL's own gives, or takes as right.

use openssl::derive::Deriver;
use openssl::hash::MessageDigest;
use openssl::pkey::{Id, PKey};
use openssl::rsa::Padding;
use openssl::sign::{RsaPssSaltlen, Signer, Verifier};
use qat_sys::offload::{Algorithm, Path};

use crate::evp::{derive, in_job, sign, x25519_generate};
use crate::support::*;

#[test]
fn x25519_agrees() {
    let offload = offload(Behaviour::Right);
    let agree = || {
        for _ in 0..200 {
            let own = x25519_generate(offload.library());
            let peer = PKey::generate_x25519().unwrap();
            let secret = derive(offload.library(), &own, &peer).unwrap();
            let public = own.raw_public_key().unwrap();
            let public = PKey::public_key_from_raw_bytes(&public, Id::X25519).unwrap();
            let mut deriver = Deriver::new(&peer).unwrap();
            deriver.set_peer(&public).unwrap();
            assert_eq!(secret, deriver.derive_to_vec().unwrap());
            let private = own.raw_private_key().unwrap();
            let again = PKey::private_key_from_raw_bytes(&private, Id::X25519).unwrap();
            assert!(again.public_eq(&public));
        }
    };
    agree();
    in_job(agree);
    let count = |path| offload.counters().get(Algorithm::X25519, path);
    assert_eq!(Path::ALL.map(count), [400, 400, 0]);
}

/// All points whose order divides 8, and other ways to write them (RFC 7748, 6.1).
#[test]
fn secrets_of_zeros_are_refused() {
    let hex = |text: &str| -> Vec<u8> {
        let digit = |at: usize| u8::from_str_radix(&text[at..at + 2], 16).unwrap();
        (0..32).map(|i| digit(2 * i)).collect()
    };
    let f = "f".repeat(60);
    let points = [
        "0".repeat(64),
        format!("01{}", "0".repeat(62)),
        "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800".to_owned(),
        "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157".to_owned(),
        format!("ec{f}7f"),
        format!("ed{f}7f"),
        format!("ee{f}7f"),
    ];
    for behaviour in [Behaviour::Right, Behaviour::Failing, Behaviour::Declining] {
        let offload = offload(behaviour);
        let refused = || {
            for point in &points {
                let peer = PKey::public_key_from_raw_bytes(&hex(point), Id::X25519).unwrap();
                let own = x25519_generate(offload.library());
                assert_eq!(derive(offload.library(), &own, &peer), None, "{point}");
            }
        };
        refused();
        in_job(refused);
    }
}

#[test]
fn rsa_agrees() {
    let digests = [
        ("SHA1", MessageDigest::sha1()),
        ("SHA224", MessageDigest::sha224()),
        ("SHA2-256", MessageDigest::sha256()),
        ("SHA384", MessageDigest::sha384()),
        ("SHA512", MessageDigest::sha512()),
        ("SHA3-256", MessageDigest::sha3_256()),
    ];
    let offload = offload(Behaviour::Right);
    for bits in [1536, 2048, 2049, 3072] {
        let plain = key(Kind::Rsa(bits));
        let own = offload
            .private_key(&plain.private_key_to_pkcs8().unwrap())
            .unwrap();
        in_job(|| {
            for (round, (name, digest)) in digests.iter().cycle().take(24).enumerate() {
                let mut message = vec![0; 5 * round];
                openssl::rand::rand_bytes(&mut message).unwrap();
                let signed = |options: &[(&str, &str)]| {
                    let whole = round % 2 == 0;
                    sign(offload.library(), &own, name, options, &message, whole).unwrap()
                };
                let mut signer = Signer::new(*digest, &plain).unwrap();
                let expected = signer.sign_oneshot_to_vec(&message).unwrap();
                assert_eq!(signed(&[]), expected);
                for salt in ["digest", "auto", "max", "20", "0"] {
                    let mgf1 = if round % 3 == 0 { "SHA256" } else { name };
                    let signature = signed(&[
                        ("rsa_padding_mode", "pss"),
                        ("rsa_pss_saltlen", salt),
                        ("rsa_mgf1_md", mgf1),
                    ]);
                    let mut verifier = Verifier::new(*digest, &plain).unwrap();
                    verifier.set_rsa_padding(Padding::PKCS1_PSS).unwrap();
                    let length = match salt {
                        "digest" => RsaPssSaltlen::DIGEST_LENGTH,
                        "20" => RsaPssSaltlen::custom(20),
                        "0" => RsaPssSaltlen::custom(0),
                        _ => RsaPssSaltlen::custom(-2),
                    };
                    verifier.set_rsa_pss_saltlen(length).unwrap();
                    let mgf1 = if round % 3 == 0 {
                        MessageDigest::sha256()
                    } else {
                        *digest
                    };
                    verifier.set_rsa_mgf1_md(mgf1).unwrap();
                    assert!(verifier.verify_oneshot(&signature, &message).unwrap());
                }
            }
        });
    }
    let count = |path| offload.counters().get(Algorithm::Rsa, path);
    assert_eq!(Path::ALL.map(count), [4 * 24 * 6, 0, 0]);
}
