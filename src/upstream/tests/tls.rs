//! TLS towards backends.

use super::*;

use std::cell::RefCell;
use std::convert::Infallible;
use std::pin::Pin;

use http_body_util::{BodyExt, Empty, Full};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use openssl::asn1::Asn1Time;
use openssl::bn::BigNum;
use openssl::ec::{EcGroup, EcKey};
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::ssl::{AlpnError, NameType, Ssl, SslAcceptor, SslMethod, SslVerifyMode};
use openssl::x509::extension::{BasicConstraints, SubjectAlternativeName};
use openssl::x509::store::X509StoreBuilder;
use openssl::x509::{X509, X509Name};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::spawn_local;
use tokio_openssl::SslStream;

type Identity = (X509, PKey<Private>);

fn certificate(name: &str, issuer: Option<&Identity>) -> Identity {
    let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap();
    let key = PKey::from_ec_key(EcKey::generate(&group).unwrap()).unwrap();
    let mut subject = X509Name::builder().unwrap();
    subject.append_entry_by_text("CN", name).unwrap();
    let subject = subject.build();
    let mut builder = X509::builder().unwrap();
    builder.set_version(2).unwrap();
    let serial = BigNum::from_u32(fastrand::u32(1..)).unwrap();
    builder
        .set_serial_number(&serial.to_asn1_integer().unwrap())
        .unwrap();
    builder.set_subject_name(&subject).unwrap();
    builder
        .set_issuer_name(issuer.map_or(&subject, |(issuer, _)| issuer.subject_name()))
        .unwrap();
    builder
        .set_not_before(&Asn1Time::days_from_now(0).unwrap())
        .unwrap();
    builder
        .set_not_after(&Asn1Time::days_from_now(1).unwrap())
        .unwrap();
    builder.set_pubkey(&key).unwrap();
    if issuer.is_none() {
        let ca = BasicConstraints::new().critical().ca().build().unwrap();
        builder.append_extension(ca).unwrap();
    } else {
        let context = builder.x509v3_context(None, None);
        let mut names = SubjectAlternativeName::new();
        names.dns(name).ip("127.0.0.1");
        let names = names.build(&context).unwrap();
        builder.append_extension(names).unwrap();
    }
    let signer = issuer.map_or(&key, |(_, key)| key);
    builder.sign(signer, MessageDigest::sha256()).unwrap();
    (builder.build(), key)
}

struct Server {
    address: SocketAddr,
    ca: X509,
    seen: Rc<RefCell<Vec<Seen>>>,
}

/// A connection's SNI, and whether the client showed a certificate.
type Seen = (Option<String>, bool);

/// An h2 server for `backend.test` behind TLS.
async fn serve(alpn: &'static [u8], client_ca: Option<X509>) -> Server {
    let ca = certificate("ca", None);
    let (leaf, key) = certificate("backend.test", Some(&ca));
    let mut builder = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls_server()).unwrap();
    builder.set_certificate(&leaf).unwrap();
    builder.set_private_key(&key).unwrap();
    builder.set_alpn_select_callback(move |_, offered| {
        openssl::ssl::select_next_proto(alpn, offered).ok_or(AlpnError::NOACK)
    });
    if let Some(client_ca) = client_ca {
        let mut store = X509StoreBuilder::new().unwrap();
        store.add_cert(client_ca).unwrap();
        builder.set_verify_cert_store(store.build()).unwrap();
        builder.set_verify(SslVerifyMode::PEER | SslVerifyMode::FAIL_IF_NO_PEER_CERT);
    }
    let acceptor = builder.build();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let seen = Rc::new(RefCell::new(Vec::new()));
    let log = seen.clone();
    spawn_local(async move {
        loop {
            let (tcp, _) = listener.accept().await.unwrap();
            let mut stream = SslStream::new(Ssl::new(acceptor.context()).unwrap(), tcp).unwrap();
            let log = log.clone();
            spawn_local(async move {
                if Pin::new(&mut stream).accept().await.is_err() {
                    return;
                }
                let sni = stream.ssl().servername(NameType::HOST_NAME);
                let client = stream.ssl().peer_certificate().is_some();
                log.borrow_mut().push((sni.map(str::to_owned), client));
                if alpn != b"\x02h2" {
                    let _ = serve_http1(stream).await;
                    return;
                }
                let mut connection = h2::server::handshake(stream).await.unwrap();
                while let Some(Ok((_, mut respond))) = connection.accept().await {
                    let response = http::Response::new(());
                    let mut body = respond.send_response(response, false).unwrap();
                    body.send_data(Bytes::from(vec![7; 200_000]), true).unwrap();
                }
            });
        }
    });
    Server {
        address,
        ca: ca.0,
        seen,
    }
}

