//! What a listener's TLS is to do, checked and loaded.

use std::time::Duration;

use openssl::pkey::{PKey, Private};
use openssl::x509::X509;

use super::tickets::TicketKeys;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TlsVersion {
    Tls12,
    Tls13,
}

/// A protocol offered by ALPN (RFC 7301).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Alpn {
    H2,
    Http11,
}

impl Alpn {
    /// The protocol's name on the wire, without its length byte.
    pub fn as_bytes(self) -> &'static [u8] {
        match self {
            Alpn::H2 => b"h2",
            Alpn::Http11 => b"http/1.1",
        }
    }
}

/// One certificate with its chain and private key.
#[derive(Clone)]
pub struct Certificate {
    pub leaf: X509,
    /// The intermediates, leaf's issuer first.
    pub intermediates: Vec<X509>,
    pub key: PKey<Private>,
    /// Lower-case host names it is served for: the leaf's DNS names, or those the
    /// configuration gives. `*.` stands for exactly one label (RFC 9525 6.3).
    pub names: Vec<String>,
}

/// Whether clients must show a certificate.
#[derive(Clone, Default)]
pub enum ClientAuth {
    #[default]
    Off,
    /// Verified if shown.
    Optional(ClientCa),
    /// The handshake fails without one.
    Required(ClientCa),
}

/// The authorities that client certificates are verified against.
#[derive(Clone)]
pub struct ClientCa {
    pub roots: Vec<X509>,
    /// Most intermediates between a client certificate and a root.
    pub depth: u32,
}

#[derive(Clone)]
pub struct TlsParams {
    /// Never empty. The first is served when no name matches.
    pub certificates: Vec<Certificate>,
    pub minimum_version: TlsVersion,
    pub maximum_version: TlsVersion,
    /// TLS 1.2 ciphers in OpenSSL's syntax (`openssl-ciphers(1)`).
    pub cipher_list: Option<String>,
    /// TLS 1.3 cipher suites, colon-separated.
    pub cipher_suites: Option<String>,
    /// Key-exchange groups in order of preference; names this OpenSSL lacks are
    /// already dropped.
    pub groups: Vec<String>,
    /// Take the client's cipher order instead of ours.
    pub prefer_client_ciphers: bool,
    /// In the server's order of preference.
    pub alpn: Vec<Alpn>,
    /// Tickets sent after a full TLS 1.3 handshake; 0 turns resumption off for all
    /// versions.
    pub session_tickets: u32,
    pub session_lifetime: Duration,
    /// None: those of the process.
    pub ticket_keys: Option<TicketKeys>,
    /// Refuse clients whose SNI matches no certificate instead of serving the first.
    pub strict_sni: bool,
    pub client_auth: ClientAuth,
    /// From accept to the end of the handshake.
    pub handshake_timeout: Duration,
}
