//! Clusters.

use std::time::Duration;

use super::listener::ping_keepalive;
use super::scalar::{
    at_most, connection_window, max_frame_size, max_header_list_size, stream_window, timeout,
};
use super::{files, host};
use crate::config::raw;
use crate::config::report::At;
use crate::upstream::{
    BalancerKind, ClusterParams, EndpointAddress, PingKeepalive, PoolParams, Protocol,
    RetryBudgetParams, TcpKeepalive, UpstreamTls,
};

pub(super) fn cluster(at: &At<'_>, raw: &raw::Cluster) -> ClusterParams {
    let http1 = raw.protocol == raw::Protocol::Http1;
    ClusterParams {
        name: raw.name.clone(),
        protocol: match raw.protocol {
            raw::Protocol::H2c => Protocol::H2c,
            raw::Protocol::Http1 => Protocol::Http1,
        },
        tls: raw.tls.as_ref().map(|raw| tls(&at.key("tls"), raw)),
        endpoints: endpoints(&at.key("endpoints"), &raw.endpoints),
        balancer: match raw.balancer {
            raw::Balancer::RoundRobin => BalancerKind::RoundRobin,
            raw::Balancer::LeastRequest => BalancerKind::LeastRequest,
            raw::Balancer::Random => BalancerKind::Random,
        },
        connect_timeout: timeout(&at.key("connect_timeout"), &raw.connect_timeout),
        pool: pool(&at.key("pool"), &raw.pool, http1),
        retry_budget: retry_budget(&at.key("retry_budget"), &raw.retry_budget),
    }
}

fn endpoints(at: &At<'_>, raw: &[String]) -> Vec<EndpointAddress> {
    let mut out = Vec::new();
    for (i, text) in raw.iter().enumerate() {
        let at = at.item(i);
        if let Some(endpoint) = host::endpoint(&at, text) {
            if out.contains(&endpoint) {
                at.error("stands twice", "remove one");
            }
            out.push(endpoint);
        }
    }
    out
}

fn tls(at: &At<'_>, raw: &raw::UpstreamTls) -> UpstreamTls {
    if !raw.verify {
        at.key("verify").warn(
            "lets anyone between here and the backends read and change everything",
            "write ca_file with the authority of the backends' certificates instead",
        );
        if raw.ca_file.is_some() {
            at.key("ca_file")
                .warn("has no effect: verify is false", "write verify: true");
        }
    }
    let roots = raw
        .ca_file
        .as_deref()
        .and_then(|text| files::certificates(&at.key("ca_file"), text));
    let server_name = raw.server_name.clone();
    if let Some(name) = &server_name
        && !host::is_host_name(name)
        && name.parse::<std::net::IpAddr>().is_err()
    {
        at.key("server_name").error(
            "is not a host name",
            "write one such as triton.internal, without a port",
        );
    }
    UpstreamTls {
        roots: roots.unwrap_or_default(),
        server_name,
        verify: raw.verify,
        identity: identity(at, raw),
    }
}

type ChainAndKey = (
    Vec<openssl::x509::X509>,
    openssl::pkey::PKey<openssl::pkey::Private>,
);

fn identity(at: &At<'_>, raw: &raw::UpstreamTls) -> Option<ChainAndKey> {
    let (chain_at, key_at) = (at.key("certificate_chain"), at.key("private_key"));
    match (&raw.certificate_chain, &raw.private_key) {
        (Some(chain), Some(key)) => files::identity(&chain_at, chain, &key_at, key)
            .map(|identity| (identity.chain, identity.key)),
        (Some(_), None) if at.whole() => {
            chain_at.error("has no key beside it", "add private_key");
            None
        }
        (None, Some(_)) if at.whole() => {
            key_at.error("has no certificate beside it", "add certificate_chain");
            None
        }
        _ => None,
    }
}

fn pool(at: &At<'_>, raw: &raw::Pool, http1: bool) -> PoolParams {
    if raw.warm_up > raw.max_connections {
        at.key("warm_up").error(
            format_args!("is more than max_connections ({})", raw.max_connections),
            format_args!("write at most {}", raw.max_connections),
        );
    }
    if http1 {
        warn_unused_h2_keys(at);
    }
    let stream = stream_window(&at.key("stream_window"), &raw.stream_window);
    let connection_at = at.key("connection_window");
    let (backoff_initial, backoff_maximum) = backoff(&at.key("backoff"), &raw.backoff);
    PoolParams {
        warm_up: raw.warm_up as usize,
        max_connections: raw.max_connections as usize,
        max_requests_per_connection: raw.max_requests_per_connection,
        max_concurrent_streams: raw.max_concurrent_streams as usize,
        max_pending_requests: raw.max_pending_requests as usize,
        pending_timeout: timeout(&at.key("pending_timeout"), &raw.pending_timeout),
        idle_timeout: timeout(&at.key("idle_timeout"), &raw.idle_timeout),
        tcp_keepalive: tcp_keepalive(&at.key("tcp_keepalive"), &raw.tcp_keepalive),
        ping_keepalive: ping_keepalive(&at.key("ping_keepalive"), &raw.ping_keepalive)
            .map(|(interval, timeout)| PingKeepalive { interval, timeout }),
        backoff_initial,
        backoff_maximum,
        stream_window: stream,
        connection_window: connection_window(&connection_at, &raw.connection_window, stream),
        max_frame_size: max_frame_size(&at.key("max_frame_size"), &raw.max_frame_size),
        max_header_list_size: max_header_list_size(
            &at.key("max_header_list_size"),
            &raw.max_header_list_size,
        ),
    }
}

fn retry_budget(at: &At<'_>, raw: &raw::Switch<raw::RetryBudget>) -> Option<RetryBudgetParams> {
    let raw::Switch::On(raw) = raw else {
        return None;
    };
    if raw.percent == 0 && raw.per_second == 0 {
        at.error(
            "is never filled again: percent and per_second are 0",
            "write more than 0 for one of them",
        );
    }
    Some(RetryBudgetParams {
        percent: raw.percent,
        per_second: raw.per_second,
        burst: raw.burst,
    })
}

fn warn_unused_h2_keys(at: &At<'_>) {
    for key in [
        "max_concurrent_streams",
        "ping_keepalive",
        "stream_window",
        "connection_window",
        "max_frame_size",
    ] {
        let at = at.key(key);
        if at.given() {
            at.warn(
                "has no effect: the cluster speaks HTTP/1.1",
                "remove it, or write protocol: h2c",
            );
        }
    }
}

fn backoff(at: &At<'_>, raw: &raw::Backoff) -> (Duration, Duration) {
    let maximum = timeout(&at.key("maximum"), &raw.maximum);
    let initial = at_most(&at.key("initial"), &raw.initial, maximum, "maximum");
    (initial, maximum)
}

/// Linux counts these in whole seconds (tcp(7)).
fn tcp_keepalive(at: &At<'_>, raw: &raw::Switch<raw::TcpKeepalive>) -> Option<TcpKeepalive> {
    let raw::Switch::On(raw) = raw else {
        return None;
    };
    let seconds = |key: &str, raw: &raw::Duration| {
        let at = at.key(key);
        let value = timeout(&at, raw);
        if !value.is_zero() && (value.subsec_nanos() != 0 || value.as_secs() > 32_767) {
            at.error(
                "is not what the kernel can count",
                "write whole seconds, 1s to 32767s",
            );
        }
        value
    };
    Some(TcpKeepalive {
        time: seconds("time", &raw.time),
        interval: seconds("interval", &raw.interval),
        probes: raw.probes,
    })
}
