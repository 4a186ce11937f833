//! Start, readiness, metrics and logs while it runs, and the end.

use std::process::Command;
use std::time::Duration;

use serde_json::json;
use support::client::curl::Curl;
use support::client::h2::{Client, request, whole};
use support::client::h2load::H2load;
use support::client::raw::Raw;

use crate::{EXECUTABLE, h2_backend, setup};

const EXIT_FAILURE_CONFIG: i32 = 78;
const EXIT_OS: i32 = 71;
const EXIT_DRAIN_TIMEOUT: i32 = 75;

#[test]
fn admin_tells_of_health_and_readiness() {
    let backend = h2_backend();
    let gateway = setup(&backend).start();
    assert_eq!(gateway.admin_get("/healthz").expect("an answer").0, 200);
    assert_eq!(gateway.admin_get("/readyz").expect("an answer").0, 200);
    assert_eq!(gateway.admin_get("/nowhere").expect("an answer").0, 404);
    let (_, index) = gateway.admin_get("/").expect("an answer");
    assert!(index.contains("/metrics"), "{index}");
}

#[test]
fn metrics_tell_of_every_step() {
    let backend = h2_backend();
    let gateway = setup(&backend).route("/name", "all").start();
    let Some(curl) = Curl::new(&gateway) else {
        return;
    };
    curl.h2("/echo", &["-d", "12345"]).expect(200);
    curl.h1("/status?code=404", &[]).expect(404);
    let metrics = support::eventually("counted requests", || {
        let metrics = gateway.metrics();
        let all = metrics.sum("gateway_route_requests_total", &[("route", "all")]);
        (all == 2.0).then_some(metrics)
    });
    let sum = |name: &str, labels: &[(&str, &str)]| metrics.sum(name, labels);
    assert_eq!(
        sum(
            "gateway_listener_connections_total",
            &[("listener", "edge")]
        ),
        2.0
    );
    let handshakes = [
        ("outcome", "completed"),
        ("key_type", "ecdsa"),
        ("accelerator", "software"),
    ];
    assert_eq!(sum("gateway_tls_handshakes_total", &handshakes), 2.0);
    assert_eq!(sum("gateway_tls_handshake_seconds_count", &[]), 2.0);
    assert_eq!(
        sum("gateway_http_connections_total", &[("protocol", "h2")]),
        1.0
    );
    assert_eq!(
        sum(
            "gateway_http_connections_total",
            &[("protocol", "http/1.1")]
        ),
        1.0
    );
    for code in ["200", "404"] {
        let labels = [("code", code), ("cluster", "backend")];
        assert_eq!(sum("gateway_route_requests_total", &labels), 1.0);
    }
    assert_eq!(sum("gateway_route_request_seconds_count", &[]), 2.0);
    assert_eq!(sum("gateway_proxy_request_bytes_total", &[]), 5.0);
    assert_eq!(sum("gateway_proxy_response_bytes_total", &[]), 11.0);
    assert_eq!(sum("gateway_upstream_requests_total", &[]), 2.0);
    assert_eq!(
        sum("gateway_upstream_endpoints", &[("cluster", "backend")]),
        1.0
    );
    assert_eq!(sum("gateway_workers", &[]), 1.0);
    assert_eq!(
        sum(
            "gateway_limit",
            &[("limit", "max_connections"), ("name", "edge")]
        ),
        20_000.0
    );
    assert!(sum("process_resident_memory_bytes", &[]) > 1e6);
    for name in ["gateway_build_info", "process_cpu_seconds_total"] {
        assert!(metrics.has(name), "{name}");
    }
}

