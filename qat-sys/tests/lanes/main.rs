//! The lanes against OpenSSL's own arithmetic, and a worker's batch with real async jobs.

mod agreement;
mod batch;
mod calibration;
mod jobs;
mod loading;
mod rsa;
mod worker;
mod wycheproof;

#[path = "../support/crypto_mb.rs"]
mod crypto_mb;

use crypto_mb::{configured, library};

/// 32 random bytes.
fn random() -> [u8; 32] {
    let mut bytes = [0; 32];
    openssl::rand::rand_bytes(&mut bytes).unwrap();
    bytes
}
