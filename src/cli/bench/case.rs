//! What can be measured: keys, versions, groups, handshakes in flight.

use std::fmt;

use openssl::ec::{EcGroup, EcKey};
use openssl::error::ErrorStack;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::rsa::Rsa;
use schemars::JsonSchema;
use serde::Serialize;

use crate::accelerator::Algorithm;
use crate::tls::TlsVersion;

/// The type of the certificate's key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, JsonSchema, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Key {
    Rsa2048,
    Rsa3072,
    Rsa4096,
    P256,
    P384,
}

impl Key {
    pub fn as_str(self) -> &'static str {
        match self {
            Key::Rsa2048 => "rsa2048",
            Key::Rsa3072 => "rsa3072",
            Key::Rsa4096 => "rsa4096",
            Key::P256 => "p256",
            Key::P384 => "p384",
        }
    }

    pub fn is_rsa(self) -> bool {
        matches!(self, Key::Rsa2048 | Key::Rsa3072 | Key::Rsa4096)
    }

    pub(super) fn generate(self) -> Result<PKey<Private>, ErrorStack> {
        let rsa = |bits| PKey::from_rsa(Rsa::generate(bits)?);
        let curve = |nid| {
            let group = EcGroup::from_curve_name(nid)?;
            PKey::from_ec_key(EcKey::generate(&group)?)
        };
        match self {
            Key::Rsa2048 => rsa(2048),
            Key::Rsa3072 => rsa(3072),
            Key::Rsa4096 => rsa(4096),
            Key::P256 => curve(Nid::X9_62_PRIME256V1),
            Key::P384 => curve(Nid::SECP384R1),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, JsonSchema, clap::ValueEnum)]
pub enum Version {
    #[value(name = "1.2")]
    #[serde(rename = "1.2")]
    Tls12,
    #[value(name = "1.3")]
    #[serde(rename = "1.3")]
    Tls13,
}

impl Version {
    pub fn as_str(self) -> &'static str {
        match self {
            Version::Tls12 => "1.2",
            Version::Tls13 => "1.3",
        }
    }
}

impl From<Version> for TlsVersion {
    fn from(version: Version) -> TlsVersion {
        match version {
            Version::Tls12 => TlsVersion::Tls12,
            Version::Tls13 => TlsVersion::Tls13,
        }
    }
}

/// A curve that certificates may have.
#[derive(Debug)]
pub struct Curve {
    names: &'static [&'static str],
    pub bits: u32,
}

const CURVES: [Curve; 2] = [
    Curve {
        names: &["P-256", "secp256r1", "prime256v1"],
        bits: 256,
    },
    Curve {
        names: &["P-384", "secp384r1"],
        bits: 384,
    },
];

/// The handshakes of one row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Case {
    /// None: whatever the server has.
    pub key: Option<Key>,
    pub version: Version,
    /// The only key-exchange group offered.
    pub group: String,
    /// Resumed rather than full.
    pub resumed: bool,
    /// Handshakes in progress at any time.
    pub in_flight: usize,
}

impl Case {
    /// The groups to offer. In TLS 1.2 they are the curves of certificates as well
    /// (RFC 8422 section 5.1.1); the wanted one comes first.
    pub fn groups(&self) -> Vec<String> {
        let curves = self.curves();
        let curves = curves.iter().map(|curve| curve.names[0].to_owned());
        [self.group.clone()].into_iter().chain(curves).collect()
    }

    /// Those that are offered for the sake of certificates: a key exchange with one of them
    /// is another than the wanted.
    pub fn curves(&self) -> Vec<&'static Curve> {
        let wanted = |curve: &&Curve| {
            let mut names = curve.names.iter();
            names.any(|name| name.eq_ignore_ascii_case(&self.group))
        };
        match self.version {
            Version::Tls12 => CURVES.iter().filter(|curve| !wanted(curve)).collect(),
            Version::Tls13 => Vec::new(),
        }
    }

    /// Whether the server's side of such a handshake has an operation of this kind.
    pub fn needs(&self, algorithm: Algorithm) -> bool {
        match algorithm {
            // A resumed session is not signed for again.
            Algorithm::Rsa => !self.resumed && self.key.is_some_and(Key::is_rsa),
            Algorithm::Ecdsa => !self.resumed && self.key.is_some_and(|key| !key.is_rsa()),
            // TLS 1.3 resumes with a fresh key exchange (RFC 8446, psk_dhe_ke).
            Algorithm::X25519 => {
                let exchanges = !self.resumed || self.version == Version::Tls13;
                exchanges && self.group.to_ascii_lowercase().contains("x25519")
            }
        }
    }
}

/// For the progress bar and error messages.
impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(key) = self.key {
            write!(f, "{} ", key.as_str())?;
        }
        let resumed = if self.resumed { " resumed" } else { "" };
        write!(
            f,
            "TLS {} {}{resumed}, {} in flight",
            self.version.as_str(),
            self.group,
            self.in_flight
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tls_1_2_offers_the_curves_of_certificates_last() {
        let groups = |version, group: &str| {
            let case = Case {
                key: None,
                version,
                group: group.to_owned(),
                resumed: false,
                in_flight: 1,
            };
            case.groups().join(":")
        };
        assert_eq!(groups(Version::Tls13, "X25519"), "X25519");
        assert_eq!(groups(Version::Tls12, "X25519"), "X25519:P-256:P-384");
        assert_eq!(groups(Version::Tls12, "secp256r1"), "secp256r1:P-384");
        assert_eq!(groups(Version::Tls12, "p-384"), "p-384:P-256");
    }

    #[test]
    fn resumption_saves_the_signature_and_in_tls_1_2_the_exchange() {
        let case = |version, resumed| Case {
            key: Some(Key::Rsa2048),
            version,
            group: "X25519".to_owned(),
            resumed,
            in_flight: 1,
        };
        let needs = |case: Case| Algorithm::ALL.map(|one| case.needs(one));
        assert_eq!(needs(case(Version::Tls12, false)), [true, true, false]);
        assert_eq!(needs(case(Version::Tls12, true)), [false, false, false]);
        assert_eq!(needs(case(Version::Tls13, true)), [false, true, false]);
        let p384 = Case {
            key: Some(Key::P384),
            ..case(Version::Tls13, false)
        };
        assert_eq!(needs(p384), [false, true, true]);
    }
}
