//! Throw-away certificates: an authority made for the occasion, whose key is
//! forgotten at once, and two leaves for this machine's names.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::net::Ipv4Addr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use openssl::asn1::Asn1Time;
use openssl::bn::{BigNum, MsbOption};
use openssl::ec::{EcGroup, EcKey};
use openssl::error::ErrorStack;
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::rsa::Rsa;
use openssl::x509::extension::{
    BasicConstraints, ExtendedKeyUsage, KeyUsage, SubjectAlternativeName, SubjectKeyIdentifier,
};
use openssl::x509::{X509, X509Builder, X509Name};

/// Long enough for an afternoon, short enough not to be kept.
const DAYS: u32 = 30;

/// A certificate's files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pair {
    pub certificate_chain: PathBuf,
    pub private_key: PathBuf,
}

/// What [`make`] wrote, all of it PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DemoCertificates {
    /// For clients to verify the others with.
    pub authority: PathBuf,
    /// P-256.
    pub ecdsa: Pair,
    /// 2048 bits.
    pub rsa: Pair,
}

/// Writes certificates for `localhost`, 127.0.0.1 and ::1 into `folder`, which is
/// made if need be. Keys are readable by their owner alone.
///
/// # Errors
/// OpenSSL fails, or a file cannot be written.
pub fn make(folder: &Path) -> io::Result<DemoCertificates> {
    fs::create_dir_all(folder)?;
    let authority_key = p256()?;
    let authority = authority(&authority_key)?;
    let leaf = |name: &str, key: &PKey<Private>| -> io::Result<Pair> {
        let certificate = leaf(key, &authority, &authority_key)?;
        let pair = Pair {
            certificate_chain: folder.join(format!("{name}.pem")),
            private_key: folder.join(format!("{name}.key")),
        };
        write(&pair.certificate_chain, 0o644, &certificate.to_pem()?)?;
        write(&pair.private_key, 0o600, &key.private_key_to_pem_pkcs8()?)?;
        Ok(pair)
    };
    let path = folder.join("authority.pem");
    write(&path, 0o644, &authority.to_pem()?)?;
    Ok(DemoCertificates {
        ecdsa: leaf("localhost-ecdsa", &p256()?)?,
        rsa: leaf("localhost-rsa", &PKey::from_rsa(Rsa::generate(2048)?)?)?,
        authority: path,
    })
}

/// A certificate of this key for `localhost`, whose authority nobody knows.
///
/// # Errors
/// OpenSSL fails.
pub fn throw_away(key: &PKey<Private>) -> Result<X509, ErrorStack> {
    let authority_key = p256()?;
    leaf(key, &authority(&authority_key)?, &authority_key)
}

fn p256() -> Result<PKey<Private>, ErrorStack> {
    let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1)?;
    PKey::from_ec_key(EcKey::generate(&group)?)
}

fn authority(key: &PKey<Private>) -> Result<X509, ErrorStack> {
    let mut builder = begin("qat-gateway demo authority", key)?;
    let subject = name("qat-gateway demo authority")?;
    builder.set_issuer_name(&subject)?;
    builder.append_extension(BasicConstraints::new().critical().ca().pathlen(0).build()?)?;
    builder.append_extension(KeyUsage::new().critical().key_cert_sign().build()?)?;
    let identifier = SubjectKeyIdentifier::new().build(&builder.x509v3_context(None, None))?;
    builder.append_extension(identifier)?;
    builder.sign(key, MessageDigest::sha256())?;
    Ok(builder.build())
}

fn leaf(
    key: &PKey<Private>,
    authority: &X509,
    authority_key: &PKey<Private>,
) -> Result<X509, ErrorStack> {
    let mut builder = begin("localhost", key)?;
    builder.set_issuer_name(authority.subject_name())?;
    builder.append_extension(BasicConstraints::new().critical().build()?)?;
    builder.append_extension(KeyUsage::new().critical().digital_signature().build()?)?;
    builder.append_extension(ExtendedKeyUsage::new().server_auth().build()?)?;
    let names = SubjectAlternativeName::new()
        .dns("localhost")
        .ip(&Ipv4Addr::LOCALHOST.to_string())
        .ip("::1")
        .build(&builder.x509v3_context(Some(authority), None))?;
    builder.append_extension(names)?;
    builder.sign(authority_key, MessageDigest::sha256())?;
    Ok(builder.build())
}

