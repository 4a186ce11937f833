//! The library that the tests of lanes are about.

use std::path::PathBuf;
use std::sync::OnceLock;

use qat_sys::lanes::{Library, LoadError};

/// `QAT_GATEWAY_CRYPTO_MB` may name the library, or a folder with it.
pub fn configured() -> Option<PathBuf> {
    std::env::var_os("QAT_GATEWAY_CRYPTO_MB").map(PathBuf::from)
}

/// None, having said so, where the library or the CPU is missing.
pub fn library() -> Option<&'static Library> {
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

/// How often results are compared with OpenSSL's: `QAT_GATEWAY_TEST_AGREEMENT`, else
/// `usual`.
pub fn agreements(usual: usize) -> usize {
    let told = std::env::var("QAT_GATEWAY_TEST_AGREEMENT").ok();
    told.and_then(|told| told.parse().ok()).unwrap_or(usual)
}
