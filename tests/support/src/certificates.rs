//! Certificates made for a test.

use std::fs;
use std::path::{Path, PathBuf};

use openssl::asn1::Asn1Time;
use openssl::bn::{BigNum, MsbOption};
use openssl::ec::{EcGroup, EcKey};
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::rsa::Rsa;
use openssl::x509::extension::{
    BasicConstraints, ExtendedKeyUsage, KeyUsage, SubjectAlternativeName,
};
use openssl::x509::{X509, X509Builder, X509Name};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    Rsa2048,
    Rsa3072,
    Rsa4096,
    P256,
    P384,
}

impl Key {
    pub fn generate(self) -> PKey<Private> {
        match self {
            Key::Rsa2048 => rsa(2048),
            Key::Rsa3072 => rsa(3072),
            Key::Rsa4096 => rsa(4096),
            Key::P256 => ec(Nid::X9_62_PRIME256V1),
            Key::P384 => ec(Nid::SECP384R1),
        }
    }
}

fn ec(curve: Nid) -> PKey<Private> {
    let group = EcGroup::from_curve_name(curve).expect("a curve");
    let key = EcKey::generate(&group).expect("an EC key");
    PKey::from_ec_key(key).expect("an EC key")
}

fn rsa(bits: u32) -> PKey<Private> {
    let key = Rsa::generate(bits).expect("an RSA key");
    PKey::from_rsa(key).expect("an RSA key")
}

/// A certificate, its key, and the intermediates to its authority.
#[derive(Clone)]
pub struct Identity {
    pub certificate: X509,
    pub key: PKey<Private>,
    pub intermediates: Vec<X509>,
}

/// An identity's PEM files.
#[derive(Clone, Debug)]
pub struct Files {
    pub certificate_chain: PathBuf,
    pub private_key: PathBuf,
}

impl Files {
    /// As the configuration's `certificates` have it.
    pub fn json(&self) -> serde_json::Value {
        serde_json::json!({
            "certificate_chain": self.certificate_chain,
            "private_key": self.private_key,
        })
    }
}

impl Identity {
    pub fn write(&self, folder: &Path, name: &str) -> Files {
        let files = Files {
            certificate_chain: folder.join(format!("{name}.pem")),
            private_key: folder.join(format!("{name}.key")),
        };
        let mut chain = self.certificate.to_pem().expect("PEM");
        for intermediate in &self.intermediates {
            chain.extend(intermediate.to_pem().expect("PEM"));
        }
        fs::write(&files.certificate_chain, chain).expect("written");
        let key = self.key.private_key_to_pem_pkcs8().expect("PEM");
        fs::write(&files.private_key, key).expect("written");
        files
    }
}

/// What issues certificates.
#[derive(Clone)]
pub struct Authority(Identity);

impl Authority {
    /// Self-signed.
    pub fn new(name: &str) -> Authority {
        let key = Key::P256.generate();
        let mut builder = begin(name, &key);
        builder.set_issuer_name(&x509_name(name)).expect("set");
        authority_extensions(&mut builder);
        let certificate = sign(builder, &key);
        Authority(Identity {
            certificate,
            key,
            intermediates: Vec::new(),
        })
    }

    /// Below this one.
    pub fn intermediate(&self, name: &str) -> Authority {
        let key = Key::P256.generate();
        let mut builder = begin(name, &key);
        self.issuer(&mut builder);
        authority_extensions(&mut builder);
        let certificate = sign(builder, &self.0.key);
        let mut intermediates = vec![certificate.clone()];
        intermediates.extend(self.0.intermediates.iter().cloned());
        Authority(Identity {
            certificate,
            key,
            intermediates,
        })
    }

    pub fn certificate(&self) -> &X509 {
        &self.0.certificate
    }

    pub fn write(&self, folder: &Path, name: &str) -> PathBuf {
        let path = folder.join(format!("{name}.pem"));
        fs::write(&path, self.0.certificate.to_pem().expect("PEM")).expect("written");
        path
    }

