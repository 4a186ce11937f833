//! TLS towards clients.

use std::time::Duration;

use openssl::ssl::{SslContextBuilder, SslMethod};
use qat_sys::tickets::{TICKET_KEY_NAME_LEN, TicketKey};

use super::scalar::timeout;
use super::{files, groups, host};
use crate::config::raw;
use crate::config::report::At;
use crate::tls::{Alpn, Certificate, ClientAuth, ClientCa, TicketKeys, TlsParams, TlsVersion};

pub(super) fn server(at: &At<'_>, raw: &raw::Tls, handshake_timeout: Duration) -> TlsParams {
    let (minimum, maximum) = (version(raw.minimum_version), version(raw.maximum_version));
    if minimum > maximum {
        at.key("minimum_version").error(
            "is newer than maximum_version",
            "write \"1.2\", or remove maximum_version",
        );
    }
    let tickets = raw.session_tickets.clone().details();
    TlsParams {
        certificates: certificates(&at.key("certificates"), &raw.certificates),
        minimum_version: minimum,
        maximum_version: maximum,
        cipher_list: cipher_list(at, raw, minimum),
        cipher_suites: cipher_suites(at, raw, maximum),
        groups: groups::groups(&at.key("groups"), &raw.groups),
        prefer_client_ciphers: raw.prefer_client_ciphers,
        alpn: alpn(&at.key("alpn"), &raw.alpn),
        session_tickets: tickets.count,
        session_lifetime: session_lifetime(at, &tickets.lifetime),
        ticket_keys: ticket_keys(&at.key("session_tickets").key("keys"), &tickets.keys),
        strict_sni: raw.strict_sni,
        client_auth: client_auth(&at.key("client_certificates"), &raw.client_certificates),
        handshake_timeout,
    }
}

fn version(raw: raw::Version) -> TlsVersion {
    match raw {
        raw::Version::Tls12 => TlsVersion::Tls12,
        raw::Version::Tls13 => TlsVersion::Tls13,
    }
}

fn certificates(at: &At<'_>, raw: &[raw::Certificate]) -> Vec<Certificate> {
    let mut out: Vec<Certificate> = Vec::new();
    for (i, raw) in raw.iter().enumerate() {
        let at = at.item(i);
        let identity = files::identity(
            &at.key("certificate_chain"),
            &raw.certificate_chain,
            &at.key("private_key"),
            &raw.private_key,
        );
        let names = names(&at.key("names"), raw.names.as_deref());
        let Some(files::Identity { mut chain, key }) = identity else {
            continue;
        };
        let leaf = chain.remove(0);
        let names = names.unwrap_or_else(|| files::dns_names(&leaf));
        if names.is_empty() && i > 0 {
            at.key("certificate_chain").warn(
                "has no DNS name, so no client will see it",
                "add names, or put it first",
            );
        }
        let kind = key.id();
        for name in &names {
            let taken = |other: &Certificate| other.key.id() == kind && other.names.contains(name);
            if out.iter().any(taken) {
                at.warn(
                    format_args!("is a second certificate of its key type for {name}"),
                    "only the first is served for that name: remove one, or give names",
                );
                break;
            }
        }
        out.push(Certificate {
            leaf,
            intermediates: chain,
            key,
            names,
        });
    }
    out
}

fn names(at: &At<'_>, raw: Option<&[String]>) -> Option<Vec<String>> {
    let names = raw?
        .iter()
        .enumerate()
        .filter_map(|(i, text)| host::pattern(&at.item(i), text))
        .collect();
    Some(names)
}

fn cipher_list(at: &At<'_>, raw: &raw::Tls, minimum: TlsVersion) -> Option<String> {
    let list = raw.cipher_list.as_deref()?;
    let at = at.key("cipher_list");
    if minimum > TlsVersion::Tls12 {
        at.warn(
            "has no effect: it is for TLS 1.2, and minimum_version is 1.3",
            "write cipher_suites, or remove it",
        );
    }
    let accepted =
        plain(list) && context().is_some_and(|mut context| context.set_cipher_list(list).is_ok());
    if !accepted {
        let help = match list.contains("TLS_") {
            true => "names that begin with TLS_ are for TLS 1.3: write them in cipher_suites",
            false => {
                "write names that `openssl ciphers` knows, such as ECDHE+AESGCM:ECDHE+CHACHA20"
            }
        };
        at.error("is no cipher list that OpenSSL accepts", help);
    }
    Some(list.to_owned())
}

