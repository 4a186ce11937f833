//! gRPC end to end: tonic on both sides, then grpcio.

use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::time::Duration;

use support::backend::{Backend, Ended, inference::InferenceRequest};
use support::client::grpc::{Inference, ask};
use support::client::h2::{Client, request, whole};
use support::process::Process;
use support::tool::require_grpcio;
use support::{Setup, in_time};
use tokio_stream::StreamExt;
use tonic::{Code, Request, Status};

use crate::{EXECUTABLE, setup};

async fn all(
    mut answers: tonic::Streaming<support::backend::inference::InferenceResponse>,
) -> (Vec<String>, Option<Status>) {
    let mut texts = Vec::new();
    loop {
        match in_time("a message", answers.message()).await {
            Ok(Some(answer)) => texts.push(answer.output_data),
            Ok(None) => return (texts, None),
            Err(status) => return (texts, Some(status)),
        }
    }
}

#[tokio::test]
async fn all_four_kinds_of_call() {
    let backend = Backend::grpc();
    let gateway = setup(&backend).start();
    let plain = Inference::connect(&gateway).await;
    let gzip = Inference::connect(&gateway).await.gzip();
    for mut client in [plain, gzip] {
        let answer = client.predict("x").await.expect("an answer");
        assert_eq!(answer, "prediction for x");
        let answers = client.predict_stream("x").await.expect("a stream");
        let (texts, status) = all(answers).await;
        assert_eq!(texts.len(), 5);
        assert_eq!(texts[4], "prediction for x");
        assert!(status.is_none(), "{status:?}");
        let inputs = || tokio_stream::iter(["a", "b", "c"].map(ask));
        let answer = client.collect(inputs()).await.expect("an answer");
        assert_eq!(answer, "prediction for a b c");
        let answers = client.chat(inputs()).await.expect("a stream");
        let (texts, _) = all(answers).await;
        assert_eq!(
            texts,
            ["a", "b", "c"].map(|text| format!("prediction for {text}"))
        );
    }
    assert_eq!(backend.record().connections(), 1);
    for seen in backend.record().seen() {
        assert_eq!(seen.header("te"), Some("trailers"));
        assert_eq!(seen.header("content-type"), Some("application/grpc"));
    }
}

#[tokio::test]
async fn a_chat_goes_turn_by_turn() {
    let backend = Backend::grpc();
    let gateway = setup(&backend).start();
    let mut client = Inference::connect(&gateway).await;
    let (send, receive) = tokio::sync::mpsc::channel::<InferenceRequest>(1);
    let inputs = tokio_stream::wrappers::ReceiverStream::new(receive);
    send.send(ask("first")).await.expect("sent");
    let mut answers = client.chat(inputs).await.expect("a stream");
    for turn in ["second", "third", "end"] {
        let answer = in_time("an answer", answers.message()).await;
        let answer = answer.expect("no error").expect("a message");
        assert!(answer.output_data.starts_with("prediction for "));
        send.send(ask(turn)).await.expect("sent");
    }
    drop(send);
    assert_eq!(all(answers).await.0, ["prediction for end"]);
}

#[tokio::test]
async fn large_messages_pass() {
    let backend = Backend::grpc();
    let gateway = setup(&backend).start();
    let mut client = Inference::connect(&gateway).await;
    let answer = client.predict("big:4000000").await.expect("an answer");
    assert_eq!(answer.len(), 4_000_000);
    let input = "y".repeat(3_000_000);
    let answer = client.predict(&input).await.expect("an answer");
    assert_eq!(answer.len(), input.len() + "prediction for ".len());
}

#[tokio::test]
async fn statuses_and_metadata_pass() {
    let backend = Backend::grpc();
    let gateway = setup(&backend).start();
    let mut client = Inference::connect(&gateway).await;
    for code in [
        Code::InvalidArgument,
        Code::NotFound,
        Code::Unavailable,
        Code::DataLoss,
    ] {
        let input = format!("fail:{}:too bad, 100 % ü", code as i32);
        let status = client.predict(&input).await.expect_err("a failure");
        assert_eq!(
            (status.code(), status.message()),
            (code, "too bad, 100 % ü")
        );
        let answers = client.predict_stream(&input).await.expect("a stream");
        let (texts, status) = all(answers).await;
        assert_eq!(texts.len(), 4);
        assert_eq!(status.expect("a failure").code(), code);
    }
    let mut request = Request::new(ask("metadata"));
    let metadata = request.metadata_mut();
    metadata.insert("x-text", "some text".parse().expect("a value"));
    let binary = tonic::metadata::MetadataValue::from_bytes(&[0, 255, 7]);
    metadata.insert_bin("x-binary-bin", binary);
    let answer = client.unary("Predict", request).await.expect("an answer");
    let told = answer.into_inner().output_data;
    assert!(told.contains("x-text: some text\n"), "{told}");
    assert!(told.contains("x-binary-bin: AP8H\n"), "{told}");
    assert!(told.contains("x-forwarded-for: 127.0.0.1\n"), "{told}");
}

