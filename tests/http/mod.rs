//! HTTP/2 and HTTP/1.1 towards clients, forwarded to h2c.

mod framing;
mod headers;
mod malformed_h2;
mod smuggling;
mod streams;
mod upgrade;

use std::time::Duration;

use support::Gateway;
use support::backend::Backend;
use support::client::curl::Curl;
use support::client::h2::Client;
use support::client::raw::Raw;

use crate::{h2_backend, setup};

/// A gateway before an HTTP/2 backend, and one before an HTTP/1.1 backend.
fn before_either_protocol() -> [(Backend, Gateway); 2] {
    [(h2_backend(), "h2c"), (Backend::http1(None), "http1")].map(|(backend, protocol)| {
        let gateway = setup(&backend).cluster("/protocol", protocol).start();
        (backend, gateway)
    })
}

#[test]
fn both_versions_reach_an_h2c_backend() {
    let backend = h2_backend();
    let gateway = setup(&backend).start();
    let Some(curl) = Curl::new(&gateway) else {
        return;
    };
    let response = curl.h2("/plain?q=1", &[]).expect(200);
    assert_eq!(
        (response.version.as_str(), response.text().as_str()),
        ("2", "ok")
    );
    let response = curl.h1("/plain?q=1", &[]).expect(200);
    assert_eq!(
        (response.version.as_str(), response.text().as_str()),
        ("1.1", "ok")
    );
    for seen in backend.record().seen() {
        assert_eq!(
            (seen.method.as_str(), seen.path.as_str()),
            ("GET", "/plain?q=1")
        );
    }
}

#[test]
fn every_method_and_status_passes() {
    let backend = h2_backend();
    let gateway = setup(&backend).start();
    let Some(curl) = Curl::new(&gateway) else {
        return;
    };
    for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"] {
        curl.h2("/plain", &["-X", method]).expect(200);
        assert_eq!(backend.record().last().method, method);
        curl.h1("/plain", &["-X", method]).expect(200);
        assert_eq!(backend.record().last().method, method);
    }
    for status in [200, 201, 301, 304, 400, 404, 418, 429, 500, 503] {
        let path = format!("/status?code={status}");
        curl.h2(&path, &[]).expect(status);
        curl.h1(&path, &[]).expect(status);
    }
}

#[test]
fn answers_without_a_body_have_none() {
    let backend = h2_backend();
    let gateway = setup(&backend).start();
    let Some(curl) = Curl::new(&gateway) else {
        return;
    };
    for response in [curl.h2("/empty", &[]), curl.h1("/empty", &[])] {
        assert_eq!(response.expect(204).body, b"");
    }
    for response in [
        curl.h2("/plain", &["--head"]),
        curl.h1("/plain", &["--head"]),
    ] {
        response.expect(200);
        assert_eq!(backend.record().last().method, "HEAD");
    }
}

#[test]
fn a_connection_serves_one_request_after_another() {
    let backend = h2_backend();
    let gateway = setup(&backend).start();
    let Some(curl) = Curl::new(&gateway) else {
        return;
    };
    // curl's --next keeps the connection if the server does.
    let url = gateway.url("/b");
    let ca_file = gateway.ca_file().display().to_string();
    let more = [
        "--next",
        "-sS",
        "--noproxy",
        "*",
        "--cacert",
        &ca_file,
        "-o",
        "/dev/null",
    ];
    for version in ["--http1.1", "--http2"] {
        let output = curl
            .command("/a", &[version, "-o", "/dev/null"])
            .args(more)
            .args(["--write-out", "%{http_code} %{num_connects}", version, &url])
            .output()
            .expect("curl runs");
        let told = String::from_utf8_lossy(&output.stdout);
        assert_eq!(told, "200 0", "{output:?}");
    }
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let backend = h2_backend();
    let gateway = setup(&backend).start();
    let mut raw = Raw::connect(&gateway);
    raw.send(
        b"GET /delay?ms=200 HTTP/1.1\r\nhost: localhost\r\n\r\n\
          GET /second HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n",
    );
    let answers = raw.read_to_end().expect("closed as asked");
    let late = answers.find("late").expect("the first answer");
    assert!(answers[late..].contains("ok"), "{answers}");
    assert_eq!(answers.matches("HTTP/1.1 200").count(), 2, "{answers}");
}

#[test]
fn http_1_0_is_answered_and_closed() {
    let backend = h2_backend();
    let gateway = setup(&backend).start();
    let mut raw = Raw::connect(&gateway);
    raw.send(b"GET /download?bytes=40000 HTTP/1.0\r\nhost: localhost\r\n\r\n");
    let answer = raw.read_to_end().expect("closed");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    assert!(head.contains(" 200 "), "{head}");
    // It knows no chunks: the end of the connection is the end of the body.
    assert!(!head.to_lowercase().contains("transfer-encoding"), "{head}");
    assert_eq!(body.len(), 40_000);
}

