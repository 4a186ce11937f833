//! Backends that do what a test's path asks for.
//!
//! | kind | is |
//! |---|---|
//! | [`Backend::h2`] | the h2 crate: HTTP/2 with prior knowledge or TLS, see [`h2`] for the paths |
//! | [`Backend::http1`] | hyper: HTTP/1.1, see [`http1`] |
//! | [`Backend::grpc`] | tonic: `inference.InferenceService`, see [`inference`] |
//! | [`Backend::raw`] | HTTP/2 frame by frame, for what no library would send, see [`raw`] |
//! | [`Backend::silent`] | accepts and never says a word |
//!
//! Each runs on its own thread. Dropped or killed, its runtime ends at once, and with
//! it every connection.

pub mod h2;
pub mod http1;
pub mod inference;
pub mod raw;
mod record;
#[cfg(test)]
mod tests;

use std::net::{SocketAddr, TcpListener as StdListener};
use std::sync::Arc;
use std::thread::JoinHandle;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

use crate::certificates::{Authority, Identity};
pub use record::{Ended, Record, Seen};

/// A running backend.
pub struct Backend {
    address: SocketAddr,
    record: Arc<Record>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Backend {
    pub fn h2(options: h2::Options) -> Backend {
        Backend::h2_at(any_port(), options)
    }

    /// On an address of its own, such as one that a backend was killed on before.
    pub fn h2_at(address: SocketAddr, options: h2::Options) -> Backend {
        let options = Arc::new(options);
        Backend::run(address, move |stream, number, record| {
            tokio::spawn(h2::connection(stream, number, record, options.clone()));
        })
    }

    pub fn http1(tls: Option<Identity>) -> Backend {
        let acceptor = tls.map(|identity| acceptor(&identity, b"\x08http/1.1", None));
        Backend::run(any_port(), move |stream, number, record| {
            tokio::spawn(http1::connection(stream, number, record, acceptor.clone()));
        })
    }

    pub fn grpc() -> Backend {
        Backend::run(any_port(), |stream, number, record| {
            tokio::spawn(inference::connection(stream, number, record));
        })
    }

    /// Each connection is played the script.
    pub fn raw<S: raw::Script>(script: S) -> Backend {
        let script = Arc::new(script);
        Backend::run(any_port(), move |stream, number, record| {
            tokio::spawn(raw::connection(stream, number, record, script.clone()));
        })
    }

    pub fn silent() -> Backend {
        Backend::run(any_port(), |stream, _, _| {
            tokio::spawn(async move {
                let _stream = stream;
                std::future::pending::<()>().await;
            });
        })
    }

    fn run<F>(address: SocketAddr, mut serve: F) -> Backend
    where
        F: FnMut(TcpStream, usize, Arc<Record>) + Send + 'static,
    {
        let listener = listen(address);
        let address = listener.local_addr().expect("an address");
        let record = Arc::new(Record::default());
        let (stop, mut stopped) = oneshot::channel();
        let accepting = record.clone();
        let thread = std::thread::Builder::new()
            .name("backend".into())
            .spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build()
                    .expect("a runtime");
                runtime.block_on(async move {
                    let listener = TcpListener::from_std(listener).expect("a listener");
                    loop {
                        tokio::select! {
                            _ = &mut stopped => return,
                            accepted = listener.accept() => {
                                let Ok((stream, _)) = accepted else { continue };
                                let _ = stream.set_nodelay(true);
                                let number = accepting.connected();
                                serve(stream, number, accepting.clone());
                            }
                        }
                    }
                });
            })
            .expect("a thread");
        Backend {
            address,
            record,
            stop: Some(stop),
            thread: Some(thread),
        }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it was asked, and by how many connections.
    pub fn record(&self) -> &Record {
        &self.record
    }

    /// Ends it with all its connections, as if its process had died. The address can
    /// be bound again.
    pub fn kill(mut self) -> SocketAddr {
        self.end();
        self.address
    }

    fn end(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        self.end();
    }
}

fn any_port() -> SocketAddr {
    (std::net::Ipv4Addr::LOCALHOST, 0).into()
}

fn listen(address: SocketAddr) -> StdListener {
    let listener = StdListener::bind(address).unwrap_or_else(|error| panic!("{address}: {error}"));
    listener.set_nonblocking(true).expect("non-blocking");
    listener
}

/// A TLS server that speaks one protocol by ALPN (length byte first).
fn acceptor(
    identity: &Identity,
    protocol: &'static [u8],
    clients: Option<&Authority>,
) -> openssl::ssl::SslAcceptor {
    use openssl::ssl::{AlpnError, SslAcceptor, SslMethod, SslVerifyMode, select_next_proto};
    let mut builder = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls()).expect("a context");
    builder
        .set_certificate(&identity.certificate)
        .expect("a certificate");
    builder.set_private_key(&identity.key).expect("a key");
    builder.set_alpn_select_callback(move |_, offered| {
        select_next_proto(protocol, offered).ok_or(AlpnError::NOACK)
    });
    if let Some(clients) = clients {
        let authority = clients.certificate().clone();
        builder
            .cert_store_mut()
            .add_cert(authority)
            .expect("a root");
        builder.set_verify(SslVerifyMode::PEER | SslVerifyMode::FAIL_IF_NO_PEER_CERT);
    }
    builder.build()
}

/// Speaks TLS where there is an acceptor.
async fn accept_tls(
    stream: TcpStream,
    acceptor: &openssl::ssl::SslAcceptor,
) -> Option<tokio_openssl::SslStream<TcpStream>> {
    let ssl = openssl::ssl::Ssl::new(acceptor.context()).expect("a session");
    let mut stream = tokio_openssl::SslStream::new(ssl, stream).expect("a stream");
    std::pin::Pin::new(&mut stream).accept().await.ok()?;
    Some(stream)
}
