//! What the provider calls, in a job of the worker's thread.

use super::batch;
use super::queue::Operands;
use super::{Kind, Limbs};
use crate::offload::{Backend, Outcome, RsaKey, X25519Key};

/// Queues operations in the [`Batch`](super::Batch) of the calling thread; without one,
/// and outside of a job, everything is declined.
#[derive(Clone, Copy, Debug, Default)]
pub struct Multibuffer;

impl Backend for Multibuffer {
    fn rsa_private(&self, key: &RsaKey, input: &[u8], output: &mut [u8]) -> Outcome {
        let Some(batch) = batch::current() else {
            return Outcome::Declined;
        };
        let attached = key.attached.get_or_init(|| Box::new(Limbs::of(key)));
        let Some(Some(limbs)) = attached.downcast_ref::<Option<Limbs>>() else {
            return Outcome::Declined;
        };
        let kind = limbs.kind();
        let fits = limbs.in_range(input) && output.len() == limbs.size();
        if !fits || !batch.takes(kind) {
            return Outcome::Declined;
        }
        let (key, input, output) = (&raw const *limbs, &raw const *input, &raw mut *output);
        // SAFETY: borrowed until this returns.
        unsafe { batch.wait_for(kind, Operands::Rsa { key, input, output }) }
    }

    fn x25519_generate(&self, key: &mut X25519Key) -> Outcome {
        let kind = Kind::X25519Generate;
        let Some(batch) = batch::current().filter(|batch| batch.takes(kind)) else {
            return Outcome::Declined;
        };
        let (private, public) = (&raw mut *key.private, &raw mut key.public);
        // SAFETY: borrowed until this returns.
        unsafe { batch.wait_for(kind, Operands::Generate { private, public }) }
    }

    fn x25519_derive(&self, key: &X25519Key, peer: &[u8; 32], secret: &mut [u8; 32]) -> Outcome {
        let kind = Kind::X25519Derive;
        if !super::is_ordinary(peer) {
            return Outcome::Declined;
        }
        let Some(batch) = batch::current().filter(|batch| batch.takes(kind)) else {
            return Outcome::Declined;
        };
        let private = &raw const *key.private;
        let (peer, secret) = (&raw const *peer, &raw mut *secret);
        // SAFETY: borrowed until this returns.
        unsafe {
            batch.wait_for(
                kind,
                Operands::Derive {
                    private,
                    peer,
                    secret,
                },
            )
        }
    }
}
