//! Memory under large bodies and many connections.

use std::time::Instant;

use bytes::Bytes;
use support::client::h2::{Client, request, whole};
use support::client::tls::{self, Options};

use crate::{h2_backend, setup};

const GIB: u64 = 1 << 30;
const MOST_GROWTH: u64 = 32 << 20;

/// Follows a gateway's memory while it works.
struct Memory<'a> {
    gateway: &'a support::Gateway,
    before: u64,
    most: u64,
}

impl Memory<'_> {
    fn of(gateway: &support::Gateway) -> Memory<'_> {
        let before = gateway.memory();
        Memory {
            gateway,
            before,
            most: before,
        }
    }

    fn look(&mut self) {
        self.most = self.most.max(self.gateway.memory());
    }

    fn check(self, what: &str) {
        let growth = self.most - self.before;
        eprintln!("{what}: memory grew by {} KiB", growth / 1024);
        assert!(growth < MOST_GROWTH, "{what}: {growth} bytes");
    }
}

#[tokio::test]
async fn a_gibibyte_down_through_a_slow_reader() {
    let backend = h2_backend();
    let gateway = setup(&backend).start();
    let mut client = Client::connect(&gateway).await;
    client
        .get("/download?bytes=10000000")
        .await
        .expect("an answer");
    let mut memory = Memory::of(&gateway);
    let sent = client
        .send(request("GET", &format!("/download?bytes={GIB}")), true)
        .await;
    let (response, _) = sent.expect("sent");
    let mut body = response.await.expect("a head").into_body();
    let (mut read, mut pieces) = (0, 0_u64);
    while let Some(data) = support::in_time("data", body.data()).await {
        let bytes = data.expect("data").len();
        read += bytes as u64;
        pieces += 1;
        // A pause now and then, for the whole way to fill up behind it.
        if pieces.is_multiple_of(4096) {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            memory.look();
        }
        body.flow_control()
            .release_capacity(bytes)
            .expect("released");
    }
    assert_eq!(read, GIB);
    memory.check("1 GiB down");
}

#[tokio::test]
async fn a_gibibyte_up_through_a_slow_reader() {
    let backend = h2_backend();
    let gateway = setup(&backend).start();
    let mut client = Client::connect(&gateway).await;
    let small = Bytes::from(vec![0; 1_000_000]);
    client.post("/upload", small).await.expect("an answer");
    let mut memory = Memory::of(&gateway);
    let sent = client
        .send(request("POST", "/upload?pause=50"), false)
        .await;
    let (response, mut stream) = sent.expect("sent");
    let chunk = Bytes::from(vec![0; 1 << 20]);
    for n in 0..GIB >> 20 {
        let sending = support::backend::h2::send(&mut stream, chunk.clone(), false);
        support::in_time("room for data", sending)
            .await
            .expect("sent");
        if n.is_multiple_of(16) {
            memory.look();
        }
    }
    stream.send_data(Bytes::new(), true).expect("the end");
    let answer = whole(response).await.expect("an answer");
    assert_eq!(answer.text(), GIB.to_string());
    memory.check("1 GiB up");
}

/// A backend that reads nothing holds a client up; it does not fill the gateway.
#[tokio::test]
async fn a_stalled_upload_holds_the_client_up() {
    let backend = h2_backend();
    let gateway = setup(&backend).start();
    let mut client = Client::connect(&gateway).await;
    client.get("/plain").await.expect("an answer");
    let mut memory = Memory::of(&gateway);
    let mut sent_in_all = 0_u64;
    let mut held = Vec::new();
    for _ in 0..20 {
        let sent = client.send(request("POST", "/upload?rate=1"), false).await;
        let (response, mut stream) = sent.expect("sent");
        let data = Bytes::from(vec![0; 4 << 20]);
        let sending = support::backend::h2::send(&mut stream, data, false);
        let stalled = tokio::time::timeout(std::time::Duration::from_millis(300), sending).await;
        assert!(stalled.is_err(), "4 MiB went somewhere");
        sent_in_all += 1;
        held.push((response, stream));
    }
    memory.look();
    assert_eq!(sent_in_all, 20);
    memory.check("20 stalled uploads");
}

#[tokio::test]
async fn five_thousand_idle_connections() {
    const CONNECTIONS: usize = 5000;
    if support::raise_open_files() < CONNECTIONS as u64 + 500 {
        return support::tool::skip("the hard limit of open files is too low");
    }
    let backend = h2_backend();
    let gateway = setup(&backend)
        .listener("/max_handshakes_per_client", 512)
        .listener("/http/idle_timeout", "10m")
        .start();
    // Warm: allocations that come once are no connection's.
    let mut client = Client::connect(&gateway).await;
    client.get("/plain").await.expect("an answer");
    let before = gateway.memory();
    let since = Instant::now();
    let options = Options::default();
    let context = tls::context(&gateway, &options);
    let mut held = Vec::with_capacity(CONNECTIONS);
    while held.len() < CONNECTIONS {
        let batch = (0..50).map(|_| async {
            let ssl = tls::session_in(&context, &options);
            let stream = tls::tcp(gateway.address()).await;
            let stream = tls::handshake(ssl, stream).await.expect("TLS");
            let (requests, connection) = h2::client::handshake::<_>(stream).await.expect("HTTP/2");
            (requests, tokio::spawn(connection))
        });
        held.extend(futures_util::future::join_all(batch).await);
    }
    let active = gateway
        .metrics()
        .sum("gateway_listener_connections_active", &[]);
    assert!(active >= CONNECTIONS as f64, "{active}");
    let each = gateway.memory().saturating_sub(before) / CONNECTIONS as u64;
    eprintln!(
        "{CONNECTIONS} idle TLS connections in {:?}: {each} bytes each",
        since.elapsed()
    );
    assert!(each < 128 * 1024, "{each} bytes a connection");
    // They live: the first and the last can still ask.
    for at in [0, CONNECTIONS - 1] {
        let request = request("GET", "/plain");
        let (response, _) = held[at].0.send_request(request, true).expect("sent");
        assert_eq!(whole(response).await.expect("an answer").status(), 200);
    }
}
