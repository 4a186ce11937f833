//! Routes that can never match, since another takes all their requests.
//!
//! Between routes the more specific wins: host, then path, then the number of header
//! conditions, then whether methods are given; of equals the first. So a route is
//! shadowed only by an earlier one with the same host, path and headers whose methods
//! include its own.

use crate::config::report::At;
use crate::route::{HeaderMatch, RouteParams, ValueMatch};

pub(super) fn check(at: &At<'_>, routes: &[RouteParams]) {
    for (i, route) in routes.iter().enumerate() {
        // A match with a part taken out is not the file's.
        if !at.item(i).whole() {
            continue;
        }
        let shadow = (0..i).find(|&j| at.item(j).whole() && shadows(&routes[j], route));
        if let Some(first) = shadow {
            let line = at.item(first).line();
            let first = at.item(first).path().to_owned();
            at.item(i).error(
                format_args!("can never match: {first} (line {line}) takes the same requests"),
                "remove one, or let their matches differ",
            );
        }
    }
}

fn shadows(first: &RouteParams, second: &RouteParams) -> bool {
    first.host == second.host
        && first.path == second.path
        && first.methods.is_empty() == second.methods.is_empty()
        && second
            .methods
            .iter()
            .all(|method| first.methods.contains(method))
        && first.headers.len() == second.headers.len()
        && second
            .headers
            .iter()
            .all(|one| first.headers.iter().any(|other| same(one, other)))
}

fn same(one: &HeaderMatch, other: &HeaderMatch) -> bool {
    let values = match (&one.value, &other.value) {
        (ValueMatch::Present, ValueMatch::Present) => true,
        (ValueMatch::Prefix(a), ValueMatch::Prefix(b)) => a == b,
        (ValueMatch::Exact(a), ValueMatch::Exact(b)) => a == b,
        _ => false,
    };
    one.name == other.name && values
}
