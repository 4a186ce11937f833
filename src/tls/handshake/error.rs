//! Why a handshake failed, and at whom the finger points.

use std::io;

use openssl::error::{Error, ErrorStack};
use openssl::ssl::SslAlert;
use qat_sys::{Failure, reason};

use crate::tls::error::reasons;

#[derive(Debug, thiserror::Error)]
pub enum HandshakeError {
    /// The client did not finish in time.
    #[error("the client did not finish its handshake in time")]
    Timeout,
    /// The accelerator did not finish in time.
    #[error("the accelerator did not finish an operation in time")]
    Stalled,
    /// The client gave up with this alert (RFC 8446 section 6).
    #[error("the client sent the alert {0}")]
    ClientAlert(SslAlert),
    /// No version, cipher, group or signature algorithm in common.
    #[error("nothing in common with the client: {0}")]
    NoSharedCipher(String),
    /// The client speaks only older versions than allowed.
    #[error("the client's TLS version is not allowed: {0}")]
    Version(String),
    /// No application protocol in common.
    #[error("no application protocol in common with the client")]
    NoSharedAlpn,
    /// No certificate for the name, and strict SNI.
    #[error("no certificate for the name the client asked for")]
    UnknownName,
    /// The client's certificate is missing or not trusted.
    #[error("the client's certificate was refused: {0}")]
    ClientCertificate(String),
    /// It does not speak TLS. True: it speaks HTTP.
    #[error("the client does not speak TLS{}", if *.0 { ", but HTTP" } else { "" })]
    NotTls(bool),
    /// The client broke the protocol, or OpenSSL failed.
    #[error("{0}")]
    Protocol(String),
    /// The client went away.
    #[error("the client closed the connection")]
    PeerGone,
    #[error("the connection failed: {0}")]
    Io(#[from] io::Error),
    /// No SSL could be made.
    #[error("no handshake could be started: {0}")]
    Setup(String),
}

impl HandshakeError {
    /// The label that metrics count it under.
    pub fn outcome(&self) -> &'static str {
        match self {
            HandshakeError::Timeout => "timeout",
            HandshakeError::Stalled => "stalled",
            HandshakeError::ClientAlert(_) => "client_alert",
            HandshakeError::NoSharedCipher(_) => "no_shared_cipher",
            HandshakeError::Version(_) => "version",
            HandshakeError::NoSharedAlpn => "no_shared_alpn",
            HandshakeError::UnknownName => "unknown_name",
            HandshakeError::ClientCertificate(_) => "client_cert",
            HandshakeError::NotTls(_) => "not_tls",
            HandshakeError::Protocol(_) => "protocol",
            HandshakeError::PeerGone => "peer_gone",
            HandshakeError::Io(_) => "io",
            HandshakeError::Setup(_) => "setup",
        }
    }

    /// Whether the client may be there to read why it failed.
    pub(in crate::tls) fn is_told(&self) -> bool {
        match self {
            HandshakeError::NoSharedCipher(_)
            | HandshakeError::Version(_)
            | HandshakeError::NoSharedAlpn
            | HandshakeError::UnknownName
            | HandshakeError::ClientCertificate(_)
            | HandshakeError::NotTls(_)
            | HandshakeError::Protocol(_) => true,
            HandshakeError::Timeout
            | HandshakeError::Stalled
            | HandshakeError::ClientAlert(_)
            | HandshakeError::PeerGone
            | HandshakeError::Io(_)
            | HandshakeError::Setup(_) => false,
        }
    }

    pub(super) fn setup(stack: &ErrorStack) -> HandshakeError {
        HandshakeError::Setup(reasons(stack))
    }
}

impl From<Failure> for HandshakeError {
    fn from(failure: Failure) -> HandshakeError {
        match failure {
            Failure::CloseNotify | Failure::Eof => HandshakeError::PeerGone,
            Failure::Io(error) => match error.kind() {
                io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => {
                    HandshakeError::PeerGone
                }
                _ => HandshakeError::Io(error),
            },
            Failure::Tls(stack) => of_stack(&stack),
        }
    }
}

fn of_stack(stack: &ErrorStack) -> HandshakeError {
    // The first error is the cause, what follows was found out on the way back.
    let ours = |error: &&Error| error.library_code() == reason::LIBRARY;
    for error in stack.errors().iter().filter(ours) {
        let code = error.reason_code();
        if let Some(alert) = SslAlert::from_reason_code(code) {
            return HandshakeError::ClientAlert(alert);
        }
        if let Some(kind) = of_reason(code, stack) {
            return kind;
        }
    }
    HandshakeError::Protocol(reasons(stack))
}

fn of_reason(code: i32, stack: &ErrorStack) -> Option<HandshakeError> {
    Some(match code {
        reason::HTTP_REQUEST | reason::HTTPS_PROXY_REQUEST => HandshakeError::NotTls(true),
        reason::WRONG_VERSION_NUMBER => HandshakeError::NotTls(false),
        reason::NO_SHARED_CIPHER
        | reason::NO_SHARED_GROUPS
        | reason::NO_SHARED_SIGNATURE_ALGORITHMS
        | reason::NO_SUITABLE_KEY_SHARE
        | reason::NO_SUITABLE_SIGNATURE_ALGORITHM => HandshakeError::NoSharedCipher(reasons(stack)),
        reason::UNSUPPORTED_PROTOCOL | reason::VERSION_TOO_LOW => {
            HandshakeError::Version(reasons(stack))
        }
        reason::NO_APPLICATION_PROTOCOL => HandshakeError::NoSharedAlpn,
        reason::CALLBACK_FAILED => HandshakeError::UnknownName,
        reason::CERTIFICATE_VERIFY_FAILED | reason::PEER_DID_NOT_RETURN_A_CERTIFICATE => {
            HandshakeError::ClientCertificate(reasons(stack))
        }
        _ => return None,
    })
}
