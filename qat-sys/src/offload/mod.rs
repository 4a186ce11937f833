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
//! a signature leaves only when the public key has verified it; what a backend does not
//! do is done in software before the operation returns.
//!
//! | file | |
//! |---|---|
//! | `library` | [`Offload`]: the library context, and what is made in it |
//! | `provider` | what the provider offers, how it starts and ends |
//! | `rsa_key`, `x25519_key` | key managers |
//! | `rsa_sign`, `rsa_operation`, `rsa_verify` | signatures: calls, digest and padding, public keys |
//! | `x25519_exchange`, `x25519_pair` | key exchange: calls, and the work |
//! | `hybrid` | key exchange with X25519MLKEM768 |
//! | `ecdsa_key`, `ecdsa_sign` | signatures with P-256 and P-384 |
//! | `aes_gcm` | TLS records |
//! | `kdf`, `tls12_prf`, `tls13_kdf` | key schedules |
//! | `software` | OpenSSL's own RSA, in one more library context |
//! | `context`, `params`, `ffi` | what they share |

mod aes_gcm;
mod backend;
mod context;
mod counters;
mod ecdsa_key;
mod ecdsa_sign;
mod ffi;
mod hybrid;
mod kdf;
mod library;
mod params;
mod provider;
mod rsa_key;
mod rsa_operation;
mod rsa_sign;
mod rsa_verify;
mod software;
mod tls12_prf;
mod tls13_kdf;
mod x25519_exchange;
mod x25519_key;
mod x25519_pair;

pub(crate) use backend::asked;
pub use backend::{Attachment, Backend, EcdsaKey, Outcome, RsaKey, X25519Key};
pub use counters::{Algorithm, Counters, Path};
pub use library::{Offload, fips, own_groups};

/// What of a key is meant (`OSSL_KEYMGMT_SELECT_*` in core_dispatch.h).
mod select {
    use std::os::raw::c_int;

    pub(super) const PRIVATE: c_int = 1;
    pub(super) const PUBLIC: c_int = 2;
    pub(super) const KEYPAIR: c_int = PRIVATE | PUBLIC;
}
