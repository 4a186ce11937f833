//! What a configuration asks of the machine.

use std::path::Path;

use crate::config::{self, GatewayParams};
use crate::upstream::ClusterParams;

/// Numbers that limits and the kernel's settings are held against.
pub struct Needs {
    pub workers: usize,
    /// The longest backlog of a listener.
    pub backlog: u32,
    /// Descriptors when every limit of the configuration is reached.
    pub descriptors: u64,
    /// The most connections to one backend.
    pub per_endpoint: u64,
    /// The largest window that clients may fill, bytes.
    pub connection_window: u64,
}

/// Files, timers and pipes of the process, and of each worker.
const OTHER_DESCRIPTORS: u64 = 64;
const WORKER_DESCRIPTORS: u64 = 8;

impl Needs {
    pub fn of(params: &GatewayParams) -> Needs {
        let workers = params.workers as u64;
        let listeners = &params.listeners;
        let clients: u64 = listeners.iter().map(|one| one.max_connections as u64).sum();
        let of_cluster = |one: &ClusterParams| workers * one.pool.max_connections as u64;
        let backends = params.clusters.iter();
        let backends: u64 = backends
            .map(|one| of_cluster(one) * one.endpoints.len() as u64)
            .sum();
        let of_worker = WORKER_DESCRIPTORS + listeners.len() as u64;
        Needs {
            workers: params.workers,
            backlog: listeners.iter().map(|one| one.backlog).max().unwrap_or(0),
            descriptors: clients + backends + workers * of_worker + OTHER_DESCRIPTORS,
            per_endpoint: params.clusters.iter().map(of_cluster).max().unwrap_or(0),
            connection_window: listeners
                .iter()
                .map(|one| u64::from(one.http.connection_window))
                .max()
                .unwrap_or(0),
        }
    }

    /// Of the configuration's defaults, with one listener and one backend.
    pub fn of_defaults() -> Option<Needs> {
        const SHORTEST: &str = "\
            listeners: [{ name: a, address: '127.0.0.1:8443', routes: [{ cluster: b }] }]\n\
            clusters: [{ name: b, endpoints: ['127.0.0.1:8001'] }]\n";
        let loaded = config::load_str("defaults", SHORTEST, Path::new("."), &|_| None);
        loaded.ok().map(|loaded| Needs::of(&loaded.params))
    }
}
