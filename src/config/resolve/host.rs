//! Host names.

use std::net::{IpAddr, SocketAddr};

use crate::config::report::At;
use crate::upstream::EndpointAddress;

/// A host name as DNS allows it (RFC 1123 2.1; underscores are common in clusters).
pub(super) fn is_host_name(name: &str) -> bool {
    name.len() <= 253
        && name.split('.').all(|label| {
            (1..=63).contains(&label.len())
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        })
}

/// A host name, or `*.` and a host name; lower case.
pub(super) fn pattern(at: &At<'_>, text: &str) -> Option<String> {
    let lower = text.to_ascii_lowercase();
    let bare = lower.strip_prefix("*.").unwrap_or(&lower);
    if is_host_name(bare) {
        return Some(lower);
    }
    let help = if !text.is_ascii() {
        "write the name as DNS has it, with xn-- in front"
    } else if text.contains("://") {
        "write the name alone, without a scheme"
    } else if bare.contains('*') {
        "write * only as the whole first label, as in *.example.com"
    } else if text.contains(':') {
        "write the name without a port: any port matches"
    } else if text.ends_with('.') {
        "write it without the dot at the end"
    } else {
        "write one such as www.example.com or *.example.com"
    };
    at.error("is not a host name", help);
    None
}

/// `address:port` or `name:port`.
pub(super) fn endpoint(at: &At<'_>, text: &str) -> Option<EndpointAddress> {
    if let Ok(address) = text.parse::<SocketAddr>() {
        if address.port() == 0 {
            at.error("has port 0", "write the port the backend listens on");
        }
        return Some(EndpointAddress::Socket(address));
    }
    let named = text.rsplit_once(':').and_then(|(host, port)| {
        let port: u16 = port.parse().ok().filter(|port| *port > 0)?;
        // Digits and dots alone are an address that was mistyped.
        let name = host.bytes().any(|b| b.is_ascii_alphabetic());
        (name && is_host_name(host)).then(|| EndpointAddress::Name {
            host: host.to_ascii_lowercase(),
            port,
        })
    });
    if named.is_none() {
        at.error("is not an endpoint", endpoint_help(text));
    }
    named
}

fn endpoint_help(text: &str) -> String {
    if let Some((scheme, rest)) = text.split_once("://") {
        let rest = rest.split('/').next().unwrap_or_default();
        let tls = match scheme {
            "https" | "grpcs" => ", and give the cluster tls",
            _ => "",
        };
        return format!("write {rest} without the scheme{tls}");
    }
    match text.parse::<IpAddr>() {
        Ok(address) => {
            let example = SocketAddr::new(address, 8001);
            format!("add the port, as in {example}")
        }
        Err(_) if is_host_name(text) => format!("add the port, as in {text}:8001"),
        Err(_) => {
            "write address:port or name:port, such as 10.0.0.1:8001 or triton.default.svc:8001"
                .to_owned()
        }
    }
}

/// A route's host: a pattern, an IP address, or `*` for any.
pub(super) fn route_host(at: &At<'_>, text: &str) -> Option<String> {
    let inner = text.strip_prefix('[').and_then(|t| t.strip_suffix(']'));
    let v6 = inner.is_some_and(|inner| inner.parse::<std::net::Ipv6Addr>().is_ok());
    match text {
        "*" => Some(text.to_owned()),
        _ if v6 => Some(text.to_ascii_lowercase()),
        _ => pattern(at, text),
    }
}
