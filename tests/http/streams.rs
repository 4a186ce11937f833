//! Resets and cancellation, in both directions, with their codes.

use bytes::Bytes;
use h2::Reason;
use support::backend::Ended;
use support::client::curl::Curl;
use support::client::h2::{Client, request, whole};
use support::client::raw::Raw;
use support::client::tls::Options;
use support::in_time;

use crate::{h2_backend, setup};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clients_reset_reaches_the_backend() {
    let backend = h2_backend();
    let gateway = setup(&backend).start();
    let mut client = Client::connect(&gateway).await;
    for code in [Reason::CANCEL, Reason::INTERNAL_ERROR] {
        let count = backend.record().count();
        let sent = client.send(request("POST", "/never"), false).await;
        let (_response, mut stream) = sent.expect("sent");
        stream.send_data("abc".into(), false).expect("data");
        backend.record().wait_count(count + 1);
        stream.send_reset(code);
        let ended = backend.record().wait("a reset", |seen| {
            let ended = seen[count].ended;
            (ended != Ended::Open).then_some(ended)
        });
        assert_eq!(ended, Ended::Reset(code.into()));
    }
    // The connection to the backend goes on.
    assert_eq!(client.get("/plain").await.expect("an answer").text(), "ok");
    assert_eq!(backend.record().connections(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_goes_away_cancels_its_requests() {
    let backend = h2_backend();
    let gateway = setup(&backend).start();
    let mut client = Client::connect(&gateway).await;
    for _ in 0..3 {
        let sent = client.send(request("GET", "/never"), true).await;
        // Kept in the connection alone: dropping a response would reset it.
        std::mem::forget(sent.expect("sent"));
    }
    backend.record().wait_count(3);
    client.abort();
    for at in 0..3 {
        backend.record().wait("a reset", |seen| {
            (seen[at].ended == Ended::Reset(Reason::CANCEL.into())).then_some(())
        });
    }
    assert_eq!(backend.record().open_connections(), 1);
}

#[test]
fn an_http_1_client_that_goes_away_cancels_its_request() {
    let backend = h2_backend();
    let gateway = setup(&backend).start();
    let mut raw = Raw::connect(&gateway);
    raw.send(b"GET /sse?events=100000&ms=20 HTTP/1.1\r\nhost: localhost\r\n\r\n");
    raw.read_until("event 1");
    drop(raw);
    backend.record().wait("a reset", |seen| {
        (seen[0].ended == Ended::Reset(Reason::CANCEL.into())).then_some(())
    });
}

#[tokio::test]
async fn a_backends_reset_reaches_the_client() {
    let backend = h2_backend();
    let gateway = setup(&backend).start();
    let mut client = Client::connect(&gateway).await;
    // After the response has begun there is no other way to say it.
    for code in [
        Reason::INTERNAL_ERROR,
        Reason::CANCEL,
        Reason::ENHANCE_YOUR_CALM,
    ] {
        let path = format!("/reset?after=1000&code={}", u32::from(code));
        let error = client.get(&path).await.expect_err("a reset");
        assert_eq!(error.reason(), Some(code), "{error}");
    }
    // Before that, it is a bad gateway.
    let path = format!("/reset?code={}", u32::from(Reason::INTERNAL_ERROR));
    let answer = client.get(&path).await;
    match answer {
        Ok(answer) => assert_eq!(answer.status(), 502),
        Err(error) => assert_eq!(error.reason(), Some(Reason::INTERNAL_ERROR)),
    }
    assert_eq!(client.get("/plain").await.expect("an answer").text(), "ok");
}

#[test]
fn a_backends_reset_ends_an_http_1_response_short() {
    let backend = h2_backend();
    let gateway = setup(&backend).start();
    let Some(curl) = Curl::new(&gateway) else {
        return;
    };
    let response = curl.h1("/reset?after=1000&code=2", &[]);
    assert_ne!(
        response.exit, 0,
        "a cut response looks whole: {response:#?}"
    );
    let response = curl.h1("/reset?code=2", &[]);
    assert_eq!(response.status, 502, "{response:#?}");
}

#[tokio::test]
async fn no_error_after_an_early_response_is_no_failure() {
    let backend = h2_backend();
    let gateway = setup(&backend).route("/max_body", "off").start();
    let mut client = Client::connect(&gateway).await;
    let sent = client.send(request("POST", "/early-hints"), false).await;
    let (response, mut stream) = sent.expect("sent");
    let answer = whole(response).await.expect("an answer");
    assert_eq!(answer.text(), "hinted");
    let _ = stream.send_data(Bytes::new(), true);
    assert_eq!(client.get("/plain").await.expect("an answer").text(), "ok");
}

/// Nobody reads these: their windows fill, and only theirs.
async fn unread(client: &mut Client, count: usize) -> Vec<h2::RecvStream> {
    let mut held = Vec::new();
    for _ in 0..count {
        let request = request("GET", "/download?bytes=10000000");
        let (response, _) = client.send(request, true).await.expect("sent");
        let response = in_time("a head", response).await.expect("a head");
        held.push(response.into_body());
    }
    held
}

#[tokio::test]
async fn a_slow_stream_does_not_stop_the_others() {
    let backend = h2_backend();
    let gateway = setup(&backend).start();
    let mut builder = h2::client::Builder::new();
    builder.initial_connection_window_size(4 << 20);
    let options = Options::default();
    let mut client = Client::connect_with(&gateway, &options, builder).await;
    let held = unread(&mut client, 10).await;
    for _ in 0..20 {
        assert_eq!(client.get("/plain").await.expect("an answer").text(), "ok");
    }
    drop(held);
}

/// Clients share connections to a backend: those that do not read must not stop
/// those that do.
#[tokio::test]
async fn slow_clients_do_not_stop_the_others() {
    let backend = h2_backend();
    let gateway = setup(&backend).start();
    let mut slow = Vec::new();
    for _ in 0..20 {
        let mut client = Client::connect(&gateway).await;
        let held = unread(&mut client, 1).await;
        slow.push((client, held));
    }
    // All that the windows let through is on its way or there.
    tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    let mut client = Client::connect(&gateway).await;
    for _ in 0..20 {
        assert_eq!(client.get("/plain").await.expect("an answer").text(), "ok");
    }
    drop(slow);
}
