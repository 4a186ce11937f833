//! Listening sockets, bound on the control thread before anything is changed or started, so
//! that a taken address is told at once.

use std::net::TcpListener;

use super::StartError;
use crate::config::GatewayParams;
use crate::listener::{self, ListenerParams};

/// One socket for every worker. Port 0 becomes the same free port for all.
pub(super) fn bind(
    params: &ListenerParams,
    workers: usize,
) -> Result<Vec<TcpListener>, StartError> {
    let failed = |source| StartError::Bind {
        name: params.name.clone(),
        address: params.address,
        source,
    };
    let mut address = params.address;
    if address.port() != 0 {
        listener::check_free(address).map_err(failed)?;
    }
    let mut sockets = Vec::new();
    for _ in 0..workers {
        let socket = listener::bind(params, address).map_err(failed)?;
        address = socket.local_addr().map_err(failed)?;
        sockets.push(socket);
    }
    Ok(sockets)
}

/// The admin server's.
pub(super) async fn admin(
    params: &GatewayParams,
) -> Result<Option<tokio::net::TcpListener>, StartError> {
    let Some(admin) = &params.admin else {
        return Ok(None);
    };
    let socket = tokio::net::TcpListener::bind(admin.address).await;
    socket.map(Some).map_err(|source| StartError::Admin {
        address: admin.address,
        source,
    })
}
