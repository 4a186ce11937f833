//! One connection from accept to its end.

use std::net::SocketAddr;
use std::pin::pin;
use std::rc::Rc;
use std::time::Instant;

use http::HeaderValue;
use tokio::net::TcpStream;
use tracing::Instrument;

use super::Listener;
use super::admission::{ConnectionSlot, HandshakeSlot};
use super::proxy_protocol;
use crate::drain::Watch;
use crate::http::Version;
use crate::proxy::{Peer, PeerTls};
use crate::telemetry::{ActiveGuard, HandshakeLabels};
use crate::tls::{Alpn, ClientIdentity, KeyType, TlsInfo, TlsStream, TlsVersion};

/// Start of HTTP/2 with prior knowledge (RFC 9113 3.4); no HTTP/1.1 method begins so.
const PREFACE: &[u8] = b"PRI";

/// What counts a connection as open.
type Open = (ConnectionSlot, ActiveGuard);

impl Listener {
    pub(super) async fn connection(
        self: Rc<Self>,
        mut tcp: TcpStream,
        peer: SocketAddr,
        (connection, mut handshake): (ConnectionSlot, HandshakeSlot),
        drain: Watch,
    ) {
        let open = (connection, self.metrics.accepted());
        let mut peer = peer;
        if let Some(params) = &self.params.proxy_protocol {
            match proxy_protocol::read(&mut tcp, peer, params).await {
                Ok(source) => peer = source,
                Err(error) => {
                    self.metrics.rejected("proxy_protocol");
                    return tracing::debug!(%peer, %error, "connection refused");
                }
            }
        }
        if !handshake.claim(peer.ip().to_canonical()) {
            return self.metrics.rejected("max_handshakes_per_client");
        }
        match &self.acceptor {
            Some(_) => self.secure(tcp, peer, (handshake, open), drain).await,
            None => self.plain(tcp, peer, (handshake, open), drain).await,
        }
    }

    async fn secure(
        self: Rc<Self>,
        tcp: TcpStream,
        peer: SocketAddr,
        (handshake, open): (HandshakeSlot, Open),
        drain: Watch,
    ) {
        let Some(tls) = self.handshake(tcp, peer, &drain).await else {
            return;
        };
        drop(handshake);
        let info = tls.info();
        let version = match info.alpn {
            Some(Alpn::H2) => Version::H2,
            // Clients without ALPN speak HTTP/1.1.
            Some(Alpn::Http11) | None => Version::H1,
        };
        let identity = info.client.as_deref().and_then(identity_header);
        let peer = Peer::new(
            peer,
            true,
            identity,
            self.service.proxy.wants_tls().then(|| log_of(info)),
        );
        self.serve(tls, version, peer, open, drain);
    }

    async fn handshake(
        &self,
        tcp: TcpStream,
        peer: SocketAddr,
        drain: &Watch,
    ) -> Option<TlsStream> {
        let _active = self.metrics.handshake_begins();
        let started = Instant::now();
        let acceptor = self.acceptor.as_ref()?;
        let mut cut = drain.clone();
        let choice = acceptor.choose();
        let accept = acceptor.accept_as(tcp, &choice);
        let accept = pin!(accept.instrument(tracing::debug_span!("tls")));
        let result = tokio::select! {
            biased;
            // The handshake, which has a deadline of its own.
            result = accept => result,
            // The drain's deadline has passed.
            () = cut.cut() => return None,
        };
        let mut labels = HandshakeLabels {
            outcome: "completed",
            accelerator: choice.name(),
            key_type: "none",
            version: "none",
            resumed: false,
        };
        match result {
            Ok(tls) => {
                let info = tls.info();
                labels.key_type = info.key_type.map_or("none", KeyType::as_str);
                labels.version = version_name(info.version);
                labels.resumed = info.resumed;
                if choice.is_accelerated() {
                    self.metrics.handshake_paused(choice.name(), info.pauses);
                }
                self.metrics.handshake_ended(labels, started.elapsed());
                Some(tls)
            }
            Err(error) => {
                labels.outcome = error.outcome();
                self.metrics.handshake_ended(labels, started.elapsed());
                tracing::debug!(%peer, %error, "handshake failed");
                None
            }
        }
    }

    async fn plain(
        self: Rc<Self>,
        tcp: TcpStream,
        peer: SocketAddr,
        (handshake, open): (HandshakeSlot, Open),
        drain: Watch,
    ) {
        let limit = self.service.params.header_timeout;
        let Ok(Ok(version)) = tokio::time::timeout(limit, sniff(&tcp)).await else {
            return;
        };
        drop(handshake);
        let peer = Peer::new(peer, false, None, None);
        self.serve(tcp, version, peer, open, drain);
    }

    /// In a task of its own, so that the handshake's memory is not held as long as
    /// the connection.
    fn serve<IO>(&self, io: IO, version: Version, peer: Peer, open: Open, drain: Watch)
    where
        IO: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + 'static,
    {
        self.metrics.http_begins(match version {
            Version::H2 => "h2",
            Version::H1 => "http/1.1",
        });
        let service = self.service.clone();
        let serve = async move {
            let _open = open;
            service.serve(io, version, Rc::new(peer), drain).await;
        };
        let span = tracing::debug_span!("http", ?version);
        tokio::task::spawn_local(serve.instrument(span));
    }
}

fn version_name(version: TlsVersion) -> &'static str {
    match version {
        TlsVersion::Tls12 => "TLSv1.2",
        TlsVersion::Tls13 => "TLSv1.3",
    }
}

/// Tells HTTP/2 from HTTP/1.1 by the first bytes, without taking them.
async fn sniff(tcp: &TcpStream) -> std::io::Result<Version> {
    let mut start = [0; PREFACE.len()];
    loop {
        let seen = tcp.peek(&mut start).await?;
        if seen == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        if start[..seen] != PREFACE[..seen] {
            return Ok(Version::H1);
        }
        if seen == PREFACE.len() {
            return Ok(Version::H2);
        }
        tokio::time::sleep(std::time::Duration::from_millis(2)).await;
    }
}

fn log_of(info: &TlsInfo) -> Rc<PeerTls> {
    Rc::new(PeerTls {
        version: version_name(info.version).to_owned(),
        cipher: info.cipher.to_owned(),
        sni: info.sni.as_deref().map(str::to_owned),
    })
}

/// `Hash=…;Subject="…";URI=…;DNS=…`: the form Envoy's x-forwarded-client-cert has.
fn identity_header(identity: &ClientIdentity) -> Option<HeaderValue> {
    let subject = identity.subject.replace('\\', "\\\\").replace('"', "\\\"");
    let mut text = format!("Hash={};Subject=\"{subject}\"", identity.fingerprint);
    for uri in &identity.uris {
        text.push_str(&format!(";URI={}", quoted(uri)));
    }
    for name in &identity.dns_names {
        text.push_str(&format!(";DNS={}", quoted(name)));
    }
    HeaderValue::try_from(text).ok()
}

/// Values that could be taken for the list's own punctuation are quoted.
fn quoted(value: &str) -> String {
    match value.contains([',', ';', '=', '"', '\\']) {
        true => format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\"")),
        false => value.to_owned(),
    }
}
