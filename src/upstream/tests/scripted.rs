//! Peers scripted frame by frame (RFC 9113 4.1).

use super::*;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::spawn_local;

const DATA: u8 = 0;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const HEADERS: u8 = 1;
const ACK: u8 = 1;
const END_HEADERS: u8 = 4;
const END: u8 = 5; // END_STREAM | END_HEADERS

struct Script(TcpStream);

struct Frame {
    kind: u8,
    flags: u8,
    stream: u32,
    payload: Vec<u8>,
}

impl Script {
    /// Accepts, reads the preface and sends empty SETTINGS.
    async fn accept(listener: &TcpListener) -> Self {
        let (mut tcp, _) = listener.accept().await.unwrap();
        let mut preface = [0; 24];
        tcp.read_exact(&mut preface).await.unwrap();
        let mut script = Script(tcp);
        script.send(SETTINGS, 0, 0, &[]).await;
        script
    }

    async fn send(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        let mut frame = (payload.len() as u32).to_be_bytes()[1..].to_vec();
        frame.extend([kind, flags]);
        frame.extend(stream.to_be_bytes());
        frame.extend(payload);
        self.0.write_all(&frame).await.unwrap();
    }

    async fn go_away(&mut self, last_stream: u32) {
        let mut payload = last_stream.to_be_bytes().to_vec();
        payload.extend(0u32.to_be_bytes());
        self.send(GOAWAY, 0, 0, &payload).await;
    }

    /// `:status: 200` and the end (RFC 7541 appendix A, index 8).
    async fn answer(&mut self, stream: u32) {
        self.send(HEADERS, END, stream, &[0x88]).await;
    }

    async fn read(&mut self) -> Option<Frame> {
        let mut head = [0; 9];
        self.0.read_exact(&mut head).await.ok()?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; length as usize];
        self.0.read_exact(&mut payload).await.ok()?;
        Some(Frame {
            kind: head[3],
            flags: head[4],
            stream: u32::from_be_bytes([head[5], head[6], head[7], head[8]]),
            payload,
        })
    }

    async fn until_headers(&mut self, stream: u32) {
        while let Some(frame) = self.read().await {
            if frame.kind == HEADERS && frame.stream == stream {
                return;
            }
        }
        panic!("no HEADERS for stream {stream}");
    }
}

async fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

#[test]
fn goaway_divides_the_processed_from_the_unprocessed() {
    on_worker(async {
        let (listener, address) = listen().await;
        let (cluster, stats) = cluster(params(&[address]));
        let peer = spawn_local(async move {
            let mut peer = Script::accept(&listener).await;
            peer.until_headers(5).await;
            peer.go_away(3).await;
            peer.answer(1).await;
            // Stream 3 may have been processed: the connection ends without a word.
        });
        let mut leases = Vec::new();
        let mut responses = Vec::new();
        for _ in 0..3 {
            let mut lease = h2_lease(&cluster).await;
            let (response, _) = lease.send(request("/"), true).unwrap();
            leases.push(lease);
            responses.push(response);
        }
        let mut results = Vec::new();
        for response in responses {
            results.push(response.await.map(|response| response.status()));
        }
        peer.await.unwrap();
        assert_eq!(*results[0].as_ref().unwrap(), StatusCode::OK);
        let lost = results[1].as_ref().unwrap_err();
        assert!(lost.is_io() && !unprocessed(lost), "{lost:?}");
        let refused = results[2].as_ref().unwrap_err();
        assert!(unprocessed(refused), "{refused:?}");
        drop(leases);
        until(&stats, Stat::ClosedGoAway, 1).await;
    });
}

#[test]
fn a_lease_taken_before_goaway_and_used_after_is_unprocessed() {
    on_worker(async {
        let (listener, address) = listen().await;
        let (cluster, stats) = cluster(params(&[address]));
        spawn_local(async move {
            let mut peer = Script::accept(&listener).await;
            peer.until_headers(1).await;
            peer.go_away(1).await;
            std::future::pending::<()>().await;
            drop(peer);
        });
        let mut early = h2_lease(&cluster).await;
        let mut late = h2_lease(&cluster).await;
        let _open = early.send(request("/"), true).unwrap();
        until(&stats, Stat::GoAwaysReceived, 1).await;
        let error = late.send(request("/"), true).err().unwrap();
        assert!(unprocessed(&error), "{error:?}");
    });
}

