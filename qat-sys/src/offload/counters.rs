//! Who did how many operations.

use std::sync::atomic::{AtomicU64, Ordering};

/// What can be offloaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// RSA private-key operations.
    Rsa,
    /// X25519 key generation and key exchange (RFC 7748).
    X25519,
    /// ECDSA signatures with P-256 and P-384.
    Ecdsa,
}

impl Algorithm {
    pub const ALL: [Algorithm; 3] = [Algorithm::Rsa, Algorithm::X25519, Algorithm::Ecdsa];

    pub fn as_str(self) -> &'static str {
        match self {
            Algorithm::Rsa => "rsa",
            Algorithm::X25519 => "x25519",
            Algorithm::Ecdsa => "ecdsa",
        }
    }
}

/// Who did an operation in the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Path {
    /// The backend.
    Accelerated,
    /// Software: the backend was not asked, or declined.
    Software,
    /// Software, after the backend had failed or given a wrong result.
    Redone,
}

impl Path {
    pub const ALL: [Path; 3] = [Path::Accelerated, Path::Software, Path::Redone];

    pub fn as_str(self) -> &'static str {
        match self {
            Path::Accelerated => "accelerated",
            Path::Software => "software",
            Path::Redone => "redone",
        }
    }
}

/// Operations by algorithm and path since the start; to be read from any thread.
#[derive(Debug, Default)]
pub struct Counters([[AtomicU64; Path::ALL.len()]; Algorithm::ALL.len()]);

impl Counters {
    pub fn get(&self, algorithm: Algorithm, path: Path) -> u64 {
        self.0[algorithm as usize][path as usize].load(Ordering::Relaxed)
    }

    pub(super) fn count(&self, algorithm: Algorithm, path: Path) {
        self.0[algorithm as usize][path as usize].fetch_add(1, Ordering::Relaxed);
    }
}