    /// A server's, for DNS names and IP addresses.
    pub fn server(&self, key: Key, names: &[&str]) -> Identity {
        self.issue(key, names[0], names, Valid::Now)
    }

    /// A server's whose time is over.
    pub fn expired_server(&self, key: Key, names: &[&str]) -> Identity {
        self.issue(key, names[0], names, Valid::Expired)
    }

    /// A client's, known by its common name.
    pub fn client(&self, key: Key, common_name: &str) -> Identity {
        self.issue(key, common_name, &[], Valid::Now)
    }

    pub fn expired_client(&self, key: Key, common_name: &str) -> Identity {
        self.issue(key, common_name, &[], Valid::Expired)
    }

    fn issue(&self, kind: Key, common_name: &str, names: &[&str], valid: Valid) -> Identity {
        let key = kind.generate();
        let mut builder = begin(common_name, &key);
        if valid == Valid::Expired {
            let yesterday = Asn1Time::from_unix(86_400).expect("1970");
            builder.set_not_before(&yesterday).expect("set");
            builder.set_not_after(&yesterday).expect("set");
        }
        self.issuer(&mut builder);
        let mut usage = ExtendedKeyUsage::new();
        match names {
            [] => usage.client_auth(),
            _ => usage.server_auth(),
        };
        let constraints = BasicConstraints::new().build().expect("constraints");
        builder.append_extension(constraints).expect("added");
        let usage = usage.build().expect("usage");
        builder.append_extension(usage).expect("added");
        if !names.is_empty() {
            let mut alternative = SubjectAlternativeName::new();
            for name in names {
                match name.parse::<std::net::IpAddr>() {
                    Ok(_) => alternative.ip(name),
                    Err(_) => alternative.dns(name),
                };
            }
            let context = builder.x509v3_context(Some(&self.0.certificate), None);
            let alternative = alternative.build(&context).expect("names");
            builder.append_extension(alternative).expect("added");
        }
        Identity {
            certificate: sign(builder, &self.0.key),
            key,
            intermediates: self.0.intermediates.clone(),
        }
    }

    fn issuer(&self, builder: &mut X509Builder) {
        let name = self.0.certificate.subject_name();
        builder.set_issuer_name(name).expect("set");
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Valid {
    Now,
    Expired,
}

fn x509_name(common_name: &str) -> X509Name {
    let mut builder = X509Name::builder().expect("a name");
    builder
        .append_entry_by_nid(Nid::COMMONNAME, common_name)
        .expect("a common name");
    builder.build()
}

fn begin(common_name: &str, key: &PKey<Private>) -> X509Builder {
    let mut builder = X509Builder::new().expect("a builder");
    builder.set_version(2).expect("X.509 v3");
    let mut serial = BigNum::new().expect("a number");
    serial
        .rand(127, MsbOption::MAYBE_ZERO, false)
        .expect("random");
    let serial = serial.to_asn1_integer().expect("a serial number");
    builder.set_serial_number(&serial).expect("set");
    let name = x509_name(common_name);
    builder.set_subject_name(&name).expect("set");
    builder.set_pubkey(key).expect("set");
    let from = Asn1Time::days_from_now(0).expect("a time");
    let until = Asn1Time::days_from_now(2).expect("a time");
    builder.set_not_before(&from).expect("set");
    builder.set_not_after(&until).expect("set");
    builder
}

fn authority_extensions(builder: &mut X509Builder) {
    let constraints = BasicConstraints::new().critical().ca().build();
    builder
        .append_extension(constraints.expect("constraints"))
        .expect("added");
    let usage = KeyUsage::new().critical().key_cert_sign().build();
    builder
        .append_extension(usage.expect("usage"))
        .expect("added");
}

fn sign(mut builder: X509Builder, key: &PKey<Private>) -> X509 {
    builder.sign(key, MessageDigest::sha256()).expect("signed");
    builder.build()
}
