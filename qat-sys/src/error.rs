//! From an SSL call's return value to what happened.

use std::io;

use foreign_types::ForeignTypeRef;
use openssl::error::ErrorStack;
use openssl::ssl::SslRef;

use crate::bindings;

/// Reason codes of the SSL library (`openssl/sslerr.h`), as in
/// [`openssl::error::Error::reason_code`]. Alerts sent by the peer have codes of their
/// own ([`openssl::ssl::SslAlert::from_reason_code`]).
pub mod reason {
    pub use crate::bindings::{
        SSL_R_CALLBACK_FAILED as CALLBACK_FAILED,
        SSL_R_CERTIFICATE_VERIFY_FAILED as CERTIFICATE_VERIFY_FAILED,
        SSL_R_HTTP_REQUEST as HTTP_REQUEST, SSL_R_HTTPS_PROXY_REQUEST as HTTPS_PROXY_REQUEST,
        SSL_R_NO_APPLICATION_PROTOCOL as NO_APPLICATION_PROTOCOL,
        SSL_R_NO_SHARED_CIPHER as NO_SHARED_CIPHER, SSL_R_NO_SHARED_GROUPS as NO_SHARED_GROUPS,
        SSL_R_NO_SHARED_SIGNATURE_ALGORITHMS as NO_SHARED_SIGNATURE_ALGORITHMS,
        SSL_R_NO_SUITABLE_KEY_SHARE as NO_SUITABLE_KEY_SHARE,
        SSL_R_NO_SUITABLE_SIGNATURE_ALGORITHM as NO_SUITABLE_SIGNATURE_ALGORITHM,
        SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE as PEER_DID_NOT_RETURN_A_CERTIFICATE,
        SSL_R_UNSUPPORTED_PROTOCOL as UNSUPPORTED_PROTOCOL,
        SSL_R_VERSION_TOO_LOW as VERSION_TOO_LOW,
        SSL_R_WRONG_VERSION_NUMBER as WRONG_VERSION_NUMBER,
    };
    /// The library whose codes these are ([`openssl::error::Error::library_code`]).
    pub const LIBRARY: i32 = crate::bindings::ERR_LIB_SSL;
}

/// Why an SSL is of no more use.
#[derive(Debug)]
pub enum Failure {
    /// The peer ended the TLS connection with a close_notify alert.
    CloseNotify,
    /// The peer closed the transport without a close_notify alert.
    Eof,
    /// The transport failed.
    Io(io::Error),
    /// The protocol failed, on either side; if on ours, an alert has been sent.
    Tls(ErrorStack),
}

/// Why a call on an established connection did nothing.
#[derive(Debug)]
pub enum Stop {
    /// Call again when the socket is readable.
    WantRead,
    Failed(Failure),
}

/// `SSL_get_error` reads the thread's error queue, where anything could have left
/// something behind; looking is much cheaper than emptying sixteen slots each time.
pub(crate) fn clear_stale() {
    // SAFETY: both only touch the calling thread's own error queue.
    unsafe {
        if bindings::ERR_peek_error() != 0 {
            openssl_sys::ERR_clear_error();
        }
    }
}

/// What the failed call `ret` on `ssl` means, in OpenSSL's codes (`SSL_ERROR_*`), with
/// the system error of that moment. To be called at once after the call.
pub(crate) fn code(ssl: &SslRef, ret: i32) -> (i32, io::Error) {
    let system = io::Error::last_os_error();
    // SAFETY: `ssl` is a valid SSL; SSL_get_error only reads it and the error queue.
    let code = unsafe { openssl_sys::SSL_get_error(ssl.as_ptr(), ret) };
    (code, system)
}

/// The failure behind an error code that is not one of the WANT codes.
pub(crate) fn failure(code: i32, system: io::Error) -> Failure {
    // Taken in every case: what is left would be found by the next call on this thread.
    let stack = ErrorStack::get();
    match code {
        openssl_sys::SSL_ERROR_ZERO_RETURN => Failure::CloseNotify,
        openssl_sys::SSL_ERROR_SYSCALL => match system.kind() {
            // A broken SSL called again has no error of its own, and errno is an old one.
            io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted => Failure::Eof,
            _ if system.raw_os_error() == Some(0) => Failure::Eof,
            _ => Failure::Io(system),
        },
        _ if is_eof(&stack) => Failure::Eof,
        _ => Failure::Tls(stack),
    }
}

/// OpenSSL's reasons in one line: the first is the cause, the others are its callers.
pub(crate) fn told(stack: &ErrorStack) -> String {
    let Some(first) = stack.errors().first() else {
        return "OpenSSL gives no reason".to_owned();
    };
    let reason = first.reason().unwrap_or("unknown error");
    match first.data() {
        Some(data) => format!("{reason}: {data}"),
        None => reason.to_owned(),
    }
}

fn is_eof(stack: &ErrorStack) -> bool {
    stack.errors().iter().any(|error| {
        error.library_code() == bindings::ERR_LIB_SSL
            && error.reason_code() == bindings::SSL_R_UNEXPECTED_EOF_WHILE_READING
    })
}
