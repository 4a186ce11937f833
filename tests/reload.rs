//! New versions of the configuration, and of the files it names, while clients are served.

use h2::client::Builder;
use serde_json::{Value, json};
use support::certificates::Key;
use support::client::curl::Curl;
use support::client::h2::{Client, request, whole};
use support::client::h2load::H2load;
use support::client::raw::Raw;
use support::client::tls::{self, Options};
use support::{Gateway, eventually, ports};

use crate::{h2_backend, setup};

const NAMES: [&str; 3] = ["renewed", "localhost", "127.0.0.1"];

/// The certificate that certbot(1) or cert-manager would write over the old one.
fn renew(gateway: &Gateway) {
    let identity = gateway.authority().server(Key::P256, &NAMES);
    identity.write(gateway.folder(), "edge");
}

/// The common name of the certificate that new clients are served.
async fn served(gateway: &Gateway) -> String {
    crate::tls::served(gateway, &Options::default()).await.0
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renewed_certificate_is_served_and_no_connection_ends() {
    let backend = h2_backend();
    let gateway = setup(&backend).set("/workers", 2).start();
    let mut client = Client::connect(&gateway).await;
    let sse = request("GET", "/sse?events=6&ms=200");
    let (events, _) = client.send(sse, true).await.expect("sent");
    assert_eq!(served(&gateway).await, "localhost");
    renew(&gateway);
    gateway.reload("applied");
    for _ in 0..4 {
        assert_eq!(served(&gateway).await, "renewed");
    }
    let events = whole(events).await.expect("all events");
    assert!(events.text().contains("event 5"), "{}", events.text());
    // It goes on: nothing but TLS has changed.
    for _ in 0..3 {
        assert_eq!(client.get("/plain").await.expect("an answer").status(), 200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn routes_and_clusters_change_and_open_streams_finish() {
    let (before, after) = (h2_backend(), h2_backend());
    let gateway = setup(&before).start();
    let mut client = Client::connect(&gateway).await;
    let sse = request("GET", "/sse?events=6&ms=200");
    let (events, _) = client.send(sse, true).await.expect("sent");
    before.record().wait_count(1);
    gateway.set("/clusters/0/endpoints/0", after.address().to_string());
    gateway.reload("applied");
    let mut later = Client::connect(&gateway).await;
    assert_eq!(later.get("/plain").await.expect("an answer").status(), 200);
    assert_eq!((before.record().count(), after.record().count()), (1, 1));
    let events = whole(events).await.expect("all events");
    assert!(events.text().contains("event 5"), "{}", events.text());
    // GOAWAY, and its end after the last stream.
    let closed = client.closed().await;
    assert!(closed.is_ok(), "{closed:?}");
    // What the cluster has counted goes on, and the old connections to backends close.
    eventually("one connection", || {
        let metrics = gateway.metrics();
        let labels = [("cluster", "backend")];
        let sum = |name| metrics.sum(name, &labels);
        let open = sum("gateway_upstream_connections_active");
        (open == 1.0 && sum("gateway_upstream_requests_total") == 2.0).then_some(())
    });
    eventually("no connection to what was the backend", || {
        (before.record().open_connections() == 0).then_some(())
    });
}

/// Whoever had just come is not told to come again.
#[tokio::test(flavor = "multi_thread")]
async fn connections_that_are_being_made_get_their_first_answer() {
    let backend = h2_backend();
    let gateway = setup(&backend).start();
    let options = Options::default();
    let hello = tls::tcp(gateway.address()).await;
    let mut made = Client::connect(&gateway).await;
    eventually("both accepted", || {
        let metrics = gateway.metrics();
        let accepted = metrics.sum("gateway_listener_connections_total", &[]);
        (accepted == 2.0).then_some(())
    });
    gateway.set("/listeners/0/routes/0/name", "other");
    gateway.reload("applied");
    // Longer than a client needs to answer a PING.
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    let mut late = Client::connect_over(hello, &gateway, &options, Builder::new()).await;
    for client in [&mut made, &mut late] {
        assert_eq!(client.get("/plain").await.expect("an answer").status(), 200);
    }
    for client in [made, late] {
        let closed = client.closed().await;
        assert!(closed.is_ok(), "{closed:?}");
    }
}

/// It might be sending its next request just now.
#[test]
fn an_idle_http_1_connection_ends_with_its_next_response() {
    let backend = h2_backend();
    let gateway = setup(&backend).start();
    let mut raw = Raw::connect(&gateway);
    let ask = |raw: &mut Raw| raw.send(b"GET /echo HTTP/1.1\r\nhost: localhost\r\n\r\n");
    ask(&mut raw);
    let first = raw.read_until("\r\n\r\n");
    assert!(first.starts_with("HTTP/1.1 200"), "{first}");
    gateway.set("/listeners/0/routes/0/name", "other");
    gateway.reload("applied");
    // Longer than a process that ends would wait.
    std::thread::sleep(std::time::Duration::from_millis(1500));
    ask(&mut raw);
    let last = raw.read_to_end().expect("closed afterwards");
    assert!(last.starts_with("HTTP/1.1 200"), "{last}");
    assert!(last.contains("connection: close"), "{last}");
}

/// A new route does not cost the connections to backends.
#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_that_stays_keeps_its_connections() {
    let backend = h2_backend();
    let gateway = setup(&backend).start();
    let mut client = Client::connect(&gateway).await;
    assert_eq!(client.get("/plain").await.expect("an answer").status(), 200);
    let teapot = json!({ "match": { "path_prefix": "/new" }, "cluster": "backend" });
    for routes in [json!([teapot]), json!([{ "cluster": "backend" }, teapot])] {
        gateway.set("/listeners/0/routes", routes);
        gateway.reload("applied");
    }
    let mut client = Client::connect(&gateway).await;
    assert_eq!(client.get("/new").await.expect("an answer").status(), 200);
    assert_eq!(backend.record().connections(), 1);
}

#[test]
fn a_version_with_problems_changes_nothing() {
    let backend = h2_backend();
    let gateway = setup(&backend).start();
    let Some(curl) = Curl::new(&gateway) else {
        return;
    };
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a socket");
    let taken = taken.local_addr().map(|address| (taken, address));
    let (_taken, address) = taken.expect("an address");
    let second = json!({
        "name": "second", "address": address, "routes": [{ "cluster": "backend" }],
    });
    let versions: [(&str, Value, &str); 3] = [
        ("/listeners/0/routes/0/cluster", json!("nowhere"), "nowhere"),
        (
            "/listeners/0/tls/certificates/0/private_key",
            json!("ca.pem"),
            "no private key",
        ),
        ("/listeners/1", second, "cannot listen"),
    ];
    let successful = || {
        let metrics = gateway.metrics();
        metrics.sum("gateway_config_last_reload_successful", &[])
    };
    let file = gateway.file();
    let good = std::fs::read(&file).expect("a configuration");
    for (pointer, bad, told) in versions {
        gateway.set(pointer, bad);
        gateway.reload("refused");
        let log = gateway.log();
        assert!(log.contains("the configuration stays as it is"), "{log}");
        assert_eq!(successful(), 0.0);
        assert!(log.contains(told), "no {told:?} in {log}");
        curl.h2("/plain", &[]).expect(200);
        std::fs::write(&file, &good).expect("written");
    }
    gateway.reload("applied");
    assert_eq!(successful(), 1.0);
    curl.h2("/plain", &[]).expect(200);
}

#[test]
fn listeners_come_and_go() {
    let backend = h2_backend();
    let gateway = setup(&backend).start();
    let Some(curl) = Curl::new(&gateway) else {
        return;
    };
    let listeners = || {
        let file = std::fs::read(gateway.file()).expect("a file");
        let config: Value = serde_json::from_slice(&file).expect("JSON");
        config["listeners"].as_array().expect("a list").clone()
    };
    let port = ports::free();
    let second = Curl::at(&gateway, &format!("http://localhost:{port}")).expect("curl was here");
    gateway.set(
        "/listeners/1",
        json!({
            "name": "second",
            "address": format!("127.0.0.1:{port}"),
            "routes": [{ "cluster": "backend" }],
        }),
    );
    gateway.reload("applied");
    second.h1("/plain", &[]).expect(200);
    curl.h2("/plain", &[]).expect(200);
    // By another name it keeps its socket.
    gateway.set("/listeners/1/name", "renamed");
    gateway.reload("applied");
    second.h1("/plain", &[]).expect(200);
    let labels = [("listener", "renamed")];
    let counted = || {
        gateway
            .metrics()
            .sum("gateway_listener_connections_total", &labels)
    };
    eventually("its connection", || (counted() == 1.0).then_some(()));
    gateway.set("/listeners", json!([listeners()[0]]));
    gateway.reload("applied");
    eventually("a closed port", || {
        (second.h1("/plain", &[]).exit == 7).then_some(())
    });
    curl.h2("/plain", &[]).expect(200);
}

#[test]
fn what_counts_from_the_next_start_is_told() {
    let backend = h2_backend();
    let gateway = setup(&backend).start();
    gateway.set("/workers", 3);
    gateway.set("/listeners/0/max_connections", 5);
    gateway.reload("applied");
    let log = gateway.log();
    assert!(log.contains("workers: differs from what runs"), "{log}");
    let metrics = gateway.metrics();
    assert_eq!(metrics.sum("gateway_workers", &[]), 1.0);
    let labels = [("limit", "max_connections"), ("name", "edge")];
    assert_eq!(metrics.sum("gateway_limit", &labels), 5.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn changed_files_are_noticed_without_a_signal() {
    let backend = h2_backend();
    let gateway = setup(&backend).set("/reload/interval", "50ms").start();
    renew(&gateway);
    eventually("applied", || {
        (gateway.reloads("applied") > 0.0).then_some(())
    });
    assert_eq!(served(&gateway).await, "renewed");
    // The same for the file itself, and what is wrong is not tried again and again.
    gateway.set("/listeners/0/routes/0/cluster", "nowhere");
    eventually("refused", || {
        gateway.log().contains("nowhere").then_some(())
    });
    let refused = gateway.reloads("refused");
    std::thread::sleep(std::time::Duration::from_millis(300));
    assert_eq!(gateway.reloads("refused"), refused);
}

#[test]
fn streams_of_the_old_version_have_a_deadline() {
    let backend = h2_backend();
    let gateway = setup(&backend).set("/reload/timeout", "300ms").start();
    let Some(curl) = Curl::new(&gateway) else {
        return;
    };
    let endless = std::thread::scope(|scope| {
        let endless = scope.spawn(|| curl.h2("/sse?events=1000&ms=100", &[]));
        backend.record().wait_count(1);
        gateway.set("/listeners/0/routes/0/name", "other");
        gateway.reload("applied");
        endless.join().expect("curl ended")
    });
    assert_ne!(endless.exit, 0, "{endless:?}");
    assert!(gateway.log().contains("reload.timeout has passed"));
    curl.h2("/plain", &[]).expect(200);
}

/// h2load does not come back after GOAWAY: what it had sent is answered all the same.
#[test]
fn under_load_no_request_fails() {
    let backend = h2_backend();
    let gateway = setup(&backend).set("/workers", 2).start();
    let arguments = ["-D", "4", "-c", "8", "-m", "8"];
    let Some(load) = H2load::start(&gateway, "/plain", &arguments) else {
        return;
    };
    backend.record().wait_count(200);
    renew(&gateway);
    gateway.reload("applied");
    backend.record().wait_count(300);
    gateway.set("/listeners/0/routes/0/name", "other");
    gateway.reload("applied");
    let report = load.finish();
    assert_eq!(report.statuses[1..], [0, 0, 0], "{}", report.text);
    assert_eq!(report.failed - report.errored, 0, "{}", report.text);
    assert!(report.statuses[0] >= 300, "{}", report.text);
}
