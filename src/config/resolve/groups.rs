//! Key-exchange groups.

use crate::config::problem::did_you_mean;
use crate::config::report::At;
use crate::tls::serves_groups;

/// Names that mean something in some OpenSSL. Those this one lacks are left out, so
/// that one file serves old and new machines.
const WELL_KNOWN: [&str; 21] = [
    "X25519MLKEM768",
    "SecP256r1MLKEM768",
    "SecP384r1MLKEM1024",
    "MLKEM512",
    "MLKEM768",
    "MLKEM1024",
    "X25519",
    "X448",
    "P-256",
    "P-384",
    "P-521",
    "prime256v1",
    "secp256r1",
    "secp384r1",
    "secp521r1",
    "ffdhe2048",
    "ffdhe3072",
    "ffdhe4096",
    "ffdhe6144",
    "ffdhe8192",
    "brainpoolP256r1",
];

pub(super) fn groups(at: &At<'_>, raw: &[String]) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    for (i, name) in raw.iter().enumerate() {
        let item = at.item(i);
        if out.contains(name) {
            item.error("stands twice", "remove one");
        } else if serves_groups(&[name]) {
            out.push(name.clone());
        } else if WELL_KNOWN.contains(&name.as_str()) {
            // The default list is nobody's choice.
            if item.given() {
                item.warn(
                    format_args!(
                        "is left out: {} doesn't have it",
                        openssl::version::version()
                    ),
                    "",
                );
            }
        } else {
            let have: Vec<&str> = WELL_KNOWN
                .into_iter()
                .filter(|name| serves_groups(&[name]))
                .collect();
            let near = did_you_mean(name, WELL_KNOWN)
                .map_or(String::new(), |near| format!("did you mean {near}? "));
            item.error(
                "is no key-exchange group",
                format_args!("{near}write some of {}", have.join(", ")),
            );
        }
    }
    if !serves_groups(&Vec::from_iter(out.iter().map(String::as_str))) {
        at.error(
            "is a list that OpenSSL refuses",
            "write each group once, under one name",
        );
    } else if out.is_empty() && raw.iter().all(|name| WELL_KNOWN.contains(&name.as_str())) {
        at.error(
            "names no group that this OpenSSL has",
            "add one such as X25519 or P-256",
        );
    }
    out
}