async fn serve_http1(stream: SslStream<TcpStream>) -> hyper::Result<()> {
    let service = service_fn(async |_| {
        let body = Full::new(Bytes::from_static(b"plain old"));
        Ok::<_, Infallible>(http::Response::new(body))
    });
    hyper::server::conn::http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await
}

fn tls_params(address: SocketAddr, roots: &[X509], name: Option<&str>) -> ClusterParams {
    let mut params = params(&[address]);
    params.tls = Some(UpstreamTls {
        roots: roots.to_vec(),
        server_name: name.map(str::to_owned),
        verify: true,
        identity: None,
    });
    params
}

async fn failure(params: ClusterParams) -> String {
    let (cluster, _) = cluster(params);
    match cluster.acquire(&[]).await {
        Err(error @ AcquireError::Connect { .. }) => error.to_string(),
        Err(error) => panic!("{error}"),
        Ok(_) => panic!("connected"),
    }
}

#[test]
fn a_verified_backend_serves() {
    on_worker(async {
        let server = serve(b"\x02h2", None).await;
        // By the name given, and by the endpoint's own address.
        for name in [Some("backend.test"), None] {
            let params = tls_params(server.address, std::slice::from_ref(&server.ca), name);
            let (cluster, _) = cluster(params);
            for _ in 0..3 {
                let (status, body) = get(&cluster, "/").await.unwrap();
                assert_eq!((status, body.len()), (StatusCode::OK, 200_000));
            }
        }
        let seen = server.seen.borrow();
        let expected = [(Some("backend.test".to_owned()), false), (None, false)];
        assert_eq!(seen[..], expected, "SNI only for names");
    });
}

#[test]
fn an_unverified_backend_is_refused_unless_asked_for() {
    on_worker(async {
        let server = serve(b"\x02h2", None).await;
        let roots = std::slice::from_ref(&server.ca);
        let wrong_name = failure(tls_params(server.address, roots, Some("other.test"))).await;
        assert!(wrong_name.contains("ostname mismatch"), "{wrong_name}");
        let other_ca = certificate("other ca", None).0;
        let unknown = tls_params(server.address, &[other_ca], Some("backend.test"));
        let unknown = failure(unknown).await;
        assert!(unknown.contains("issuer certificate"), "{unknown}");

        let mut params = tls_params(server.address, &[], Some("other.test"));
        params.tls.as_mut().unwrap().verify = false;
        let (cluster, _) = cluster(params);
        get(&cluster, "/").await.unwrap();
    });
}

#[test]
fn our_own_certificate_is_shown_when_asked_for() {
    on_worker(async {
        let client_ca = certificate("client ca", None);
        let server = serve(b"\x02h2", Some(client_ca.0.clone())).await;
        let roots = std::slice::from_ref(&server.ca);
        let mut params = tls_params(server.address, roots, Some("backend.test"));
        let (leaf, key) = certificate("gateway", Some(&client_ca));
        params.tls.as_mut().unwrap().identity = Some((vec![leaf, client_ca.0.clone()], key));
        let (cluster, _) = cluster(params);
        get(&cluster, "/").await.unwrap();
        assert!(server.seen.borrow()[0].1);
    });
}

#[test]
fn a_backend_without_h2_is_a_failed_connect() {
    on_worker(async {
        let server = serve(b"\x08http/1.1", None).await;
        let roots = std::slice::from_ref(&server.ca);
        let error = failure(tls_params(server.address, roots, Some("backend.test"))).await;
        assert!(error.contains("h2"), "{error}");
    });
}

#[test]
fn http1_over_tls() {
    on_worker(async {
        let server = serve(b"\x08http/1.1", None).await;
        let roots = std::slice::from_ref(&server.ca);
        let mut params = tls_params(server.address, roots, Some("backend.test"));
        params.protocol = Protocol::Http1;
        let (cluster, _) = cluster(params);
        for _ in 0..3 {
            let Ok(Lease::Http1(mut lease)) = cluster.acquire(&[]).await else {
                panic!("no lease");
            };
            let body: Http1Body = Box::pin(Empty::new().map_err(|never| match never {}));
            let request = Request::get("/").header("host", "backend.test");
            let response = lease.send(request.body(body).unwrap()).await.unwrap();
            let body = response.into_body().collect().await.unwrap().to_bytes();
            assert_eq!(body, "plain old");
        }
        assert_eq!(server.seen.borrow().len(), 1);
    });
}
