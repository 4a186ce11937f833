//! Listening sockets, bound on the control thread before anything is changed or started, so
//! that a taken address is told at once.

use std::net::TcpListener;
use std::sync::Arc;

use super::StartError;
use crate::config::GatewayParams;
use crate::drain::Watch;
use crate::listener::{self, ListenerParams, SocketKey};
use crate::worker::{ClusterSpec, Version};

/// A version for each worker, with sockets of the listeners that are not among the `kept`.
pub(super) fn versions(
    listeners: &[ListenerParams],
    kept: &[SocketKey],
    workers: usize,
    clusters: &[ClusterSpec],
    drain: Watch,
) -> Result<Vec<Version>, StartError> {
    let version = || Version {
        listeners: Vec::new(),
        clusters: clusters.to_vec(),
        drain: drain.clone(),
    };
    let mut versions: Vec<Version> = (0..workers).map(|_| version()).collect();
    for params in listeners {
        let mut bound = match kept.contains(&params.socket()) {
            true => Vec::new(),
            false => bind(params, workers)?,
        };
        let params = Arc::new(params.clone());
        for version in &mut versions {
            version.listeners.push((params.clone(), bound.pop()));
        }
    }
    Ok(versions)
}

/// One socket for every worker. Port 0 becomes the same free port for all.
fn bind(params: &ListenerParams, workers: usize) -> Result<Vec<TcpListener>, StartError> {
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