fn cipher_suites(at: &At<'_>, raw: &raw::Tls, maximum: TlsVersion) -> Option<String> {
    let suites = raw.cipher_suites.as_deref()?;
    let at = at.key("cipher_suites");
    if maximum < TlsVersion::Tls13 {
        at.warn(
            "has no effect: it is for TLS 1.3, and maximum_version is 1.2",
            "write cipher_list, or remove it",
        );
    }
    // OpenSSL takes an empty list, and then no TLS 1.3 handshake succeeds.
    let accepted = plain(suites)
        && !suites.is_empty()
        && context().is_some_and(|mut context| context.set_ciphersuites(suites).is_ok());
    if !accepted {
        at.error(
            "names cipher suites that OpenSSL doesn't know",
            "write some of TLS_AES_128_GCM_SHA256, TLS_AES_256_GCM_SHA384, TLS_CHACHA20_POLY1305_SHA256, separated by colons",
        );
    }
    Some(suites.to_owned())
}

/// A NUL would end the string for OpenSSL before its end.
fn plain(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_graphic() || b == b' ')
}

fn context() -> Option<SslContextBuilder> {
    SslContextBuilder::new(SslMethod::tls_server()).ok()
}

fn alpn(at: &At<'_>, raw: &[raw::Alpn]) -> Vec<Alpn> {
    let mut out = Vec::new();
    for (i, protocol) in raw.iter().enumerate() {
        let protocol = match protocol {
            raw::Alpn::H2 => Alpn::H2,
            raw::Alpn::Http11 => Alpn::Http11,
        };
        match out.contains(&protocol) {
            true => at.item(i).error("stands twice", "remove one"),
            false => out.push(protocol),
        }
    }
    out
}

fn session_lifetime(at: &At<'_>, raw: &raw::Duration) -> Duration {
    const LONGEST: Duration = Duration::from_secs(7 * 24 * 3600);
    let at = at.key("session_tickets").key("lifetime");
    let lifetime = timeout(&at, raw);
    if lifetime > LONGEST {
        at.error("is longer than TLS 1.3 allows", "write at most 7d");
    } else if lifetime < Duration::from_secs(1) {
        at.error(
            "is less than a second, which TLS counts in",
            "write at least 1s",
        );
    }
    lifetime
}

fn ticket_keys(at: &At<'_>, raw: &[String]) -> Option<TicketKeys> {
    let mut keys: Vec<TicketKey> = Vec::new();
    for (i, text) in raw.iter().enumerate() {
        let at = at.item(i);
        let Some(key) = files::ticket_key(&at, text) else {
            continue;
        };
        let name = &key[..TICKET_KEY_NAME_LEN];
        match keys.iter().any(|other| other.starts_with(name)) {
            true => at.error(
                "begins as another of these keys does: tickets are told apart by that",
                "remove one",
            ),
            false => keys.push(key),
        }
    }
    (!keys.is_empty()).then(|| TicketKeys::new(keys))
}

fn client_auth(at: &At<'_>, raw: &raw::ClientCertificates) -> ClientAuth {
    let ca_at = at.key("ca_file");
    let roots = raw
        .ca_file
        .as_deref()
        .and_then(|text| files::certificates(&ca_at, text));
    if raw.mode == raw::ClientMode::Off {
        if raw.ca_file.is_some() && at.whole() {
            ca_at.warn(
                "has no effect: mode is off",
                "write mode: required or optional",
            );
        }
        return ClientAuth::Off;
    }
    if raw.ca_file.is_none() && at.whole() {
        at.key("mode").error(
            "needs the authorities to verify client certificates against",
            "add ca_file",
        );
    }
    let ca = ClientCa {
        roots: roots.unwrap_or_default(),
        depth: raw.depth,
    };
    match raw.mode {
        raw::ClientMode::Required => ClientAuth::Required(ca),
        _ => ClientAuth::Optional(ca),
    }
}
