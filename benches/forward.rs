//! A request's whole way: a client with TLS and HTTP/2, the gateway as a process, a
//! backend. Beside it the same without the gateway, which the difference is to.

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use support::Setup;
use support::backend::{Backend, h2};
use support::client::h2::Client;
use tokio::runtime::Builder;

const EXECUTABLE: &str = env!("CARGO_BIN_EXE_qat-gateway");
/// Of a request that is not small, and of its answer.
const BODY: usize = 64 * 1024;

fn all(criterion: &mut Criterion) {
    let backend = Backend::h2(h2::Options::default());
    let gateway = Setup::new(EXECUTABLE, backend.address())
        .set("/log/filter", "warn")
        .start();
    let runtime = Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("a runtime");
    // With the requests each has sent.
    let mut ways: [(&str, Client, u64); 2] = [
        (
            "direct",
            runtime.block_on(Client::direct(backend.address())),
            0,
        ),
        ("gateway", runtime.block_on(Client::connect(&gateway)), 0),
    ];
    let mut group = criterion.benchmark_group("forward/get");
    for (way, client, sent) in &mut ways {
        group.bench_function(*way, |bencher| {
            bencher.iter(|| {
                *sent += 1;
                let answer = runtime.block_on(client.get("/plain")).expect("an answer");
                assert_eq!((answer.status(), answer.body.as_slice()), (200, &b"ok"[..]));
            });
        });
    }
    group.finish();
    let body = Bytes::from(vec![b'x'; BODY]);
    let mut group = criterion.benchmark_group("forward/echo");
    group.throughput(Throughput::Bytes(2 * BODY as u64));
    for (way, client, sent) in &mut ways {
        group.bench_function(*way, |bencher| {
            bencher.iter(|| {
                *sent += 1;
                let answer = runtime.block_on(client.post("/echo", body.clone()));
                let answer = answer.expect("an answer");
                assert_eq!((answer.status(), answer.body.len()), (200, BODY));
            });
        });
    }
    group.finish();
    let through = gateway
        .metrics()
        .sum("gateway_upstream_requests_total", &[]);
    assert_eq!(
        through, ways[1].2 as f64,
        "requests that the gateway forwarded"
    );
    assert_eq!(backend.record().count() as u64, ways[0].2 + ways[1].2);
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(20);
    targets = all
}
criterion_main!(benches);
