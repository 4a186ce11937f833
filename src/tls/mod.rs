//! TLS: the contexts, the handshake, the established stream.
//!
//! ```text
//! TlsParams + TicketKeys → Acceptor (one per worker) ── accept(tcp) ──→ TlsStream
//!                                       │ given up in an async job
//!                                       └──→ Graveyard (one per worker)
//! ```
//!
//! Nothing in here is shared between workers but the ticket keys. What runs in an async
//! job (every callback of a handshake) has a 32 KiB stack without a guard page.

mod acceptor;
mod context;
mod error;
mod handshake;
mod info;
mod names;
mod params;
mod stream;
#[cfg(test)]
mod tests;
mod tickets;
mod wire;

pub use acceptor::{Acceptor, Choice};
pub use context::{check, serves_groups, supported_group};
pub use error::{TlsError, TlsField};
pub use handshake::{Counters, Graveyard, HandshakeError, Register};
pub use info::{ClientIdentity, KeyType, TlsInfo};
pub use params::{Alpn, Certificate, ClientAuth, ClientCa, TlsParams, TlsVersion};
pub use stream::TlsStream;
pub use tickets::TicketKeys;

/// Bounds the async jobs of the calling worker: at most `max` at once (0: no bound,
/// and none made in advance), `initial` of them made now. Only a thread's first call counts. Fails where OpenSSL
/// was built without async jobs.
pub fn init_thread(max: usize, initial: usize) -> Result<(), TlsError> {
    if !qat_sys::job::is_capable() {
        let reason = "this OpenSSL was built without async jobs";
        return Err(TlsError::new(TlsField::Library, reason));
    }
    qat_sys::job::init_thread(max, initial)
        .map_err(|stack| TlsError::openssl(TlsField::Library, &stack))
}
