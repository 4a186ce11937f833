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
//! control command `SCRIPT`, or a [`Module`].

mod backend;
mod device;
#[cfg(engines)]
mod engine;
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
