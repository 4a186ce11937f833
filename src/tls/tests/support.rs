//! Certificates made on the spot, servers, clients.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use openssl::asn1::Asn1Time;
use openssl::bn::{BigNum, MsbOption};
use openssl::ec::{EcGroup, EcKey};
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::rsa::Rsa;
use openssl::ssl::{
    Ssl, SslContext, SslContextBuilder, SslMethod, SslSession, SslSessionCacheMode, SslVerifyMode,
};
use openssl::x509::extension::{BasicConstraints, SubjectAlternativeName};
use openssl::x509::{X509, X509Builder, X509NameBuilder};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_openssl::SslStream;

use crate::rt::local_runtime;
use crate::tls::*;

pub(super) type Client = SslStream<TcpStream>;

#[derive(Clone, Copy)]
pub(super) enum Kind {
    Rsa,
    Ec,
}

/// An authority that issues certificates.
pub(super) struct Ca {
    pub(super) cert: X509,
    key: PKey<Private>,
}

impl Ca {
    pub(super) fn new(name: &str) -> Ca {
        let key = key(Kind::Ec);
        let cert = issue(name, &[], &key, None);
        Ca { cert, key }
    }

    pub(super) fn issue(&self, kind: Kind, names: &[&str]) -> Certificate {
        let key = key(kind);
        let leaf = issue(names.first().unwrap_or(&"leaf"), names, &key, Some(self));
        Certificate {
            leaf,
            intermediates: Vec::new(),
            key,
            names: names.iter().map(|name| (*name).to_owned()).collect(),
        }
    }

    pub(super) fn client_ca(&self) -> ClientCa {
        ClientCa {
            roots: vec![self.cert.clone()],
            depth: 1,
        }
    }
}

fn key(kind: Kind) -> PKey<Private> {
    match kind {
        Kind::Rsa => PKey::from_rsa(Rsa::generate(2048).unwrap()).unwrap(),
        Kind::Ec => {
            let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap();
            PKey::from_ec_key(EcKey::generate(&group).unwrap()).unwrap()
        }
    }
}

/// `uri:` before a name makes it a URI.
fn issue(name: &str, sans: &[&str], key: &PKey<Private>, ca: Option<&Ca>) -> X509 {
    let mut builder = X509Builder::new().unwrap();
    builder.set_version(2).unwrap();
    let mut serial = BigNum::new().unwrap();
    serial.rand(64, MsbOption::MAYBE_ZERO, false).unwrap();
    builder
        .set_serial_number(&serial.to_asn1_integer().unwrap())
        .unwrap();
    let mut subject = X509NameBuilder::new().unwrap();
    subject.append_entry_by_text("O", "Tests, Inc").unwrap();
    subject.append_entry_by_text("CN", name).unwrap();
    let subject = subject.build();
    builder.set_subject_name(&subject).unwrap();
    builder
        .set_issuer_name(ca.map_or(&*subject, |ca| ca.cert.subject_name()))
        .unwrap();
    builder.set_pubkey(key).unwrap();
    builder
        .set_not_before(&Asn1Time::days_from_now(0).unwrap())
        .unwrap();
    builder
        .set_not_after(&Asn1Time::days_from_now(1).unwrap())
        .unwrap();
    if ca.is_none() {
        builder
            .append_extension(BasicConstraints::new().critical().ca().build().unwrap())
            .unwrap();
    }
    if !sans.is_empty() {
        let mut extension = SubjectAlternativeName::new();
        for san in sans {
            match san.strip_prefix("uri:") {
                Some(uri) => extension.uri(uri),
                None => extension.dns(san),
            };
        }
        let extension = extension
            .build(&builder.x509v3_context(None, None))
            .unwrap();
        builder.append_extension(extension).unwrap();
    }
    let digest = MessageDigest::sha256();
    builder.sign(ca.map_or(key, |ca| &ca.key), digest).unwrap();
    builder.build()
}

