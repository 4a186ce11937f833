//! Accept, admission, the PROXY protocol.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::json;
use support::client::curl::Curl;
use support::client::h2::Client;
use support::client::tls::{self, Options};
use support::{Gateway, PATIENCE, ports};

use crate::{h2_backend, setup};

fn tcp(gateway: &Gateway) -> TcpStream {
    let stream = TcpStream::connect(gateway.address()).expect("connected");
    stream.set_read_timeout(Some(PATIENCE)).expect("set");
    stream
}

/// Whether the server closes, within [`PATIENCE`], without a byte of an answer but a
/// TLS alert.
fn is_closed(mut stream: TcpStream) -> bool {
    let mut rest = Vec::new();
    match stream.read_to_end(&mut rest) {
        Ok(_) => rest.is_empty() || rest[0] == 21,
        Err(error) => error.kind() == std::io::ErrorKind::ConnectionReset,
    }
}

/// Waits until so many connections have been counted as rejected.
fn wait_rejected(gateway: &Gateway, count: f64) {
    support::eventually("rejected connections", || {
        let metrics = gateway.metrics();
        let rejected = metrics.sum("gateway_listener_connections_rejected_total", &[]);
        (rejected >= count).then_some(())
    });
}

#[test]
fn handshakes_have_a_deadline() {
    let backend = h2_backend();
    let gateway = setup(&backend)
        .listener("/handshake_timeout", "500ms")
        .start();
    let since = Instant::now();
    let silent = tcp(&gateway);
    let mut half = tcp(&gateway);
    // The beginning of a ClientHello.
    half.write_all(b"\x16\x03\x01\x02\x00\x01").expect("sent");
    assert!(is_closed(silent));
    assert!(is_closed(half));
    assert!(
        since.elapsed() >= Duration::from_millis(400),
        "closed too early"
    );
    support::eventually("both are counted", || {
        let labels = [("outcome", "timeout")];
        let metrics = gateway.metrics();
        let counted = metrics.sum("gateway_tls_handshakes_total", &labels);
        (counted == 2.0).then_some(())
    });
}

#[test]
fn what_is_not_tls_is_closed() {
    let backend = h2_backend();
    let gateway = setup(&backend).start();
    for bytes in [&[0; 100][..], b"\x16\x03\x01\xff\xff", b"SSH-2.0-x\r\n"] {
        let mut stream = tcp(&gateway);
        stream.write_all(bytes).expect("sent");
        stream
            .shutdown(std::net::Shutdown::Write)
            .expect("shut down");
        let mut rest = Vec::new();
        let ended = stream.read_to_end(&mut rest);
        // An alert at most.
        let alert = rest.first().is_none_or(|kind| *kind == 21);
        assert!(ended.is_ok() && alert, "{bytes:?}: {ended:?} {rest:?}");
    }
    // People forget the s of https: they are told.
    let mut stream = tcp(&gateway);
    let request = b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n";
    stream.write_all(request).expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("closed");
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
    assert!(answer.contains("https"), "{answer}");
    assert_eq!(backend.record().count(), 0);
}

#[test]
fn connections_past_the_bound_are_shed() {
    let backend = h2_backend();
    let gateway = setup(&backend)
        .listener("/max_connections", 4)
        .listener("/overload", "shed")
        .start();
    let held: Vec<_> = (0..4).map(|_| tcp(&gateway)).collect();
    support::eventually("connections", || {
        let active = gateway
            .metrics()
            .sum("gateway_listener_connections_active", &[]);
        (active == 4.0).then_some(())
    });
    assert!(is_closed(tcp(&gateway)));
    wait_rejected(&gateway, 1.0);
    drop(held);
    let Some(curl) = Curl::new(&gateway) else {
        return;
    };
    support::eventually("room again", || {
        (curl.h2("/plain", &[]).status == 200).then_some(())
    });
}

#[test]
fn connections_past_the_bound_wait_by_default() {
    let backend = h2_backend();
    let gateway = setup(&backend).listener("/max_connections", 2).start();
    let held: Vec<_> = (0..2).map(|_| tcp(&gateway)).collect();
    support::eventually("connections", || {
        let active = gateway
            .metrics()
            .sum("gateway_listener_connections_active", &[]);
        (active == 2.0).then_some(())
    });
    let Some(curl) = Curl::new(&gateway) else {
        return;
    };
    let waiting = std::thread::spawn(move || curl.h2("/plain", &[]));
    std::thread::sleep(Duration::from_millis(300));
    assert!(!waiting.is_finished());
    drop(held);
    waiting.join().expect("an answer").expect(200);
}

