//! Clients that go away at any point of their handshake, while its operation is paused or
//! not: nothing of them stays.

use std::time::Duration;

use support::{Gateway, eventually_async};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_openssl::SslStream;

use super::crowd::{Clients, visits};
use super::engine::{COMPLETIONS, offloading, tell};
use crate::h2_backend;

/// How many vanish: 2000, unless this says otherwise.
const COUNT: &str = "QAT_GATEWAY_TEST_VANISHING";
const AT_ONCE: usize = 128;
/// Within that time, milliseconds: some in each of the three operations, some after them.
const WITHIN: u64 = 50;
/// What may stay of each, bytes: less than any SSL takes.
const SLACK: u64 = 2048;
const ROUNDS: usize = 4;
/// Handshakes of a worker at a time: a bound that every round comes to, since
/// allocators keep the memory of their busiest moment.
const PEAK: usize = 64;

fn count() -> usize {
    let told = std::env::var(COUNT).ok();
    told.and_then(|told| told.parse().ok()).unwrap_or(2000)
}

/// One that gives up after a while, with a reset or an orderly end.
async fn vanish(clients: &Clients, gateway: &Gateway, index: usize) {
    let Ok(tcp) = TcpStream::connect(gateway.address()).await else {
        return;
    };
    if fastrand::bool() {
        tcp.set_zero_linger().expect("set");
    }
    let mut stream = SslStream::new(clients.session(index), tcp).expect("a stream");
    let patience = Duration::from_millis(fastrand::u64(0..WITHIN));
    let handshake = std::pin::Pin::new(&mut stream).connect();
    // Whether it was in time does not matter.
    let _ = timeout(patience, handshake).await;
}

async fn crowd(clients: &Clients, gateway: &Gateway, count: usize) {
    let each = |first: usize| async move {
        for index in (first..count).step_by(AT_ONCE) {
            vanish(clients, gateway, index).await;
        }
    };
    futures_util::future::join_all((0..AT_ONCE).map(each)).await;
}

fn descriptors(gateway: &Gateway) -> usize {
    let folder = format!("/proc/{}/fd", gateway.pid());
    std::fs::read_dir(folder).map_or(0, |entries| entries.count())
}

/// Until no handshake, connection or operation is left.
async fn quiet(gateway: &Gateway, most: usize) {
    eventually_async("an end of all handshakes", || {
        let metrics = gateway.metrics();
        let names = [
            "gateway_tls_handshakes_in_progress",
            "gateway_listener_connections_active",
            "gateway_tls_graveyard_handshakes",
            "gateway_accelerator_operations_in_flight",
        ];
        let left: f64 = names.iter().map(|name| metrics.sum(name, &[])).sum();
        (left == 0.0 && descriptors(gateway) <= most).then_some(())
    })
    .await;
}

async fn rounds(clients: &Clients, gateway: &Gateway, count: usize) {
    for script in ["*=later:10", "*=batch:10", "*=queue_full:2,later:10"] {
        tell(gateway, script);
        crowd(clients, gateway, count / 4).await;
    }
    // Past the handshake's deadline: each stays a second, so not too many.
    tell(gateway, "*=later:1500");
    crowd(clients, gateway, (count / 4).min(500)).await;
    tell(gateway, "");
}

#[tokio::test]
async fn nothing_stays_of_clients_that_vanish() {
    let backend = h2_backend();
    for completion in COMPLETIONS {
        let Some(setup) = offloading(&backend, completion) else {
            return;
        };
        let mut gateway = setup
            .listener("/handshake_timeout", "1s")
            .listener("/max_handshakes", PEAK)
            .listener("/max_handshakes_per_client", PEAK)
            .start();
        let clients = Clients::of_each_key(&gateway);
        let (mut files, mut memory) = (0, 0);
        for _ in 0..2 {
            rounds(&clients, &gateway, count()).await;
            quiet(&gateway, usize::MAX).await;
            files = files.max(descriptors(&gateway));
            memory = memory.max(gateway.memory());
        }

        let before = gateway.metrics();
        // Allocators keep the memory of a busier moment; a leak grows in every round.
        let slack = count() as u64 * SLACK;
        let mut grown = true;
        for _ in 0..ROUNDS {
            rounds(&clients, &gateway, count()).await;
            quiet(&gateway, files).await;
            let now = gateway.memory();
            grown = now > memory + slack;
            if !grown {
                break;
            }
            memory = now;
        }
        assert!(!grown, "{completion}: up to {memory} bytes by now");
        let buried = |metrics: &support::gateway::Metrics| {
            metrics.sum("gateway_tls_graveyard_buried_total", &[])
        };
        assert!(buried(&gateway.metrics()) > buried(&before), "{completion}");

        assert!(gateway.is_running());
        assert_eq!(visits(&gateway, clients.kinds()).await, [""; 0]);
        gateway.terminate();
        let exited = gateway.wait(support::PATIENCE);
        assert_eq!(exited.code, Some(0), "{completion}: {exited:#?}");
    }
}
