//! ECDSA in software agrees with OpenSSL's.

use openssl::ec::{EcGroup, EcKey};
use openssl::ecdsa::EcdsaSig;
use openssl::nid::Nid;
use openssl::pkey::Private;
use qat_sys::ecdsa::Key;

fn key(curve: Nid) -> EcKey<Private> {
    EcKey::generate(&EcGroup::from_curve_name(curve).unwrap()).unwrap()
}

#[test]
fn each_verifies_what_the_other_signs() {
    for curve in [Nid::X9_62_PRIME256V1, Nid::SECP384R1] {
        for length in [20, 32, 48, 64] {
            let plain = key(curve);
            let ours = Key::of(&plain).unwrap().unwrap();
            let mut hash = vec![0; length];
            openssl::rand::rand_bytes(&mut hash).unwrap();
            let mut signature = vec![0; ours.size()];
            let made = ours.sign(&hash, &mut signature).unwrap();
            let theirs = EcdsaSig::from_der(&signature[..made]).unwrap();
            assert!(theirs.verify(&hash, &plain).unwrap());

            let theirs = EcdsaSig::sign(&hash, &plain).unwrap().to_der().unwrap();
            assert!(ours.verifies(&hash, &theirs));
            hash[0] ^= 1;
            assert!(!ours.verifies(&hash, &theirs));
        }
    }
}

#[test]
fn what_is_no_signature_does_not_verify() {
    let ours = Key::of(&key(Nid::SECP384R1)).unwrap().unwrap();
    let hash = [7; 48];
    let mut signature = vec![0; ours.size()];
    let made = ours.sign(&hash, &mut signature).unwrap();
    signature.truncate(made);
    assert!(ours.verifies(&hash, &signature));
    for at in 0..made {
        let mut wrong = signature.clone();
        wrong[at] ^= 1;
        assert!(!ours.verifies(&hash, &wrong), "byte {at}");
        assert!(!ours.verifies(&hash, &signature[..at]), "{at} bytes");
    }
    assert!(!ours.verifies(&hash, &[&signature[..], &[0]].concat()));
}

#[test]
fn without_room_and_for_other_curves_there_is_none() {
    let ours = Key::of(&key(Nid::X9_62_PRIME256V1)).unwrap().unwrap();
    assert_eq!(ours.sign(&[7; 32], &mut vec![0; ours.size() - 1]), None);
    for curve in [Nid::SECP521R1, Nid::SECP256K1, Nid::SECP224R1] {
        assert!(Key::of(&key(curve)).unwrap().is_none(), "{curve:?}");
    }
}