#[test]
fn handshakes_are_bounded() {
    for limit in ["/max_handshakes", "/max_handshakes_per_client"] {
        handshakes_bounded_by(limit);
    }
}

fn handshakes_bounded_by(limit: &str) {
    let backend = h2_backend();
    let gateway = setup(&backend)
        .listener(limit, 3)
        .listener("/overload", "shed")
        .start();
    let held: Vec<_> = (0..3).map(|_| tcp(&gateway)).collect();
    support::eventually("handshakes", || {
        let now = gateway
            .metrics()
            .sum("gateway_tls_handshakes_in_progress", &[]);
        (now == 3.0).then_some(())
    });
    assert!(is_closed(tcp(&gateway)));
    wait_rejected(&gateway, 1.0);
    drop(held);
    let Some(curl) = Curl::new(&gateway) else {
        return;
    };
    support::eventually("room again", || {
        (curl.h2("/plain", &[]).status == 200).then_some(())
    });
}

#[test]
fn plaintext_listeners_speak_both_versions() {
    let backend = h2_backend();
    let gateway = setup(&backend).plaintext().start();
    let base = format!("http://localhost:{}", gateway.port());
    let Some(curl) = Curl::at(&gateway, &base) else {
        return;
    };
    assert_eq!(curl.h1("/plain", &[]).expect(200).version, "1.1");
    assert_eq!(curl.h2("/plain", &[]).expect(200).version, "2");
    for seen in backend.record().seen() {
        assert_eq!(seen.header("x-forwarded-proto"), Some("http"));
    }
}

#[test]
fn listeners_stand_side_by_side() {
    let backend = h2_backend();
    let second = ports::free_address();
    let gateway = setup(&backend)
        .set(
            "/listeners/1",
            json!({
                "name": "plain",
                "address": second,
                "routes": [{ "match": { "path_prefix": "/only" }, "cluster": "backend" }],
            }),
        )
        .set("/workers", 2)
        .start();
    let Some(curl) = Curl::new(&gateway) else {
        return;
    };
    let plain = Curl::at(&gateway, &format!("http://{second}")).expect("curl was here");
    curl.h2("/a", &[]).expect(200);
    plain.h1("/only", &[]).expect(200);
    plain.h1("/a", &[]).expect(404);
    let accepted = |listener| {
        let labels = [("listener", listener)];
        gateway
            .metrics()
            .sum("gateway_listener_connections_total", &labels)
    };
    assert_eq!((accepted("edge"), accepted("plain")), (1.0, 2.0));
}

mod proxy_protocol {
    use super::*;

    fn gateway(backend: &support::backend::Backend, trusted: &str) -> Gateway {
        let parameters = json!({ "trusted": [trusted], "timeout": "500ms" });
        setup(backend)
            .listener("/proxy_protocol", parameters)
            .start()
    }

    /// Speaks TLS and HTTP/2 after these bytes; what the backend was told.
    async fn told(gateway: &Gateway, header: &[u8]) -> Option<u16> {
        use tokio::io::AsyncWriteExt;
        let mut stream = tls::tcp(gateway.address()).await;
        stream.write_all(header).await.expect("sent");
        let ssl = tls::session(gateway, &Options::default());
        let stream = tls::handshake(ssl, stream).await.ok()?;
        let (mut requests, connection) = h2::client::handshake(stream).await.ok()?;
        tokio::spawn(connection);
        let request = support::client::h2::request("GET", "/plain");
        let (response, _) = requests.send_request(request, true).ok()?;
        let answer = support::client::h2::whole(response).await.ok()?;
        Some(answer.status())
    }

    /// From 203.0.113.9, over TCP and IPv4.
    fn version_2(command: u8) -> Vec<u8> {
        header_2(0x20 | command, 0x11, 12, &IPV4)
    }

    const IPV4: [u8; 12] = [203, 0, 113, 9, 127, 0, 0, 1, 0x30, 0x39, 0x20, 0xfb];

    fn header_2(command: u8, family: u8, length: u16, payload: &[u8]) -> Vec<u8> {
        let mut header = b"\r\n\r\n\0\r\nQUIT\n".to_vec();
        header.extend([command, family]);
        header.extend(length.to_be_bytes());
        header.extend(payload);
        header
    }

