//! One binary for all integration tests: a module for every step of a request's way.
//!
//! Each test starts the gateway's binary with a configuration of its own, between a
//! real client and a real backend (`tests/support`).

mod accelerator;
mod bench;
mod demo;
mod doctor;
mod grpc;
mod http;
mod layers;
mod lifecycle;
mod limits;
mod listener;
mod provider;
mod reload;
mod route;
mod tls;
mod upstream;

use support::Setup;
use support::backend::{Backend, h2};

const EXECUTABLE: &str = env!("CARGO_BIN_EXE_qat-gateway");

/// A gateway to be, before this backend.
fn setup(backend: &Backend) -> Setup {
    Setup::new(EXECUTABLE, backend.address())
}

/// The backend most tests want.
fn h2_backend() -> Backend {
    Backend::h2(h2::Options::default())
}
