//! What a worker serves now, and how a new version of the configuration takes its place.
//!
//! ```text
//! prepare: contexts, pools, routes │ all workers could │ adopt: sockets change hands
//! ```
//!
//! A connection belongs to the version that accepted it until its end. A cluster that is the
//! same in both versions keeps its pools.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use super::{
    AcceleratorStats, ClusterSpec, LAST_OPERATIONS, Offloading, Replacement, Version, WorkerError,
    WorkerSpec,
};
use crate::drain::Watch;
use crate::http::Service;
use crate::listener::{self, Admission, Limits, Listener, ListenerParams, Serving, SocketKey};
use crate::proxy::{Proxy, RouteHandle};
use crate::route::RouteTable;
use crate::telemetry::{AccessSink, Shard};
use crate::tls::{Acceptor, TicketKeys, TlsError, TlsParams};
use crate::upstream::Cluster;

pub(super) struct Server {
    workers: usize,
    ticket_keys: TicketKeys,
    shard: Shard,
    access: Option<AccessSink>,
    offload: Option<Offloading>,
    clusters: Rc<Vec<Rc<Cluster>>>,
    sockets: BTreeMap<SocketKey, Socket>,
    /// Accept loops, each until its last connection has ended.
    tasks: JoinSet<()>,
    drain: Watch,
}

/// A listening socket, which its task owns.
struct Socket {
    current: watch::Sender<Serving>,
    admission: Rc<Admission>,
}

/// A version that can take the place of the one before: nothing of it fails any more.
struct Prepared {
    listeners: Vec<(Rc<Listener>, Option<TcpListener>)>,
    clusters: Rc<Vec<Rc<Cluster>>>,
    drain: Watch,
}

impl Server {
    pub(super) fn start(spec: WorkerSpec) -> Result<Server, WorkerError> {
        let offload = Offloading::start(&spec)?;
        let mut server = Server {
            workers: spec.workers,
            ticket_keys: spec.ticket_keys,
            shard: spec.metrics.shard(),
            access: spec.access,
            offload,
            clusters: Rc::default(),
            sockets: BTreeMap::new(),
            tasks: JoinSet::new(),
            drain: spec.version.drain.clone(),
        };
        let prepared = server.prepare(spec.version)?;
        server.adopt(prepared);
        Ok(server)
    }

    pub(super) fn accelerator(&self) -> Option<AcceleratorStats> {
        self.offload.as_ref().map(Offloading::stats)
    }

    /// Until the drain has let the last connection end.
    pub(super) async fn serve(&mut self, replacements: &mut mpsc::Receiver<Replacement>) {
        loop {
            tokio::select! {
                biased;
                // A new version of the configuration.
                Some(replacement) = replacements.recv() => self.replace(replacement).await,
                // A listener has ended, with its connections.
                ended = self.tasks.join_next() => match ended {
                    Some(Ok(())) => {}
                    Some(Err(error)) => std::panic::resume_unwind(error.into_panic()),
                    None => return,
                },
            }
        }
    }

    /// Gives abandoned operations some time to come back, then lets the process end.
    pub(super) async fn end(self) -> Option<Offloading> {
        if let Some(offload) = &self.offload {
            let left = offload.graveyard.drain(LAST_OPERATIONS).await;
            if left > 0 {
                tracing::warn!(left, "operations never came back from the accelerator");
            }
        }
        self.offload
    }

    async fn replace(&mut self, replacement: Replacement) {
        let Replacement {
            version,
            prepared,
            commit,
        } = replacement;
        let ready = match self.prepare(version) {
            Ok(ready) => ready,
            Err(error) => return drop(prepared.send(Err(error))),
        };
        let _ = prepared.send(Ok(()));
        if let Ok(done) = commit.await {
            self.adopt(ready);
            let _ = done.send(());
        }
    }

    fn prepare(&self, version: Version) -> Result<Prepared, WorkerError> {
        let clusters = version.clusters.into_iter();
        let clusters: Vec<_> = clusters.map(|cluster| self.cluster(cluster)).collect();
        let clusters = Rc::new(clusters);
        let mut listeners = Vec::new();
        for (params, socket) in version.listeners {
            let admission = match (&socket, self.sockets.get(&params.socket())) {
                (Some(_), _) => Admission::new(self.limits(&params)),
                (None, Some(socket)) => socket.admission.clone(),
                (None, None) => {
                    let listener = params.name.clone();
                    return Err(WorkerError::Socket { listener });
                }
            };
            let socket = socket.map(TcpListener::from_std).transpose()?;
            let listener = self.listener(params, &clusters, admission)?;
            listeners.push((Rc::new(listener), socket));
        }
        Ok(Prepared {
            listeners,
            clusters,
            drain: version.drain,
        })
    }

