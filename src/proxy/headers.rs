//! Which headers cross the gateway, and which it adds.

use http::header::{
    CONNECTION, CONTENT_LENGTH, COOKIE, EXPECT, FORWARDED, HOST, HeaderMap, HeaderName,
    HeaderValue, TE, TRANSFER_ENCODING, UPGRADE,
};
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{Request, Uri, Version, response};

use super::{Failure, Forwarding, Peer, ProxyParams};
use crate::route::RouteParams;

static KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
static PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");
static X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
static X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
static X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
static TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
pub(super) static X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
static GRPC_TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");
pub(super) static GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
static TRAILERS: HeaderValue = HeaderValue::from_static("trailers");

/// Which of the fields that matter here a head had when it was looked through: one walk
/// over the names costs less than a lookup for each of the fields, which are mostly
/// absent (2,000 of a small request's 68,000 instructions).
#[derive(Clone, Copy)]
struct Seen(u16);

impl Seen {
    const CONNECTION: u16 = 1;
    /// Keep-Alive, Proxy-Connection, Transfer-Encoding, Upgrade.
    const HOP_BY_HOP: u16 = 1 << 1;
    const TE: u16 = 1 << 2;
    const CONTENT_LENGTH: u16 = 1 << 3;
    const FORWARDED: u16 = 1 << 4;
    /// X-Forwarded-For, -Proto, -Host.
    const X_FORWARDED: u16 = 1 << 5;
    const X_REQUEST_ID: u16 = 1 << 6;
    const TRACEPARENT: u16 = 1 << 7;
    /// A name with an underscore.
    const UNDERSCORE: u16 = 1 << 8;

    fn of(headers: &HeaderMap) -> Seen {
        Seen(headers.keys().fold(0, |seen, name| seen | Seen::bit(name)))
    }

    fn bit(name: &HeaderName) -> u16 {
        match name.as_str() {
            "connection" => Seen::CONNECTION,
            "keep-alive" | "proxy-connection" | "transfer-encoding" | "upgrade" => Seen::HOP_BY_HOP,
            "te" => Seen::TE,
            "content-length" => Seen::CONTENT_LENGTH,
            "forwarded" => Seen::FORWARDED,
            "x-forwarded-for" | "x-forwarded-proto" | "x-forwarded-host" => Seen::X_FORWARDED,
            "x-request-id" => Seen::X_REQUEST_ID,
            "traceparent" => Seen::TRACEPARENT,
            name if name.as_bytes().contains(&b'_') => Seen::UNDERSCORE,
            _ => 0,
        }
    }

    fn any(self, fields: u16) -> bool {
        self.0 & fields != 0
    }
}

/// Removes what is meant for one connection alone (RFC 9110 7.6.1). `te: trailers`
/// crosses, because gRPC asks for it.
pub fn remove_hop_by_hop(headers: &mut HeaderMap) {
    remove_hop_by_hop_seen(headers, Seen::of(headers));
}

fn remove_hop_by_hop_seen(headers: &mut HeaderMap, seen: Seen) {
    if seen.any(Seen::CONNECTION) {
        let named: Vec<HeaderName> = headers
            .get_all(CONNECTION)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .filter_map(|name| name.trim().parse().ok())
            // `Connection: te` is how HTTP/1.1 says `te: trailers`.
            .filter(|name| *name != TE)
            .collect();
        headers.remove(CONNECTION);
        for name in named {
            headers.remove(name);
        }
    }
    if seen.any(Seen::HOP_BY_HOP) {
        for name in [&KEEP_ALIVE, &PROXY_CONNECTION, &TRANSFER_ENCODING, &UPGRADE] {
            headers.remove(name);
        }
    }
    if seen.any(Seen::TE) {
        let trailers = headers.get_all(TE).iter().any(|value| {
            value.as_bytes().split(|b| *b == b',').any(|coding| {
                coding
                    .trim_ascii()
                    .get(..8)
                    .is_some_and(|coding| coding.eq_ignore_ascii_case(b"trailers"))
            })
        });
        headers.remove(TE);
        if trailers {
            headers.insert(TE, TRAILERS.clone());
        }
    }
}

