//! Between the provider and an accelerator: who may use it now, and how it fares.

use std::sync::Arc;

use qat_sys::offload::{Backend, EcdsaKey, Outcome, RsaKey, X25519Key};

use super::breaker::Breaker;
use super::load;

/// A backend that declines what is better done in software at the moment.
pub(super) struct Guard {
    backend: Arc<dyn Backend>,
    breaker: Arc<Breaker>,
    /// Handshakes in progress on the worker from which the accelerator gains.
    break_even: usize,
}

impl Guard {
    pub(super) fn new(
        backend: Arc<dyn Backend>,
        breaker: Arc<Breaker>,
        break_even: usize,
    ) -> Guard {
        Guard {
            backend,
            breaker,
            break_even,
        }
    }

    fn guarded(&self, operation: impl FnOnce(&dyn Backend) -> Outcome) -> Outcome {
        // A handshake may have begun in a crowd that is gone: alone it would wait for a
        // batch that does not fill.
        if load::in_progress() < self.break_even {
            return Outcome::Declined;
        }
        let Some(ticket) = self.breaker.admit() else {
            return Outcome::Declined;
        };
        let outcome = operation(&*self.backend);
        self.breaker.ended(ticket, outcome == Outcome::Failed);
        outcome
    }
}

impl Backend for Guard {
    fn rsa_private(&self, key: &RsaKey, input: &[u8], output: &mut [u8]) -> Outcome {
        self.guarded(|backend| backend.rsa_private(key, input, output))
    }

    fn ecdsa_sign(&self, key: &EcdsaKey, hash: &[u8], signature: &mut Vec<u8>) -> Outcome {
        self.guarded(|backend| backend.ecdsa_sign(key, hash, signature))
    }

    fn x25519_generate(&self, key: &mut X25519Key) -> Outcome {
        self.guarded(|backend| backend.x25519_generate(key))
    }

    fn x25519_derive(&self, key: &X25519Key, peer: &[u8; 32], secret: &mut [u8; 32]) -> Outcome {
        // A key that the accelerator holds can only be used by it; a key it does not hold
        // is as good in software.
        self.guarded(|backend| backend.x25519_derive(key, peer, secret))
    }

    fn refuted(&self) {
        self.breaker.refuted();
        self.backend.refuted();
    }
}
