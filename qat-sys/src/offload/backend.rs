//! What an accelerator has to be able to do.

use std::any::Any;
use std::sync::OnceLock;

use openssl::bn::{BigNum, BigNumRef};
use openssl::error::ErrorStack;
use openssl::pkey::{PKey, Private};
use openssl::rsa::RsaRef;

use crate::{ecdsa, job};

/// What a backend keeps with a key, for instance its own form of it.
pub type Attachment = Box<dyn Any + Send + Sync>;

/// What came of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The result is there; it has not been verified.
    Done,
    /// The result is there, and the backend has verified it with the public key.
    Verified,
    /// Not taken, for a reason that is no fault: too few in flight, a key of a size it does
    /// not do, a breaker that is open. The operation is done in software.
    Declined,
    /// The accelerator failed. The operation is done again in software.
    Failed,
}

/// Does raw private-key operations. Every call is made in an async job of the calling
/// thread, on its small stack, and pauses the job while it waits. What a backend does not
/// do, it declines.
pub trait Backend: Send + Sync {
    /// `output` = `input` to the power of the private exponent, modulo the modulus. Both
    /// are big-endian and as long as the modulus.
    fn rsa_private(&self, key: &RsaKey, input: &[u8], output: &mut [u8]) -> Outcome;

    /// A new key pair (RFC 7748): fills both halves of `key`, and may attach to it.
    fn x25519_generate(&self, key: &mut X25519Key) -> Outcome;

    /// The shared secret, which may come out as all zeros: the caller refuses that.
    fn x25519_derive(&self, key: &X25519Key, peer: &[u8; 32], secret: &mut [u8; 32]) -> Outcome;

    /// The signature of a hash, in DER (RFC 3279, 2.2.3), into `signature`, which is empty.
    fn ecdsa_sign(&self, _key: &EcdsaKey, _hash: &[u8], _signature: &mut Vec<u8>) -> Outcome {
        Outcome::Declined
    }

    /// The last signature of this thread did not verify: the caller did it again.
    fn refuted(&self) {}
}

/// Asks an accelerator behind one of OpenSSL's interfaces, if it can do the operation and the
/// caller is in a job: true if the result is there. Nothing stays in OpenSSL's queue of
/// errors: engines and providers leave some behind when all went well, too.
pub(crate) fn asked(can: bool, operation: impl FnOnce() -> Result<bool, ErrorStack>) -> Outcome {
    if !can || !job::in_job() {
        return Outcome::Declined;
    }
    let done = operation();
    drop(ErrorStack::get());
    match done {
        Ok(true) => Outcome::Done,
        Ok(false) | Err(_) => Outcome::Failed,
    }
}

/// An RSA private key with two primes, in OpenSSL's numbers, which are wiped when freed.
pub struct RsaKey {
    pub n: BigNum,
    pub e: BigNum,
    pub d: BigNum,
    pub p: BigNum,
    pub q: BigNum,
    /// d mod (p - 1)
    pub dp: BigNum,
    /// d mod (q - 1)
    pub dq: BigNum,
    /// q to the power of -1, modulo p
    pub qinv: BigNum,
    /// Set by the backend that serves the key, at its first use.
    pub attached: OnceLock<Attachment>,
}

impl RsaKey {
    /// The numbers of OpenSSL's key; zeros for those it does not have.
    ///
    /// # Errors
    /// Out of memory.
    pub fn of(rsa: &RsaRef<Private>) -> Result<RsaKey, ErrorStack> {
        let number = |number: Option<&BigNumRef>| match number {
            Some(number) => number.to_owned(),
            None => BigNum::new(),
        };
        Ok(RsaKey {
            n: rsa.n().to_owned()?,
            e: rsa.e().to_owned()?,
            d: rsa.d().to_owned()?,
            p: number(rsa.p())?,
            q: number(rsa.q())?,
            dp: number(rsa.dmp1())?,
            dq: number(rsa.dmq1())?,
            qinv: number(rsa.iqmp())?,
            attached: OnceLock::new(),
        })
    }
}

/// An ECDSA key pair of P-256 or P-384.
pub struct EcdsaKey {
    /// As OpenSSL has it.
    pub pkey: PKey<Private>,
    /// For what is done in software: it signs, and it verifies what a backend has signed.
    pub software: ecdsa::Key,
    /// Set by the backend that serves the key, at its first use.
    pub attached: OnceLock<Attachment>,
}

impl EcdsaKey {
    /// None if it is of another curve.
    ///
    /// # Errors
    /// It is no EC key.
    pub fn of(pkey: PKey<Private>) -> Result<Option<EcdsaKey>, ErrorStack> {
        let software = ecdsa::Key::of(&*pkey.ec_key()?)?;
        Ok(software.map(|software| EcdsaKey {
            pkey,
            software,
            attached: OnceLock::new(),
        }))
    }
}

/// An X25519 key pair of one handshake; the private half is wiped when dropped.
#[derive(Default)]
pub struct X25519Key {
    pub private: zeroize::Zeroizing<[u8; 32]>,
    pub public: [u8; 32],
    /// Set by the backend that generated it.
    pub attached: Option<Attachment>,
}
