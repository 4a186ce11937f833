//! Routes.

use http::Method;

use super::scalar::{size, size_or_off, timeout_or_off};
use super::{header, host};
use crate::config::problem::did_you_mean;
use crate::config::raw;
use crate::config::report::At;
use crate::route::{HostMatch, PathMatch, RetryPolicy, RouteParams};

pub(super) fn routes(
    at: &At<'_>,
    raw: &[raw::Route],
    listener: &str,
    clusters: &[&str],
) -> Vec<RouteParams> {
    raw.iter()
        .enumerate()
        .map(|(i, raw)| {
            let name = raw
                .name
                .clone()
                .unwrap_or_else(|| format!("{listener}/{i}"));
            route(&at.item(i), raw, name, clusters)
        })
        .collect()
}

fn route(at: &At<'_>, raw: &raw::Route, name: String, clusters: &[&str]) -> RouteParams {
    let matches = at.key("match");
    let path = path_match(&matches, &raw.matches);
    let timeout = timeout_or_off(&at.key("timeout"), &raw.timeout);
    let idle_timeout = timeout_or_off(&at.key("idle_timeout"), &raw.idle_timeout);
    if let (Some(idle), Some(whole), true) = (idle_timeout, timeout, at.key("idle_timeout").given())
        && idle > whole
    {
        at.key("idle_timeout").warn(
            format_args!(
                "is longer than timeout ({}) and never comes to pass",
                raw.timeout.0
            ),
            "write less, or off",
        );
    }
    RouteParams {
        host: host_match(&matches.key("host"), raw.matches.host.as_deref()),
        rewrite: rewrite(&at.key("rewrite"), raw.rewrite.as_deref(), &path),
        path,
        methods: methods(&matches.key("methods"), raw.matches.methods.as_deref()),
        headers: header::matches(&matches.key("headers"), &raw.matches.headers),
        cluster: cluster(&at.key("cluster"), &raw.cluster, clusters),
        name,
        request_headers: header::ops(&at.key("request_headers"), &raw.request_headers),
        response_headers: header::ops(&at.key("response_headers"), &raw.response_headers),
        timeout,
        idle_timeout,
        max_body: size_or_off(&at.key("max_body"), &raw.max_body),
        retry: retry(&at.key("retry"), &raw.retry),
    }
}

fn host_match(at: &At<'_>, text: Option<&str>) -> HostMatch {
    match text.and_then(|text| host::route_host(at, text)) {
        None => HostMatch::Any,
        Some(host) => match host.strip_prefix('*') {
            Some("") => HostMatch::Any,
            Some(suffix) => HostMatch::Suffix(suffix.to_owned()),
            None => HostMatch::Exact(host),
        },
    }
}

fn path_match(at: &At<'_>, raw: &raw::Match) -> PathMatch {
    match (&raw.path, &raw.path_prefix) {
        (None, None) => PathMatch::Any,
        (Some(exact), None) => {
            check_path(&at.key("path"), exact);
            PathMatch::Exact(exact.clone())
        }
        (None, Some(prefix)) => {
            check_path(&at.key("path_prefix"), prefix);
            // `/v2` and `/v2/` are the same prefix.
            match prefix.trim_end_matches('/') {
                "" => PathMatch::Prefix("/".to_owned()),
                trimmed => PathMatch::Prefix(trimmed.to_owned()),
            }
        }
        (Some(_), Some(_)) => {
            at.error(
                "has both path and path_prefix",
                "write path for the exact path, or path_prefix for all that begins so",
            );
            PathMatch::Any
        }
    }
}

fn check_path(at: &At<'_>, text: &str) {
    if !text.starts_with('/') {
        at.error(
            "can never match: paths begin with /",
            format_args!("write /{text}"),
        );
    } else if let Some(end) = text.find(['?', '#']) {
        at.error(
            "can never match: a path has neither query nor fragment",
            format_args!("write {}", &text[..end]),
        );
    } else if text.parse::<http::uri::PathAndQuery>().is_err() || !text.is_ascii() {
        at.error(
            "can never match: it has characters that paths don't have",
            "write them percent-encoded, such as %20 for a space",
        );
    } else if let Some(prefix) = text.strip_suffix("/*") {
        at.warn(
            "matches a literal *",
            format_args!("for all that begins so write path_prefix: {prefix}/"),
        );
    }
}

fn rewrite(at: &At<'_>, text: Option<&str>, path: &PathMatch) -> Option<String> {
    let text = text?;
    if *path == PathMatch::Any {
        at.error(
            "replaces nothing: the route matches any path",
            "add match.path or match.path_prefix",
        );
    }
    let fits = text.starts_with('/')
        && text.is_ascii()
        && !text.contains(['?', '#'])
        && text.parse::<http::uri::PathAndQuery>().is_ok();
    if !fits {
        at.error(
            "is not a path",
            "write one that begins with /, without query or fragment",
        );
    }
    Some(text.to_owned())
}

fn methods(at: &At<'_>, raw: Option<&[String]>) -> Vec<Method> {
    let mut out = Vec::new();
    for (i, text) in raw.unwrap_or_default().iter().enumerate() {
        let at = at.item(i);
        match Method::from_bytes(text.as_bytes()) {
            Ok(method) if out.contains(&method) => at.warn("stands twice", "remove one"),
            Ok(method) => {
                let upper = text.to_ascii_uppercase();
                if *text != upper {
                    at.error(
                        "can never match: methods are upper case",
                        format_args!("write {upper}"),
                    );
                }
                out.push(method);
            }
            Err(_) => at.error("is not a method", "write one such as GET or POST"),
        }
    }
    out
}

/// The cluster's index; 0 where there is no such cluster.
fn cluster(at: &At<'_>, name: &str, clusters: &[&str]) -> usize {
    if let Some(index) = clusters.iter().position(|cluster| *cluster == name) {
        return index;
    }
    let known = &at.report.cluster_names;
    if !known.iter().any(|cluster| cluster == name) {
        let help = match did_you_mean(name, known.iter().map(String::as_str)) {
            Some(near) => format!("did you mean {near}?"),
            None if known.is_empty() => "add it to clusters".to_owned(),
            None => format!("the clusters are {}", known.join(", ")),
        };
        at.error("is no cluster", help);
    }
    0
}

fn retry(at: &At<'_>, raw: &raw::Retry) -> RetryPolicy {
    if raw.attempts == 0 && raw.on_connection_failure {
        at.key("on_connection_failure").warn(
            "has no effect: attempts is 0",
            "write attempts: 1 or more, or remove it",
        );
    }
    RetryPolicy {
        attempts: raw.attempts,
        on_connection_failure: raw.on_connection_failure,
        buffer: size(&at.key("buffer"), &raw.buffer, 0..=64 << 20).unwrap_or(0),
    }
}
