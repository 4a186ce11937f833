//! Data through the established stream.

use std::io::{ErrorKind, IoSlice};
use std::pin::Pin;
use std::time::Duration;

use openssl::ssl::SslVersion;
use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::task::spawn_local;
use tokio::time::sleep;

use super::support::*;
use crate::tls::*;

async fn pair(version: SslVersion) -> (TlsStream, Client) {
    let mut context = client_context();
    context.set_max_proto_version(Some(version)).unwrap();
    let ssl = client_ssl(&context.build(), Some("localhost"));
    established(&acceptor(&plain_params()), ssl).await
}

fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i * 7 + i / 251) as u8).collect()
}

const VERSIONS: [SslVersion; 2] = [SslVersion::TLS1_2, SslVersion::TLS1_3];

/// Both ways at once, pieces of many sizes, and a reader that dawdles, so that both
/// sides run into full sockets.
#[test]
fn much_data_both_ways() {
    const LEN: usize = 6 << 20;
    run(async {
        for version in VERSIONS {
            let (server, client) = pair(version).await;
            let (mut server_read, mut server_write) = tokio::io::split(server);
            let (mut client_read, mut client_write) = tokio::io::split(client);
            let down = spawn_local(async move {
                let data = pattern(LEN);
                let mut rest = &data[..];
                for size in [1, 9, 16_383, 16_384, 16_385, 40_000, 100_000, 7]
                    .iter()
                    .cycle()
                {
                    let (piece, left) = rest.split_at((*size).min(rest.len()));
                    server_write.write_all(piece).await.unwrap();
                    rest = left;
                    if rest.is_empty() {
                        break;
                    }
                }
                server_write.shutdown().await.unwrap();
            });
            let up = spawn_local(async move {
                client_write.write_all(&pattern(LEN)).await.unwrap();
                client_write.shutdown().await.unwrap();
            });
            let echo = spawn_local(async move {
                let mut got = Vec::new();
                let mut piece = vec![0; 70_000];
                loop {
                    let read = server_read.read(&mut piece).await.unwrap();
                    if read == 0 {
                        break;
                    }
                    got.extend_from_slice(&piece[..read]);
                    if got.len() % 5 == 0 {
                        sleep(Duration::from_millis(1)).await;
                    }
                }
                assert!(got == pattern(LEN));
            });
            sleep(Duration::from_millis(100)).await;
            let mut got = Vec::new();
            client_read.read_to_end(&mut got).await.unwrap();
            assert!(got == pattern(LEN));
            down.await.unwrap();
            up.await.unwrap();
            echo.await.unwrap();
        }
    });
}

/// Many small records in one segment: a read of the socket brings them all in, and the
/// socket is not readable any more when they are read.
#[test]
fn records_inside_are_found() {
    run(async {
        for version in VERSIONS {
            let (mut server, mut client) = pair(version).await;
            let expected = pattern(3000);
            let sender = spawn_local(async move {
                for piece in pattern(3000).chunks(30) {
                    client.write_all(piece).await.unwrap();
                }
                client
            });
            let _client = sender.await.unwrap();
            sleep(Duration::from_millis(20)).await;
            let mut got = Vec::new();
            let mut piece = [0; 17];
            while got.len() < expected.len() {
                let read = server.read(&mut piece).await.unwrap();
                got.extend_from_slice(&piece[..read]);
            }
            assert!(got == expected);
        }
    });
}

/// A record of which only the beginning has come wakes the reader when the rest comes.
#[test]
fn half_a_record_is_waited_for() {
    run(async {
        // The client's records go through a relay that hands them on in two parts.
        let (server_tcp, mut relay_out) = sockets().await;
        let (mut relay_in, client_tcp) = sockets().await;
        let relay = spawn_local(async move {
            let (mut a, mut b) = ([0; 8192], [0; 8192]);
            loop {
                tokio::select! {
                    // From the client, slowly.
                    read = relay_in.read(&mut a) => {
                        let Ok(read @ 1..) = read else { return };
                        let (one, two) = a[..read].split_at(read / 2);
                        relay_out.write_all(one).await.unwrap();
                        sleep(Duration::from_millis(5)).await;
                        relay_out.write_all(two).await.unwrap();
                    }
                    // From the server, as it comes.
                    read = relay_out.read(&mut b) => {
                        let Ok(read @ 1..) = read else { return };
                        relay_in.write_all(&b[..read]).await.unwrap();
                    }
                }
            }
        });
        let acceptor = acceptor(&plain_params());
        let ssl = client_ssl(&client_context().build(), Some("localhost"));
        let (server, client) = tokio::join!(acceptor.accept(server_tcp), connect(client_tcp, ssl));
        let (mut server, mut client) = (server.unwrap(), client.unwrap());
        for round in 0..10u8 {
            client.write_all(&[round; 500]).await.unwrap();
            let mut got = [0; 500];
            server.read_exact(&mut got).await.unwrap();
            assert_eq!(got, [round; 500]);
        }
        drop(client);
        relay.await.unwrap();
    });
}

