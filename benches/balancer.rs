//! The choice of an endpoint, for each kind of balancer, with all endpoints eligible and
//! with one in four.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use qat_gateway::upstream::{Balancer, BalancerKind, Candidates};

/// Endpoints with the load of their index, of which every n-th may be chosen.
struct Endpoints {
    loads: Vec<usize>,
    every: usize,
}

impl Candidates for Endpoints {
    fn len(&self) -> usize {
        self.loads.len()
    }

    fn eligible(&self, index: usize) -> bool {
        index.is_multiple_of(self.every)
    }

    fn load(&self, index: usize) -> usize {
        self.loads[index]
    }
}

fn all(criterion: &mut Criterion) {
    let kinds = [
        ("round_robin", BalancerKind::RoundRobin),
        ("least_request", BalancerKind::LeastRequest),
        ("random", BalancerKind::Random),
    ];
    for (name, kind) in kinds {
        let mut group = criterion.benchmark_group(format!("balancer/{name}"));
        for (count, every) in [(8, 1), (64, 1), (64, 4)] {
            let endpoints = Endpoints {
                loads: (0..count).collect(),
                every,
            };
            let balancer = Balancer::new(kind);
            let mut chosen = vec![0_u64; count];
            let id = BenchmarkId::from_parameter(format!("{}_of_{count}", count / every));
            group.bench_function(id, |bencher| {
                bencher.iter(|| {
                    let index = balancer.pick(black_box(&endpoints)).expect("an endpoint");
                    chosen[index] += 1;
                    index
                });
            });
            let wrong = (0..count).find(|index| index % every != 0 && chosen[*index] > 0);
            assert_eq!(wrong, None, "{name} chose what is not eligible");
        }
        group.finish();
    }
}

criterion_group!(benches, all);
criterion_main!(benches);