pub(super) fn params(certificates: Vec<Certificate>) -> TlsParams {
    TlsParams {
        certificates,
        minimum_version: TlsVersion::Tls12,
        maximum_version: TlsVersion::Tls13,
        cipher_list: None,
        cipher_suites: None,
        groups: vec!["X25519".to_owned(), "P-256".to_owned()],
        prefer_client_ciphers: false,
        alpn: vec![Alpn::H2, Alpn::Http11],
        session_tickets: 2,
        session_lifetime: Duration::from_secs(3600),
        ticket_keys: None,
        strict_sni: false,
        client_auth: ClientAuth::Off,
        handshake_timeout: Duration::from_secs(20),
    }
}

/// Parameters that most tests are content with.
pub(super) fn plain_params() -> TlsParams {
    params(vec![Ca::new("Test CA").issue(Kind::Ec, &["localhost"])])
}

pub(super) fn acceptor(params: &TlsParams) -> Acceptor {
    Acceptor::new(params, &TicketKeys::generate().unwrap()).unwrap()
}

/// Runs a test as a worker runs its tasks.
pub(super) fn run<F: Future>(test: F) -> F::Output {
    local_runtime().unwrap().block_on(async {
        tokio::time::timeout(Duration::from_secs(60), test)
            .await
            .expect("the test hangs")
    })
}

/// Two ends of a connection: the server's, the client's.
pub(super) async fn sockets() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (server, client) = tokio::join!(listener.accept(), TcpStream::connect(address));
    let (server, client) = (server.unwrap().0, client.unwrap());
    server.set_nodelay(true).unwrap();
    client.set_nodelay(true).unwrap();
    (server, client)
}

/// A client that does not care who the server is.
pub(super) fn client_context() -> SslContextBuilder {
    let mut context = SslContextBuilder::new(SslMethod::tls_client()).unwrap();
    context.set_verify(SslVerifyMode::NONE);
    context
}

pub(super) fn client_ssl(context: &SslContext, name: Option<&str>) -> Ssl {
    let mut ssl = Ssl::new(context).unwrap();
    if let Some(name) = name {
        ssl.set_hostname(name).unwrap();
    }
    ssl
}

pub(super) async fn connect(tcp: TcpStream, ssl: Ssl) -> Result<Client, openssl::ssl::Error> {
    let mut stream = SslStream::new(ssl, tcp).unwrap();
    Pin::new(&mut stream).connect().await?;
    Ok(stream)
}

/// Both sides of one handshake.
pub(super) async fn handshake(
    acceptor: &Acceptor,
    ssl: Ssl,
) -> (
    Result<TlsStream, HandshakeError>,
    Result<Client, openssl::ssl::Error>,
) {
    let (server, client) = sockets().await;
    tokio::join!(acceptor.accept(server), connect(client, ssl))
}

/// A handshake that works.
pub(super) async fn established(acceptor: &Acceptor, ssl: Ssl) -> (TlsStream, Client) {
    let (server, client) = handshake(acceptor, ssl).await;
    (
        server.expect("the server's side"),
        client.expect("the client's side"),
    )
}

/// Connects with `session`, exchanges a byte, and gives what the server made of it and
/// the sessions it handed out.
pub(super) async fn visit(
    acceptor: &Acceptor,
    mut context: SslContextBuilder,
    session: Option<&SslSession>,
) -> (TlsInfo, Vec<SslSession>) {
    let sessions = Arc::new(Mutex::new(Vec::new()));
    let sink = sessions.clone();
    // OpenSSL's own cache makes its sessions useless when it goes.
    let mode = SslSessionCacheMode::CLIENT | SslSessionCacheMode::NO_INTERNAL;
    context.set_session_cache_mode(mode);
    context.set_new_session_callback(move |_, session| sink.lock().unwrap().push(session));
    let mut ssl = client_ssl(&context.build(), Some("a.test"));
    if let Some(session) = session {
        qat_sys::client::set_session(&mut ssl, session).unwrap();
    }
    let (mut server, mut client) = established(acceptor, ssl).await;
    server.write_all(b"x").await.unwrap();
    server.flush().await.unwrap();
    client.read_u8().await.unwrap();
    // OpenSSL does not resume what was not closed.
    client.shutdown().await.unwrap();
    let sessions = std::mem::take(&mut *sessions.lock().unwrap());
    (server.info().clone(), sessions)
}
