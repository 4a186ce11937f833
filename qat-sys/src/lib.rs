//! The C boundary of qat-gateway: what the gateway uses of OpenSSL beyond the
//! `openssl` crate, behind safe wrappers, and the only unsafe code of the project but for
//! an ENGINE and a provider that its tests simulate.
//!
//! | module | wraps |
//! |---|---|
//! | [`context`] | additions to an `SSL_CTX` |
//! | [`handshake`] | an SSL during its handshake, which may pause in an async job |
//! | [`connection`] | an SSL whose handshake is done |
//! | [`job`] | the side of the async job: pausing, and who completes it |
//! | [`task`] | other work in an async job |
//! | [`engine`] | an ENGINE, where this OpenSSL has them |
//! | [`provider`] | another's provider, in a library context of its own |
//! | [`offload`] | a provider of our own, for accelerators to stand behind |
//! | [`lanes`] | an accelerator in software: libcrypto_mb, eight operations at a time |
//! | [`ecdsa`], [`x25519`] | signatures and the key exchange in software |
//! | `allocator` | what OpenSSL allocates with (feature `mimalloc`) |
//! | [`copy`] | how large blocks are copied |
//! | [`certificate`] | printing names |
//! | [`client`] | resuming a session, in tests and load generators |
//!
//! OpenSSL 3.0 or later is needed. An async job belongs to the thread that started
//! it, so everything that owns an SSL here is `!Send`.

#[allow(non_camel_case_types, non_upper_case_globals, non_snake_case)]
#[allow(clippy::upper_case_acronyms)]
mod bindings;

#[cfg(feature = "mimalloc")]
pub mod allocator;
pub mod certificate;
pub mod client;
pub mod connection;
pub mod context;
pub mod copy;
pub mod ecdsa;
pub mod engine;
mod error;
pub mod handshake;
pub mod job;
pub mod lanes;
pub mod offload;
pub mod provider;
mod signal;
mod socket;
mod stack;
pub mod task;
pub mod tickets;
pub mod x25519;

pub use connection::{Connection, Session};
pub use error::{Failure, Stop, reason};
pub use handshake::{Completion, Handshake, Step};
pub use signal::Signal;
pub use task::Task;
