//! RSA keys in the library's form: the numbers of the Chinese remainder theorem as
//! 64-bit limbs, the lowest first.

use openssl::bn::{BigNum, BigNumContext, BigNumRef};
use openssl::error::ErrorStack;
use openssl::pkey::Private;
use openssl::rand;
use openssl::rsa::Rsa;
use zeroize::Zeroizing;

use super::Kind;
use crate::offload::RsaKey;

/// One key's numbers, wiped when dropped.
pub struct Limbs {
    kind: Kind,
    /// Big-endian.
    modulus: Vec<u8>,
    modulus_limbs: Vec<u64>,
    /// The public exponent is 65537.
    usual: bool,
    /// p, q, dp, dq and qinv, one after the other, each half as long as the modulus.
    numbers: Zeroizing<Vec<u64>>,
}

impl Limbs {
    /// None if the library does not do such a key: another size, or primes that are not
    /// half as long as the modulus.
    pub fn of(key: &RsaKey) -> Option<Limbs> {
        let bits = usize::try_from(key.n.num_bits()).ok()?;
        let kind = Kind::rsa(bits)?;
        let half = |prime: &BigNumRef| usize::try_from(prime.num_bits()).ok() == Some(bits / 2);
        if !half(&key.p) || !half(&key.q) || key.p == key.q {
            return None;
        }
        let pinv;
        // The library subtracts modulo p what has been reduced modulo q, so the greater
        // prime comes first. Not every program that makes keys puts it there.
        let parts = match key.p > key.q {
            true => [&key.p, &key.q, &key.dp, &key.dq, &key.qinv],
            false => {
                pinv = inverse(&key.p, &key.q).ok()?;
                [&key.q, &key.p, &key.dq, &key.dp, &pinv]
            }
        };
        let mut numbers = Zeroizing::new(Vec::with_capacity(parts.len() * bits / 128));
        for part in parts {
            append(&mut numbers, part, bits / 16)?;
        }
        let mut modulus_limbs = Vec::with_capacity(bits / 64);
        append(&mut modulus_limbs, &key.n, bits / 8)?;
        Some(Limbs {
            kind,
            modulus: key.n.to_vec(),
            modulus_limbs,
            usual: key.e.to_vec() == [1, 0, 1],
            numbers,
        })
    }

    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Bytes of the modulus.
    pub fn size(&self) -> usize {
        self.modulus.len()
    }

    /// Whether `input` is a number below the modulus, of the same length.
    pub(super) fn in_range(&self, input: &[u8]) -> bool {
        input.len() == self.modulus.len() && input < self.modulus.as_slice()
    }

    /// The modulus, if the library can verify what was done with the key.
    pub(super) fn verifiable(&self) -> Option<*const u64> {
        self.usual.then_some(self.modulus_limbs.as_ptr())
    }

    /// p, q, dp, dq, qinv.
    pub(super) fn pointers(&self) -> [*const u64; 5] {
        let length = self.numbers.len() / 5;
        std::array::from_fn(|number| self.numbers[number * length..].as_ptr())
    }
}

/// `number` to the power of -1, modulo `prime`; of both, neither tells by its timing.
fn inverse(number: &BigNumRef, prime: &BigNumRef) -> Result<BigNum, ErrorStack> {
    let (mut number, mut inverse) = (number.to_owned()?, BigNum::new_secure()?);
    number.set_const_time();
    inverse.mod_inverse(&number, prime, &mut *BigNumContext::new_secure()?)?;
    Ok(inverse)
}

fn append(limbs: &mut Vec<u64>, number: &BigNum, length: usize) -> Option<()> {
    let bytes = Zeroizing::new(number.to_vec_padded(i32::try_from(length).ok()?).ok()?);
    for limb in bytes.rchunks_exact(8) {
        limbs.push(u64::from_be_bytes(limb.try_into().ok()?));
    }
    Some(())
}

/// A key for measuring and self-tests, made for nothing else: its private half is public.
pub(super) struct Reference {
    pub software: Rsa<Private>,
    pub limbs: Limbs,
}

impl Reference {
    /// Err if OpenSSL does not take it, or `kind` is not RSA.
    pub(super) fn of(kind: Kind) -> Result<Reference, ErrorStack> {
        let pem = match kind {
            Kind::Rsa2048 => include_bytes!("keys/rsa2048.pem").as_slice(),
            Kind::Rsa3072 => include_bytes!("keys/rsa3072.pem"),
            Kind::Rsa4096 => include_bytes!("keys/rsa4096.pem"),
            Kind::X25519Generate | Kind::X25519Derive => &[],
        };
        let software = Rsa::private_key_from_pem(pem)?;
        let key = RsaKey::of(&software)?;
        let limbs = Limbs::of(&key).ok_or_else(ErrorStack::get)?;
        Ok(Reference { software, limbs })
    }

    /// A random number below the modulus.
    pub(super) fn input(&self) -> Result<Vec<u8>, ErrorStack> {
        let mut input = vec![0; self.limbs.size()];
        rand::rand_bytes(&mut input)?;
        // The modulus has its highest bit set.
        input[0] &= 0x7f;
        Ok(input)
    }
}
