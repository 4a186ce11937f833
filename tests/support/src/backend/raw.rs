//! HTTP/2 frame by frame (RFC 9113 4.1), for what no library would send. A response
//! needs no HPACK: `:status 200` is one byte of its static table.

use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::Record;

pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const RST_STREAM: u8 = 3;
pub const SETTINGS: u8 = 4;
pub const PING: u8 = 6;
pub const GOAWAY: u8 = 7;
pub const WINDOW_UPDATE: u8 = 8;

pub const END_STREAM: u8 = 1;
pub const ACK: u8 = 1;
pub const END_HEADERS: u8 = 4;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// What a backend does with one connection. Closures are scripts.
pub trait Script: Send + Sync + 'static {
    fn play(&self, peer: Peer) -> impl Future<Output = ()> + Send;
}

impl<F, P> Script for F
where
    F: Fn(Peer) -> P + Send + Sync + 'static,
    P: Future<Output = ()> + Send,
{
    fn play(&self, peer: Peer) -> impl Future<Output = ()> + Send {
        self(peer)
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    pub kind: u8,
    pub flags: u8,
    pub stream: u32,
    pub payload: Vec<u8>,
}

/// The gateway, seen from its backend.
pub struct Peer {
    stream: TcpStream,
    /// Which of the backend's connections this is, from 0.
    pub connection: usize,
}

impl Peer {
    /// Reads the preface, sends our SETTINGS (pairs of identifier and value).
    pub async fn greet(&mut self, settings: &[(u16, u32)]) -> bool {
        let mut preface = [0; PREFACE.len()];
        if self.stream.read_exact(&mut preface).await.is_err() || preface != PREFACE {
            return false;
        }
        let mut payload = Vec::new();
        for (identifier, value) in settings {
            payload.extend(identifier.to_be_bytes());
            payload.extend(value.to_be_bytes());
        }
        self.send(SETTINGS, 0, 0, &payload).await;
        true
    }

    /// The next frame; SETTINGS and PING are acknowledged on the way. None: the
    /// connection has ended.
    pub async fn next(&mut self) -> Option<Frame> {
        let mut head = [0; 9];
        self.stream.read_exact(&mut head).await.ok()?;
        let length = usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]);
        let mut frame = Frame {
            kind: head[3],
            flags: head[4],
            stream: u32::from_be_bytes([head[5], head[6], head[7], head[8]]) & 0x7fff_ffff,
            payload: vec![0; length],
        };
        self.stream.read_exact(&mut frame.payload).await.ok()?;
        match frame.kind {
            SETTINGS if frame.flags & ACK == 0 => self.send(SETTINGS, ACK, 0, &[]).await,
            PING if frame.flags & ACK == 0 => self.send(PING, ACK, 0, &frame.payload).await,
            _ => {}
        }
        Some(frame)
    }

    /// The next request's stream.
    pub async fn request(&mut self) -> Option<u32> {
        loop {
            let frame = self.next().await?;
            if frame.kind == HEADERS {
                return Some(frame.stream);
            }
        }
    }

    /// Bytes that are no frames, up to this end. None: the connection ended before.
    pub async fn text(&mut self, end: &str) -> Option<String> {
        let mut text = Vec::new();
        while !text.ends_with(end.as_bytes()) {
            text.push(self.stream.read_u8().await.ok()?);
        }
        Some(String::from_utf8_lossy(&text).into_owned())
    }

    /// Bytes that are no frame.
    pub async fn bytes(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes).await;
    }

    /// A connection that is gone shows when reading.
    pub async fn send(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        let length = (payload.len() as u32).to_be_bytes();
        let mut frame = vec![length[1], length[2], length[3], kind, flags];
        frame.extend(stream.to_be_bytes());
        frame.extend(payload);
        let _ = self.stream.write_all(&frame).await;
    }

    /// 200 with the body `ok`.
    pub async fn answer(&mut self, stream: u32) {
        self.head(stream).await;
        self.send(DATA, END_STREAM, stream, b"ok").await;
    }

    /// 200; the body is to follow.
    pub async fn head(&mut self, stream: u32) {
        self.send(HEADERS, END_HEADERS, stream, &[0x88]).await;
    }

    pub async fn reset(&mut self, stream: u32, code: u32) {
        self.send(RST_STREAM, 0, stream, &code.to_be_bytes()).await;
    }

    pub async fn goaway(&mut self, last_stream: u32, code: u32) {
        let mut payload = last_stream.to_be_bytes().to_vec();
        payload.extend(code.to_be_bytes());
        self.send(GOAWAY, 0, 0, &payload).await;
    }

    /// Reads on until the gateway closes.
    pub async fn until_closed(&mut self) {
        while self.next().await.is_some() {}
    }
}

pub(super) async fn connection<S: Script>(
    stream: TcpStream,
    connection: usize,
    record: Arc<Record>,
    script: Arc<S>,
) {
    script.play(Peer { stream, connection }).await;
    record.disconnected();
}
