//! Bodies, trailers, informational responses.

use bytes::Bytes;
use http::HeaderMap;
use support::backend::{Backend, raw};
use support::client::curl::Curl;
use support::client::h2::{Client, request, whole};
use support::client::raw::Raw;

use crate::{h2_backend, setup};

fn body(length: usize) -> Bytes {
    (0..length).map(|at| (at % 251) as u8).collect()
}

#[test]
fn bodies_come_back_as_they_went() {
    let backend = h2_backend();
    let gateway = setup(&backend).start();
    let Some(curl) = Curl::new(&gateway) else {
        return;
    };
    let folder = gateway.folder();
    for length in [0, 1, 16_383, 16_384, 16_385, 1_000_000, 5_000_000] {
        let sent = body(length);
        let file = folder.join("body");
        std::fs::write(&file, &sent).expect("written");
        let data = format!("@{}", file.display());
        let chunked = ["-H", "transfer-encoding: chunked", "--data-binary", &data];
        for response in [
            curl.h2("/echo", &["--data-binary", &data]),
            curl.h1("/echo", &["--data-binary", &data]),
            curl.h1("/echo", &chunked),
            // As a stream of unknown length.
            curl.h2("/echo", &["-X", "POST", "-T", &file.display().to_string()]),
        ] {
            assert_eq!(response.expect(200).body, sent, "{length}");
        }
    }
}