fn with_ping(address: SocketAddr) -> ClusterParams {
    let mut params = params(&[address]);
    params.pool.ping_keepalive = Some(PingKeepalive {
        interval: ms(80),
        timeout: ms(80),
    });
    params
}

#[test]
fn a_silent_peer_is_closed_by_ping() {
    on_worker(async {
        let (listener, address) = listen().await;
        let (cluster, stats) = cluster(with_ping(address));
        let peer = spawn_local(async move {
            let mut peer = Script::accept(&listener).await;
            let mut pings = 0;
            while let Some(frame) = peer.read().await {
                pings += usize::from(frame.kind == PING);
            }
            pings
        });
        let mut lease = h2_lease(&cluster).await;
        let (response, _) = lease.send(request("/"), true).unwrap();
        let error = response.await.unwrap_err();
        assert!(!unprocessed(&error), "{error:?}");
        assert_eq!(stats.snapshot().get(Stat::PingTimeouts), 1);
        assert_eq!(stats.snapshot().get(Stat::ClosedPing), 1);
        assert_eq!(peer.await.unwrap(), 1);
    });
}

#[test]
fn a_peer_that_answers_pings_stays() {
    on_worker(async {
        let (listener, address) = listen().await;
        let (cluster, stats) = cluster(with_ping(address));
        let peer = spawn_local(async move {
            let mut peer = Script::accept(&listener).await;
            let mut pings = 0;
            while pings < 4 {
                let frame = peer.read().await.unwrap();
                if frame.kind == PING {
                    assert_eq!(frame.flags, 0);
                    pings += 1;
                    peer.send(PING, ACK, 0, &frame.payload).await;
                }
            }
            peer.answer(1).await;
            while peer.read().await.is_some() {}
        });
        let mut lease = h2_lease(&cluster).await;
        let (response, _) = lease.send(request("/"), true).unwrap();
        assert_eq!(response.await.unwrap().status(), StatusCode::OK);
        assert_eq!(stats.snapshot().get(Stat::PingTimeouts), 0);
        drop((lease, cluster));
        peer.await.unwrap();
    });
}

#[test]
fn a_lowered_limit_holds_for_what_comes_next() {
    on_worker(async {
        let (listener, address) = listen().await;
        let mut params = params(&[address]);
        params.pool.max_connections = 1;
        params.pool.pending_timeout = ms(100);
        let (cluster, _) = cluster(params);
        spawn_local(async move {
            let mut peer = Script::accept(&listener).await;
            peer.until_headers(1).await;
            // SETTINGS_MAX_CONCURRENT_STREAMS = 1, then the answer.
            peer.send(SETTINGS, 0, 0, &[0, 3, 0, 0, 0, 1]).await;
            peer.answer(1).await;
            while peer.read().await.is_some() {}
        });
        let mut first = h2_lease(&cluster).await;
        let (response, _) = first.send(request("/"), true).unwrap();
        response.await.unwrap();
        // `first` still holds the only slot now allowed.
        let error = cluster.acquire(&[]).await.err().unwrap();
        assert!(
            matches!(error, AcquireError::PendingTimeout { .. }),
            "{error}"
        );
        drop(first);
        cluster.acquire(&[]).await.unwrap();
    });
}

#[test]
fn late_frames_of_cancelled_streams_do_not_end_the_connection() {
    on_worker(async {
        let (listener, address) = listen().await;
        let (cluster, stats) = cluster(params(&[address]));
        spawn_local(async move {
            let mut peer = Script::accept(&listener).await;
            while let Some(frame) = peer.read().await {
                match frame.kind {
                    HEADERS => peer.send(HEADERS, END_HEADERS, frame.stream, &[0x88]).await,
                    // Was on its way when the reset came.
                    RST_STREAM => peer.send(DATA, 0, frame.stream, &[0; 300]).await,
                    _ => {}
                }
            }
        });
        for _ in 0..40 {
            let batch = (0..50).map(|_| async {
                let mut lease = h2_lease(&cluster).await;
                let (response, _) = lease.send(request("/"), true).unwrap();
                response.await.unwrap();
            });
            futures_util::future::join_all(batch).await;
        }
        let now = stats.snapshot();
        assert_eq!(now.get(Stat::ConnectionsOpened), 1);
        assert_eq!(now.get(Stat::ConnectionsOpen), 1);
    });
}
