//! A worker's view of a cluster: its endpoints' pools, and the choice among them.
//!
//! Follows the [`EndpointsWatch`]: a new endpoint gets a pool (and its warm-up), one
//! that is gone takes nothing new and finishes its streams.
//!
//! Invariant: everything here stays on the worker's thread; only parameters, the TLS
//! context, the watch and the numbers are shared.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use tokio::task::{JoinHandle, spawn_local};

use super::balancer::{Balancer, Candidates};
use super::budget::RetryBudget;
use super::connect::TlsConnector;
use super::error::AcquireError;
use super::lease::Lease;
use super::params::ClusterParams;
use super::pool::{Pool, Shared};
use super::resolver::{Endpoint, EndpointsWatch};

/// How often a request looks again when its endpoint leaves while it waits.
const GONE_RETRIES: usize = 3;

pub struct Cluster {
    shared: Rc<Shared>,
    balancer: Balancer,
    budget: RetryBudget,
    pools: RefCell<Vec<Rc<Pool>>>,
    follower: RefCell<Option<JoinHandle<()>>>,
}

impl Cluster {
    /// Opens the warm-up connections and follows `endpoints`. `tls` from
    /// [`TlsConnector::new`] if the parameters have `tls`.
    ///
    /// Must be called on the worker's local runtime. Dropping the cluster lets the
    /// connections finish their streams and close.
    pub fn new(
        params: Arc<ClusterParams>,
        endpoints: EndpointsWatch,
        tls: Option<TlsConnector>,
    ) -> Rc<Self> {
        let shared = Rc::new(Shared {
            tls,
            stats: endpoints.stats().shard(),
            params,
        });
        let cluster = Rc::new(Cluster {
            balancer: Balancer::new(shared.params.balancer),
            budget: RetryBudget::new(shared.params.retry_budget),
            shared,
            pools: RefCell::default(),
            follower: RefCell::default(),
        });
        cluster.apply(&endpoints.current());
        *cluster.follower.borrow_mut() =
            Some(spawn_local(follow(Rc::downgrade(&cluster), endpoints)));
        cluster
    }

    pub fn params(&self) -> &ClusterParams {
        &self.shared.params
    }

    pub fn retry_budget(&self) -> &RetryBudget {
        &self.budget
    }

    /// Picks an endpoint and gets a slot on one of its connections: at once where one
    /// is free, else after at most `pending_timeout`.
    ///
    /// `exclude`: endpoints already tried. They are avoided while another endpoint is
    /// out of back-off, not forbidden: with one endpoint, a retry goes there again.
    pub async fn acquire(self: &Rc<Self>, exclude: &[SocketAddr]) -> Result<Lease, AcquireError> {
        let choice = self.choose(exclude)?;
        match choice.try_lease() {
            Some(lease) => Ok(lease),
            None => self.wait(choice, exclude).await,
        }
    }

    /// The balancer's choice for one request. To be used: choosing again for the same
    /// request would pass endpoints over.
    pub fn choose(&self, exclude: &[SocketAddr]) -> Result<Choice, AcquireError> {
        let (pool, trial) = self.pick(exclude).ok_or(AcquireError::NoEndpoints)?;
        Ok(Choice { pool, trial })
    }

    /// Waits for a slot where [`Choice::try_lease`] found none.
    pub async fn wait(
        self: &Rc<Self>,
        mut choice: Choice,
        exclude: &[SocketAddr],
    ) -> Result<Lease, AcquireError> {
        let mut left = GONE_RETRIES;
        loop {
            match choice.pool.wait(choice.trial).await {
                Err(AcquireError::EndpointGone { .. }) if left > 0 => left -= 1,
                result => return result.map(Lease::new),
            }
            choice = self.choose(exclude)?;
            if let Some(lease) = choice.try_lease() {
                return Ok(lease);
            }
        }
    }

    /// The endpoint to use, and whether all are in back-off.
    fn pick(&self, exclude: &[SocketAddr]) -> Option<(Rc<Pool>, bool)> {
        let pools = self.pools.borrow();
        let round = |exclude, backed_off| {
            let candidates = Round {
                pools: &pools,
                exclude,
                backed_off,
            };
            self.balancer.pick(&candidates).map(|i| pools[i].clone())
        };
        // A healthy endpoint that was tried is better than one that refuses.
        let healthy = round(exclude, false).or_else(|| {
            if exclude.is_empty() {
                return None;
            }
            round(&[], false)
        });
        match healthy {
            Some(pool) => Some((pool, false)),
            None => round(exclude, true)
                .or_else(|| round(&[], true))
                .map(|pool| (pool, true)),
        }
    }

    fn apply(&self, endpoints: &[Endpoint]) {
        let mut added = Vec::new();
        let mut old = self.pools.take();
        let mut pools = Vec::with_capacity(endpoints.len());
        for endpoint in endpoints {
            match old.iter().position(|pool| pool.endpoint == *endpoint) {
                Some(index) => pools.push(old.swap_remove(index)),
                None => {
                    let pool = Pool::new(endpoint.clone(), self.shared.clone());
                    added.push(pool.clone());
                    pools.push(pool);
                }
            }
        }
        *self.pools.borrow_mut() = pools;
        for pool in added {
            pool.warm();
        }
        // After the new list is in place: those who waited choose again.
        for pool in old {
            pool.remove();
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if let Some(follower) = self.follower.take() {
            follower.abort();
        }
        for pool in self.pools.take() {
            pool.remove();
        }
    }
}

async fn follow(cluster: std::rc::Weak<Cluster>, mut endpoints: EndpointsWatch) {
    while let Some(current) = endpoints.changed().await {
        let Some(cluster) = cluster.upgrade() else {
            return;
        };
        cluster.apply(&current);
    }
}

struct Round<'a> {
    pools: &'a [Rc<Pool>],
    exclude: &'a [SocketAddr],
    backed_off: bool,
}

impl Candidates for Round<'_> {
    fn len(&self) -> usize {
        self.pools.len()
    }

    fn eligible(&self, index: usize) -> bool {
        let pool = &self.pools[index];
        (self.backed_off || !pool.is_out()) && !self.exclude.contains(&pool.endpoint.address)
    }

    fn load(&self, index: usize) -> usize {
        self.pools[index].load()
    }
}

/// An endpoint that the balancer chose.
pub struct Choice {
    pool: Rc<Pool>,
    /// Whether all endpoints are in back-off.
    trial: bool,
}

impl Choice {
    pub fn endpoint(&self) -> SocketAddr {
        self.pool.endpoint.address
    }

    /// A slot that is free right now; none: use [`Cluster::wait`].
    pub fn try_lease(&self) -> Option<Lease> {
        self.pool.try_acquire().map(Lease::new)
    }
}
