//! Session-ticket keys: what makes a session of one worker resumable on every other.

use std::fmt;
use std::sync::Arc;

use qat_sys::tickets::{TICKET_KEY_LEN, TicketKey};
use zeroize::Zeroizing;

use super::error::{TlsError, TlsField};

/// The keys that session tickets are sealed with (RFC 5077 section 4): the first seals, each
/// opens. One value serves all contexts of all workers.
#[derive(Clone)]
pub struct TicketKeys(Arc<Zeroizing<Vec<TicketKey>>>);

impl TicketKeys {
    /// Keys that other processes have as well.
    pub fn new(keys: Vec<TicketKey>) -> TicketKeys {
        TicketKeys(Arc::new(Zeroizing::new(keys)))
    }

    /// A fresh random key, which lives no longer than the process. Fails if the system's
    /// random generator does.
    pub fn generate() -> Result<TicketKeys, TlsError> {
        let mut key = [0; TICKET_KEY_LEN];
        openssl::rand::rand_priv_bytes(&mut key)
            .map_err(|stack| TlsError::openssl(TlsField::Library, &stack))?;
        Ok(TicketKeys::new(vec![key]))
    }

    pub(super) fn as_slice(&self) -> &[TicketKey] {
        &self.0
    }
}

impl fmt::Debug for TicketKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TicketKeys(..)")
    }
}