    /// The one there is, if it is to stay.
    fn cluster(&self, spec: ClusterSpec) -> Rc<Cluster> {
        let same = |cluster: &&Rc<Cluster>| std::ptr::eq(cluster.params(), &*spec.params);
        match self.clusters.iter().find(same) {
            Some(cluster) => cluster.clone(),
            None => Cluster::new(spec.params, spec.endpoints, spec.tls),
        }
    }

    fn listener(
        &self,
        params: Arc<ListenerParams>,
        clusters: &Rc<Vec<Rc<Cluster>>>,
        admission: Rc<Admission>,
    ) -> Result<Listener, WorkerError> {
        let failed = |source| WorkerError::Tls {
            listener: params.name.clone(),
            source,
        };
        let tls = params.tls.as_deref();
        let acceptor = tls.map(|tls| self.acceptor(tls)).transpose();
        let acceptor = acceptor.map_err(failed)?;
        let metrics = self.shard.listener(&params.name);
        let proxy = Proxy::new(
            params.proxy.clone(),
            RouteTable::new(&params.routes),
            clusters.clone(),
            self.handles(&params, clusters),
            metrics.clone(),
            self.access.clone(),
        );
        Ok(Listener {
            acceptor,
            service: Rc::new(Service {
                params: params.http.clone(),
                proxy: Rc::new(proxy),
            }),
            admission,
            metrics,
            params,
        })
    }

    /// The contexts of a listener.
    fn acceptor(&self, params: &TlsParams) -> Result<Acceptor, TlsError> {
        let keys = &self.ticket_keys;
        let acceptor = Acceptor::new(params, keys)?;
        match &self.offload {
            None => Ok(acceptor),
            Some(Offloading {
                worker,
                graveyard,
                counters,
            }) => acceptor.counting(counters.clone()).accelerated(
                params,
                keys,
                worker.clone(),
                graveyard.clone(),
            ),
        }
    }

    fn handles(&self, params: &ListenerParams, clusters: &[Rc<Cluster>]) -> Vec<Rc<RouteHandle>> {
        params
            .routes
            .iter()
            .map(|route| {
                let cluster = &clusters[route.cluster].params().name;
                Rc::new(RouteHandle {
                    name: route.name.clone(),
                    cluster_name: cluster.clone(),
                    metrics: self.shard.route(&route.name, cluster),
                    cluster: self.shard.cluster(cluster),
                })
            })
            .collect()
    }

    fn limits(&self, params: &ListenerParams) -> Limits {
        Limits {
            max_connections: params.max_connections.div_ceil(self.workers),
            max_handshakes: params.max_handshakes,
            max_handshakes_per_client: params.max_handshakes_per_client,
        }
    }

    /// Sockets without a listener in this version end with the drain of the one before.
    fn adopt(&mut self, prepared: Prepared) {
        let mut before = std::mem::take(&mut self.sockets);
        for (listener, socket) in prepared.listeners {
            let (key, admission) = (listener.params.socket(), listener.admission.clone());
            admission.set_limits(self.limits(&listener.params));
            let drain = prepared.drain.clone();
            let serving = Serving { listener, drain };
            let kept = before.remove(&key);
            let current = match (socket, kept) {
                (None, Some(kept)) => {
                    kept.current.send_replace(serving);
                    kept.current
                }
                (Some(socket), _) => {
                    let (current, receiver) = watch::channel(serving);
                    let emptied = admission.clone();
                    // A task of its own: to wake the runtime's first future takes a system
                    // call each time.
                    self.tasks.spawn_local(async move {
                        listener::accept(socket, receiver).await;
                        emptied.emptied().await;
                    });
                    current
                }
                // `prepare` has looked.
                (None, None) => continue,
            };
            self.sockets.insert(key, Socket { current, admission });
        }
        self.clusters = prepared.clusters;
        self.drain = prepared.drain;
    }
}