#[test]
fn idle_connections_are_closed() {
    let backend = h2_backend();
    let gateway = setup(&backend)
        .listener("/http/idle_timeout", "300ms")
        .start();
    let mut raw = Raw::connect(&gateway);
    raw.send(b"GET /plain HTTP/1.1\r\nhost: localhost\r\n\r\n");
    let answer = raw.read_to_end().expect("closed");
    assert!(answer.contains(" 200 "), "{answer}");
}

#[tokio::test]
async fn idle_http2_connections_get_goaway() {
    let backend = h2_backend();
    let gateway = setup(&backend)
        .listener("/http/idle_timeout", "300ms")
        .start();
    let mut client = Client::connect(&gateway).await;
    client.get("/plain").await.expect("an answer");
    client.closed().await.expect("a GOAWAY without an error");
}

#[test]
fn clients_that_answer_no_ping_are_closed() {
    let backend = h2_backend();
    let gateway = setup(&backend)
        .listener(
            "/http/ping_keepalive",
            serde_json::json!({ "interval": "200ms", "timeout": "300ms" }),
        )
        .start();
    let mut raw = Raw::connect_with(&gateway, &support::client::tls::Options::default());
    // The preface and empty SETTINGS; then silence.
    raw.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0");
    assert!(raw.read_to_end().is_some(), "not closed");
}

#[test]
fn slow_heads_are_cut_off() {
    let backend = h2_backend();
    let gateway = setup(&backend)
        .listener("/http/header_timeout", "300ms")
        .start();
    let mut raw = Raw::connect(&gateway);
    raw.send(b"GET /plain HTTP/1.1\r\nhost: localhost\r\nx-slow: ");
    let answer = raw.read_to_end().expect("closed");
    assert!(answer.is_empty() || answer.contains(" 408 "), "{answer}");
    assert_eq!(backend.record().count(), 0);
}

#[tokio::test]
async fn a_connection_ends_after_its_requests() {
    let backend = h2_backend();
    let gateway = setup(&backend)
        .listener("/http/max_requests_per_connection", 3)
        .start();
    let mut client = Client::connect(&gateway).await;
    for _ in 0..3 {
        client.get("/plain").await.expect("an answer");
    }
    client.closed().await.expect("a GOAWAY without an error");
    let mut raw = Raw::connect(&gateway);
    for _ in 0..3 {
        raw.send(b"GET /plain HTTP/1.1\r\nhost: localhost\r\n\r\n");
    }
    let answers = raw.read_to_end().expect("closed");
    assert_eq!(answers.matches("HTTP/1.1 200").count(), 3, "{answers}");
}

#[tokio::test]
async fn streams_past_the_bound_are_refused_or_wait() {
    let backend = h2_backend();
    let gateway = setup(&backend)
        .listener("/http/max_concurrent_streams", 2)
        .start();
    let mut client = Client::connect(&gateway).await;
    client.get("/plain").await.expect("an answer");
    let waiting: Vec<_> = (0..6)
        .map(|_| {
            let mut requests = client.requests.clone();
            tokio::spawn(async move {
                requests = requests.ready().await?;
                let request = support::client::h2::request("GET", "/delay?ms=50");
                let (response, _) = requests.send_request(request, true)?;
                support::client::h2::whole(response).await
            })
        })
        .collect();
    for request in waiting {
        let answer = request.await.expect("a task").expect("an answer");
        assert_eq!(answer.text(), "late");
    }
    assert!(backend.record().most_streams() <= 2);
}

#[test]
fn events_arrive_as_they_happen() {
    let backend = h2_backend();
    let gateway = setup(&backend).start();
    for _ in 0..2 {
        let mut raw = Raw::connect(&gateway);
        raw.send(b"GET /sse?events=2&ms=60000 HTTP/1.1\r\nhost: localhost\r\n\r\n");
        let first = raw.read_until("event 0");
        assert!(first.contains("text/event-stream"), "{first}");
        assert!(raw.is_silent_for(Duration::from_millis(100)));
    }
    let Some(curl) = Curl::new(&gateway) else {
        return;
    };
    for response in [
        curl.h2("/sse?events=3&ms=300", &[]),
        curl.h1("/sse?events=3&ms=300", &[]),
    ] {
        let response = response.expect(200);
        assert_eq!(response.text().matches("data: event").count(), 3);
        let waited = response.total - response.first_byte;
        assert!(
            waited > 0.3,
            "the first event waited for the last: {response:?}"
        );
    }
}
