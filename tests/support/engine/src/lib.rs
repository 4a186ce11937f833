//! A simulated accelerator: **for tests only, without any security, never shipped**.
//!
//! ```text
//! Simulated (a Backend) ─┐
//!                        ├─→ Device::run ─ Script: what becomes of it ─→ pause ⇄ thread
//! ENGINE `simulated` ────┘                                               completes, or not
//! ```
//!
//! It computes true results with OpenSSL and then does with them what its [`Script`] says.
//! As an ENGINE it is this crate's shared library, which takes its script from the
//! environment variable `SIMULATED_SCRIPT` or the control command `SCRIPT`.

mod backend;
mod device;
#[cfg(engines)]
mod engine;
mod library;
mod script;
mod service;

pub use backend::Simulated;
pub use device::{Counts, Device};
pub use library::{install, library};
pub use script::{Answer, Operation, Script};

/// Where the ENGINE finds its script when it is loaded.
pub const SCRIPT: &str = "SIMULATED_SCRIPT";
