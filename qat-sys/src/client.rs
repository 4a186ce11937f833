//! The client's side, for tests and load generators.

use foreign_types::ForeignTypeRef;
use openssl::error::ErrorStack;
use openssl::ssl::{SslRef, SslSessionRef};

/// Offers an earlier session for resumption. `SSL_set_session(3)`.
pub fn set_session(ssl: &mut SslRef, session: &SslSessionRef) -> Result<(), ErrorStack> {
    // SAFETY: OpenSSL takes a reference of its own, and checks that the session's
    // protocol method is the SSL's. What ties a session to its context is the context's
    // cache, which is left alone here.
    let ret = unsafe { openssl_sys::SSL_set_session(ssl.as_ptr(), session.as_ptr()) };
    if ret == 1 {
        Ok(())
    } else {
        Err(ErrorStack::get())
    }
}
