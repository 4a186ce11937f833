//! In a process of its own: the allocator is chosen before OpenSSL's first use.

use openssl::hash::MessageDigest;
use openssl::pkey::PKey;
use openssl::rsa::Rsa;
use openssl::sign::{Signer, Verifier};

#[test]
fn openssl_works_on_another_allocator() {
    assert!(qat_sys::allocator::use_mimalloc());
    let key = PKey::from_rsa(Rsa::generate(2048).unwrap()).unwrap();
    for length in [0, 1, 100_000] {
        let message = vec![7; length];
        let mut signer = Signer::new(MessageDigest::sha256(), &key).unwrap();
        let signature = signer.sign_oneshot_to_vec(&message).unwrap();
        let mut verifier = Verifier::new(MessageDigest::sha256(), &key).unwrap();
        assert!(verifier.verify_oneshot(&signature, &message).unwrap());
    }
    // PEM goes through BIOs, which grow by realloc.
    let pem = key.private_key_to_pem_pkcs8().unwrap();
    assert!(PKey::private_key_from_pem(&pem).unwrap().public_eq(&key));
    // Nothing else, so that a second call is harmless.
    assert!(qat_sys::allocator::use_mimalloc());
}
