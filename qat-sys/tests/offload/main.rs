//! The provider of our own, with backends that pause for real.
//!
//! | file | tests |
//! |---|---|
//! | `handshakes` | TLS through it, whatever the backend does |
//! | `key_schedule` | secrets that both ends of a connection derive |
//! | `records` | AES-GCM, alone and in connections |
//! | `hybrid` | X25519MLKEM768 |
//! | `agreement` | its results against those of OpenSSL's own provider |
//! | `lanes` | the same with libcrypto_mb behind it |

mod agreement;
#[path = "../support/crypto_mb.rs"]
mod crypto_mb;
mod evp;
mod handshakes;
mod hybrid;
mod key_schedule;
mod lanes;
mod records;
mod support;
