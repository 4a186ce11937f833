//! Which endpoint takes the next request.

use std::cell::Cell;

use super::params::BalancerKind;

/// A worker's balancer. Knows endpoints by index only.
#[derive(Debug)]
pub enum Balancer {
    RoundRobin(Cell<usize>),
    LeastRequest,
    Random,
}

/// What a balancer may ask about the endpoints, by index.
pub trait Candidates {
    fn len(&self) -> usize;
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// Whether the endpoint may be chosen in this round.
    fn eligible(&self, index: usize) -> bool;
    /// Requests in flight and waiting.
    fn load(&self, index: usize) -> usize;
}

impl Balancer {
    pub fn new(kind: BalancerKind) -> Self {
        match kind {
            // Workers start at different places, or all would send their first
            // requests to the same endpoint.
            BalancerKind::RoundRobin => Balancer::RoundRobin(Cell::new(fastrand::usize(..1 << 32))),
            BalancerKind::LeastRequest => Balancer::LeastRequest,
            BalancerKind::Random => Balancer::Random,
        }
    }

    /// An eligible endpoint; `None` if there is none.
    pub fn pick(&self, candidates: &impl Candidates) -> Option<usize> {
        match (candidates.len(), self) {
            (0, _) => None,
            (1, _) => candidates.eligible(0).then_some(0),
            (n, Balancer::RoundRobin(next)) => round_robin(next, n, candidates),
            (n, Balancer::Random) => random(n, candidates),
            (n, Balancer::LeastRequest) => least_request(n, candidates),
        }
    }
}

fn round_robin(next: &Cell<usize>, n: usize, candidates: &impl Candidates) -> Option<usize> {
    for _ in 0..n {
        let index = next.get() % n;
        next.set(index + 1);
        if candidates.eligible(index) {
            return Some(index);
        }
    }
    None
}

fn random(n: usize, candidates: &impl Candidates) -> Option<usize> {
    // Nearly always all are eligible; drawing again keeps the choice uniform.
    let index = fastrand::usize(..n);
    if candidates.eligible(index) {
        return Some(index);
    }
    let count = eligible(n, candidates).count();
    (count > 0).then(|| nth(n, candidates, fastrand::usize(..count)))
}

/// The less loaded of two distinct random endpoints (power of two choices).
fn least_request(n: usize, candidates: &impl Candidates) -> Option<usize> {
    let (a, b) = two_of(n);
    if candidates.eligible(a) && candidates.eligible(b) {
        return Some(lighter(a, b, candidates));
    }
    match eligible(n, candidates).count() {
        0 => None,
        1 => eligible(n, candidates).next(),
        count => {
            let (a, b) = two_of(count);
            Some(lighter(
                nth(n, candidates, a),
                nth(n, candidates, b),
                candidates,
            ))
        }
    }
}

fn two_of(n: usize) -> (usize, usize) {
    let a = fastrand::usize(..n);
    let b = fastrand::usize(..n - 1);
    (a, if b >= a { b + 1 } else { b })
}

fn lighter(a: usize, b: usize, candidates: &impl Candidates) -> usize {
    if candidates.load(b) < candidates.load(a) {
        b
    } else {
        a
    }
}

fn eligible(n: usize, candidates: &impl Candidates) -> impl Iterator<Item = usize> {
    (0..n).filter(|index| candidates.eligible(*index))
}

fn nth(n: usize, candidates: &impl Candidates, rank: usize) -> usize {
    eligible(n, candidates)
        .nth(rank)
        .expect("rank is below the number of eligible endpoints")
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fixed {
        loads: Vec<usize>,
        out: Vec<usize>,
    }

    impl Candidates for Fixed {
        fn len(&self) -> usize {
            self.loads.len()
        }
        fn eligible(&self, index: usize) -> bool {
            !self.out.contains(&index)
        }
        fn load(&self, index: usize) -> usize {
            self.loads[index]
        }
    }

    const KINDS: [BalancerKind; 3] = [
        BalancerKind::RoundRobin,
        BalancerKind::LeastRequest,
        BalancerKind::Random,
    ];

    fn spread(kind: BalancerKind, loads: &[usize], out: &[usize], picks: usize) -> Vec<usize> {
        let balancer = Balancer::new(kind);
        let candidates = Fixed {
            loads: loads.to_vec(),
            out: out.to_vec(),
        };
        let mut hits = vec![0; loads.len()];
        for _ in 0..picks {
            hits[balancer.pick(&candidates).unwrap()] += 1;
        }
        hits
    }

    #[test]
    fn equal_endpoints_get_equal_shares() {
        for kind in KINDS {
            let hits = spread(kind, &[0; 5], &[], 50_000);
            assert!(
                hits.iter().all(|hits| (9_000..11_000).contains(hits)),
                "{kind:?}: {hits:?}"
            );
        }
        assert_eq!(
            spread(BalancerKind::RoundRobin, &[0; 5], &[], 50_000),
            [10_000; 5]
        );
    }

    #[test]
    fn the_ineligible_get_nothing_and_the_rest_share() {
        for kind in KINDS {
            let hits = spread(kind, &[0; 4], &[1, 2], 20_000);
            assert_eq!((hits[1], hits[2]), (0, 0), "{kind:?}");
            assert!(hits[0] > 8_000 && hits[3] > 8_000, "{kind:?}: {hits:?}");
        }
    }

    #[test]
    fn none_eligible_or_none_at_all() {
        for kind in KINDS {
            for (loads, out) in [
                (vec![], vec![]),
                (vec![0], vec![0]),
                (vec![0; 3], vec![0, 1, 2]),
            ] {
                assert_eq!(Balancer::new(kind).pick(&Fixed { loads, out }), None);
            }
        }
    }

    #[test]
    fn least_request_avoids_the_most_loaded() {
        // Of two distinct choices the heaviest of all always loses, the lightest
        // wins whenever it is drawn: 2/n of the time.
        let hits = spread(BalancerKind::LeastRequest, &[9, 0, 5, 5], &[], 40_000);
        assert_eq!(hits[0], 0, "{hits:?}");
        assert!((18_000..22_000).contains(&hits[1]), "{hits:?}");
    }

    #[test]
    fn least_request_evens_out_loads() {
        let balancer = Balancer::new(BalancerKind::LeastRequest);
        let mut candidates = Fixed {
            loads: vec![0; 10],
            out: vec![],
        };
        for _ in 0..10_000 {
            let index = balancer.pick(&candidates).unwrap();
            candidates.loads[index] += 1;
        }
        let (low, high) = (
            candidates.loads.iter().min().unwrap(),
            candidates.loads.iter().max().unwrap(),
        );
        assert!(high - low < 20, "{:?}", candidates.loads);
    }
}
