//! Handshakes through the gateway's own acceptor, over loopback: key × group × full or
//! resumed × accelerator × handshakes in flight. A figure is the time from one finished
//! handshake to the next. `qat-gateway bench handshake` tells CPU and latencies as well.
//!
//! Every figure is held against the server's own count: the handshakes were done, resumed
//! where they should be, and offloaded where an accelerator's name stands.
//! `QAT_GATEWAY_CRYPTO_MB` may name libcrypto_mb, or a folder with it.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use criterion::criterion_main;
use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, BenchmarkId, Criterion, Throughput, criterion_group};
use qat_gateway::accelerator::{
    self, AccelerationParams, AcceleratorName, Active, MultibufferParams, System,
};
use qat_gateway::cli::bench::case::{Case, Key, Version};
use qat_gateway::cli::bench::client::{Client, Closer};
use qat_gateway::cli::bench::cpu::{self, Places};
use qat_gateway::cli::bench::measure::{Identity, NAME};
use qat_gateway::cli::bench::server::Server;
use qat_gateway::rt;
use tokio::runtime::LocalRuntime;
use tokio::task::spawn_local;

/// Key, group, and whether sessions are resumed.
const KINDS: [(Key, &str, bool); 5] = [
    (Key::Rsa2048, "X25519", false),
    (Key::Rsa2048, "X25519", true),
    (Key::P256, "X25519", false),
    (Key::P256, "X25519", true),
    (Key::P256, "X25519MLKEM768", false),
];
/// Rounds of every client, at least: what is measured once must fill batches as well.
const LEAST_ROUNDS: u64 = 4;

/// libcrypto_mb; None, having said so, where it cannot be used.
fn multibuffer() -> Option<Arc<Active>> {
    let params = AccelerationParams {
        prefer: vec![AcceleratorName::Multibuffer],
        require: true,
        multibuffer: MultibufferParams {
            library: std::env::var_os("QAT_GATEWAY_CRYPTO_MB").map(Into::into),
            ..MultibufferParams::default()
        },
        ..AccelerationParams::default()
    };
    match accelerator::select(&params, &System::this()) {
        Ok(selection) => selection.active,
        Err(error) => {
            eprintln!("SKIPPED: {error}");
            None
        }
    }
}

/// So many handshakes, as many in flight as the case says.
async fn handshakes(client: &Client, in_flight: usize, count: u64) {
    let left = Rc::new(Cell::new(count));
    let run = |_| {
        let (client, left) = (client.clone(), left.clone());
        spawn_local(async move {
            while left.get() > 0 {
                left.set(left.get() - 1);
                client.handshake().await.expect("a handshake");
            }
        })
    };
    let clients: Vec<_> = (0..in_flight).map(run).collect();
    for client in clients {
        client.await.expect("a client");
    }
}

/// The time of `count` handshakes, which must have been what the case says they are.
async fn measured(
    server: &Server,
    client: &Client,
    case: &Case,
    count: u64,
    offloads: bool,
) -> Duration {
    let total = count.max(case.in_flight as u64 * LEAST_ROUNDS);
    let before = server.snapshot().await.expect("a snapshot");
    let since = Instant::now();
    handshakes(client, case.in_flight, total).await;
    let took = since.elapsed();
    let after = server.snapshot().await.expect("a snapshot");
    assert_eq!(after.failed, before.failed);
    // The last ones may not have been counted yet.
    let counted = after.handshakes - before.handshakes;
    assert!(
        counted + case.in_flight as u64 >= total,
        "{counted} of {total}"
    );
    let resumed = after.resumed - before.resumed;
    assert_eq!(resumed, if case.resumed { counted } else { 0 });
    let operations = after.operations.since(before.operations);
    assert_eq!(operations.offloaded > 0, offloads, "{case}: {operations:?}");
    took.mul_f64(count as f64 / total as f64)
}

fn bench(
    group: &mut BenchmarkGroup<'_, WallTime>,
    runtime: &LocalRuntime,
    server: &Server,
    identity: &Identity,
    case: &Case,
    offloads: bool,
) {
    let address = runtime.block_on(server.begin(identity.params(case)));
    let address = address.expect("a listener");
    // Not the gateway's own: what it has is for servers.
    let client = match Client::new(case, address, NAME, Closer::Server) {
        Ok(client) => client,
        Err(error) => {
            eprintln!("SKIPPED: {case}: {error}");
            return runtime.block_on(server.end()).expect("the server's end");
        }
    };
    runtime.block_on(client.prepare()).expect("a session");
    group.bench_function(BenchmarkId::new(server.name, case.in_flight), |bencher| {
        bencher.iter_custom(|count| {
            runtime.block_on(measured(server, &client, case, count, offloads))
        });
    });
    runtime.block_on(server.end()).expect("the server's end");
}

fn all(criterion: &mut Criterion) {
    let places = Places::find(Some(1));
    let start = |active| Server::start(active, places.server).expect("a server");
    let multibuffer = multibuffer();
    let mut servers = vec![(start(None), None)];
    servers.extend(multibuffer.map(|active| (start(Some(active.clone())), Some(active))));
    // The load's thread is this one: what is made from here on stays off the server's CPU.
    cpu::pin(places.load.first().copied().flatten());
    let runtime = rt::local_runtime().expect("a runtime");
    for (key, curve, resumed) in KINDS {
        let identity = Identity::make(key).expect("a certificate");
        let kind = if resumed { "resumed" } else { "full" };
        let name = format!("handshake/{}/{curve}/{kind}", key.as_str());
        let mut group = criterion.benchmark_group(name);
        group.throughput(Throughput::Elements(1)).sample_size(10);
        group.warm_up_time(Duration::from_millis(500));
        group.measurement_time(Duration::from_secs(2));
        for in_flight in [1, 64] {
            for (server, active) in &servers {
                let case = Case {
                    key: Some(key),
                    version: Version::Tls13,
                    group: curve.to_owned(),
                    resumed,
                    in_flight,
                };
                let offloads = active.as_ref().is_some_and(|active| {
                    let needed = active.algorithms.iter().any(|one| case.needs(*one));
                    needed && in_flight >= active.break_even
                });
                bench(&mut group, &runtime, server, &identity, &case, offloads);
            }
        }
        group.finish();
    }
}

criterion_group!(benches, all);
criterion_main!(benches);
