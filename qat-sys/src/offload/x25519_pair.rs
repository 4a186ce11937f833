//! An X25519 key and what is done with it (RFC 7748), by the backend or in software.
//!
//! A wrong public key that a backend gives cannot be told from a right one without doing
//! its work again: the handshake fails, with the peer's complaint.

use openssl::error::ErrorStack;
use zeroize::Zeroizing;

use super::context::Shared;
use super::counters::{Algorithm, Path};
use super::{Outcome, X25519Key};
use crate::x25519;

/// A key, which does not change.
pub(super) struct Pair {
    pub key: X25519Key,
    /// False if there is a public half alone.
    private: bool,
}

impl Pair {
    pub(super) fn generate(shared: &Shared) -> Result<Pair, ErrorStack> {
        if !shared.offloads(Algorithm::X25519) {
            return x25519::generate().map(Pair::new);
        }
        let mut key = X25519Key::default();
        let outcome = shared.ask(|backend| backend.x25519_generate(&mut key));
        let (path, key) = match outcome {
            Outcome::Done | Outcome::Verified => (Path::Accelerated, key),
            Outcome::Declined => (Path::Software, x25519::generate()?),
            Outcome::Failed => (Path::Redone, x25519::generate()?),
        };
        shared.counters.count(Algorithm::X25519, path);
        Ok(Pair::new(key))
    }

    pub(super) fn new(key: X25519Key) -> Pair {
        Pair { key, private: true }
    }

    pub(super) fn public(public: [u8; 32]) -> Pair {
        let key = X25519Key {
            public,
            ..X25519Key::default()
        };
        Pair {
            key,
            private: false,
        }
    }

    pub(super) fn has_private(&self) -> bool {
        self.private
    }

    /// The shared secret; none if it is all zeros, as RFC 7748 allows and TLS demands
    /// (RFC 8446, 7.4.2). Another wrong secret of a backend cannot be recognised.
    pub(super) fn derive(&self, shared: &Shared, peer: &[u8; 32]) -> Option<Zeroizing<[u8; 32]>> {
        if !shared.offloads(Algorithm::X25519) {
            return x25519::derive(&self.key.private, peer);
        }
        let mut secret = Zeroizing::new([0; 32]);
        let outcome = shared.ask(|backend| backend.x25519_derive(&self.key, peer, &mut secret));
        let path = match outcome {
            Outcome::Done | Outcome::Verified if *secret != [0; 32] => Path::Accelerated,
            Outcome::Declined => Path::Software,
            // Zeros mean a bad peer, if software says so too.
            Outcome::Done | Outcome::Verified | Outcome::Failed => Path::Redone,
        };
        if path != Path::Accelerated {
            secret = x25519::derive(&self.key.private, peer)?;
        }
        shared.counters.count(Algorithm::X25519, path);
        Some(secret)
    }
}
