//! An accelerator that is software: Intel's multi-buffer library (libcrypto_mb) does
//! eight operations at once in the lanes of AVX-512's integer multipliers, for little
//! more than the price of one. So the private-key operations of a worker's concurrent
//! handshakes are gathered and done together.
//!
//! ```text
//! job 1 ─┐ Multibuffer                              ┌─ 8 of a kind ──→ lanes
//! job 2 ─┼─(queue and pause)─→ Batch ─worker: run()─┼─ fewer, gaining → lanes
//! job 3 ─┘                                          └─ fewer, not ────→ Declined
//!          ←────────── outcome set, job woken ──────────┘
//! ```
//!
//! Nothing runs by itself: no thread, no timer. The worker's flusher asks
//! [`Batch::poll_waiting`], lets everything that is ready queue its operations, and runs.
//! What does not gain is declined, and then done in software inside its job; a kind that
//! has not gained lately is not queued at all, but for trials.
//!
//! Invariants:
//! - One [`Batch`] per thread. An operation is queued, run and resumed on that thread.
//! - libcrypto_mb runs on the worker's stack, never on a job's, which is too small.
//! - A queued operation points to operands on its paused job's stack, which stays where
//!   it is until the job is resumed; one resumed early takes its operation back first.
//! - A peer's X25519 key that the library may get wrong never reaches it ([`is_ordinary`]).
//! - Scratch memory and copies of secrets are wiped.

mod backend;
mod batch;
mod calibrate;
mod counters;
mod key;
mod library;
mod operations;
mod queue;
mod search;
mod self_test;
mod worth;

pub use backend::Multibuffer;
pub use batch::{Batch, Limits};
pub use calibrate::{Cost, Table, calibrate};
pub use counters::{Counters, KindCounters};
pub use key::Limbs;
pub use library::{Library, LoadError};
pub use operations::{Derive, Generate, Rsa, Scratch, Statuses, Verified, is_ordinary};
pub use self_test::{SelfTestError, self_test};

/// Operations that the library does at once.
pub const LANES: usize = 8;

/// What is batched together: operations of one kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    X25519Generate,
    X25519Derive,
    /// A private-key operation, by the bits of the modulus.
    Rsa2048,
    Rsa3072,
    Rsa4096,
}

impl Kind {
    pub const ALL: [Kind; 5] = [
        Kind::X25519Generate,
        Kind::X25519Derive,
        Kind::Rsa2048,
        Kind::Rsa3072,
        Kind::Rsa4096,
    ];

    /// As in metrics and tables.
    pub fn name(self) -> &'static str {
        match self {
            Kind::X25519Generate => "x25519-generate",
            Kind::X25519Derive => "x25519-derive",
            Kind::Rsa2048 => "rsa-2048",
            Kind::Rsa3072 => "rsa-3072",
            Kind::Rsa4096 => "rsa-4096",
        }
    }

    /// The kind of a modulus of so many bits.
    pub fn rsa(bits: usize) -> Option<Kind> {
        Kind::ALL.into_iter().find(|kind| kind.bits() == Some(bits))
    }

    /// The bits of the modulus, if RSA.
    pub fn bits(self) -> Option<usize> {
        match self {
            Kind::X25519Generate | Kind::X25519Derive => None,
            Kind::Rsa2048 => Some(2048),
            Kind::Rsa3072 => Some(3072),
            Kind::Rsa4096 => Some(4096),
        }
    }

    fn index(self) -> usize {
        self as usize
    }
}