#[tokio::test]
async fn the_gateways_own_failures_are_grpc_statuses() {
    let backend = Backend::grpc();
    let address = backend.address();
    let gateway = setup(&backend)
        .route(
            "/match",
            serde_json::json!({ "path": "/inference.InferenceService/Predict" }),
        )
        .start();
    let mut client = Inference::connect(&gateway).await;
    let missing = client.unary("Nowhere", Request::new(ask("x"))).await;
    assert_eq!(missing.expect_err("no route").code(), Code::Unimplemented);
    assert_eq!(backend.kill(), address);
    let down = client.predict("x").await.expect_err("no backend");
    assert_eq!(down.code(), Code::Unavailable, "{down:?}");
    let metrics = gateway.metrics();
    assert!(metrics.sum("gateway_route_requests_total", &[("cluster", "backend")]) >= 1.0);
}

/// A call by h2 alone, with this grpc-timeout: tonic's client has a timer of its own,
/// which would win the race. The stream stays open.
async fn call(
    client: &mut Client,
    method: &str,
    timeout: &'static str,
    message: &'static [u8],
) -> (h2::client::ResponseFuture, h2::SendStream<bytes::Bytes>) {
    let mut call = request("POST", &format!("/inference.InferenceService/{method}"));
    for (name, value) in [
        ("content-type", "application/grpc"),
        ("te", "trailers"),
        ("grpc-timeout", timeout),
    ] {
        let value = http::HeaderValue::from_static(value);
        call.headers_mut().insert(name, value);
    }
    let (response, mut stream) = client.send(call, false).await.expect("sent");
    let message = bytes::Bytes::from_static(message);
    stream.send_data(message, false).expect("data");
    (response, stream)
}

/// A message of `sleep:60000` as field 1, and one of `x`.
const SLEEP: &[u8] = b"\0\0\0\0\x0d\x0a\x0bsleep:60000";
const SHORT: &[u8] = b"\0\0\0\0\x03\x0a\x01x";

fn end(stream: &mut h2::SendStream<bytes::Bytes>) {
    stream
        .send_data(bytes::Bytes::new(), true)
        .expect("the end");
}

#[tokio::test]
async fn deadlines_are_kept() {
    let backend = Backend::grpc();
    let gateway = setup(&backend).start();
    let mut client = Client::connect(&gateway).await;
    for timeout in ["300m", "300000u", "300000n", "0S"] {
        let (response, mut stream) = call(&mut client, "Predict", timeout, SLEEP).await;
        end(&mut stream);
        let answer = whole(response).await.expect("an answer");
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.header("grpc-status"), Some("4"), "{answer:?}");
    }
    // The backend was told the client's time, and is told to stop.
    support::eventually_async("cancelled calls", || {
        let seen = backend.record().seen();
        let all = seen.iter().all(|seen| seen.ended == Ended::Broken);
        all.then_some(())
    })
    .await;
    assert!(backend.record().last().header("grpc-timeout").is_some());
}

/// While a body is on its way, in either direction.
#[tokio::test]
async fn deadlines_are_kept_in_mid_stream() {
    let backend = Backend::grpc();
    let gateway = setup(&backend).start();
    let mut client = Client::connect(&gateway).await;
    // It answers the first message and waits for the next.
    let (response, chat) = call(&mut client, "Chat", "1S", SHORT).await;
    let answer = whole(response).await.expect("an answer");
    assert!(answer.text().contains("prediction for x"), "{answer:?}");
    let trailers = answer.trailers.expect("trailers");
    assert_eq!(trailers["grpc-status"], "4", "{trailers:?}");
    // It waits for all messages.
    let (response, collect) = call(&mut client, "Collect", "500m", SHORT).await;
    let answer = whole(response).await.expect("an answer");
    assert_eq!(answer.header("grpc-status"), Some("4"), "{answer:?}");
    let message = answer.header("grpc-message");
    assert_eq!(message, Some("no response within 500ms"), "{answer:?}");
    support::eventually_async("calls that have ended", || {
        let seen = backend.record().seen();
        let ended = seen.iter().all(|seen| seen.ended != Ended::Open);
        ended.then_some(())
    })
    .await;
    drop((chat, collect));
}

