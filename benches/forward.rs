//! A request's whole way: a client with TLS and HTTP/2, the gateway as a process, a
//! backend. Beside it the same without the gateway, which the difference is to.

use bytes::Bytes;
use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main};
use support::Setup;
use support::backend::{Backend, h2};
use support::client::h2::{Client, Whole};
use tokio::runtime::{Builder, Runtime};

const EXECUTABLE: &str = env!("CARGO_BIN_EXE_qat-gateway");
/// Of a request that is not small, and of its answer.
const BODY: usize = 64 * 1024;
/// Of a body that is many windows long.
const LARGE: usize = 4 * 1024 * 1024;

/// How the client reaches the backend.
struct Way {
    name: &'static str,
    client: Client,
    /// Requests so far.
    sent: u64,
}

/// What is asked, and how long the answer is.
struct Exchange {
    path: String,
    /// None: a GET.
    body: Option<Bytes>,
    answer: usize,
}

impl Way {
    async fn exchange(&mut self, exchange: &Exchange) {
        self.sent += 1;
        let answer = match &exchange.body {
            None => self.client.get(&exchange.path).await,
            Some(body) => self.client.post(&exchange.path, body.clone()).await,
        };
        let answer: Whole = answer.expect("an answer");
        assert_eq!((answer.status(), answer.body.len()), (200, exchange.answer));
    }
}

fn measure(
    mut group: BenchmarkGroup<'_, WallTime>,
    runtime: &Runtime,
    ways: &mut [Way],
    exchange: &Exchange,
) {
    let sent = exchange.body.as_ref().map_or(0, Bytes::len);
    group.throughput(Throughput::Bytes((sent + exchange.answer) as u64));
    for way in ways {
        group.bench_function(way.name, |bencher| {
            bencher.iter(|| runtime.block_on(way.exchange(exchange)));
        });
    }
    group.finish();
}

fn all(criterion: &mut Criterion) {
    let backend = Backend::h2(h2::Options::default());
    let gateway = Setup::new(EXECUTABLE, backend.address())
        .set("/log/filter", "warn")
        .start();
    let runtime = Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("a runtime");
    let way = |name, client| Way {
        name,
        client,
        sent: 0,
    };
    let mut ways = [
        way(
            "direct",
            runtime.block_on(Client::direct(backend.address())),
        ),
        way("gateway", runtime.block_on(Client::connect(&gateway))),
    ];
    let large = Bytes::from(vec![b'x'; LARGE]);
    let kinds = [
        ("get", "/plain".to_owned(), None, 2),
        ("echo", "/echo".to_owned(), Some(large.slice(..BODY)), BODY),
        ("download", format!("/download?bytes={LARGE}"), None, LARGE),
        (
            "upload",
            "/upload".to_owned(),
            Some(large),
            LARGE.to_string().len(),
        ),
    ];
    for (name, path, body, answer) in kinds {
        let exchange = Exchange { path, body, answer };
        let group = criterion.benchmark_group(format!("forward/{name}"));
        measure(group, &runtime, &mut ways, &exchange);
    }
    let through = gateway
        .metrics()
        .sum("gateway_upstream_requests_total", &[]);
    assert_eq!(
        through, ways[1].sent as f64,
        "requests that the gateway forwarded"
    );
    let sent: u64 = ways.iter().map(|way| way.sent).sum();
    assert_eq!(backend.record().count() as u64, sent);
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(20);
    targets = all
}
criterion_main!(benches);
