//! Real handshakes over loopback, with OpenSSL's own client.

mod auth;
mod errors;
mod handshakes;
mod offload;
pub(super) mod pause;
mod setup;
mod stream;
mod support;