fn begin(common_name: &str, key: &PKey<Private>) -> Result<X509Builder, ErrorStack> {
    let mut serial = BigNum::new()?;
    serial.rand(127, MsbOption::MAYBE_ZERO, false)?;
    let serial = serial.to_asn1_integer()?;
    let mut builder = X509Builder::new()?;
    builder.set_version(2)?; // X.509 v3 counts from 0
    builder.set_serial_number(&serial)?;
    let subject = name(common_name)?;
    builder.set_subject_name(&subject)?;
    builder.set_pubkey(key)?;
    let (now, end) = (Asn1Time::days_from_now(0)?, Asn1Time::days_from_now(DAYS)?);
    builder.set_not_before(&now)?;
    builder.set_not_after(&end)?;
    Ok(builder)
}

fn name(common_name: &str) -> Result<X509Name, ErrorStack> {
    let mut builder = X509Name::builder()?;
    builder.append_entry_by_nid(Nid::COMMONNAME, common_name)?;
    Ok(builder.build())
}

fn write(path: &Path, mode: u32, content: &[u8]) -> io::Result<()> {
    // The mode holds for new files alone: an old one may be readable by all.
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(path)?
        .write_all(content)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use openssl::stack::Stack;
    use openssl::x509::X509StoreContext;
    use openssl::x509::store::X509StoreBuilder;
    use openssl::x509::verify::X509VerifyParam;

    use super::*;

    fn verifies(authority: &X509, leaf: &X509, host: &str) -> bool {
        let mut parameters = X509VerifyParam::new().expect("parameters");
        match host.parse() {
            Ok(ip) => parameters.set_ip(ip).expect("an address"),
            Err(_) => parameters.set_host(host).expect("a name"),
        }
        let mut store = X509StoreBuilder::new().expect("a store");
        store.add_cert(authority.clone()).expect("added");
        store.set_param(&parameters).expect("set");
        let (store, none) = (store.build(), Stack::new().expect("a stack"));
        let mut context = X509StoreContext::new().expect("a context");
        context
            .init(&store, leaf, &none, |context| context.verify_cert())
            .expect("verified or not")
    }

    #[test]
    fn the_leaves_verify_for_this_machine_and_no_other() {
        let folder = tempfile::tempdir().expect("a folder");
        let made = make(&folder.path().join("new")).expect("made");
        let read = |path: &Path| X509::from_pem(&fs::read(path).expect("read")).expect("PEM");
        let authority = read(&made.authority);
        for pair in [&made.ecdsa, &made.rsa] {
            let leaf = read(&pair.certificate_chain);
            for host in ["localhost", "127.0.0.1", "::1"] {
                assert!(verifies(&authority, &leaf, host), "{host}");
            }
            assert!(!verifies(&authority, &leaf, "example.com"));
            let key = fs::read(&pair.private_key).expect("read");
            let key = PKey::private_key_from_pem(&key).expect("a key");
            assert!(leaf.public_key().expect("a key").public_eq(&key));
            let mode = fs::metadata(&pair.private_key)
                .expect("a file")
                .permissions();
            assert_eq!(mode.mode() & 0o777, 0o600);
        }
    }

    #[test]
    fn making_them_again_replaces_them() {
        let folder = tempfile::tempdir().expect("a folder");
        let first = make(folder.path()).expect("made");
        let old = fs::read(&first.authority).expect("read");
        assert_eq!(make(folder.path()).expect("made again"), first);
        assert_ne!(fs::read(&first.authority).expect("read"), old);
    }
}
