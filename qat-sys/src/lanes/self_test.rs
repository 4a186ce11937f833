//! Whether the library computes what it should, before it is trusted with handshakes.

use openssl::error::ErrorStack;
use openssl::rsa::Padding;

use super::key::Reference;
use super::{Derive, Generate, Kind, LANES, Library, Rsa, Scratch, Verified};

/// Why the library is not to be used.
#[derive(Debug, thiserror::Error)]
pub enum SelfTestError {
    #[error("{} in lane {lane} of libcrypto_mb gives a wrong result", kind.name())]
    Wrong { kind: Kind, lane: usize },
    #[error("libcrypto_mb does nothing of use on this CPU")]
    Nothing,
    #[error("OpenSSL fails the self-test's own part: {0}")]
    OpenSsl(#[from] ErrorStack),
}

/// Of RFC 7748: private key, peer's public key, secret; two of 5.2, and Bob's of 6.1.
const DERIVE: [[&str; 3]; 3] = [
    [
        "a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4",
        "e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c",
        "c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552",
    ],
    [
        "4b66e9d4d1b4673c5ad22691957d6af5c11b6421e0ea01d42ca4169e7918ba0d",
        "e5210f12786811d3f4b7959d0538ae2c31dbe7106fc03c3efc4cd549c715a493",
        "95cbde9476e8907d7aade45cb4b873f88b595a68799fa152e6f8f7647aac7957",
    ],
    [
        BOB,
        ALICE_PUBLIC,
        "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742",
    ],
];
const ALICE_PUBLIC: &str = "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a";
const BOB: &str = "5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb";
const BOB_PUBLIC: &str = "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f";

/// Runs all eight lanes of every kind that the library supports: X25519 by the vectors of
/// RFC 7748, RSA by verifying with the public key. Takes some ten milliseconds. To be
/// called off a job's stack.
pub fn self_test(library: &Library) -> Result<(), SelfTestError> {
    let supported = Kind::ALL.into_iter().filter(|kind| library.supports(*kind));
    let mut any = false;
    for kind in supported {
        any = true;
        match kind {
            Kind::X25519Generate => generate(library)?,
            Kind::X25519Derive => derive(library)?,
            _ => rsa(library, kind)?,
        }
    }
    if any {
        Ok(())
    } else {
        Err(SelfTestError::Nothing)
    }
}

fn check(kind: Kind, right: impl Fn(usize) -> bool) -> Result<(), SelfTestError> {
    match (0..LANES).find(|lane| !right(*lane)) {
        Some(lane) => Err(SelfTestError::Wrong { kind, lane }),
        None => Ok(()),
    }
}

fn generate(library: &Library) -> Result<(), SelfTestError> {
    let mut pairs = [(bytes(BOB), [0; 32]); LANES];
    let mut lanes = pairs
        .each_mut()
        .map(|(private, public)| Some(Generate { private, public }));
    let statuses = library.public(&mut lanes);
    let right = |lane: usize| statuses.is_ok(lane) && pairs[lane].1 == bytes(BOB_PUBLIC);
    check(Kind::X25519Generate, right)
}

fn derive(library: &Library) -> Result<(), SelfTestError> {
    let vectors = DERIVE.map(|vector| vector.map(bytes));
    for round in 0..vectors.len() {
        let vector = |lane: usize| &vectors[(lane + round) % vectors.len()];
        let mut secrets = [[0; 32]; LANES];
        let mut all = secrets.iter_mut().enumerate();
        let mut lanes: [_; LANES] = std::array::from_fn(|_| {
            let (lane, secret) = all.next()?;
            let [private, peer, _] = vector(lane);
            Some(Derive {
                private,
                peer,
                secret,
            })
        });
        let statuses = library.derive(&mut lanes);
        let right = |lane: usize| statuses.is_ok(lane) && secrets[lane] == vector(lane)[2];
        check(Kind::X25519Derive, right)?;
    }
    Ok(())
}

fn rsa(library: &Library, kind: Kind) -> Result<(), SelfTestError> {
    let reference = Reference::of(kind)?;
    let key = &reference.limbs;
    let mut inputs = Vec::with_capacity(LANES);
    for _ in 0..LANES {
        inputs.push(reference.input()?);
    }
    let mut outputs = vec![vec![0; key.size()]; LANES];
    let mut all = inputs.iter().zip(&mut outputs);
    let mut lanes: [_; LANES] = std::array::from_fn(|_| {
        let (input, output) = all.next()?;
        Some(Rsa { key, input, output })
    });
    let (statuses, told) = library.rsa(kind, &mut lanes, &mut Scratch::default());
    let mut verified = vec![vec![0; key.size()]; LANES];
    for (output, verified) in outputs.iter().zip(&mut verified) {
        // A result that is no number below the modulus stays unverified.
        let _ = reference
            .software
            .public_decrypt(output, verified, Padding::NONE);
    }
    check(kind, |lane| {
        let right = statuses.is_ok(lane) && told[lane] == Verified::Right;
        right && verified[lane] == inputs[lane]
    })
}

/// Zeros if `hex` is not 64 hexadecimal digits.
fn bytes(hex: &str) -> [u8; 32] {
    std::array::from_fn(|index| {
        let digits = hex.get(2 * index..2 * index + 2).unwrap_or_default();
        u8::from_str_radix(digits, 16).unwrap_or_default()
    })
}
