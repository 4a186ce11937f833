//! The lanes against OpenSSL's own arithmetic, and a worker's batch with real async jobs.
//!
//! `QAT_GATEWAY_CRYPTO_MB` may name the library, or a folder with it.

mod agreement;
mod batch;
mod calibration;
mod jobs;
mod loading;
mod rsa;
mod worker;
mod wycheproof;

use std::path::PathBuf;
use std::sync::OnceLock;

use qat_sys::lanes::{Library, LoadError};

fn configured() -> Option<PathBuf> {
    std::env::var_os("QAT_GATEWAY_CRYPTO_MB").map(PathBuf::from)
}

/// None, having said so, where the library or the CPU is missing.
fn library() -> Option<&'static Library> {
    static LOADED: OnceLock<Result<&'static Library, LoadError>> = OnceLock::new();
    let configured = configured();
    match LOADED.get_or_init(|| Library::load(configured.as_deref())) {
        Ok(library) => Some(library),
        Err(LoadError::NotFound { .. }) if configured.is_some() => {
            panic!("QAT_GATEWAY_CRYPTO_MB names no library")
        }
        Err(error) => {
            eprintln!("SKIPPED: {error}");
            None
        }
    }
}

/// 32 random bytes.
fn random() -> [u8; 32] {
    let mut bytes = [0; 32];
    openssl::rand::rand_bytes(&mut bytes).unwrap();
    bytes
}
