//! Handshakes that fail, and what both sides learn of it.

use std::time::Duration;

use openssl::ssl::{SslOptions, SslVerifyMode, SslVersion};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::support::*;
use crate::tls::*;

#[test]
fn old_versions_are_refused() {
    let mut params = plain_params();
    params.minimum_version = TlsVersion::Tls13;
    run(async {
        let mut context = client_context();
        context
            .set_max_proto_version(Some(SslVersion::TLS1_2))
            .unwrap();
        let ssl = client_ssl(&context.build(), Some("localhost"));
        let (server, client) = handshake(&acceptor(&params), ssl).await;
        assert_eq!(server.err().unwrap().outcome(), "version");
        assert!(
            client
                .err()
                .unwrap()
                .to_string()
                .contains("protocol version")
        );
    });
}

#[test]
fn no_cipher_in_common() {
    let mut params = plain_params();
    params.cipher_list = Some("ECDHE-ECDSA-AES128-GCM-SHA256".to_owned());
    run(async {
        let mut context = client_context();
        context.set_options(SslOptions::NO_TLSV1_3);
        context
            .set_cipher_list("ECDHE-ECDSA-AES256-GCM-SHA384")
            .unwrap();
        let ssl = client_ssl(&context.build(), Some("localhost"));
        let (server, client) = handshake(&acceptor(&params), ssl).await;
        assert_eq!(server.err().unwrap().outcome(), "no_shared_cipher");
        assert!(
            client
                .err()
                .unwrap()
                .to_string()
                .contains("handshake failure")
        );
    });
}

#[test]
fn no_group_in_common() {
    run(async {
        let mut context = client_context();
        context
            .set_min_proto_version(Some(SslVersion::TLS1_3))
            .unwrap();
        context.set_groups_list("P-384").unwrap();
        let ssl = client_ssl(&context.build(), Some("localhost"));
        let (server, _) = handshake(&acceptor(&plain_params()), ssl).await;
        assert_eq!(server.err().unwrap().outcome(), "no_shared_cipher");
    });
}

#[test]
fn a_client_that_does_not_trust_us_says_so() {
    run(async {
        let mut context = client_context();
        context.set_verify(SslVerifyMode::PEER);
        let ssl = client_ssl(&context.build(), Some("localhost"));
        let (server, _) = handshake(&acceptor(&plain_params()), ssl).await;
        let error = server.err().unwrap();
        assert_eq!(error.outcome(), "client_alert");
        assert!(error.to_string().contains("unknown CA"), "{error}");
    });
}

#[test]
fn a_silent_client_is_given_up() {
    let mut params = plain_params();
    params.handshake_timeout = Duration::from_millis(50);
    run(async {
        let acceptor = acceptor(&params);
        let (server, mut client) = sockets().await;
        assert_eq!(
            acceptor.accept(server).await.err().unwrap().outcome(),
            "timeout"
        );
        assert_eq!(client.read(&mut [0; 8]).await.unwrap(), 0);
        // Also in the middle of its first message.
        let (server, mut client) = sockets().await;
        client.write_all(b"\x16\x03\x01\x02\x00\x01").await.unwrap();
        assert_eq!(
            acceptor.accept(server).await.err().unwrap().outcome(),
            "timeout"
        );
    });
}

#[test]
fn a_client_that_leaves_is_noticed() {
    run(async {
        let acceptor = acceptor(&plain_params());
        for sent in [&b""[..], b"\x16\x03\x01\x02\x00\x01"] {
            let (server, mut client) = sockets().await;
            client.write_all(sent).await.unwrap();
            drop(client);
            assert_eq!(
                acceptor.accept(server).await.err().unwrap().outcome(),
                "peer_gone"
            );
        }
        let (server, client) = sockets().await;
        client.set_zero_linger().unwrap();
        drop(client);
        assert_eq!(
            acceptor.accept(server).await.err().unwrap().outcome(),
            "peer_gone"
        );
    });
}

async fn speak(words: &[u8]) -> (HandshakeError, Vec<u8>) {
    let (server, mut client) = sockets().await;
    let acceptor = acceptor(&plain_params());
    let talk = async {
        client.write_all(words).await.unwrap();
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).await.unwrap();
        drop(client);
        answer
    };
    let (outcome, answer) = tokio::join!(acceptor.accept(server), talk);
    (outcome.err().unwrap(), answer)
}

#[test]
fn plain_http_gets_an_answer_it_understands() {
    run(async {
        let request = b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n";
        let (error, answer) = speak(request).await;
        assert_eq!(error.outcome(), "not_tls");
        let answer = String::from_utf8(answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(&format!("content-length: {}\r\n", body.len())));
        // More than OpenSSL reads: closing must not reset before the answer is read.
        let mut long = request.to_vec();
        long.resize(60_000, b'x');
        let (_, answer) = speak(&long).await;
        assert!(answer.starts_with(b"HTTP/1.1 400 "));
    });
}

#[test]
fn garbage_is_not_tls() {
    run(async {
        let (error, _) = speak(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
        assert_eq!(error.outcome(), "not_tls");
        let (error, _) = speak(&[0xff; 300]).await;
        assert_eq!(error.outcome(), "not_tls");
        // The right record type and version, then nonsense.
        let (error, answer) = speak(b"\x16\x03\x01\x00\x05\x02\x00\x00\x01\x00").await;
        assert_eq!(error.outcome(), "protocol");
        assert_eq!(answer[0], 21, "an alert");
    });
}
