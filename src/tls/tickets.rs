//! Session-ticket keys: what makes a session of one worker resumable on every other.

use std::fmt;

use qat_sys::context::TICKET_KEYS_LEN;

use super::error::{TlsError, TlsField};

/// The keys that session tickets are sealed with (RFC 5077 section 4). One value serves
/// all contexts of all workers; it lives no longer than the process.
#[derive(Clone)]
pub struct TicketKeys([u8; TICKET_KEYS_LEN]);

impl TicketKeys {
    /// Fresh random keys. Fails if the system's random generator does.
    pub fn generate() -> Result<TicketKeys, TlsError> {
        let mut keys = [0; TICKET_KEYS_LEN];
        openssl::rand::rand_priv_bytes(&mut keys)
            .map_err(|stack| TlsError::openssl(TlsField::Library, &stack))?;
        Ok(TicketKeys(keys))
    }

    pub(super) fn as_bytes(&self) -> &[u8; TICKET_KEYS_LEN] {
        &self.0
    }
}

impl fmt::Debug for TicketKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TicketKeys(..)")
    }
}
