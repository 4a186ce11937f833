//! Names and values of headers, and changes to them.

use std::collections::BTreeMap;

use http::{HeaderName, HeaderValue};

use crate::config::raw;
use crate::config::report::At;
use crate::route::{HeaderMatch, HeaderOps, ValueMatch};

/// What the gateway itself decides, since a message's framing and a connection's life
/// hang on it (RFC 9110 7.6.1, RFC 9112 6).
const MANAGED: [&str; 9] = [
    "connection",
    "content-length",
    "host",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

pub(super) fn name(at: &At<'_>, text: &str) -> Option<HeaderName> {
    let name = HeaderName::from_bytes(text.as_bytes()).ok();
    if name.is_none() {
        let help = match text.strip_prefix(':') {
            Some(_) => "write a header such as x-model; a match has host, path and methods",
            None => "write letters, digits and dashes, such as x-model",
        };
        at.error(format_args!("is no header's name: {text:?}"), help);
    }
    name
}

/// The name of a header that may be set or removed.
pub(super) fn changeable(at: &At<'_>, text: &str) -> Option<HeaderName> {
    let name = name(at, text)?;
    if MANAGED.contains(&name.as_str()) {
        at.error(
            format_args!("can't be changed: {name} is the gateway's own business"),
            "leave it out",
        );
        return None;
    }
    Some(name)
}

fn value(at: &At<'_>, text: &str) -> Option<HeaderValue> {
    let value = HeaderValue::from_str(text).ok().filter(|_| {
        // RFC 9110 5.5: white space around a value is no part of it.
        text.trim() == text && text.is_ascii()
    });
    if value.is_none() {
        at.error(
            "can't be a header's value",
            "write visible ASCII characters, without spaces at the ends",
        );
    }
    value
}

pub(super) fn matches(at: &At<'_>, raw: &BTreeMap<String, raw::HeaderMatch>) -> Vec<HeaderMatch> {
    let mut out: Vec<HeaderMatch> = Vec::new();
    for (text, condition) in raw {
        let Some(name) = name(&at.name_of(text), text) else {
            continue;
        };
        if name == http::header::HOST {
            at.name_of(text)
                .error("is not matched as a header", "write match.host instead");
        }
        if out.iter().any(|other| other.name == name) {
            at.name_of(text).error(
                format_args!("is the header {name} again"),
                "names of headers have no case: remove one",
            );
        }
        if let Some(value) = condition_of(&at.key(text), condition) {
            out.push(HeaderMatch { name, value });
        }
    }
    out
}

fn condition_of(at: &At<'_>, raw: &raw::HeaderMatch) -> Option<ValueMatch> {
    let condition = match raw {
        raw::HeaderMatch::Exact(text) => {
            value(at, text)?;
            return Some(ValueMatch::Exact(text.clone()));
        }
        raw::HeaderMatch::Condition(condition) => condition,
    };
    match (&condition.prefix, condition.present) {
        (Some(prefix), None) => Some(ValueMatch::Prefix(prefix.clone())),
        (None, Some(true)) => Some(ValueMatch::Present),
        (None, Some(false)) => {
            at.key("present").error(
                "can't be matched: a header's absence decides nothing",
                "write true, or give the requests with the header a route of their own",
            );
            None
        }
        (Some(_), Some(_)) => {
            at.error("has both prefix and present", "write one of them");
            None
        }
        (None, None) => {
            at.error(
                "says nothing about the value",
                "write the exact value, { prefix: ... } or { present: true }",
            );
            None
        }
    }
}

pub(super) fn ops(at: &At<'_>, raw: &raw::HeaderOps) -> HeaderOps {
    HeaderOps {
        remove: raw
            .remove
            .iter()
            .enumerate()
            .filter_map(|(i, text)| changeable(&at.key("remove").item(i), text))
            .collect(),
        set: pairs(&at.key("set"), &raw.set),
        add: pairs(&at.key("add"), &raw.add),
    }
}

fn pairs(at: &At<'_>, raw: &BTreeMap<String, String>) -> Vec<(HeaderName, HeaderValue)> {
    raw.iter()
        .filter_map(|(key, text)| {
            let name = changeable(&at.name_of(key), key);
            let value = value(&at.key(key), text);
            Some((name?, value?))
        })
        .collect()
}
