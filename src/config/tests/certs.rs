//! Throw-away certificates in a temporary folder.

use std::path::Path;

use openssl::asn1::Asn1Time;
use openssl::bn::BigNum;
use openssl::ec::{EcGroup, EcKey};
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::rsa::Rsa;
use openssl::x509::extension::{BasicConstraints, SubjectAlternativeName};
use openssl::x509::{X509, X509Name};
use tempfile::TempDir;

pub(super) struct Made {
    pub(super) cert: X509,
    pub(super) key: PKey<Private>,
}

pub(super) struct Wanted<'a> {
    pub(super) names: &'a [&'a str],
    pub(super) key: PKey<Private>,
    /// Unix times.
    pub(super) validity: (i64, i64),
    pub(super) issuer: Option<&'a Made>,
}

impl Default for Wanted<'_> {
    fn default() -> Self {
        Wanted {
            names: &["edge.example.com", "*.example.com"],
            key: ec_key(),
            validity: (1_500_000_000, 4_000_000_000),
            issuer: None,
        }
    }
}

pub(super) fn ec_key() -> PKey<Private> {
    let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap();
    PKey::from_ec_key(EcKey::generate(&group).unwrap()).unwrap()
}

pub(super) fn rsa_key(bits: u32) -> PKey<Private> {
    PKey::from_rsa(Rsa::generate(bits).unwrap()).unwrap()
}

pub(super) fn make(wanted: Wanted<'_>) -> Made {
    let mut name = X509Name::builder().unwrap();
    let common = wanted.names.first().copied().unwrap_or("nameless");
    name.append_entry_by_nid(Nid::COMMONNAME, common).unwrap();
    let name = name.build();
    let mut builder = X509::builder().unwrap();
    builder.set_version(2).unwrap();
    let serial = BigNum::from_u32(fastrand::u32(1..)).unwrap();
    builder
        .set_serial_number(&serial.to_asn1_integer().unwrap())
        .unwrap();
    builder.set_subject_name(&name).unwrap();
    let issuer = wanted
        .issuer
        .map_or(&*name, |made| made.cert.subject_name());
    builder.set_issuer_name(issuer).unwrap();
    let (from, until) = wanted.validity;
    builder
        .set_not_before(&Asn1Time::from_unix(from).unwrap())
        .unwrap();
    builder
        .set_not_after(&Asn1Time::from_unix(until).unwrap())
        .unwrap();
    builder.set_pubkey(&wanted.key).unwrap();
    let ca = BasicConstraints::new().ca().build().unwrap();
    builder.append_extension(ca).unwrap();
    if !wanted.names.is_empty() {
        let mut names = SubjectAlternativeName::new();
        wanted.names.iter().for_each(|name| {
            names.dns(name);
        });
        let names = names.build(&builder.x509v3_context(None, None)).unwrap();
        builder.append_extension(names).unwrap();
    }
    let signer = wanted.issuer.map_or(&wanted.key, |made| &made.key);
    builder.sign(signer, MessageDigest::sha256()).unwrap();
    Made {
        cert: builder.build(),
        key: wanted.key,
    }
}

impl Made {
    pub(super) fn write(&self, folder: &Path, name: &str) {
        let (pem, key) = (self.cert.to_pem().unwrap(), self.key_pem());
        std::fs::write(folder.join(format!("{name}.pem")), pem).unwrap();
        std::fs::write(folder.join(format!("{name}.key")), key).unwrap();
    }

    pub(super) fn key_pem(&self) -> Vec<u8> {
        self.key.private_key_to_pem_pkcs8().unwrap()
    }
}

/// A folder with every file that the shipped configurations name.
pub(super) fn folder() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let certs = dir.path().join("certs");
    std::fs::create_dir(&certs).unwrap();
    for name in ["edge", "clients-ca", "backends-ca", "gateway"] {
        make(Wanted::default()).write(&certs, name);
    }
    dir
}