/// Counts the records in what a raw reader sees.
#[test]
fn small_writes_share_a_record() {
    run(async {
        let (mut server, client) = pair(SslVersion::TLS1_3).await;
        for _ in 0..100 {
            server.write_all(b"0123456789").await.unwrap();
        }
        let slices = [
            IoSlice::new(&[1; 9]),
            IoSlice::new(&[2; 1000]),
            IoSlice::new(&[3; 1]),
        ];
        assert!(server.is_write_vectored());
        assert_eq!(server.write_vectored(&slices).await.unwrap(), 1010);
        // Nothing has left yet.
        sleep(Duration::from_millis(10)).await;
        let raw = client.get_ref();
        let mut wire = vec![0; 8192];
        let tickets = raw.try_read(&mut wire).unwrap_or(0);
        assert!(tickets < 1000, "{tickets}");
        server.flush().await.unwrap();
        raw.readable().await.unwrap();
        let read = raw.try_read(&mut wire).unwrap();
        assert_eq!(wire[0], 23, "application data");
        let length = usize::from(u16::from_be_bytes([wire[3], wire[4]]));
        assert_eq!((length + 5, length), (read, 2010 + 1 + 16), "one record");
    });
}

/// A write that was pending took nothing: the writer may change its mind.
#[test]
fn a_pending_write_leaves_nothing_behind() {
    run(async {
        let (mut server, mut client) = pair(SslVersion::TLS1_3).await;
        let mut sent = 0u64;
        // Until nothing more goes in.
        loop {
            let write = tokio::time::timeout(Duration::from_millis(50), server.write(&[7; 50_000]));
            match write.await {
                Ok(written) => sent += written.unwrap() as u64,
                Err(_) => break,
            }
        }
        let reader = spawn_local(async move {
            let mut sevens = 0u64;
            let mut piece = vec![0; 65536];
            loop {
                let read = client.read(&mut piece).await.unwrap();
                if read == 0 {
                    return sevens;
                }
                sevens += piece[..read].iter().filter(|byte| **byte == 7).count() as u64;
            }
        });
        // Other bytes than those that were pending.
        server.write_all(&[8; 50_000]).await.unwrap();
        server.shutdown().await.unwrap();
        assert_eq!(reader.await.unwrap(), sent);
    });
}

#[test]
fn shutdown_tells_the_client_and_still_reads() {
    run(async {
        for version in VERSIONS {
            let (mut server, mut client) = pair(version).await;
            server.write_all(b"bye").await.unwrap();
            server.shutdown().await.unwrap();
            server.shutdown().await.unwrap();
            let mut got = Vec::new();
            // Fails without close_notify.
            client.read_to_end(&mut got).await.unwrap();
            assert_eq!(got, b"bye");
            assert_eq!(
                server.write(b"x").await.unwrap_err().kind(),
                ErrorKind::BrokenPipe
            );
            client.write_all(b"late").await.unwrap();
            client.shutdown().await.unwrap();
            got.clear();
            server.read_to_end(&mut got).await.unwrap();
            assert_eq!(got, b"late");
        }
    });
}

#[test]
fn ends_of_the_stream() {
    run(async {
        // Without close_notify: an end all the same. In TLS 1.2, where the client has
        // no unread tickets, with which closing would be a reset.
        let (mut server, client) = pair(SslVersion::TLS1_2).await;
        drop(client);
        assert_eq!(server.read(&mut [0; 8]).await.unwrap(), 0);
        assert_eq!(server.read(&mut [0; 8]).await.unwrap(), 0);
        // A reset is an error, once.
        let (mut server, client) = pair(SslVersion::TLS1_3).await;
        client.get_ref().set_zero_linger().unwrap();
        drop(client);
        let error = server.read(&mut [0; 8]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
        assert!(server.write_all(&[0; 100_000]).await.is_err());
        server.shutdown().await.unwrap();
    });
}

#[test]
fn a_broken_record_is_an_error() {
    run(async {
        let (mut server, client) = pair(SslVersion::TLS1_3).await;
        let raw = client.get_ref();
        raw.try_write(b"\x17\x03\x03\x00\x20aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa")
            .unwrap();
        let error = server.read(&mut [0; 8]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidData);
        assert_eq!(
            server.write(b"x").await.unwrap_err().kind(),
            ErrorKind::BrokenPipe
        );
        // The alert has gone out.
        let mut client = client;
        let error = Pin::new(&mut client).read(&mut [0; 8]).await.unwrap_err();
        assert!(error.to_string().contains("bad record mac"), "{error}");
    });
}