    #[tokio::test]
    async fn both_versions_tell_the_clients_address() {
        let backend = h2_backend();
        let gateway = gateway(&backend, "127.0.0.0/8");
        let version_1 = b"PROXY TCP4 203.0.113.9 127.0.0.1 12345 8443\r\n";
        for header in [&version_1[..], &version_2(1)] {
            assert_eq!(told(&gateway, header).await, Some(200));
            let seen = backend.record().last();
            assert_eq!(seen.header("x-forwarded-for"), Some("203.0.113.9"));
        }
        let version_1 = b"PROXY TCP6 2001:db8::9 ::1 12345 8443\r\n";
        assert_eq!(told(&gateway, version_1).await, Some(200));
        let seen = backend.record().last();
        assert_eq!(seen.header("x-forwarded-for"), Some("2001:db8::9"));
        // What a balancer adds about the connection is passed over.
        let mut tlvs = IPV4.to_vec();
        tlvs.extend([4, 0, 3, b'x', b'y', b'z', 0x20, 4, 0]);
        tlvs.extend([0; 1024]);
        let tlvs = header_2(0x21, 0x11, tlvs.len() as u16, &tlvs);
        assert_eq!(told(&gateway, &tlvs).await, Some(200));
        let seen = backend.record().last();
        assert_eq!(seen.header("x-forwarded-for"), Some("203.0.113.9"));
        // The balancer's own health checks come as themselves, as do addresses that are
        // none of the internet's.
        let unix = header_2(0x21, 0x31, 216, &[b'/'; 216]);
        let unspecified = header_2(0x21, 0, 0, &[]);
        let unknown = b"PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n";
        for header in [
            &b"PROXY UNKNOWN\r\n"[..],
            unknown,
            &version_2(0),
            &unix,
            &unspecified,
        ] {
            assert_eq!(told(&gateway, header).await, Some(200));
            let seen = backend.record().last();
            assert_eq!(seen.header("x-forwarded-for"), Some("127.0.0.1"));
        }
    }

    #[tokio::test]
    async fn bad_and_missing_headers_are_closed() {
        let backend = h2_backend();
        let gateway = gateway(&backend, "127.0.0.0/8");
        for header in [
            &b""[..],
            b"PROXY TCP4 999.0.113.9 127.0.0.1 12345 8443\r\n",
            b"PROXY TCP4 203.0.113.9\r\n",
            b"PROXY TCP4 203.0.113.9 127.0.0.1 12345 8443",
            b"PROXY TCP4 203.0.113.9 127.0.0.1 12345 8443\n",
            b"PROXY TCP4 203.0.113.9 127.0.0.1 12345 65536\r\n",
            b"PROXY TCP4 2001:db8::9 ::1 12345 8443\r\n",
            b"PROXY UDP4 203.0.113.9 127.0.0.1 12345 8443\r\n",
            b"proxy TCP4 203.0.113.9 127.0.0.1 12345 8443\r\n",
            &[b"PROXY UNKNOWN ", &[b'x'; 100][..], b"\r\n"].concat(),
            b"\r\n\r\n\0\r\nQUIT\n\x31\x11\0\x0c",
            &[b'P'; 300],
            // No room for its addresses; more than anyone has to add.
            &header_2(0x21, 0x11, 8, &IPV4[..8]),
            &header_2(0x21, 0x21, 12, &IPV4),
            &header_2(0x21, 0x11, u16::MAX, &[0; 3000]),
            // No such version, command, family.
            &header_2(0x11, 0x11, 12, &IPV4),
            &header_2(0x22, 0x11, 12, &IPV4),
            &header_2(0x21, 0x41, 12, &IPV4),
        ] {
            assert_eq!(told(&gateway, header).await, None, "{header:?}");
        }
        // Silence is cut off, also after a beginning.
        assert!(is_closed(tcp(&gateway)));
        let mut half = tcp(&gateway);
        half.write_all(&version_2(1)[..20]).expect("sent");
        assert!(is_closed(half));
        assert_eq!(backend.record().count(), 0);
        wait_rejected(&gateway, 20.0);
    }

    #[tokio::test]
    async fn strangers_are_not_believed() {
        let backend = h2_backend();
        let gateway = gateway(&backend, "10.0.0.0/8");
        let header = b"PROXY TCP4 203.0.113.9 127.0.0.1 12345 8443\r\n";
        assert_eq!(told(&gateway, header).await, None);
        assert_eq!(backend.record().count(), 0);
    }
}

#[tokio::test]
async fn two_workers_share_the_connections() {
    let backend = h2_backend();
    let gateway = setup(&backend).set("/workers", 2).start();
    assert_eq!(gateway.metrics().sum("gateway_workers", &[]), 2.0);
    let mut clients = Vec::new();
    for _ in 0..32 {
        let mut client = Client::connect(&gateway).await;
        assert_eq!(client.get("/plain").await.expect("an answer").status(), 200);
        clients.push(client);
    }
    // Each worker has a pool of its own.
    assert_eq!(backend.record().connections(), 2);
}
