//! Listeners, and how HTTP is spoken to clients.

use std::sync::Arc;
use std::time::Duration;

use super::scalar::{
    connection_window, listen_address, max_frame_size, max_header_list_size, network, size,
    stream_window, timeout, timeout_or_off,
};
use super::{header, route, shadow, tls};
use crate::config::raw;
use crate::config::report::At;
use crate::http::{HttpParams, Upgrade};
use crate::listener::{ListenerParams, Overload, ProxyProtocolParams};
use crate::proxy::{Forwarding, ProxyParams};

pub(super) fn listener(
    at: &At<'_>,
    raw: &raw::Listener,
    clusters: &[&str],
    workers: usize,
) -> ListenerParams {
    let handshake_timeout = timeout(&at.key("handshake_timeout"), &raw.handshake_timeout);
    let tls = raw
        .tls
        .as_ref()
        .map(|raw| tls::server(&at.key("tls"), raw, handshake_timeout));
    if raw.tls.is_none() {
        warn_unused_tls_keys(at);
    }
    let routes = route::routes(&at.key("routes"), &raw.routes, &raw.name, clusters);
    shadow::check(&at.key("routes"), &routes);
    if (raw.max_connections as usize) < workers {
        at.key("max_connections").error(
            format_args!("is less than one for each of the {workers} workers"),
            format_args!("write at least {workers}, or fewer workers"),
        );
    }
    ListenerParams {
        name: raw.name.clone(),
        address: listen_address(&at.key("address"), &raw.address),
        backlog: raw.backlog,
        max_connections: raw.max_connections as usize,
        max_handshakes: raw.max_handshakes as usize,
        max_handshakes_per_client: handshakes_per_client(at, raw),
        overload: match raw.overload {
            raw::Overload::Queue => Overload::Queue,
            raw::Overload::Shed => Overload::Shed,
        },
        proxy_protocol: raw
            .proxy_protocol
            .as_ref()
            .map(|raw| proxy_protocol(&at.key("proxy_protocol"), raw)),
        tls: tls.map(Arc::new),
        http: Arc::new(http(&at.key("http"), &raw.http)),
        proxy: Arc::new(forwarding(&at.key("forwarding"), &raw.forwarding)),
        routes: Arc::new(routes),
        tcp_keepalive: timeout_or_off(&at.key("tcp_keepalive"), &raw.tcp_keepalive),
    }
}

fn warn_unused_tls_keys(at: &At<'_>) {
    for key in [
        "handshake_timeout",
        "max_handshakes",
        "max_handshakes_per_client",
    ] {
        if at.key(key).given() && at.whole() {
            at.key(key).warn(
                "has no effect on a listener without tls",
                "remove it, or add tls",
            );
        }
    }
}

fn handshakes_per_client(at: &At<'_>, raw: &raw::Listener) -> usize {
    let (total, client) = (raw.max_handshakes, raw.max_handshakes_per_client);
    let at = at.key("max_handshakes_per_client");
    // The default gives way without a word.
    if client > total && at.given() {
        at.error(
            format_args!("is more than max_handshakes ({total})"),
            format_args!("write at most {total}"),
        );
    }
    client.min(total) as usize
}

fn proxy_protocol(at: &At<'_>, raw: &raw::ProxyProtocol) -> ProxyProtocolParams {
    ProxyProtocolParams {
        trusted: raw
            .trusted
            .iter()
            .enumerate()
            .filter_map(|(i, text)| network(&at.key("trusted").item(i), text))
            .collect(),
        timeout: timeout(&at.key("timeout"), &raw.timeout),
    }
}

fn http(at: &At<'_>, raw: &raw::Http) -> HttpParams {
    let stream = stream_window(&at.key("stream_window"), &raw.stream_window);
    let connection_at = at.key("connection_window");
    HttpParams {
        idle_timeout: timeout(&at.key("idle_timeout"), &raw.idle_timeout),
        header_timeout: timeout(&at.key("header_timeout"), &raw.header_timeout),
        max_headers: raw.max_headers as usize,
        upgrade: match raw.upgrade {
            raw::Upgrade::Refuse => Upgrade::Refuse,
            raw::Upgrade::Tunnel => Upgrade::Tunnel,
        },
        max_concurrent_streams: raw.max_concurrent_streams,
        stream_window: stream,
        connection_window: connection_window(&connection_at, &raw.connection_window, stream),
        max_frame_size: max_frame_size(&at.key("max_frame_size"), &raw.max_frame_size),
        max_header_list_size: max_header_list_size(
            &at.key("max_header_list_size"),
            &raw.max_header_list_size,
        ),
        // h2 counts it in 32 bits.
        max_send_buffer: size(
            &at.key("max_send_buffer"),
            &raw.max_send_buffer,
            1024..=u64::from(u32::MAX),
        )
        .unwrap_or(usize::MAX),
        ping_keepalive: ping_keepalive(&at.key("ping_keepalive"), &raw.ping_keepalive),
        max_requests_per_connection: raw.max_requests_per_connection,
    }
}

/// The silence before a PING, and the wait for its answer.
pub(super) fn ping_keepalive(
    at: &At<'_>,
    raw: &raw::Switch<raw::PingKeepalive>,
) -> Option<(Duration, Duration)> {
    match raw {
        raw::Switch::Off(_) => None,
        raw::Switch::On(raw) => Some((
            timeout(&at.key("interval"), &raw.interval),
            timeout(&at.key("timeout"), &raw.timeout),
        )),
    }
}

fn forwarding(at: &At<'_>, raw: &raw::Forwarding) -> ProxyParams {
    let mode = |mode| match mode {
        raw::ForwardingMode::Off => Forwarding::Off,
        raw::ForwardingMode::Append => Forwarding::Append,
        raw::ForwardingMode::Replace => Forwarding::Replace,
    };
    ProxyParams {
        x_forwarded: mode(raw.x_forwarded),
        forwarded: mode(raw.forwarded),
        trust_request_id: raw.trust_request_id,
        identity_header: match raw.identity_header.as_str() {
            "off" => None,
            name => header::changeable(&at.key("identity_header"), name),
        },
    }
}
