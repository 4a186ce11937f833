//! PEM files: certificates and keys.

use std::io::ErrorKind;

use openssl::asn1::Asn1Time;
use openssl::error::ErrorStack;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::ssl::{SslContextBuilder, SslMethod};
use openssl::x509::{X509, X509Ref};
use qat_sys::tickets::{TICKET_KEY_LEN, TicketKey};

use crate::config::report::At;

/// A certificate, its intermediates, and the key of the first.
pub(super) struct Identity {
    pub(super) chain: Vec<X509>,
    pub(super) key: PKey<Private>,
}

/// No bundle of authorities is that long; keeps a wrong path from filling memory.
const LONGEST: u64 = 16 << 20;

const PEM: &str = "PEM file";

fn read(at: &At<'_>, text: &str, kind: &str) -> Option<Vec<u8>> {
    let path = at.report.base.join(text);
    at.report.files.borrow_mut().insert(path.clone());
    let shown = path.display();
    let metadata = match std::fs::metadata(&path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            at.error(
                format_args!("doesn't exist (looked for {shown})"),
                "write a path relative to the folder of this file, or one that begins with /",
            );
            return None;
        }
        Err(error) => {
            at.error(
                format_args!("can't be read: {error}"),
                format_args!("look at {shown}"),
            );
            return None;
        }
    };
    if !metadata.is_file() || metadata.len() > LONGEST {
        at.error(
            format_args!("is not a {kind} ({shown})"),
            format_args!("write the path of a {kind}"),
        );
        return None;
    }
    match std::fs::read(&path) {
        Ok(bytes) => Some(bytes),
        Err(error) => {
            at.error(
                format_args!("can't be read: {error} ({shown})"),
                "let the gateway's user read it",
            );
            None
        }
    }
}

/// A session-ticket key.
pub(super) fn ticket_key(at: &At<'_>, text: &str) -> Option<TicketKey> {
    let bytes = read(at, text, "key file")?;
    let key = TicketKey::try_from(bytes.as_slice()).ok();
    if key.is_none() {
        at.error(
            format_args!(
                "has {} bytes, not the {TICKET_KEY_LEN} of a session-ticket key",
                bytes.len()
            ),
            format_args!("make one: openssl rand -out {text} {TICKET_KEY_LEN}"),
        );
    }
    key
}

/// All certificates of a PEM file, at least one.
pub(super) fn certificates(at: &At<'_>, text: &str) -> Option<Vec<X509>> {
    let pem = read(at, text, PEM)?;
    let help = "write the path of a PEM file with -----BEGIN CERTIFICATE-----";
    match X509::stack_from_pem(&pem) {
        Ok(stack) if !stack.is_empty() => Some(stack),
        Ok(_) => {
            let what = match contains(&pem, b"PRIVATE KEY-----") {
                true => "has a private key, but no certificate",
                false => "has no certificate",
            };
            at.error(what, help);
            None
        }
        Err(error) => {
            at.error(
                format_args!("has a broken certificate ({})", reason(&error)),
                help,
            );
            None
        }
    }
}

fn private_key(at: &At<'_>, text: &str) -> Option<PKey<Private>> {
    let pem = read(at, text, PEM)?;
    let mut encrypted = false;
    // The callback keeps OpenSSL from asking for a passphrase on the terminal.
    let parsed = PKey::private_key_from_pem_callback(&pem, |_| {
        encrypted = true;
        Ok(0)
    });
    let error = match parsed {
        Ok(key) => return Some(key),
        Err(error) => error,
    };
    if encrypted || contains(&pem, b"ENCRYPTED") {
        at.error(
            "has an encrypted key",
            format_args!("decrypt it: openssl pkey -in {text} -out {text}.plain"),
        );
    } else if !contains(&pem, b"PRIVATE KEY-----") {
        let what = match contains(&pem, b"-----BEGIN CERTIFICATE-----") {
            true => "has a certificate, but no private key",
            false => "has no private key",
        };
        at.error(
            what,
            "write the path of a PEM file with -----BEGIN PRIVATE KEY-----",
        );
    } else {
        at.error(
            format_args!("has a broken private key ({})", reason(&error)),
            "write the path of a PEM file with -----BEGIN PRIVATE KEY-----",
        );
    }
    None
}

