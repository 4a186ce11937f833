//! An X25519 key and what is done with it (RFC 7748), by the backend or by OpenSSL.
//!
//! A wrong public key that a backend gives cannot be told from a right one without doing
//! its work again: the handshake fails, with the peer's complaint.

use std::sync::OnceLock;

use openssl::error::ErrorStack;
use openssl::pkey::{PKey, Private};
use zeroize::Zeroizing;

use super::context::Shared;
use super::counters::{Algorithm, Path};
use super::{Outcome, X25519Key};

/// A key, which does not change.
pub(super) struct Pair {
    pub key: X25519Key,
    /// False if there is a public half alone.
    private: bool,
    /// OpenSSL's form of it, if it has been needed.
    software: OnceLock<PKey<Private>>,
}

impl Pair {
    pub(super) fn generate(shared: &Shared) -> Result<Pair, ErrorStack> {
        let mut key = X25519Key::default();
        let outcome = shared.ask(|backend| backend.x25519_generate(&mut key));
        let (path, pair) = match outcome {
            Outcome::Done | Outcome::Verified => (Path::Accelerated, Pair::new(key)),
            Outcome::Declined => (Path::Software, Pair::in_software(shared)?),
            Outcome::Failed => (Path::Redone, Pair::in_software(shared)?),
        };
        shared.counters.count(Algorithm::X25519, path);
        Ok(pair)
    }

    pub(super) fn new(key: X25519Key) -> Pair {
        Pair {
            key,
            private: true,
            software: OnceLock::new(),
        }
    }

    fn in_software(shared: &Shared) -> Result<Pair, ErrorStack> {
        let (key, pkey) = shared.software.x25519_generate()?;
        Ok(Pair {
            key,
            private: true,
            software: OnceLock::from(pkey),
        })
    }

    pub(super) fn public(public: [u8; 32]) -> Pair {
        let key = X25519Key {
            public,
            ..X25519Key::default()
        };
        Pair {
            key,
            private: false,
            software: OnceLock::new(),
        }
    }

    pub(super) fn has_private(&self) -> bool {
        self.private
    }

    /// The shared secret; an error if it is all zeros, as RFC 7748 allows and TLS demands
    /// (RFC 8446, 7.4.2). Another wrong secret of a backend cannot be recognised.
    pub(super) fn derive(
        &self,
        shared: &Shared,
        peer: &[u8; 32],
    ) -> Result<Zeroizing<[u8; 32]>, ErrorStack> {
        let mut secret = Zeroizing::new([0; 32]);
        let outcome = shared.ask(|backend| backend.x25519_derive(&self.key, peer, &mut secret));
        let path = match outcome {
            Outcome::Done | Outcome::Verified if *secret != [0; 32] => Path::Accelerated,
            Outcome::Declined => Path::Software,
            // Zeros mean a bad peer, if software says so too.
            Outcome::Done | Outcome::Verified | Outcome::Failed => Path::Redone,
        };
        if path != Path::Accelerated {
            shared
                .software
                .x25519_derive(self.software(shared)?, peer, &mut secret)?;
        }
        shared.counters.count(Algorithm::X25519, path);
        Ok(secret)
    }

    fn software(&self, shared: &Shared) -> Result<&PKey<Private>, ErrorStack> {
        if let Some(key) = self.software.get() {
            return Ok(key);
        }
        let made = shared.software.x25519_key(&self.key)?;
        Ok(self.software.get_or_init(|| made))
    }
}
