//! What a handshake has settled.

use openssl::hash::MessageDigest;
use openssl::pkey::Id;
use openssl::ssl::{NameType, SslRef, SslVersion};
use openssl::x509::{X509, X509Ref};
use qat_sys::Session;

use super::params::{Alpn, TlsVersion};

/// The type of the key that the server signed with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KeyType {
    Rsa,
    RsaPss,
    Ecdsa,
    Ed25519,
    Ed448,
    Other,
}

impl KeyType {
    /// The label that metrics count it under.
    pub fn as_str(self) -> &'static str {
        match self {
            KeyType::Rsa => "rsa",
            KeyType::RsaPss => "rsa_pss",
            KeyType::Ecdsa => "ecdsa",
            KeyType::Ed25519 => "ed25519",
            KeyType::Ed448 => "ed448",
            KeyType::Other => "other",
        }
    }

    fn of(certificate: &X509Ref) -> Option<KeyType> {
        Some(match certificate.public_key().ok()?.id() {
            Id::RSA => KeyType::Rsa,
            Id::RSA_PSS => KeyType::RsaPss,
            Id::EC => KeyType::Ecdsa,
            Id::ED25519 => KeyType::Ed25519,
            Id::ED448 => KeyType::Ed448,
            _ => KeyType::Other,
        })
    }
}

/// Who a client is, by the certificate it was verified with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientIdentity {
    /// The subject as RFC 4514 writes it.
    pub subject: String,
    /// The URIs among the subject's alternative names.
    pub uris: Vec<String>,
    /// The DNS names among the subject's alternative names.
    pub dns_names: Vec<String>,
    /// SHA-256 of the certificate, in lower-case hexadecimal digits.
    pub fingerprint: String,
}

impl ClientIdentity {
    fn of(certificate: &X509) -> ClientIdentity {
        let names = certificate.subject_alt_names();
        let names = || names.iter().flatten();
        let digest = certificate.digest(MessageDigest::sha256());
        ClientIdentity {
            subject: qat_sys::certificate::rfc2253(certificate.subject_name()).unwrap_or_default(),
            uris: names()
                .filter_map(|name| name.uri().map(str::to_owned))
                .collect(),
            dns_names: names()
                .filter_map(|name| name.dnsname().map(str::to_owned))
                .collect(),
            fingerprint: digest.map(|bytes| hex(&bytes)).unwrap_or_default(),
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What a handshake has settled.
#[derive(Clone, Debug)]
pub struct TlsInfo {
    pub version: TlsVersion,
    /// OpenSSL's name of the cipher suite.
    pub cipher: &'static str,
    /// The key-exchange group, by its IANA name.
    pub group: Option<&'static str>,
    pub alpn: Option<Alpn>,
    /// The name the client asked for, in lower case.
    pub sni: Option<Box<str>>,
    /// Whether an earlier session was resumed, without a signature of ours.
    pub resumed: bool,
    /// The type of key signed with; None if resumed.
    pub key_type: Option<KeyType>,
    /// Times the handshake was paused for an accelerator.
    pub pauses: u32,
    /// Some if the client has shown a certificate.
    pub client: Option<Box<ClientIdentity>>,
}

impl TlsInfo {
    pub(super) fn of(session: &Session, pauses: u32, client_auth: bool) -> TlsInfo {
        let ssl = session.ssl();
        let resumed = ssl.session_reused();
        let key_type = if resumed {
            None
        } else {
            ssl.certificate().and_then(KeyType::of)
        };
        // Only a verified certificate lets the handshake come this far.
        let certificate = if client_auth {
            ssl.peer_certificate()
        } else {
            None
        };
        TlsInfo {
            version: match ssl.version2() {
                Some(SslVersion::TLS1_3) => TlsVersion::Tls13,
                _ => TlsVersion::Tls12,
            },
            cipher: ssl.current_cipher().map_or("", |cipher| cipher.name()),
            group: session.group(),
            alpn: alpn(ssl),
            sni: ssl
                .servername(NameType::HOST_NAME)
                .map(|name| name.to_ascii_lowercase().into()),
            resumed,
            key_type,
            pauses,
            client: certificate.map(|certificate| Box::new(ClientIdentity::of(&certificate))),
        }
    }
}

fn alpn(ssl: &SslRef) -> Option<Alpn> {
    let selected = ssl.selected_alpn_protocol()?;
    [Alpn::H2, Alpn::Http11]
        .into_iter()
        .find(|alpn| alpn.as_bytes() == selected)
}
