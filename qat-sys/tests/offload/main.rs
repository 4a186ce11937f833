//! The provider of our own, with backends that pause for real.
//!
//! | file | tests |
//! |---|---|
//! | `handshakes` | TLS through it, whatever the backend does |
//! | `key_schedule` | secrets that both ends of a connection derive |
//! | `agreement` | its results against those of OpenSSL's own provider |

mod agreement;
mod evp;
mod handshakes;
mod key_schedule;
mod support;
