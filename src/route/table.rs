//! The routes of a listener, ordered by how specific they are.
//!
//! The first route that matches wins, in this order:
//!
//! 1. host: exact, then the longest `*.` suffix, then any;
//! 2. path: exact, then the longest prefix, then any;
//! 3. more header conditions before fewer;
//! 4. with methods before without;
//! 5. as written.
//!
//! A host whose own routes all fail falls through to less specific hosts.

use std::cmp::Reverse;
use std::collections::HashMap;

use http::{HeaderMap, Method};

use super::{HeaderMatch, HostMatch, PathMatch, RouteParams, ValueMatch};

pub struct RouteTable {
    routes: Vec<RouteParams>,
    /// Indices into `routes` of each exact host, most specific first.
    exact: HashMap<String, Vec<usize>>,
    /// Indices of the routes with a suffix or any host, most specific first.
    wide: Vec<usize>,
}

impl RouteTable {
    pub fn new(routes: &[RouteParams]) -> Self {
        let routes = routes.to_vec();
        let mut order: Vec<usize> = (0..routes.len()).collect();
        order.sort_by_key(|&i| specificity(&routes[i]));
        let mut exact: HashMap<String, Vec<usize>> = HashMap::new();
        let mut wide = Vec::new();
        for i in order {
            match &routes[i].host {
                HostMatch::Exact(host) => exact.entry(host.clone()).or_default().push(i),
                _ => wide.push(i),
            }
        }
        RouteTable {
            routes,
            exact,
            wide,
        }
    }

    /// The routes in the order of the configuration.
    pub fn routes(&self) -> &[RouteParams] {
        &self.routes
    }

    /// The index of the first matching route. `host` may carry a port and any case.
    pub fn find(
        &self,
        host: &str,
        path: &str,
        method: &Method,
        headers: &HeaderMap,
    ) -> Option<usize> {
        let host = without_port(host);
        // A fully qualified name may be written with its root's dot.
        let host = host.strip_suffix('.').unwrap_or(host);
        let lower;
        let host = if host.bytes().any(|b| b.is_ascii_uppercase()) {
            lower = host.to_ascii_lowercase();
            lower.as_str()
        } else {
            host
        };
        let exact = match self.exact.is_empty() {
            true => None,
            false => self.exact.get(host),
        };
        exact
            .into_iter()
            .flatten()
            .chain(&self.wide)
            .copied()
            .find(|&i| matches(&self.routes[i], host, path, method, headers))
    }
}

type Specificity = (
    Reverse<usize>,
    Reverse<usize>,
    Reverse<usize>,
    Reverse<bool>,
);

/// Smaller is more specific; the sort is stable, so ties stay as written.
pub(super) fn specificity(route: &RouteParams) -> Specificity {
    let host = match &route.host {
        HostMatch::Exact(_) => usize::MAX,
        HostMatch::Suffix(suffix) => suffix.len(),
        HostMatch::Any => 0,
    };
    let path = match &route.path {
        PathMatch::Exact(_) => usize::MAX,
        PathMatch::Prefix(prefix) => prefix.len(),
        PathMatch::Any => 0,
    };
    (
        Reverse(host),
        Reverse(path),
        Reverse(route.headers.len()),
        Reverse(!route.methods.is_empty()),
    )
}

fn matches(
    route: &RouteParams,
    host: &str,
    path: &str,
    method: &Method,
    headers: &HeaderMap,
) -> bool {
    let host_matches = match &route.host {
        HostMatch::Any => true,
        HostMatch::Exact(exact) => exact == host,
        HostMatch::Suffix(suffix) => host.len() > suffix.len() && host.ends_with(suffix.as_str()),
    };
    host_matches
        && path_matches(&route.path, path)
        && (route.methods.is_empty() || route.methods.contains(method))
        && route.headers.iter().all(|m| header_matches(m, headers))
}

fn path_matches(rule: &PathMatch, path: &str) -> bool {
    match rule {
        PathMatch::Any => true,
        PathMatch::Exact(exact) => exact == path,
        PathMatch::Prefix(prefix) => {
            let prefix = prefix.trim_end_matches('/');
            path.strip_prefix(prefix)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        }
    }
}

fn header_matches(rule: &HeaderMatch, headers: &HeaderMap) -> bool {
    headers
        .get_all(&rule.name)
        .iter()
        .any(|value| match &rule.value {
            ValueMatch::Present => true,
            ValueMatch::Exact(exact) => value.as_bytes() == exact.as_bytes(),
            ValueMatch::Prefix(prefix) => value.as_bytes().starts_with(prefix.as_bytes()),
        })
}

/// `host` of `host:port`; an IPv6 literal keeps its brackets.
pub fn without_port(authority: &str) -> &str {
    match authority.rfind(':') {
        Some(colon) if !authority[colon..].contains(']') => &authority[..colon],
        _ => authority,
    }
}