#[test]
fn content_length_passes_in_both_directions() {
    let backend = h2_backend();
    let gateway = setup(&backend).start();
    let Some(curl) = Curl::new(&gateway) else {
        return;
    };
    for response in [
        curl.h2("/headers", &["-d", "12345"]),
        curl.h1("/headers", &["-d", "12345"]),
    ] {
        let text = response.expect(200).text();
        assert!(text.contains(r#"["content-length","5"]"#), "{text}");
    }
}

#[test]
fn expect_continue_is_answered_before_the_body() {
    let backend = h2_backend();
    let gateway = setup(&backend).start();
    let mut raw = Raw::connect(&gateway);
    raw.send(
        b"POST /echo HTTP/1.1\r\nhost: localhost\r\nexpect: 100-continue\r\n\
          content-length: 5\r\nconnection: close\r\n\r\n",
    );
    let interim = raw.read_until("\r\n\r\n");
    assert!(interim.starts_with("HTTP/1.1 100"), "{interim}");
    raw.send(b"hello");
    let answer = raw.read_to_end().expect("closed");
    assert!(answer.contains("hello"), "{answer}");
}

#[test]
fn early_hints_come_before_the_answer() {
    let backend = h2_backend();
    let gateway = setup(&backend).start();
    let Some(curl) = Curl::new(&gateway) else {
        return;
    };
    let response = curl.h2("/early-hints", &[]).expect(200);
    assert_eq!(response.text(), "hinted");
    let (hints, rest) = response.headers.split_once("\r\n\r\n").expect("two heads");
    assert!(hints.contains("103"), "{}", response.headers);
    assert!(hints.contains("link: </style.css>; rel=preload"), "{hints}");
    assert!(!rest.contains("link:"), "{rest}");
}

/// The client waits for the first, and gets the second before the answer.
#[tokio::test]
async fn interim_responses_of_http_1_backends_pass_too() {
    let backend = Backend::raw(|mut peer: raw::Peer| async move {
        let Some(head) = peer.text("\r\n\r\n").await else {
            return;
        };
        assert!(head.contains("expect: 100-continue"), "{head}");
        peer.bytes(b"HTTP/1.1 100 Continue\r\n\r\n").await;
        peer.text("hello").await;
        let hint = "HTTP/1.1 103 Early Hints\r\nlink: </a>\r\nconnection: x\r\nx: y\r\n\r\n";
        peer.bytes(hint.as_bytes()).await;
        peer.bytes(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
            .await;
        peer.until_closed().await;
    });
    let gateway = setup(&backend).cluster("/protocol", "http1").start();
    let mut client = Client::connect(&gateway).await;
    let mut request = request("POST", "/");
    let headers = request.headers_mut();
    headers.insert("expect", "100-continue".parse().expect("a value"));
    headers.insert("content-length", "5".parse().expect("a value"));
    let sent = client.send(request, false).await;
    let (mut response, mut stream) = sent.expect("sent");
    let mut interim = async || {
        let next = std::future::poll_fn(|cx| response.poll_informational(cx));
        let interim = support::in_time("an interim response", next).await;
        interim.expect("one").expect("a response")
    };
    assert_eq!(interim().await.status(), 100);
    stream.send_data("hello".into(), true).expect("sent");
    let hints = interim().await;
    assert_eq!(hints.status(), 103);
    assert_eq!(hints.headers()["link"], "</a>");
    assert_eq!(hints.headers().len(), 1, "{hints:?}");
    assert_eq!(whole(response).await.expect("an answer").text(), "ok");
}

#[tokio::test]
async fn trailers_pass_to_the_client() {
    let backend = h2_backend();
    let gateway = setup(&backend).start();
    let mut client = Client::connect(&gateway).await;
    let answer = client.get("/trailers").await.expect("an answer");
    assert_eq!(answer.text(), "body");
    let trailers = answer.trailers.expect("trailers");
    assert_eq!(trailers["x-checksum"], "abc");
}

#[test]
fn trailers_pass_to_http_1_clients_that_take_them() {
    let backend = h2_backend();
    let gateway = setup(&backend).start();
    let mut raw = Raw::connect(&gateway);
    raw.send(b"GET /trailers HTTP/1.1\r\nhost: localhost\r\nte: trailers\r\nconnection: te, close\r\n\r\n");
    let answer = raw.read_to_end().expect("closed");
    assert!(answer.contains("0\r\nx-checksum: abc\r\n\r\n"), "{answer}");
}

#[tokio::test]
async fn trailers_pass_to_the_backend() {
    let backend = h2_backend();
    let gateway = setup(&backend).start();
    let mut client = Client::connect(&gateway).await;
    let sent = client.send(request("POST", "/echo"), false).await;
    let (response, mut stream) = sent.expect("sent");
    stream.send_data("abc".into(), false).expect("data");
    let mut trailers = HeaderMap::new();
    trailers.insert("x-checksum", "123".parse().expect("a value"));
    stream.send_trailers(trailers.clone()).expect("trailers");
    let answer = whole(response).await.expect("an answer");
    assert_eq!(answer.text(), "abc");
    assert_eq!(answer.trailers, Some(trailers.clone()));
    assert_eq!(backend.record().last().trailers, Some(trailers));
}

#[test]
fn trailers_of_http_1_requests_pass_to_the_backend() {
    let backend = h2_backend();
    let gateway = setup(&backend).start();
    let mut raw = Raw::connect(&gateway);
    raw.send(
        b"POST /plain HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\
          trailer: x-checksum\r\nconnection: close\r\n\r\n\
          3\r\nabc\r\n0\r\nx-checksum: 123\r\n\r\n",
    );
    let answer = raw.read_to_end().expect("closed");
    assert!(answer.contains(" 200 "), "{answer}");
    let seen = backend.record().last();
    assert_eq!(seen.body, 3);
    let trailers = seen.trailers.expect("trailers");
    assert_eq!(trailers["x-checksum"], "123");
}

#[tokio::test]
async fn a_response_may_end_before_the_request_does() {
    let backend = h2_backend();
    let gateway = setup(&backend).start();
    let mut client = Client::connect(&gateway).await;
    let sent = client.send(request("POST", "/echo"), false).await;
    let (response, mut stream) = sent.expect("sent");
    let response = support::in_time("the head", response)
        .await
        .expect("a head");
    assert_eq!(response.status(), 200);
    let mut answer = response.into_body();
    // Both directions go on, turn by turn.
    for turn in ["one", "two", "three"] {
        stream.send_data(turn.into(), false).expect("data");
        let echoed = support::in_time("an echo", answer.data()).await;
        assert_eq!(echoed.expect("data").expect("data"), turn);
    }
    stream.send_data(Bytes::new(), true).expect("the end");
    // The end may come with an empty piece of its own.
    while let Some(last) = support::in_time("the end", answer.data()).await {
        assert_eq!(last.expect("the end"), "");
    }
}
