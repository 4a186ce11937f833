//! HTTP/2 and HTTP/1.1 towards clients.

mod params;

pub use params::{HttpParams, Upgrade};