/// A chain with the key of its first certificate.
pub(super) fn identity(
    chain_at: &At<'_>,
    chain: &str,
    key_at: &At<'_>,
    key: &str,
) -> Option<Identity> {
    let (chain, key) = (certificates(chain_at, chain), private_key(key_at, key));
    if let Some(chain) = &chain {
        check_chain(chain_at, chain);
    }
    let (chain, key) = (chain?, key?);
    let leaf = &chain[0];
    let fits = leaf.public_key().is_ok_and(|public| public.public_eq(&key));
    if !fits {
        let whose = chain[1..]
            .iter()
            .any(|cert| cert.public_key().is_ok_and(|public| public.public_eq(&key)));
        let help = match whose {
            true => {
                "the key is that of an intermediate: put the server's certificate first".to_owned()
            }
            false => format!("write the key that {} was issued for", label(leaf)),
        };
        key_at.error(
            format_args!(
                "is not the key of the certificate {} in certificate_chain",
                label(leaf)
            ),
            help,
        );
        return Some(Identity { chain, key });
    }
    if let Err(error) = usable(leaf, &key) {
        chain_at.error(
            format_args!("is refused by OpenSSL: {}", reason(&error)),
            "use an RSA key of at least 2048 bits or an ECDSA key, signed with SHA-256",
        );
    }
    Some(Identity { chain, key })
}

/// Whether OpenSSL's security level takes the certificate.
fn usable(leaf: &X509Ref, key: &PKey<Private>) -> Result<(), ErrorStack> {
    let mut context = SslContextBuilder::new(SslMethod::tls())?;
    context.set_certificate(leaf)?;
    context.set_private_key(key)?;
    context.check_private_key()
}

fn check_chain(at: &At<'_>, chain: &[X509]) {
    if let Ok(now) = Asn1Time::days_from_now(0) {
        for cert in chain {
            if cert.not_after() < now {
                at.warn(
                    format_args!("has expired: {}, on {}", label(cert), cert.not_after()),
                    "renew it",
                );
            }
            if cert.not_before() > now {
                at.warn(
                    format_args!(
                        "is not valid yet: {}, from {}",
                        label(cert),
                        cert.not_before()
                    ),
                    "look at the clock",
                );
            }
        }
    }
    for pair in chain.windows(2) {
        if pair[1].issued(&pair[0]) != openssl::x509::X509VerifyResult::OK {
            at.warn(
                format_args!(
                    "is out of order: {} was not issued by {}",
                    label(&pair[0]),
                    label(&pair[1])
                ),
                "put each certificate before the one that issued it",
            );
            return;
        }
    }
}

/// The lower-case DNS names of a certificate (RFC 9525 6.3: its common name is none).
pub(super) fn dns_names(cert: &X509Ref) -> Vec<String> {
    cert.subject_alt_names()
        .iter()
        .flatten()
        .filter_map(|name| name.dnsname())
        .map(str::to_ascii_lowercase)
        .collect()
}

/// What a person would call a certificate.
pub(super) fn label(cert: &X509Ref) -> String {
    let common = cert
        .subject_name()
        .entries_by_nid(Nid::COMMONNAME)
        .next()
        .and_then(|entry| entry.data().to_string().ok());
    let name = dns_names(cert).into_iter().next().or(common);
    format!("\"{}\"", name.as_deref().unwrap_or("unnamed"))
}

/// The innermost reason of an OpenSSL failure.
pub(super) fn reason(error: &ErrorStack) -> String {
    let reason = error.errors().first().and_then(|error| error.reason());
    reason.unwrap_or("no reason given").to_owned()
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack
        .windows(needle.len())
        .any(|window| window == needle)
}