/// What is no timeout by the specification is none, and long ones are long.
#[tokio::test]
async fn other_timeouts_end_nothing() {
    let backend = Backend::grpc();
    let gateway = setup(&backend).start();
    let mut client = Client::connect(&gateway).await;
    for timeout in [
        "1H",
        "1M",
        "60S",
        "99999999m",
        "99999999H",
        "1",
        "S",
        "-1n",
        "1 n",
        "0.1n",
        "1N",
        "100000000n",
        "0x1n",
    ] {
        let (response, mut stream) = call(&mut client, "Predict", timeout, SHORT).await;
        end(&mut stream);
        let answer = whole(response).await.expect("an answer");
        let trailers = answer.trailers.expect("trailers");
        assert_eq!(trailers["grpc-status"], "0", "{timeout}: {trailers:?}");
    }
}

#[tokio::test]
async fn a_routes_timeout_is_a_deadline_too() {
    let backend = Backend::grpc();
    let gateway = setup(&backend).route("/timeout", "300ms").start();
    let mut client = Inference::connect(&gateway).await;
    let status = client.predict("sleep:60000").await.expect_err("too late");
    assert_eq!(status.code(), Code::DeadlineExceeded, "{status:?}");
}

#[tokio::test]
async fn a_cancelled_call_is_cancelled_at_the_backend() {
    let backend = Backend::grpc();
    let gateway = setup(&backend).start();
    let mut client = Inference::connect(&gateway).await;
    let call = client.predict("sleep:60000");
    let dropped = tokio::time::timeout(Duration::from_millis(300), call).await;
    assert!(dropped.is_err());
    support::eventually_async("a cancelled call", || {
        (backend.record().last().ended == Ended::Broken).then_some(())
    })
    .await;
}

#[tokio::test]
async fn responses_are_counted_by_grpc_status() {
    let backend = Backend::grpc();
    let gateway = setup(&backend).route("/name", "inference").start();
    let mut client = Inference::connect(&gateway).await;
    for input in ["a", "b", "fail:5:gone"] {
        let _ = client.predict(input).await;
    }
    let count = |status| {
        let labels = [("route", "inference"), ("grpc_status", status)];
        gateway
            .metrics()
            .sum("gateway_route_grpc_responses_total", &labels)
    };
    support::eventually_async("counters", || (count("0") == 2.0).then_some(())).await;
    assert_eq!(count("5"), 1.0);
}

#[tokio::test]
async fn many_calls_at_once_share_connections() {
    let backend = Backend::grpc();
    let gateway = setup(&backend).start();
    let mut calls = tokio::task::JoinSet::new();
    for client in 0..4 {
        let mut client_of = Inference::connect(&gateway).await;
        calls.spawn(async move {
            let mut inputs = tokio_stream::iter(0..50);
            while let Some(n) = inputs.next().await {
                let input = format!("{client} {n}");
                let answer = client_of.predict(&input).await.expect("an answer");
                assert_eq!(answer, format!("prediction for {input}"));
            }
        });
    }
    while let Some(done) = calls.join_next().await {
        done.expect("all answers");
    }
    assert_eq!(backend.record().count(), 200);
    assert!(backend.record().connections() <= 2);
}

#[test]
fn grpcio_on_both_ends_with_gzip() {
    const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/grpcio_peer.py");
    let Some(mut server) = require_grpcio() else {
        return;
    };
    let server = server
        .args([SCRIPT, "server"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn();
    let mut server = Process(server.expect("Python runs"));
    let output = server.0.stdout.take().expect("its output");
    let mut port = String::new();
    BufReader::new(output).read_line(&mut port).expect("a port");
    let port: u16 = port.trim().parse().expect("a port");
    // Other services have no route: the gateway itself says UNIMPLEMENTED.
    let gateway = Setup::new(EXECUTABLE, ([127, 0, 0, 1], port).into())
        .route(
            "/match",
            serde_json::json!({ "path_prefix": "/inference.InferenceService" }),
        )
        .start();
    let client = require_grpcio()
        .expect("it was here")
        .args([SCRIPT, "client", &gateway.port().to_string()])
        .arg(gateway.ca_file())
        .output()
        .expect("Python runs");
    assert!(
        client.status.success(),
        "{}",
        String::from_utf8_lossy(&client.stderr)
    );
}
