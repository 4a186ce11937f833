//! Many clients at once, of every kind.

use std::sync::atomic::{AtomicUsize, Ordering};

use openssl::ssl::{SslContext, SslVersion};
use support::client::tls::{self, Options};
use support::{Gateway, in_time};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_openssl::SslStream;

/// Clients that have a handshake under way at a time.
const AT_ONCE: usize = 64;

type Stream = SslStream<TcpStream>;

const REQUEST: &[u8] = b"GET /plain HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";

const VERSIONS: [SslVersion; 2] = [SslVersion::TLS1_2, SslVersion::TLS1_3];

/// Kinds of clients, each as often as the others. All exchange keys by X25519.
pub(super) struct Clients(Vec<(SslContext, Options)>);

impl Clients {
    /// Both versions.
    pub(super) fn any(gateway: &Gateway) -> Clients {
        Clients::new(gateway, VERSIONS.map(options))
    }

    /// Both versions, with and without RSA: a gateway with certificates for either uses
    /// each for half of them.
    pub(super) fn of_each_key(gateway: &Gateway) -> Clients {
        let kinds = VERSIONS.map(options).into_iter().flat_map(|options| {
            let algorithms = ["RSA-PSS+SHA256:RSA+SHA256", "ECDSA+SHA256"];
            algorithms.map(|algorithms| Options {
                signature_algorithms: Some(algorithms),
                ..options.clone()
            })
        });
        Clients::new(gateway, kinds)
    }

    fn new(gateway: &Gateway, kinds: impl IntoIterator<Item = Options>) -> Clients {
        let kinds = kinds.into_iter();
        Clients(
            kinds
                .map(|options| (tls::context(gateway, &options), options))
                .collect(),
        )
    }

    pub(super) fn kinds(&self) -> usize {
        self.0.len()
    }

    /// The session of client number `index`.
    pub(super) fn session(&self, index: usize) -> openssl::ssl::Ssl {
        let (context, options) = &self.0[index % self.0.len()];
        tls::session_in(context, options)
    }

    /// A handshake, or what went wrong.
    async fn shake(&self, gateway: &Gateway, index: usize) -> Result<Stream, String> {
        let tcp = TcpStream::connect(gateway.address()).await;
        let tcp = tcp.map_err(|error| format!("connect: {error}"))?;
        let stream = tls::handshake(self.session(index), tcp).await;
        stream.map_err(|error| format!("client {index}: {error}"))
    }

    /// A handshake, and an answer to a request.
    async fn visit(&self, gateway: &Gateway, index: usize) -> Result<(), String> {
        let stream = self.shake(gateway, index).await?;
        in_time("an answer", ask(stream)).await
    }
}

async fn ask(mut stream: Stream) -> Result<(), String> {
    let told = |error: std::io::Error| format!("request: {error}");
    stream.write_all(REQUEST).await.map_err(told)?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.map_err(told)?;
    match answer.starts_with(b"HTTP/1.1 200") {
        true => Ok(()),
        false => Err(format!("answer: {:?}", String::from_utf8_lossy(&answer))),
    }
}

fn options(version: SslVersion) -> Options {
    Options {
        version: Some(version),
        // TLS 1.2 holds the curve of an ECDSA certificate against them, too.
        groups: Some("X25519:P-256:P-384"),
        ..Options::http1()
    }
}

/// So many visits by clients of each kind; what went wrong with any.
pub(super) async fn visits(gateway: &Gateway, count: usize) -> Vec<String> {
    visits_by(&Clients::of_each_key(gateway), gateway, count).await
}

/// The same by these clients, [`AT_ONCE`] of them at a time.
pub(super) async fn visits_by(clients: &Clients, gateway: &Gateway, count: usize) -> Vec<String> {
    let next = AtomicUsize::new(0);
    let one = || async {
        let mut failed = Vec::new();
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            if index >= count {
                return failed;
            }
            failed.extend(clients.visit(gateway, index).await.err());
        }
    };
    let all = (0..AT_ONCE.min(count)).map(|_| one());
    futures_util::future::join_all(all).await.concat()
}

/// So many handshakes at once, without a request; what went wrong with any.
pub(super) async fn handshakes(gateway: &Gateway, count: usize) -> Vec<String> {
    let clients = Clients::of_each_key(gateway);
    let all = (0..count).map(|index| clients.shake(gateway, index));
    let all = futures_util::future::join_all(all).await;
    all.into_iter().filter_map(Result::err).collect()
}
