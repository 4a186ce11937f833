//! Names to addresses, on the control thread.
//!
//! One task per name: resolve → publish → sleep until the records' TTL ends → again.
//! A failure keeps the last good addresses and is tried again after a growing pause.
//! The tasks end when every [`EndpointsWatch`] of the cluster is gone.
//!
//! Invariants: a name that has never resolved contributes nothing; a name that has
//! once resolved never goes back to nothing; an address appears once, however many
//! names lead to it; the order is that of the configuration.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::op::Query;
use hickory_resolver::proto::rr::{Name, RecordType};
use tokio::sync::watch;
use tokio::time::timeout;

use super::backoff::Backoff;
use super::params::{ClusterParams, DnsParams, EndpointAddress};
use super::stats::{ClusterStats, Shard, Stat};

/// An address to connect to, and the host it was given as (for TLS).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    pub address: SocketAddr,
    pub host: Arc<str>,
}

/// The endpoints of a cluster as they are now. Clone it to every worker.
#[derive(Clone)]
pub struct EndpointsWatch {
    receiver: watch::Receiver<Arc<[Endpoint]>>,
    stats: Arc<ClusterStats>,
    /// Keeps the resolver's numbers where no task does, with fixed addresses.
    _shard: Option<Arc<Shard>>,
}

impl EndpointsWatch {
    /// A watch fed by the caller.
    pub fn new(receiver: watch::Receiver<Arc<[Endpoint]>>, stats: Arc<ClusterStats>) -> Self {
        EndpointsWatch {
            receiver,
            stats,
            _shard: None,
        }
    }

    pub fn current(&self) -> Arc<[Endpoint]> {
        self.receiver.borrow().clone()
    }

    /// The cluster's numbers: one object for all workers and the resolver.
    pub fn stats(&self) -> &Arc<ClusterStats> {
        &self.stats
    }

    /// Waits until there is an endpoint, at most `limit`; false if there is none.
    /// For a start that should not answer 503 while DNS is still asked.
    pub async fn ready(&self, limit: Duration) -> bool {
        let mut receiver = self.receiver.clone();
        let some = receiver.wait_for(|endpoints| !endpoints.is_empty());
        matches!(timeout(limit, some).await, Ok(Ok(_)))
    }

    /// The endpoints after the next change; `None` when there will be no more.
    pub(super) async fn changed(&mut self) -> Option<Arc<[Endpoint]>> {
        self.receiver.changed().await.ok()?;
        Some(self.receiver.borrow_and_update().clone())
    }
}

/// Starts the resolution of a cluster's names.
pub struct Endpoints;

impl Endpoints {
    /// Publishes fixed addresses at once; each name gets a task on `handle`. `stats` go on
    /// from the cluster whose place this one takes, or are new.
    pub fn spawn(
        cluster: &ClusterParams,
        dns: &DnsParams,
        handle: &tokio::runtime::Handle,
        stats: Arc<ClusterStats>,
    ) -> EndpointsWatch {
        let fixed = cluster.endpoints.iter().map(|endpoint| match endpoint {
            EndpointAddress::Socket(address) => vec![Endpoint {
                address: *address,
                host: address.ip().to_string().into(),
            }],
            EndpointAddress::Name { .. } => Vec::new(),
        });
        let (sender, receiver) = watch::channel(Arc::from([]));
        let publisher = Arc::new(Publisher {
            parts: Mutex::new(fixed.collect()),
            sender,
            shard: stats.shard(),
        });
        publisher.publish();
        for (index, endpoint) in cluster.endpoints.iter().enumerate() {
            if let EndpointAddress::Name { host, port } = endpoint {
                let task = NameTask {
                    host: host.as_str().into(),
                    port: *port,
                    index,
                    dns: effective(dns),
                    publisher: publisher.clone(),
                };
                handle.spawn(task.run());
            }
        }
        EndpointsWatch {
            receiver,
            stats,
            _shard: Some(publisher.shard.clone()),
        }
    }
}

/// Zero means "not given": the parameters' `Default` is usable as it is.
fn effective(dns: &DnsParams) -> DnsParams {
    let or = |value: Duration, default| if value.is_zero() { default } else { value };
    // Records with a TTL of zero would otherwise be asked for without pause.
    let min_ttl = or(dns.min_ttl, Duration::from_secs(1));
    DnsParams {
        servers: dns.servers.clone(),
        min_ttl,
        max_ttl: or(dns.max_ttl, Duration::from_secs(300)).max(min_ttl),
        timeout: or(dns.timeout, Duration::from_secs(5)),
    }
}

/// Joins the addresses of all names into the one list that is published.
struct Publisher {
    parts: Mutex<Vec<Vec<Endpoint>>>,
    sender: watch::Sender<Arc<[Endpoint]>>,
    shard: Arc<Shard>,
}

impl Publisher {
    fn set(&self, index: usize, part: Vec<Endpoint>) {
        self.parts.lock().unwrap_or_else(PoisonError::into_inner)[index] = part;
        self.publish();
    }

    fn publish(&self) {
        // Held while sending: two names resolving at once must not publish in the
        // order opposite to their joining.
        let parts = self.parts.lock().unwrap_or_else(PoisonError::into_inner);
        let mut all: Vec<Endpoint> = Vec::new();
        for endpoint in parts.iter().flatten() {
            if !all.iter().any(|known| known.address == endpoint.address) {
                all.push(endpoint.clone());
            }
        }
        self.shard.set(Stat::Endpoints, all.len() as u64);
        self.sender.send_if_modified(|current| {
            let changed = current[..] != all[..];
            if changed {
                *current = all.into();
            }
            changed
        });
    }
}

