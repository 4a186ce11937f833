//! TLS: the contexts, the handshake, the established stream.

mod params;

pub use params::{Alpn, Certificate, ClientAuth, ClientCa, TlsParams, TlsVersion};
