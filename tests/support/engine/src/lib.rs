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
//! environment variable `SIMULATED_SCRIPT`, the control command `SCRIPT`, or, while its
//! process runs, from the file that `SIMULATED_SCRIPT_FILE` names.

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

/// Names a file where the ENGINE looks for a new script, or the word `release`, see
/// [`Device::release`]. It removes the file once it obeys: put it there by renaming.
pub const SCRIPT_FILE: &str = "SIMULATED_SCRIPT_FILE";
