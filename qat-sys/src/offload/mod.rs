//! A provider of our own, between TLS and whoever does the private-key work.
//!
//! ```text
//! libssl ─fetch "?provider=offload"─→ provider ─→ Backend (engine, other provider, lanes)
//!                                        │ declined, failed, or a result that does not verify
//!                                        └──→ software, in the same handshake
//! ```
//!
//! It lives in a library context of its own, so that what OpenSSL does elsewhere in the
//! process stays software, and no table of the process is changed. The provider pads,
//! digests and checks; a [`Backend`] does the raw operations and nothing else.
//!
//! Invariants: outside an async job a backend is never asked, for it could only block;
//! an RSA result leaves only when the public key has verified it; what a backend does not
//! do is done in software before the operation returns.

mod backend;

pub use backend::{Attachment, Backend, Outcome, RsaKey, X25519Key};
