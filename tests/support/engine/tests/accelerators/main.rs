//! Backends asked in real async jobs, alone and by handshakes: the simulated one, an
//! ENGINE, and a provider.

mod engine;
mod handshakes;
mod job;
mod provider;
mod simulated;

use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use openssl::bn::BigNum;
use openssl::derive::Deriver;
use openssl::ec::{EcGroup, EcKey};
use openssl::nid::Nid;
use openssl::pkey::{Id, PKey, Private};
use openssl::rsa::{Padding, Rsa};
use qat_sys::offload::{Backend, EcdsaKey, Outcome, RsaKey, X25519Key};

/// Always the same: making one takes long.
fn generated() -> &'static Rsa<Private> {
    static RSA: OnceLock<Rsa<Private>> = OnceLock::new();
    RSA.get_or_init(|| Rsa::generate(2048).unwrap())
}

/// A key of 2048 bits, with nothing attached to it.
fn rsa() -> RsaKey {
    RsaKey::of(generated()).unwrap()
}

const CURVES: [Nid; 2] = [Nid::X9_62_PRIME256V1, Nid::SECP384R1];

fn ec_key(curve: Nid) -> PKey<Private> {
    let group = EcGroup::from_curve_name(curve).unwrap();
    PKey::from_ec_key(EcKey::generate(&group).unwrap()).unwrap()
}

fn ecdsa(curve: Nid) -> EcdsaKey {
    EcdsaKey::of(ec_key(curve)).unwrap().unwrap()
}

/// One key of each kind that signs.
struct Keys {
    rsa: RsaKey,
    ec: [EcdsaKey; 2],
}

fn keys() -> Keys {
    Keys {
        rsa: rsa(),
        ec: CURVES.map(ecdsa),
    }
}

/// As [`sign`], with each.
fn signs(backend: &dyn Backend, keys: &Keys) -> [(Outcome, bool); 3] {
    let [p256, p384] = &keys.ec;
    [
        sign(backend, &keys.rsa),
        sign_ec(backend, p256),
        sign_ec(backend, p384),
    ]
}

/// Taken by who counts the handshakes that are dropped unfinished, or drops one.
fn leaks() -> MutexGuard<'static, ()> {
    static LEAKS: Mutex<()> = Mutex::new(());
    LEAKS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The outcome of a raw operation, and whether the public key takes it back.
fn sign(backend: &dyn Backend, key: &RsaKey) -> (Outcome, bool) {
    let input = vec![0x5a; 256];
    let mut output = vec![0; 256];
    let outcome = backend.rsa_private(key, &input, &mut output);
    let copy = |number: &BigNum| (**number).to_owned().unwrap();
    let public = Rsa::from_public_components(copy(&key.n), copy(&key.e)).unwrap();
    let mut back = vec![0; 256];
    let taken = public.public_decrypt(&output, &mut back, Padding::NONE);
    (outcome, taken.is_ok() && back == input)
}

/// The outcome of an ECDSA signature, and whether the public key verifies it.
fn sign_ec(backend: &dyn Backend, key: &EcdsaKey) -> (Outcome, bool) {
    let (hash, mut signature) = ([0x5a; 32], Vec::new());
    let outcome = backend.ecdsa_sign(key, &hash, &mut signature);
    (outcome, key.software.verifies(&hash, &signature))
}

/// Both outcomes of a key exchange, and whether the peer gets the same secret.
fn exchange(backend: &dyn Backend) -> (Outcome, Outcome, bool) {
    let mut key = X25519Key::default();
    let generated = backend.x25519_generate(&mut key);
    let peer = PKey::generate_x25519().unwrap();
    let half = peer.raw_public_key().unwrap().try_into().unwrap();
    let mut secret = [0; 32];
    let derived = backend.x25519_derive(&key, &half, &mut secret);
    let own = PKey::public_key_from_raw_bytes(&key.public, Id::X25519).unwrap();
    let mut deriver = Deriver::new(&peer).unwrap();
    let same = deriver.set_peer(&own).is_ok()
        && deriver.derive_to_vec().is_ok_and(|theirs| theirs == secret);
    (generated, derived, same)
}
