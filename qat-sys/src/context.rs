//! What the gateway sets on an `SSL_CTX` and the `openssl` crate cannot.

use std::time::Duration;

use foreign_types::{ForeignType, ForeignTypeRef};
use openssl::error::ErrorStack;
use openssl::pkey::{HasPrivate, PKeyRef};
use openssl::ssl::SslContextBuilder;
use openssl::stack::Stack;
use openssl::x509::{X509, X509Ref};

use crate::bindings;

pub(crate) fn check(ret: impl Into<i64>) -> Result<(), ErrorStack> {
    if ret.into() == 1 {
        Ok(())
    } else {
        Err(ErrorStack::get())
    }
}

/// Adds a certificate with its own chain and key, beside those of other key types.
/// Fails if the key is another certificate's, or the key type is already taken.
/// `SSL_CTX_use_cert_and_key(3)`.
pub fn use_cert_and_key<K: HasPrivate>(
    context: &mut SslContextBuilder,
    leaf: &X509Ref,
    key: &PKeyRef<K>,
    chain: &[X509],
) -> Result<(), ErrorStack> {
    let mut stack = Stack::new()?;
    for certificate in chain {
        stack.push(certificate.clone())?;
    }
    // SAFETY: all pointers are of living objects; OpenSSL takes its own references of
    // the certificate, the key and the chain's members.
    check(unsafe {
        bindings::SSL_CTX_use_cert_and_key(
            context.as_ptr(),
            leaf.as_ptr(),
            key.as_ptr(),
            stack.as_ptr(),
            0,
        )
    })
}

/// How long a session can be resumed, in whole seconds. `SSL_CTX_set_timeout(3)`.
pub fn set_session_lifetime(context: &mut SslContextBuilder, lifetime: Duration) {
    let seconds = i32::try_from(lifetime.as_secs()).unwrap_or(i32::MAX);
    // SAFETY: a plain setter on a valid context.
    unsafe { bindings::SSL_CTX_set_timeout(context.as_ptr(), seconds.into()) };
}

/// Bytes that one read of the socket may bring in when read-ahead is on.
/// `SSL_CTX_set_default_read_buffer_len(3)`.
pub fn set_read_buffer_len(context: &mut SslContextBuilder, bytes: usize) {
    // SAFETY: a plain setter on a valid context.
    unsafe { bindings::SSL_CTX_set_default_read_buffer_len(context.as_ptr(), bytes) };
}
