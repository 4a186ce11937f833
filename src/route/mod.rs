//! Which cluster a request goes to.

mod params;
mod rewrite;
mod table;
#[cfg(test)]
mod tests;

pub use params::{
    HeaderMatch, HeaderOps, HostMatch, PathMatch, RetryPolicy, RouteParams, ValueMatch,
};
pub use table::{RouteTable, without_port};
