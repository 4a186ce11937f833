//! A provider at work, as a [`Backend`]: every call names the library context and the
//! property query, so that nothing of the process is changed and all else stays software.
//!
//! ```text
//! rsa_private     ─→ key imported once ─→ EVP_PKEY_sign (or _decrypt), no padding ─┐
//! ecdsa_sign      ─→ key that OpenSSL imports once ─→ EVP_PKEY_sign ───────────────┤
//! x25519_generate ─→ EVP_PKEY_keygen ──────────────────────────────────────────────┼─→ provider
//! x25519_derive   ─→ that key, the peer's imported ─→ EVP_PKEY_derive ─────────────┘   pauses
//! ```
//!
//! Invariants: the provider and its library context are never given back, for its threads
//! and its jobs outlive any value; it is asked only in a job; no error of its own stays in
//! OpenSSL's queue, where the SSL would take it for its own.
//!
//! Everything here may be used from any thread: the types of the `openssl` crate that it is
//! made of may, as OpenSSL says of library contexts, providers and keys
//! (`OPENSSL_threads(7)`), and contexts of operations are made for each.

use std::path::Path;
use std::ptr;

use foreign_types::ForeignType;
use openssl::error::ErrorStack;
use openssl::pkey::{PKey, PKeyRef, Private as PrivateKey};
use openssl::pkey_ctx::PkeyCtx;
use openssl::rsa::Padding;
use openssl_sys::EVP_PKEY_get_raw_private_key;

use super::chosen::{CIPHER, Chosen, EXCHANGE, KEYS, SIGNATURE};
use super::{Private, ProviderError};
use crate::offload::{Algorithm, Backend, EcdsaKey, Outcome, RsaKey, X25519Key, asked};

/// A provider that does the private-key work of an offloading provider.
pub struct ProviderBackend {
    chosen: Chosen,
    /// None: it does not do RSA.
    rsa: Option<Raw>,
    x25519: bool,
    ecdsa: bool,
}

/// How the raw private operation is asked for: they are one and the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Raw {
    Sign,
    Decrypt,
}

/// A key in the hands of the provider that is loaded there.
struct Attached {
    key: PKey<PrivateKey>,
    library: &'static Private,
}

impl ProviderBackend {
    /// Loads a provider beside `default`, as [`Private::load`] does, for the life of the
    /// process. `properties` is the query that chooses its implementations (`property(7)`);
    /// None: `provider=NAME`.
    pub fn load(
        name: &str,
        folder: Option<&Path>,
        properties: Option<&str>,
    ) -> Result<ProviderBackend, ProviderError> {
        let chosen = Chosen::new(Private::load(name, folder)?, name, properties)?;
        let rsa = raw(&chosen);
        let x25519 = chosen.offers(&KEYS, c"X25519") && chosen.offers(&EXCHANGE, c"X25519");
        let ecdsa = chosen.offers(&KEYS, c"EC") && chosen.offers(&SIGNATURE, c"ECDSA");
        // What is not offered leaves errors behind.
        drop(ErrorStack::get());
        Ok(ProviderBackend {
            rsa: rsa?,
            x25519,
            ecdsa,
            chosen,
        })
    }

    /// What the query finds in this very provider, and for RSA without padding. It may still
    /// do an operation in software: only a pause tells.
    pub fn algorithms(&self) -> Vec<Algorithm> {
        let can = [
            (self.rsa.is_some(), Algorithm::Rsa),
            (self.x25519, Algorithm::X25519),
            (self.ecdsa, Algorithm::Ecdsa),
        ];
        let can = can.into_iter().filter(|(can, _)| *can);
        can.map(|(_, algorithm)| algorithm).collect()
    }

    /// The property query in use.
    pub fn properties(&self) -> &str {
        self.chosen.properties()
    }

