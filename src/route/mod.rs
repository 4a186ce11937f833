//! Which cluster a request goes to.

mod params;

pub use params::{
    HeaderMatch, HeaderOps, HostMatch, PathMatch, RetryPolicy, RouteParams, ValueMatch,
};
