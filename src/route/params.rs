//! What routes there are, checked.

use std::time::Duration;

use http::{HeaderName, HeaderValue, Method};

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum HostMatch {
    Any,
    /// `.example.com` of `*.example.com`: any name that ends in it, at least one
    /// label more. Lower case.
    Suffix(String),
    /// Lower case, without port.
    Exact(String),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PathMatch {
    Any,
    /// On segment borders: `/v2` and `/v2/` match `/v2` and `/v2/x`, not `/v2x`.
    Prefix(String),
    Exact(String),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ValueMatch {
    Present,
    Prefix(String),
    Exact(String),
}

#[derive(Clone, Debug)]
pub struct HeaderMatch {
    pub name: HeaderName,
    pub value: ValueMatch,
}

/// Changes made to a header map, removals first.
#[derive(Clone, Debug, Default)]
pub struct HeaderOps {
    pub remove: Vec<HeaderName>,
    /// Replaces what is there.
    pub set: Vec<(HeaderName, HeaderValue)>,
    pub add: Vec<(HeaderName, HeaderValue)>,
}

/// What a retry is allowed for beyond requests that were never processed (refused
/// connections, REFUSED_STREAM, streams past a GOAWAY), which are always retried; within
/// the cluster's retry budget.
#[derive(Clone, Debug)]
pub struct RetryPolicy {
    /// Further tries after the first.
    pub attempts: u32,
    /// Also retry idempotent methods (RFC 9110 9.2.2) whose connection broke before
    /// the response began.
    pub on_connection_failure: bool,
    /// Request body kept for another try, bytes; a longer one is not retried once
    /// any of it was sent.
    pub buffer: usize,
}

#[derive(Clone, Debug)]
pub struct RouteParams {
    pub host: HostMatch,
    pub path: PathMatch,
    /// Empty: any.
    pub methods: Vec<Method>,
    pub headers: Vec<HeaderMatch>,
    /// Index into the gateway's clusters.
    pub cluster: usize,
    /// Label of the metrics.
    pub name: String,
    /// Replaces the matched prefix or the exact path.
    pub rewrite: Option<String>,
    pub request_headers: HeaderOps,
    pub response_headers: HeaderOps,
    /// From the request's head to the end of the response; none: unbounded.
    pub timeout: Option<Duration>,
    /// Longest silence in both directions at once.
    pub idle_timeout: Option<Duration>,
    /// Longest request body, bytes.
    pub max_body: Option<u64>,
    pub retry: RetryPolicy,
}