/// A client that had just come is not turned away.
#[test]
fn a_new_connections_first_request_is_answered_while_draining() {
    let backend = h2_backend();
    let gateway = setup(&backend).start();
    let mut raw = Raw::connect(&gateway);
    gateway.terminate();
    support::eventually("it drains", || {
        gateway.log().contains("draining").then_some(())
    });
    raw.send(b"GET /plain HTTP/1.1\r\nhost: localhost\r\n\r\n");
    let answer = raw.read_to_end().expect("closed afterwards");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(answer.contains("connection: close"), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_http_2_connections_first_request_is_answered_while_draining() {
    let backend = h2_backend();
    let gateway = setup(&backend).start();
    let mut client = Client::connect(&gateway).await;
    gateway.terminate();
    support::eventually("it drains", || {
        gateway.log().contains("draining").then_some(())
    });
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(client.get("/plain").await.expect("an answer").status(), 200);
    let closed = client.closed().await;
    assert!(closed.is_ok(), "{closed:?}");
}

/// As logrotate(8) does it.
#[test]
fn a_moved_access_log_is_opened_again_on_sighup() {
    let backend = h2_backend();
    let setup = setup(&backend);
    let file = setup.folder().join("access.log");
    let moved = setup.folder().join("access.log.1");
    let gateway = setup
        .set("/log", json!({ "access": file, "format": "text" }))
        .start();
    let Some(curl) = Curl::new(&gateway) else {
        return;
    };
    let lines = |path: &std::path::Path| {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        text.lines().count()
    };
    curl.h2("/one", &[]).expect(200);
    support::eventually("a line", || (lines(&file) == 1).then_some(()));
    std::fs::rename(&file, &moved).expect("moved");
    gateway.hang_up();
    support::eventually("a new file", || file.exists().then_some(()));
    curl.h2("/two", &[]).expect(200);
    support::eventually("its line", || (lines(&file) == 1).then_some(()));
    assert_eq!(lines(&moved), 1);
}

#[test]
fn the_access_log_has_a_line_for_every_request() {
    let backend = h2_backend();
    for (target, format) in [("stdout", "json"), ("access.log", "text")] {
        let setup = setup(&backend);
        let target = match target {
            "stdout" => target.to_owned(),
            file => setup.folder().join(file).display().to_string(),
        };
        let gateway = setup
            .set("/log", json!({ "access": target, "format": format }))
            .route("/name", "all")
            .start();
        let Some(curl) = Curl::new(&gateway) else {
            return;
        };
        curl.h2("/echo?q=1", &["-d", "12345"]).expect(200);
        curl.h1("/status?code=404", &[]).expect(404);
        let log = || match target.as_str() {
            "stdout" => gateway.stdout(),
            file => std::fs::read_to_string(file).unwrap_or_default(),
        };
        let lines: Vec<String> = support::eventually("two lines", || {
            let lines: Vec<_> = log().lines().map(str::to_owned).collect();
            (lines.len() == 2).then_some(lines)
        });
        if format == "text" {
            assert!(lines[0].contains(r#"POST "localhost"#), "{lines:?}");
            assert!(lines[0].contains(r#" "/echo?q=1" HTTP/2"#), "{lines:?}");
            assert!(lines[1].contains(" 404 "), "{lines:?}");
            continue;
        }
        let line: serde_json::Value = serde_json::from_str(&lines[0]).expect("JSON");
        for (key, value) in [
            ("method", json!("POST")),
            ("path", json!("/echo?q=1")),
            ("status", json!(200)),
            ("bytes_in", json!(5)),
            ("bytes_out", json!(5)),
            ("route", json!("all")),
            ("cluster", json!("backend")),
            ("endpoint", json!(backend.address().to_string())),
        ] {
            assert_eq!(line[key], value, "{line}");
        }
        assert_eq!(line["tls"]["version"], "TLSv1.3");
        assert_eq!(line["tls"]["sni"], "localhost");
        assert!(line["request_id"].is_string(), "{line}");
        // The log itself is JSON as well.
        for line in gateway.log().lines() {
            let parsed: Result<serde_json::Value, _> = serde_json::from_str(line);
            assert!(parsed.is_ok(), "{line}");
        }
    }
}

#[test]
fn sigterm_under_load_fails_no_request() {
    let backend = h2_backend();
    let mut gateway = setup(&backend).set("/workers", 2).start();
    // Clients with a connection each that would go on for longer than the test.
    let arguments = ["-D", "4", "-c", "8", "-m", "8"];
    let Some(load) = H2load::start(&gateway, "/plain", &arguments) else {
        return;
    };
    backend.record().wait_count(200);
    gateway.terminate();
    let exited = gateway.wait(Duration::from_secs(40));
    assert_eq!(exited.code, Some(0), "{}", exited.stderr);
    let report = load.finish();
    // What the gateway had taken on was answered; h2load counts as errored what it
    // could not send any more after the GOAWAY.
    assert_eq!(report.statuses[1..], [0, 0, 0], "{}", report.text);
    assert_eq!(report.failed - report.errored, 0, "{}", report.text);
    assert!(report.statuses[0] >= 200, "{}", report.text);
    let unanswered = backend.record().seen();
    let unanswered = unanswered
        .iter()
        .filter(|seen| seen.ended != support::backend::Ended::Complete);
    assert_eq!(unanswered.count(), 0);
}

#[tokio::test]
async fn open_streams_finish_before_the_end() {
    let backend = h2_backend();
    let mut gateway = setup(&backend).start();
    let mut client = Client::connect(&gateway).await;
    let sent = client
        .send(request("GET", "/sse?events=6&ms=300"), true)
        .await;
    let (response, _) = sent.expect("sent");
    let response = support::in_time("a head", response).await.expect("a head");
    gateway.terminate();
    support::eventually_async("not ready", || {
        let ready = gateway.admin_get("/readyz");
        ready.map_or(Some(()), |(status, _)| (status == 503).then_some(()))
    })
    .await;
    let mut body = response.into_body();
    let mut text = String::new();
    while let Some(data) = support::in_time("data", body.data()).await {
        text.push_str(&String::from_utf8_lossy(&data.expect("data")));
    }
    assert!(text.contains("event 5"), "{text}");
    let closed = client.closed().await;
    assert!(closed.is_ok(), "{closed:?}");
    let exited = tokio::task::spawn_blocking(move || gateway.wait(Duration::from_secs(20)));
    assert_eq!(exited.await.expect("it ended").code, Some(0));
}

#[test]
fn a_grace_keeps_accepting_while_not_ready() {
    let backend = h2_backend();
    let mut gateway = setup(&backend).set("/drain/grace", "2s").start();
    let Some(curl) = Curl::new(&gateway) else {
        return;
    };
    gateway.interrupt();
    support::eventually("not ready", || {
        let ready = gateway.admin_get("/readyz").expect("an answer");
        (ready.0 == 503).then_some(())
    });
    assert_eq!(gateway.admin_get("/healthz").expect("an answer").0, 200);
    curl.h2("/plain", &[]).expect(200);
    let exited = gateway.wait(Duration::from_secs(20));
    assert_eq!(exited.code, Some(0), "{}", exited.stderr);
    assert_ne!(curl.h2("/plain", &[]).exit, 0);
}

#[test]
fn streams_past_the_deadline_are_cut() {
    let backend = h2_backend();
    let mut gateway = setup(&backend).set("/drain/timeout", "500ms").start();
    let mut raw = Raw::connect(&gateway);
    raw.send(b"GET /never HTTP/1.1\r\nhost: localhost\r\n\r\n");
    backend.record().wait_count(1);
    gateway.terminate();
    let exited = gateway.wait(Duration::from_secs(20));
    assert_eq!(exited.code, Some(EXIT_DRAIN_TIMEOUT), "{}", exited.stderr);
    assert!(
        exited.stderr.contains("drain.timeout has passed"),
        "{}",
        exited.stderr
    );
}

#[test]
fn idle_connections_do_not_hold_the_end_up() {
    let backend = h2_backend();
    let mut gateway = setup(&backend).start();
    let mut raw = Raw::connect(&gateway);
    raw.send(b"GET /plain HTTP/1.1\r\nhost: localhost\r\n\r\n");
    raw.read_until("ok");
    // This one does not even speak TLS.
    let silent = std::net::TcpStream::connect(gateway.address()).expect("connected");
    gateway.terminate();
    let exited = gateway.wait(Duration::from_secs(20));
    assert_eq!(exited.code, Some(0), "{}", exited.stderr);
    assert!(raw.read_to_end().is_some());
    drop(silent);
}

#[tokio::test]
async fn a_second_signal_ends_at_once() {
    let backend = h2_backend();
    let mut gateway = setup(&backend).start();
    let mut client = Client::connect(&gateway).await;
    let (response, _) = client
        .send(request("GET", "/never"), true)
        .await
        .expect("sent");
    let answer = tokio::spawn(whole(response));
    support::eventually_async("a request", || {
        (backend.record().count() == 1).then_some(())
    })
    .await;
    gateway.terminate();
    support::eventually_async("not ready", || {
        let ready = gateway.admin_get("/readyz");
        ready.map_or(Some(()), |(status, _)| (status == 503).then_some(()))
    })
    .await;
    gateway.interrupt();
    let exited = tokio::task::spawn_blocking(move || gateway.wait(Duration::from_secs(10)));
    assert_ne!(exited.await.expect("it ended").code, Some(0));
    let _ = answer.await;
}

#[test]
fn bad_configurations_end_with_their_problems() {
    let backend = h2_backend();
    let bad = setup(&backend)
        .listener("/nonsense", 1)
        .route("/cluster", "nowhere")
        .listener("/handshake_timeout", "soon");
    let exited = bad.try_start().err().expect("it ends");
    assert_eq!(exited.code, Some(EXIT_FAILURE_CONFIG), "{exited:#?}");
    for word in ["nonsense", "nowhere", "soon", "gateway.yaml"] {
        assert!(
            exited.stderr.contains(word),
            "no {word} in {}",
            exited.stderr
        );
    }
}

#[test]
fn a_taken_address_ends_the_start() {
    let backend = h2_backend();
    let taken = backend.address();
    let exited = setup(&backend)
        .listener("/address", taken.to_string())
        .try_start()
        .err()
        .expect("it ends");
    assert_eq!(exited.code, Some(EXIT_OS), "{exited:#?}");
    assert!(
        exited.stderr.contains(&taken.to_string()),
        "{}",
        exited.stderr
    );
}

#[test]
fn check_judges_without_listening() {
    let backend = h2_backend();
    let good = setup(&backend);
    let check = |file: &std::path::Path| {
        Command::new(EXECUTABLE)
            .args(["check", "--config"])
            .arg(file)
            .output()
            .expect("it runs")
    };
    let output = check(&good.write());
    assert!(output.status.success(), "{output:?}");
    let bad = setup(&backend).route("/cluster", "nowhere");
    let output = check(&bad.write());
    assert_eq!(
        output.status.code(),
        Some(EXIT_FAILURE_CONFIG),
        "{output:?}"
    );
    let told = [output.stdout, output.stderr].concat();
    let told = String::from_utf8_lossy(&told).into_owned();
    assert!(told.contains("nowhere"), "{told}");
    let schema = Command::new(EXECUTABLE)
        .args(["check", "--schema"])
        .output();
    let schema = schema.expect("it runs").stdout;
    let schema: serde_json::Value = serde_json::from_slice(&schema).expect("JSON");
    assert!(schema["properties"]["listeners"].is_object(), "{schema}");
}

#[test]
fn wrong_usage_says_so() {
    for arguments in [&["fly"][..], &["run"], &["run", "--config"]] {
        let output = Command::new(EXECUTABLE)
            .args(arguments)
            .output()
            .expect("it runs");
        assert_eq!(output.status.code(), Some(64), "{arguments:?}: {output:?}");
    }
    let output = Command::new(EXECUTABLE)
        .arg("--help")
        .output()
        .expect("it runs");
    assert!(output.status.success());
    let help = String::from_utf8_lossy(&output.stdout);
    for command in ["run", "demo", "check"] {
        assert!(help.contains(command), "{help}");
    }
}
