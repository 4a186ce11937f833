//! The pages over a real socket.

use std::sync::atomic::AtomicUsize;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;

struct Server {
    address: SocketAddr,
    readiness: Readiness,
    refreshed: Arc<AtomicUsize>,
}

async fn start() -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let server = Server {
        address: listener.local_addr().expect("an address"),
        readiness: Readiness::default(),
        refreshed: Arc::default(),
    };
    let refreshed = server.refreshed.clone();
    let state = AdminState {
        metrics: Metrics::new("OpenSSL 3"),
        readiness: server.readiness.clone(),
        accelerators: "software: in use\n".to_owned(),
        refresh: vec![Box::new(move || {
            refreshed.fetch_add(1, Ordering::Relaxed);
        })],
    };
    tokio::spawn(serve(listener, state));
    server
}

async fn ask(address: SocketAddr, method: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).await.expect("connected");
    let request = format!("{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("read");
    answer
}

#[tokio::test]
async fn readiness_goes_up_and_down_and_health_stays() {
    let server = start().await;
    for (ready, status) in [(false, "503"), (true, "200"), (false, "503")] {
        server.readiness.set(ready);
        let answer = ask(server.address, "GET", "/readyz").await;
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status}")),
            "{answer}"
        );
        let healthy = ask(server.address, "GET", "/healthz").await;
        assert!(healthy.starts_with("HTTP/1.1 200"), "{healthy}");
    }
}

#[tokio::test]
async fn metrics_are_refreshed_for_each_scrape() {
    let server = start().await;
    for scrapes in 1..=2 {
        let answer = ask(server.address, "GET", "/metrics?x=1").await;
        assert!(answer.contains("\ngateway_build_info{"), "{answer}");
        assert!(answer.contains("text/plain; version=0.0.4"), "{answer}");
        assert_eq!(server.refreshed.load(Ordering::Relaxed), scrapes);
    }
}

#[tokio::test]
async fn other_pages_and_methods_are_refused() {
    let server = start().await;
    assert!(ask(server.address, "GET", "/").await.contains("/readyz"));
    let missing = ask(server.address, "GET", "/nowhere").await;
    assert!(missing.starts_with("HTTP/1.1 404"), "{missing}");
    let accelerators = ask(server.address, "GET", "/accelerators").await;
    assert!(
        accelerators.ends_with("\r\n\r\nsoftware: in use\n"),
        "{accelerators}"
    );
    for path in ["/healthz", "/readyz", "/metrics", "/accelerators", "/"] {
        let wrong = ask(server.address, "POST", path).await;
        assert!(wrong.starts_with("HTTP/1.1 405"), "{wrong}");
        assert!(wrong.contains("allow: GET, HEAD"), "{wrong}");
    }
    let head = ask(server.address, "HEAD", "/healthz").await;
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    assert!(head.ends_with("\r\n\r\n"), "{head}");
    assert_eq!(server.refreshed.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn connections_past_the_bound_wait_for_a_place() {
    let server = start().await;
    let mut silent = Vec::new();
    for _ in 0..MAX_CONNECTIONS {
        silent.push(TcpStream::connect(server.address).await.expect("connected"));
    }
    // All places are taken: this one is in the backlog until one is free.
    let waiting = tokio::spawn(ask(server.address, "GET", "/healthz"));
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(!waiting.is_finished());
    drop(silent.pop());
    let answer = tokio::time::timeout(Duration::from_secs(10), waiting).await;
    let answer = answer.expect("in time").expect("answered");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}
