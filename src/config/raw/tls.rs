//! A listener's TLS.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Duration;
use super::scalar::{hours, integer};

/// TLS towards clients.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Tls {
    /// Chosen by the name the client asks for (SNI), then by what it can verify: an
    /// ECDSA and an RSA certificate may stand side by side for one name. The first is
    /// served where no name matches.
    #[schemars(length(min = 1))]
    pub(in crate::config) certificates: Vec<Certificate>,
    /// The oldest version of TLS that is spoken.
    #[serde(default = "Version::oldest")]
    pub(in crate::config) minimum_version: Version,
    /// The newest.
    #[serde(default = "Version::newest")]
    pub(in crate::config) maximum_version: Version,
    /// TLS 1.2 ciphers in OpenSSL's syntax (`man openssl-ciphers`); absent: OpenSSL's
    /// own choice.
    #[serde(default)]
    #[schemars(example = &"ECDHE+AESGCM:ECDHE+CHACHA20")]
    pub(in crate::config) cipher_list: Option<String>,
    /// TLS 1.3 cipher suites, separated by colons; absent: OpenSSL's own choice.
    #[serde(default)]
    #[schemars(example = &"TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256")]
    pub(in crate::config) cipher_suites: Option<String>,
    /// Key-exchange groups in order of preference. Well-known ones that this OpenSSL
    /// doesn't have are left out; X25519MLKEM768 is the gateway's own.
    #[serde(default = "groups")]
    #[schemars(length(min = 1), example = ["X25519", "P-256"])]
    pub(in crate::config) groups: Vec<String>,
    /// Let the client's order of ciphers decide instead of ours.
    #[serde(default)]
    pub(in crate::config) prefer_client_ciphers: bool,
    /// Protocols offered by ALPN, most wanted first.
    #[serde(default = "alpn")]
    #[schemars(length(min = 1))]
    pub(in crate::config) alpn: Vec<Alpn>,
    /// Whether clients may resume sessions: `true`, `false`, or the details.
    #[serde(default)]
    pub(in crate::config) session_tickets: SessionTickets,
    /// Refuse clients that ask for a name no certificate has, instead of serving the
    /// first certificate.
    #[serde(default)]
    pub(in crate::config) strict_sni: bool,
    /// Whether clients must show a certificate of their own.
    #[serde(default)]
    pub(in crate::config) client_certificates: ClientCertificates,
}

fn groups() -> Vec<String> {
    ["X25519MLKEM768", "X25519", "P-256", "P-384"]
        .map(str::to_owned)
        .to_vec()
}

fn alpn() -> Vec<Alpn> {
    vec![Alpn::H2, Alpn::Http11]
}

/// A certificate with its chain and private key.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Certificate {
    /// PEM file: the certificate, then its intermediates. Relative to the folder of
    /// this file.
    #[schemars(length(min = 1), example = &"certs/edge.pem")]
    pub(in crate::config) certificate_chain: String,
    /// PEM file, not encrypted.
    #[schemars(length(min = 1), example = &"certs/edge.key")]
    pub(in crate::config) private_key: String,
    /// The names it is served for; absent: the DNS names in it.
    #[serde(default)]
    #[schemars(length(min = 1), example = ["www.example.com", "*.example.com"])]
    pub(in crate::config) names: Option<Vec<String>>,
}

#[derive(Clone, Copy, Debug, Deserialize, Serialize, JsonSchema)]
#[schemars(inline)]
pub(in crate::config) enum Version {
    #[serde(rename = "1.2")]
    Tls12,
    #[serde(rename = "1.3")]
    Tls13,
}

impl Version {
    fn oldest() -> Self {
        Version::Tls12
    }

    fn newest() -> Self {
        Version::Tls13
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[schemars(inline)]
pub(in crate::config) enum Alpn {
    #[serde(rename = "h2")]
    H2,
    #[serde(rename = "http/1.1")]
    Http11,
}

#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(untagged)]
#[schemars(inline)]
pub(in crate::config) enum SessionTickets {
    Enabled(bool),
    Details(TicketDetails),
}

impl Default for SessionTickets {
    fn default() -> Self {
        SessionTickets::Enabled(true)
    }
}

/// How sessions are resumed.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct TicketDetails {
    /// Tickets sent after a full TLS 1.3 handshake. Each costs us an encryption and the
    /// client some bytes; one is enough for clients that keep a connection, browsers
    /// that open several at once profit from two. 0: no resumption at all.
    #[serde(default = "integer::<1>")]
    #[schemars(range(max = 16))]
    pub(in crate::config) count: u32,
    /// How long a session can be resumed, at most 7 days (RFC 8446 4.6.1).
    #[serde(default = "hours::<2>")]
    pub(in crate::config) lifetime: Duration,
    /// Files of 80 random bytes (`openssl rand 80`), which every replica of the gateway has,
    /// so that each resumes the others' sessions. The first seals tickets, the others open
    /// those from before. None: a key that lives as long as the process.
    #[serde(default)]
    #[schemars(length(max = 16), example = ["tickets/current.key", "tickets/previous.key"])]
    pub(in crate::config) keys: Vec<String>,
}

impl Default for TicketDetails {
    fn default() -> Self {
        TicketDetails {
            count: 1,
            lifetime: hours::<2>(),
            keys: Vec::new(),
        }
    }
}

impl SessionTickets {
    pub(in crate::config) fn details(self) -> TicketDetails {
        match self {
            SessionTickets::Details(details) => details,
            SessionTickets::Enabled(true) => TicketDetails::default(),
            SessionTickets::Enabled(false) => TicketDetails {
                count: 0,
                ..TicketDetails::default()
            },
        }
    }
}

/// Whether clients must show a certificate of their own.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct ClientCertificates {
    /// Not asked for (`off`), verified if shown (`optional`), or `required`.
    #[serde(default)]
    pub(in crate::config) mode: ClientMode,
    /// PEM file with the authorities that client certificates are verified against.
    #[serde(default)]
    #[schemars(length(min = 1), example = &"certs/clients-ca.pem")]
    pub(in crate::config) ca_file: Option<String>,
    /// Most intermediates between a client certificate and an authority.
    #[serde(default = "integer::<3>")]
    #[schemars(range(max = 100))]
    pub(in crate::config) depth: u32,
}

impl Default for ClientCertificates {
    fn default() -> Self {
        ClientCertificates {
            mode: ClientMode::Off,
            ca_file: None,
            depth: 3,
        }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub(in crate::config) enum ClientMode {
    #[default]
    Off,
    Optional,
    Required,
}