    /// The key in the provider's form; None if it cannot be made, or is another backend's.
    fn attached<'a>(&self, key: &'a RsaKey) -> Option<&'a PKeyRef<PrivateKey>> {
        if key.attached.get().is_none() {
            let made = Attached {
                key: import(&self.chosen, key).ok()?,
                library: self.chosen.library(),
            };
            // Another thread may have been faster: then its one is used.
            let _ = key.attached.set(Box::new(made));
        }
        let attached: &Attached = key.attached.get()?.as_ref().downcast_ref()?;
        self.is_ours(attached).then_some(&*attached.key)
    }

    fn is_ours(&self, attached: &Attached) -> bool {
        ptr::eq(attached.library, self.chosen.library())
    }

    fn private(&self, raw: Raw, key: &RsaKey, input: &[u8], output: &mut [u8]) -> Done {
        let Some(key) = self.attached(key) else {
            return Ok(false);
        };
        let mut context = prepared(&self.chosen, raw, key)?;
        let size = output.len();
        let written = match raw {
            Raw::Sign => context.sign(input, Some(output))?,
            Raw::Decrypt => context.decrypt(input, Some(output))?,
        };
        Ok(written == size)
    }

    /// OpenSSL exports the key to the provider at its first use, and keeps that with it.
    fn sign(&self, key: &EcdsaKey, hash: &[u8], signature: &mut Vec<u8>) -> Done {
        let mut context = self.chosen.of(&key.pkey)?;
        context.sign_init()?;
        context.sign_to_vec(hash, signature)?;
        Ok(true)
    }

    fn generate(&self, key: &mut X25519Key) -> Done {
        let mut context = self.chosen.named(c"X25519")?;
        context.keygen_init()?;
        let made = context.keygen()?;
        let Ok(public) = made.raw_public_key()?.try_into() else {
            return Ok(false);
        };
        key.public = public;
        let mut len = key.private.len();
        // SAFETY: a valid key, and a buffer of the length that is told.
        let read = unsafe {
            EVP_PKEY_get_raw_private_key(made.as_ptr(), key.private.as_mut_ptr(), &mut len)
        };
        if read != 1 || len != key.private.len() {
            return Ok(false);
        }
        key.attached = Some(Box::new(Attached {
            key: made,
            library: self.chosen.library(),
        }));
        Ok(true)
    }

    fn derive(&self, key: &X25519Key, peer: &[u8; 32], secret: &mut [u8; 32]) -> Done {
        let kept = key.attached.as_ref();
        let kept: Option<&Attached> = kept.and_then(|kept| kept.as_ref().downcast_ref());
        let made;
        let own = match kept.filter(|kept| self.is_ours(kept)) {
            Some(kept) => &kept.key,
            // Generated elsewhere, for instance in software.
            None => {
                made = self.chosen.x25519_private(&key.private)?;
                &made
            }
        };
        let peer = self.chosen.x25519_public(peer)?;
        let mut context = self.chosen.of(own)?;
        context.derive_init()?;
        context.derive_set_peer(&peer)?;
        Ok(context.derive(Some(secret))? == secret.len())
    }
}

/// Whether a result of the right length is there.
type Done = Result<bool, ErrorStack>;

impl Backend for ProviderBackend {
    fn rsa_private(&self, key: &RsaKey, input: &[u8], output: &mut [u8]) -> Outcome {
        match self.rsa {
            Some(raw) => asked(true, || self.private(raw, key, input, output)),
            None => Outcome::Declined,
        }
    }

    fn ecdsa_sign(&self, key: &EcdsaKey, hash: &[u8], signature: &mut Vec<u8>) -> Outcome {
        asked(self.ecdsa, || self.sign(key, hash, signature))
    }

    fn x25519_generate(&self, key: &mut X25519Key) -> Outcome {
        asked(self.x25519, || self.generate(key))
    }

    fn x25519_derive(&self, key: &X25519Key, peer: &[u8; 32], secret: &mut [u8; 32]) -> Outcome {
        asked(self.x25519, || self.derive(key, peer, secret))
    }
}

/// A context for the raw operation.
fn prepared(
    chosen: &Chosen,
    raw: Raw,
    key: &PKeyRef<PrivateKey>,
) -> Result<PkeyCtx<PrivateKey>, ErrorStack> {
    let mut context = chosen.of(key)?;
    match raw {
        Raw::Sign => context.sign_init()?,
        Raw::Decrypt => context.decrypt_init()?,
    }
    context.set_rsa_padding(Padding::NONE)?;
    Ok(context)
}

/// The first way that the provider accepts, tried with a key that everybody knows. The
/// operation itself is left to whoever tests the backend: here nothing would end one that
/// hangs.
fn raw(chosen: &Chosen) -> Result<Option<Raw>, ErrorStack> {
    if !chosen.offers(&KEYS, c"RSA") {
        return Ok(None);
    }
    let key = PKey::private_key_from_pem(include_bytes!("../lanes/keys/rsa2048.pem"))?;
    let ways = [(Raw::Sign, SIGNATURE), (Raw::Decrypt, CIPHER)];
    let accepted = ways
        .into_iter()
        .find(|(raw, kind)| chosen.offers(kind, c"RSA") && prepared(chosen, *raw, &key).is_ok());
    Ok(accepted.map(|(raw, _)| raw))
}

fn import(chosen: &Chosen, key: &RsaKey) -> Result<PKey<PrivateKey>, ErrorStack> {
    chosen.rsa(&[
        (c"n", &key.n),
        (c"e", &key.e),
        (c"d", &key.d),
        (c"rsa-factor1", &key.p),
        (c"rsa-factor2", &key.q),
        (c"rsa-exponent1", &key.dp),
        (c"rsa-exponent2", &key.dq),
        (c"rsa-coefficient1", &key.qinv),
    ])
}
