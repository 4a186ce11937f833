//! A simulated accelerator: **for tests only, without any security, never shipped**.
//!
//! ```text
//! Simulated (a Backend) ──┐
//! ENGINE `simulated` ─────┼─→ Device::run ─ Script: what becomes of it ─→ pause ⇄ thread
//! provider `simulated` ───┘                                              completes, or not
//! ```
//!
//! It computes true results with OpenSSL and then does with them what its [`Script`] says.
//! As an ENGINE and as a provider it is this crate's shared library, each with a device of
//! its own, which takes its script from the environment variable `SIMULATED_SCRIPT`, the
//! control command `SCRIPT`, a [`Module`], or, while its process runs, from the file that
//! `SIMULATED_SCRIPT_FILE` names.

mod backend;
mod device;
#[cfg(engines)]
mod engine;
mod file;
mod library;
mod plugin;
mod provider;
mod script;
mod service;

pub use backend::Simulated;
pub use device::{Counts, Device};
pub use library::{install, install_module, library, module};
pub use provider::Module;
pub use script::{Answer, Operation, Script};

/// Where ENGINE and provider find their script when they are loaded.
pub const SCRIPT: &str = "SIMULATED_SCRIPT";

/// Names a file where they look for a new script, or the word `release`, see
/// [`Device::release`]. The file is removed once that is obeyed: put it there by renaming.
pub const SCRIPT_FILE: &str = "SIMULATED_SCRIPT_FILE";
