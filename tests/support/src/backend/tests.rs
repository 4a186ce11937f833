//! The backends without a gateway: what a test blames must not be its own peer.

use ::h2::Reason;
use bytes::Bytes;

use super::*;
use crate::client::h2::{Client, request, whole};
use crate::eventually_async;

fn backend() -> Backend {
    Backend::h2(h2::Options::default())
}

#[tokio::test]
async fn paths_behave() {
    let backend = backend();
    let mut client = Client::direct(backend.address()).await;
    assert_eq!(client.get("/plain").await.expect("an answer").text(), "ok");
    let echoed = client.post("/echo", Bytes::from(vec![7; 3_000_000])).await;
    assert_eq!(echoed.expect("an answer").body, vec![7; 3_000_000]);
    let loaded = client.get("/download?bytes=3000000").await;
    assert_eq!(loaded.expect("an answer").body.len(), 3_000_000);
    let counted = client
        .post("/upload", Bytes::from(vec![7; 3_000_000]))
        .await;
    assert_eq!(counted.expect("an answer").text(), "3000000");
    let trailed = client.get("/trailers").await.expect("an answer");
    assert_eq!(trailed.trailers.expect("trailers")["x-checksum"], "abc");
    assert_eq!(
        client.get("/early-hints").await.expect("an answer").text(),
        "hinted"
    );
    let status = client.get("/status?code=418").await;
    assert_eq!(status.expect("an answer").status(), 418);
    let events = client.get("/sse?events=3&ms=1").await.expect("an answer");
    assert_eq!(events.text().matches("data: ").count(), 3);
    for (path, code) in [
        ("/reset?code=2", Reason::INTERNAL_ERROR),
        ("/reset?code=8&after=100", Reason::CANCEL),
    ] {
        let error = client.get(path).await.expect_err("a reset");
        assert_eq!(error.reason(), Some(code), "{path}");
    }
    assert_eq!(backend.record().connections(), 1);
    client.get("/cut?bytes=100").await.expect_err("cut");
    eventually_async("the end", || {
        (backend.record().open_connections() == 0).then_some(())
    })
    .await;
}

#[tokio::test]
async fn resets_are_recorded_with_their_codes() {
    let backend = backend();
    let mut client = Client::direct(backend.address()).await;
    for (at, path) in [
        "/never",
        "/delay?ms=60000",
        "/download?bytes=100000000",
        "/upload",
    ]
    .into_iter()
    .enumerate()
    {
        let sent = client.send(request("POST", path), false).await;
        let (response, mut stream) = sent.expect("sent");
        eventually_async("a request", || {
            (backend.record().count() > at).then_some(())
        })
        .await;
        stream.send_reset(Reason::ENHANCE_YOUR_CALM);
        drop(response);
        eventually_async("a reset", || {
            let ended = backend.record().seen()[at].ended;
            (ended == Ended::Reset(Reason::ENHANCE_YOUR_CALM.into())).then_some(())
        })
        .await;
    }
}

#[tokio::test]
async fn goaway_is_graceful() {
    let backend = Backend::h2(h2::Options {
        goaway_after: Some(2),
        ..h2::Options::default()
    });
    let mut client = Client::direct(backend.address()).await;
    client.get("/plain").await.expect("an answer");
    client.get("/plain").await.expect("an answer");
    client.closed().await.expect("no error");
}

#[tokio::test]
async fn killed_backends_leave_their_address() {
    let first = backend();
    let mut client = Client::direct(first.address()).await;
    let (response, _) = client
        .send(request("GET", "/never"), true)
        .await
        .expect("sent");
    eventually_async("a request", || (first.record().count() == 1).then_some(())).await;
    let address = first.kill();
    whole(response).await.expect_err("killed");
    let second = Backend::h2_at(address, h2::Options::default());
    let mut client = Client::direct(second.address()).await;
    client.get("/plain").await.expect("an answer");
}

#[tokio::test]
async fn scripts_are_played() {
    let backend = Backend::raw(|mut peer: raw::Peer| async move {
        assert!(peer.greet(&[(3, 1)]).await);
        let first = peer.request().await.expect("a request");
        peer.answer(first).await;
        let second = peer.request().await.expect("a request");
        peer.reset(second, h2::REFUSED_STREAM).await;
        peer.goaway(second, 0).await;
        peer.until_closed().await;
    });
    let mut client = Client::direct(backend.address()).await;
    assert_eq!(client.get("/plain").await.expect("an answer").text(), "ok");
    let error = client.get("/plain").await.expect_err("refused");
    assert_eq!(error.reason(), Some(Reason::REFUSED_STREAM));
}