struct NameTask {
    host: Arc<str>,
    port: u16,
    index: usize,
    dns: DnsParams,
    publisher: Arc<Publisher>,
}

impl NameTask {
    async fn run(self) {
        let mut backoff = Backoff::new(
            Duration::from_millis(500).min(self.dns.min_ttl),
            Duration::from_secs(30).min(self.dns.max_ttl),
        );
        let mut known = Vec::new();
        loop {
            let pause = match self.resolve(&known).await {
                Ok((mut addresses, ttl)) => {
                    backoff.reset();
                    self.publisher.shard.add_shared(Stat::DnsResolutions);
                    // Servers rotate their answers; a stable order keeps that from
                    // looking like a change.
                    addresses.sort_unstable();
                    addresses.dedup();
                    if addresses != known {
                        tracing::info!(host = %self.host, ?addresses, "endpoints resolved");
                        self.publisher.set(self.index, self.endpoints(&addresses));
                        known = addresses;
                    }
                    ttl
                }
                Err(error) => {
                    self.publisher.shard.add_shared(Stat::DnsFailures);
                    tracing::warn!(host = %self.host, %error, kept = known.len(), "cannot resolve");
                    backoff.next()
                }
            };
            tokio::select! {
                // The records' TTL, or the pause after a failure, has ended.
                () = tokio::time::sleep(pause) => {}
                // Nobody listens any more: the cluster is gone.
                () = self.publisher.sender.closed() => return,
            }
        }
    }

    fn endpoints(&self, addresses: &[IpAddr]) -> Vec<Endpoint> {
        let endpoint = |ip: &IpAddr| Endpoint {
            address: SocketAddr::new(*ip, self.port),
            host: self.host.clone(),
        };
        addresses.iter().map(endpoint).collect()
    }

    /// All addresses of the name and how long they hold.
    async fn resolve(&self, known: &[IpAddr]) -> Result<(Vec<IpAddr>, Duration), NetError> {
        let name = Name::from_utf8(&*self.host)?;
        if let Some(addresses) = from_hosts_file(&name) {
            // The file may be edited; it has no TTL.
            return Ok((addresses, self.dns.max_ttl));
        }
        // Built anew each time, so that a changed resolv.conf counts.
        let resolver = resolver(&self.dns)?;
        let both = async {
            tokio::join!(
                resolver.lookup(name.clone(), RecordType::A),
                resolver.lookup(name.clone(), RecordType::AAAA),
            )
        };
        // The resolver bounds each query; this bounds the sum over search domains.
        let (v4, v6) = timeout(self.dns.timeout * 10, both)
            .await
            .map_err(|_| NetError::Timeout)?;
        let mut fresh = Vec::new();
        let mut kept = Vec::new();
        let mut ttl = self.dns.max_ttl;
        let mut failure = NetError::from("no address in the answer");
        for (result, v4) in [(v6, false), (v4, true)] {
            match result {
                Ok(lookup) => {
                    fresh.extend(lookup.answers().iter().filter_map(|r| r.data.ip_addr()));
                    ttl = ttl.min(
                        lookup
                            .valid_until()
                            .saturating_duration_since(Instant::now()),
                    );
                }
                // The name has no address of this family.
                Err(error @ NetError::Dns(DnsError::NoRecordsFound(_))) => failure = error,
                // Not known: what was known of this family stays, for a short time.
                Err(error) => {
                    kept.extend(known.iter().filter(|ip| ip.is_ipv4() == v4));
                    ttl = self.dns.min_ttl;
                    failure = error;
                }
            }
        }
        if fresh.is_empty() {
            return Err(failure);
        }
        fresh.append(&mut kept);
        Ok((fresh, ttl.clamp(self.dns.min_ttl, self.dns.max_ttl)))
    }
}

/// A name that hosts(5) knows is not asked of DNS, not even for the family that the
/// file lacks: as the C library does, and as the file's author expects.
fn from_hosts_file(name: &Name) -> Option<Vec<IpAddr>> {
    let hosts = hickory_resolver::Hosts::from_system().ok()?;
    let mut addresses = Vec::new();
    for family in [RecordType::A, RecordType::AAAA] {
        if let Some(lookup) = hosts.lookup_static_host(&Query::query(name.clone(), family)) {
            addresses.extend(lookup.answers().iter().filter_map(|r| r.data.ip_addr()));
        }
    }
    (!addresses.is_empty()).then_some(addresses)
}

fn resolver(dns: &DnsParams) -> Result<TokioResolver, NetError> {
    let system = hickory_resolver::system_conf::read_system_conf();
    let (config, mut options) = match (system, dns.servers.is_empty()) {
        (Ok(system), true) => system,
        (Err(error), true) => return Err(error),
        // Own servers, but the system's search domains.
        (system, false) => {
            let (config, options) =
                system.unwrap_or_else(|_| (empty_config(), ResolverOpts::default()));
            let (domain, search, _) = config.into_parts();
            let servers = dns.servers.iter().map(|address| server(*address));
            let config = ResolverConfig::from_parts(domain, search, servers.collect());
            (config, options)
        }
    };
    options.timeout = dns.timeout;
    // The TTL is kept by the task; a cache would only hide changes.
    options.cache_size = 0;
    options.use_hosts_file = ResolveHosts::Never;
    let mut builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
    *builder.options_mut() = options;
    builder.build()
}

fn empty_config() -> ResolverConfig {
    ResolverConfig::from_parts(None, Vec::new(), Vec::new())
}

fn server(address: SocketAddr) -> NameServerConfig {
    let mut server = NameServerConfig::udp_and_tcp(address.ip());
    for connection in &mut server.connections {
        connection.port = address.port();
    }
    server
}