/// Makes the request's head the one the backend gets. `authority`: what
/// [`take_authority`] took.
pub fn prepare(
    head: &mut Request<()>,
    authority: Authority,
    params: &ProxyParams,
    route: &RouteParams,
    peer: &Peer,
) -> Result<(), Failure> {
    let old = head.version() < Version::HTTP_2;
    let headers = head.headers_mut();
    let seen = Seen::of(headers);
    // Also where they agree: the next server may take the list for none, or for both.
    if seen.any(Seen::CONTENT_LENGTH) && headers.get_all(CONTENT_LENGTH).iter().nth(1).is_some() {
        return Err(Failure::BadRequest("more than one Content-Length header"));
    }
    remove_hop_by_hop_seen(headers, seen);
    if old {
        // The gateway answers 100 to HTTP/1.1 clients itself.
        headers.remove(EXPECT);
    }
    if seen.any(Seen::UNDERSCORE) {
        remove_lookalikes(headers, params);
    }
    forwarding(headers, params, peer, &authority, seen);
    let given = params.trust_request_id && seen.any(Seen::X_REQUEST_ID);
    if !(given && never_index(headers, &X_REQUEST_ID)) {
        headers.insert(&X_REQUEST_ID, never_indexed(request_id()));
    }
    if seen.any(Seen::TRACEPARENT) {
        never_index(headers, &TRACEPARENT);
    }
    if let Some(name) = &params.identity_header {
        headers.remove(name);
        if let Some(identity) = &peer.identity {
            headers.insert(name, identity.clone());
        }
    }
    route.request_headers.apply(headers);
    let path = match route.rewritten(head.uri().path(), head.uri().query()) {
        Some(path) => {
            Some(PathAndQuery::try_from(path).map_err(|_| Failure::BadRequest("bad path"))?)
        }
        None => head.uri().path_and_query().cloned(),
    };
    let mut uri = http::uri::Parts::default();
    uri.scheme = Some(Scheme::HTTP);
    uri.authority = Some(authority);
    uri.path_and_query = path.or_else(|| Some(PathAndQuery::from_static("/")));
    *head.uri_mut() = Uri::from_parts(uri).map_err(|_| Failure::BadRequest("bad URI"))?;
    Ok(())
}

/// The host asked for, from the URI or the Host header; in HTTP/2 both must agree
/// (RFC 9113 8.3.1). Host is removed: HTTP/2 has `:authority`.
pub fn take_authority(head: &mut Request<()>) -> Result<Authority, Failure> {
    let target = head.uri().authority().cloned();
    let mut hosts = head.headers().get_all(HOST).iter();
    let host = hosts.next();
    let named = host.is_some();
    if hosts.next().is_some() {
        return Err(Failure::BadRequest("more than one Host header"));
    }
    let authority = match (target, host) {
        // A target in absolute form does not make up for it (RFC 9112 3.2).
        (_, None) if head.version() == Version::HTTP_11 => None,
        (target, None) => target,
        (target, Some(host)) => {
            let host = Authority::try_from(host.as_bytes())
                .map_err(|_| Failure::BadRequest("bad Host header"))?;
            match target {
                Some(target) if target == host => Some(target),
                // A target in absolute form replaces Host (RFC 9112 3.2.2).
                Some(target) if head.version() < Version::HTTP_2 => Some(target),
                Some(_) => {
                    return Err(Failure::BadRequest(
                        "Host differs from the request's target",
                    ));
                }
                None => Some(host),
            }
        }
    };
    let authority = authority.ok_or(Failure::BadRequest("the request names no host"))?;
    if authority.as_str().contains('@') {
        return Err(Failure::BadRequest("the host has a user before it"));
    }
    if named {
        head.headers_mut().remove(HOST);
    }
    Ok(authority)
}

/// Removes headers of a client that are spelt as the gateway's own but for `_` in place
/// of `-`: CGI and what descends from it take both for one (RFC 3875 4.1.18).
fn remove_lookalikes(headers: &mut HeaderMap, params: &ProxyParams) {
    let underscored = |name: &&HeaderName| name.as_str().contains('_');
    let mut own = Vec::from_iter(&params.identity_header);
    if params.x_forwarded != Forwarding::Append {
        own.extend([&X_FORWARDED_FOR, &X_FORWARDED_PROTO, &X_FORWARDED_HOST]);
    }
    if !params.trust_request_id {
        own.push(&X_REQUEST_ID);
    }
    let alike = |name: &&HeaderName| {
        let name = name.as_str().replace('_', "-");
        own.iter().any(|own| own.as_str() == name)
    };
    let names = headers.keys().filter(underscored).filter(alike).cloned();
    for name in Vec::from_iter(names) {
        headers.remove(name);
    }
}

fn forwarding(
    headers: &mut HeaderMap,
    params: &ProxyParams,
    peer: &Peer,
    authority: &Authority,
    seen: Seen,
) {
    let proto = HeaderValue::from_static(if peer.secure { "https" } else { "http" });
    let host = HeaderValue::from_str(authority.as_str());
    let replace = params.x_forwarded != Forwarding::Append;
    if replace && seen.any(Seen::X_FORWARDED) {
        headers.remove(&X_FORWARDED_FOR);
        headers.remove(&X_FORWARDED_PROTO);
        headers.remove(&X_FORWARDED_HOST);
    }
    if params.x_forwarded != Forwarding::Off {
        let given = !replace && seen.any(Seen::X_FORWARDED);
        append(headers, &X_FORWARDED_FOR, peer.forwarded_for.clone(), given);
        if !(given && headers.contains_key(&X_FORWARDED_PROTO)) {
            headers.insert(&X_FORWARDED_PROTO, proto);
        }
        if let Ok(host) = host
            && !(given && headers.contains_key(&X_FORWARDED_HOST))
        {
            headers.insert(&X_FORWARDED_HOST, host);
        }
    }
    let replace = params.forwarded != Forwarding::Append;
    if replace && seen.any(Seen::FORWARDED) {
        headers.remove(FORWARDED);
    }
    if params.forwarded != Forwarding::Off
        && let Ok(element) = HeaderValue::try_from(forwarded_element(peer, authority))
    {
        let given = !replace && seen.any(Seen::FORWARDED);
        append(headers, &FORWARDED, never_indexed(element), given);
    }
}

