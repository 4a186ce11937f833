//! Why a listener's TLS cannot be set up: the configuration's fault, or the machine's.

use openssl::error::ErrorStack;

/// What of [`TlsParams`](super::TlsParams) does not work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsField {
    /// The certificate or its chain, by its place in the list.
    Certificate(usize),
    /// The private key of the certificate at this place in the list.
    PrivateKey(usize),
    MinimumVersion,
    MaximumVersion,
    CipherList,
    CipherSuites,
    /// The group at this place in the list.
    Group(usize),
    SessionTickets,
    ClientAuth,
    /// None of them: OpenSSL itself.
    Library,
}

impl TlsField {
    /// The key in the configuration, where there is one.
    pub fn key(self) -> &'static str {
        match self {
            TlsField::Certificate(_) => "certificates.certificate_chain",
            TlsField::PrivateKey(_) => "certificates.private_key",
            TlsField::MinimumVersion => "minimum_version",
            TlsField::MaximumVersion => "maximum_version",
            TlsField::CipherList => "cipher_list",
            TlsField::CipherSuites => "cipher_suites",
            TlsField::Group(_) => "groups",
            TlsField::SessionTickets => "session_tickets",
            TlsField::ClientAuth => "client_auth",
            TlsField::Library => "tls",
        }
    }
}

/// TLS cannot be set up as asked for.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{}: {reason}", field.key())]
pub struct TlsError {
    pub field: TlsField,
    pub reason: String,
}

impl TlsError {
    pub(super) fn new(field: TlsField, reason: impl Into<String>) -> TlsError {
        let reason = reason.into();
        TlsError { field, reason }
    }

    pub(super) fn openssl(field: TlsField, stack: &ErrorStack) -> TlsError {
        TlsError::new(field, reasons(stack))
    }
}

/// OpenSSL's errors in its own words, without its codes, functions and files.
pub(super) fn reasons(stack: &ErrorStack) -> String {
    let mut text = String::new();
    for error in stack.errors() {
        if !text.is_empty() {
            text.push_str(": ");
        }
        match error.reason() {
            Some(reason) => text.push_str(reason),
            None => text.push_str(&format!("error {:#x}", error.code())),
        }
    }
    if text.is_empty() {
        "OpenSSL gives no reason".to_owned()
    } else {
        text
    }
}
