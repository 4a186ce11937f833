//! Ports for servers that have to be told one.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::atomic::{AtomicU16, Ordering};

/// Below the range the kernel takes outgoing connections' ports from (32768 on), so
/// that none of those gets between choosing a port and binding it.
const FIRST: u16 = 20_000;
const LAST: u16 = 32_000;

/// A port of 127.0.0.1 that nobody listens on, not given out before by this process.
pub fn free() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    for _ in FIRST..LAST {
        let offset = NEXT.fetch_add(1, Ordering::Relaxed);
        // Processes of tests that run at once begin at different places.
        let begin = std::process::id().wrapping_mul(977) as u16;
        let port = FIRST + begin.wrapping_add(offset) % (LAST - FIRST);
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
    panic!("no free port");
}

/// [`free`] as an address.
pub fn free_address() -> SocketAddr {
    (Ipv4Addr::LOCALHOST, free()).into()
}
