//! What parts of the file say about each other.

use std::collections::HashMap;
use std::net::SocketAddr;

use crate::config::params::GatewayParams;
use crate::config::report::At;
use crate::http::Upgrade;
use crate::listener::ListenerParams;
use crate::route::HostMatch;
use crate::upstream::Protocol;

pub(super) fn check(at: &At<'_>, params: &GatewayParams) {
    let listeners = at.key("listeners");
    unique_names(&listeners, params.listeners.iter().map(|l| &l.name));
    unique_names(&at.key("clusters"), params.clusters.iter().map(|c| &c.name));
    unique_addresses(at, params);
    // The rest speaks of what is absent, which can't be known of a file with holes.
    if !at.whole() {
        return;
    }
    unused_clusters(&at.key("clusters"), params);
    for (i, listener) in params.listeners.iter().enumerate() {
        let at = listeners.item(i);
        uncertified_hosts(&at.key("routes"), listener);
        useless_tunnel(&at.key("http").key("upgrade"), listener, params);
    }
}

fn unique_names<'a>(at: &At<'_>, names: impl Iterator<Item = &'a String>) {
    let mut seen: HashMap<&str, u64> = HashMap::new();
    for (i, name) in names.enumerate() {
        let at = at.item(i).key("name");
        if at.is_stand_in() {
            continue;
        }
        match seen.get(name.as_str()) {
            Some(line) => at.error(
                format_args!("is the name of another one (line {line})"),
                "give each its own name",
            ),
            None => {
                seen.insert(name, at.line());
            }
        }
    }
}

fn unique_addresses(at: &At<'_>, params: &GatewayParams) {
    let listeners = at.key("listeners");
    let mut places: Vec<(SocketAddr, At<'_>)> = params
        .listeners
        .iter()
        .enumerate()
        .map(|(i, listener)| (listener.address, listeners.item(i).key("address")))
        .collect();
    if let Some(admin) = &params.admin {
        places.push((admin.address, at.key("admin").key("address")));
    }
    // Port 0 asks for any free port.
    places.retain(|(address, at)| address.port() != 0 && !at.is_stand_in());
    for (i, (address, at)) in places.iter().enumerate() {
        if let Some((_, other)) = places[..i].iter().find(|(other, _)| other == address) {
            at.error(
                format_args!("is taken by {} (line {})", other.path(), other.line()),
                "write another address or port",
            );
        }
    }
}

fn unused_clusters(at: &At<'_>, params: &GatewayParams) {
    for i in 0..params.clusters.len() {
        let mut routes = params.listeners.iter().flat_map(|l| l.routes.iter());
        if !routes.any(|route| route.cluster == i) {
            at.item(i).key("name").warn(
                "is a cluster that no route leads to",
                "remove it, or add a route",
            );
        }
    }
}

/// Routes for hosts that no certificate of the listener is for: clients that verify
/// will hardly come.
fn uncertified_hosts(at: &At<'_>, listener: &ListenerParams) {
    let Some(tls) = &listener.tls else {
        return;
    };
    let names: Vec<&str> = tls
        .certificates
        .iter()
        .flat_map(|certificate| certificate.names.iter().map(String::as_str))
        .collect();
    if names.is_empty() {
        return;
    }
    for (i, route) in listener.routes.iter().enumerate() {
        let covered = match &route.host {
            HostMatch::Any => true,
            HostMatch::Suffix(suffix) => names.iter().any(|name| name.ends_with(suffix.as_str())),
            HostMatch::Exact(host) => names.iter().any(|name| covers(name, host)),
        };
        if !covered {
            at.item(i).key("match").key("host").warn(
                "is in no certificate of this listener",
                "add a certificate for it",
            );
        }
    }
}

/// RFC 9525 6.3: `*` stands for exactly one label.
fn covers(name: &str, host: &str) -> bool {
    let parent = |name: &str| name.split_once('.').map(|(_, parent)| parent.to_owned());
    name == host || (name.starts_with("*.") && parent(name) == parent(host))
}

fn useless_tunnel(at: &At<'_>, listener: &ListenerParams, params: &GatewayParams) {
    let http1 = |cluster: usize| {
        params
            .clusters
            .get(cluster)
            .is_some_and(|cluster| cluster.protocol == Protocol::Http1)
    };
    if listener.http.upgrade == Upgrade::Tunnel
        && !listener.routes.iter().any(|route| http1(route.cluster))
    {
        at.warn(
            "has no effect: no route of this listener leads to a cluster with protocol http1",
            "write refuse, or protocol: http1 in such a cluster",
        );
    }
}
