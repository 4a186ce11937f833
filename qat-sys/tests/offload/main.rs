//! The provider of our own, with backends that pause for real.
//!
//! | file | tests |
//! |---|---|
//! | `handshakes` | TLS through it, whatever the backend does |
//! | `agreement` | its results against those of OpenSSL's own provider |

mod agreement;
mod evp;
mod handshakes;
mod support;
