//! GOAWAY: streams that the backend has not processed go elsewhere, the others end
//! where they are.

use support::backend::{Backend, h2, raw};
use support::client::h2::{Client, request, whole};
use support::client::h2load::H2load;

use crate::setup;

#[test]
fn under_load_no_request_fails() {
    // A connection in a graceful end after every 50 requests.
    let backend = Backend::h2(h2::Options {
        goaway_after: Some(50),
        ..h2::Options::default()
    });
    let gateway = setup(&backend).start();
    let arguments = ["-n", "3000", "-c", "4", "-m", "10"];
    let Some(load) = H2load::start(&gateway, "/plain", &arguments) else {
        return;
    };
    let report = load.finish();
    assert_eq!(report.succeeded, 3000, "{}", report.text);
    assert_eq!(report.statuses, [3000, 0, 0, 0], "{}", report.text);
    assert!(backend.record().connections() >= 30);
    assert_eq!(backend.record().count(), 3000, "a request was sent twice");
    let labels = [("cluster", "backend")];
    assert!(
        gateway
            .metrics()
            .sum("gateway_upstream_goaways_total", &labels)
            >= 30.0
    );
}

#[tokio::test]
async fn unprocessed_streams_are_sent_again_and_processed_ones_are_not() {
    // Of five streams the first two are said to be processed and answered; the
    // connection then closes.
    let backend = Backend::raw(|mut peer: raw::Peer| async move {
        if !peer.greet(&[]).await {
            return;
        }
        if peer.connection > 0 {
            while let Some(stream) = peer.request().await {
                peer.answer(stream).await;
            }
            return;
        }
        let mut streams = Vec::new();
        while streams.len() < 5 {
            let Some(stream) = peer.request().await else {
                return;
            };
            streams.push(stream);
        }
        peer.goaway(streams[1], 0).await;
        peer.answer(streams[0]).await;
        peer.answer(streams[1]).await;
        peer.until_closed().await;
    });
    let gateway = setup(&backend).start();
    let mut client = Client::connect(&gateway).await;
    let mut answers = Vec::new();
    for n in 0..5 {
        let request = request("POST", &format!("/plain?{n}"));
        let (response, mut stream) = client.send(request, false).await.expect("sent");
        stream.send_data("body".into(), true).expect("data");
        answers.push(tokio::spawn(whole(response)));
    }
    for answer in answers {
        let answer = answer.await.expect("a task").expect("an answer");
        assert_eq!((answer.status(), answer.text().as_str()), (200, "ok"));
    }
    assert!(backend.record().connections() >= 2);
}

#[tokio::test]
async fn an_error_goaway_fails_what_it_may_have_processed() {
    let backend = Backend::raw(|mut peer: raw::Peer| async move {
        if !peer.greet(&[]).await {
            return;
        }
        let Some(stream) = peer.request().await else {
            return;
        };
        if peer.connection > 0 {
            return peer.answer(stream).await;
        }
        peer.goaway(stream, h2::INTERNAL_ERROR).await;
    });
    let gateway = setup(&backend).start();
    let mut client = Client::connect(&gateway).await;
    let answer = client.post("/plain", "x".into()).await.expect("an answer");
    assert_eq!(answer.status(), 502);
    assert_eq!(client.get("/plain").await.expect("an answer").status(), 200);
}