/// One element of the Forwarded header (RFC 7239 4).
fn forwarded_element(peer: &Peer, host: &Authority) -> String {
    let node = match peer.address.ip() {
        std::net::IpAddr::V4(ip) => ip.to_string(),
        std::net::IpAddr::V6(ip) => format!("\"[{ip}]\""),
    };
    let proto = if peer.secure { "https" } else { "http" };
    format!("for={node};host=\"{host}\";proto={proto}")
}

/// Adds to a comma-separated list, in one header line. `given`: there may be one.
fn append(headers: &mut HeaderMap, name: &HeaderName, value: HeaderValue, given: bool) {
    if !(given && headers.contains_key(name)) {
        headers.insert(name, value);
        return;
    }
    let mut list: Vec<u8> = Vec::new();
    for earlier in headers.get_all(name) {
        list.extend_from_slice(earlier.as_bytes());
        list.extend_from_slice(b", ");
    }
    list.extend_from_slice(value.as_bytes());
    if let Ok(list) = HeaderValue::from_bytes(&list) {
        headers.insert(name, never_indexed(list));
    }
}

/// For values that few other requests have. They go to the backend as literals that are
/// never indexed (RFC 7541 6.2.3): in the table of a connection that all clients share each
/// would drive out fields that do come again, and h2 compares with every value that a name
/// has there (a request id for each took 2,900 of a small request's 68,000 instructions).
pub(super) fn never_indexed(mut value: HeaderValue) -> HeaderValue {
    value.set_sensitive(true);
    value
}

/// The same for what is there already; false if nothing is.
fn never_index(headers: &mut HeaderMap, name: &HeaderName) -> bool {
    let value = headers.get_mut(name);
    value.map(|value| value.set_sensitive(true)).is_some()
}

/// 128 random bits in hexadecimal.
fn request_id() -> HeaderValue {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let random = fastrand::u128(..).to_be_bytes();
    let mut text = [0; 32];
    for (i, byte) in random.iter().enumerate() {
        text[2 * i] = HEX[usize::from(byte >> 4)];
        text[2 * i + 1] = HEX[usize::from(byte & 15)];
    }
    HeaderValue::from_bytes(&text).unwrap_or_else(|_| HeaderValue::from_static("0"))
}

/// HTTP/2 may split cookies into several fields; HTTP/1.1 wants one (RFC 9113
/// 8.2.3).
pub fn join_cookies(headers: &mut HeaderMap) {
    if headers.get_all(COOKIE).iter().nth(1).is_none() {
        return;
    }
    let crumbs: Vec<&[u8]> = headers
        .get_all(COOKIE)
        .iter()
        .map(HeaderValue::as_bytes)
        .collect();
    if let Ok(joined) = HeaderValue::from_bytes(&crumbs.join(&b"; "[..])) {
        headers.insert(COOKIE, joined);
    }
}

/// Makes the response's head the one the client gets.
pub fn finish(head: &mut response::Parts, route: &RouteParams) {
    remove_hop_by_hop(&mut head.headers);
    head.headers.remove(TE);
    if !route.response_headers.is_empty() {
        route.response_headers.apply(&mut head.headers);
    }
}

/// The body's length as the head says it.
pub fn content_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// `grpc-timeout` (grpc/doc/PROTOCOL-HTTP2.md): at most eight digits and a unit.
pub fn grpc_timeout(headers: &HeaderMap) -> Option<std::time::Duration> {
    use std::time::Duration;
    let value = headers.get(&GRPC_TIMEOUT)?.to_str().ok()?;
    let (digits, unit) = value.split_at_checked(value.len().checked_sub(1)?)?;
    if digits.len() > 8 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let number: u64 = digits.parse().ok()?;
    Some(match unit {
        "H" => Duration::from_secs(number * 3600),
        "M" => Duration::from_secs(number * 60),
        "S" => Duration::from_secs(number),
        "m" => Duration::from_millis(number),
        "u" => Duration::from_micros(number),
        "n" => Duration::from_nanos(number),
        _ => return None,
    })
}

/// Asks the next hop for `protocol`, or tells the client that it is spoken now.
pub fn ask_upgrade(headers: &mut HeaderMap, protocol: HeaderValue) {
    headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(UPGRADE, protocol);
}
