//! Listening sockets: accept, admission, the PROXY protocol.

mod params;

pub use params::{ListenerParams, Overload, ProxyProtocolParams};
