//! Listening sockets.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::AsFd;

use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};

use super::ListenerParams;

/// Binds `address`; several sockets share it and the kernel spreads connections over
/// them (SO_REUSEPORT, socket(7)). Options set here are inherited by what is
/// accepted.
pub fn bind(params: &ListenerParams, address: SocketAddr) -> io::Result<TcpListener> {
    let socket = socket(address)?;
    socket.set_reuse_port(true)?;
    socket.set_nonblocking(true)?;
    if let SocketAddr::V6(address) = address {
        // `[::]` serves IPv4 as well, whatever the system's default.
        socket.set_only_v6(!address.ip().is_unspecified())?;
    }
    socket.bind(&address.into())?;
    socket.set_tcp_nodelay(true)?;
    adjust(params, &socket)?;
    Ok(socket.into())
}

/// Makes the socket listen as the parameters say, also one that listens already (listen(2)).
pub(super) fn adjust(params: &ListenerParams, socket: &impl AsFd) -> io::Result<()> {
    let socket = SockRef::from(socket);
    socket.set_keepalive(params.tcp_keepalive.is_some())?;
    if let Some(time) = params.tcp_keepalive {
        socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(time))?;
    }
    socket.listen(i32::try_from(params.backlog).unwrap_or(i32::MAX))
}

/// Whether nobody else listens on `address`: without SO_REUSEPORT, so that another
/// process's socket shows.
pub fn check_free(address: SocketAddr) -> io::Result<()> {
    socket(address)?.bind(&address.into())
}

/// For `address`, also where connections of a former process still linger.
fn socket(address: SocketAddr) -> io::Result<Socket> {
    let domain = Domain::for_address(address);
    let socket = Socket::new(domain, Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    Ok(socket)
}
