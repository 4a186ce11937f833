//! Client certificates.

use openssl::ssl::{Ssl, SslContextBuilder, SslVersion};
use tokio::io::AsyncReadExt;

use super::support::*;
use crate::tls::*;

fn context(version: SslVersion, identity: Option<&Certificate>) -> SslContextBuilder {
    let mut context = client_context();
    context.set_max_proto_version(Some(version)).unwrap();
    if let Some(Certificate { leaf, key, .. }) = identity {
        context.set_certificate(leaf).unwrap();
        context.set_private_key(key).unwrap();
    }
    context
}

fn ssl(version: SslVersion, identity: Option<&Certificate>) -> Ssl {
    client_ssl(&context(version, identity).build(), Some("localhost"))
}

fn acceptor_with(auth: ClientAuth) -> Acceptor {
    let mut params = plain_params();
    params.client_auth = auth;
    acceptor(&params)
}

#[test]
fn a_good_certificate_gives_an_identity() {
    let ca = Ca::new("Clients");
    let client = ca.issue(Kind::Ec, &["robot-7", "uri:spiffe://test/robot/7"]);
    run(async {
        for auth in [
            ClientAuth::Optional(ca.client_ca()),
            ClientAuth::Required(ca.client_ca()),
        ] {
            let acceptor = acceptor_with(auth);
            for version in [SslVersion::TLS1_2, SslVersion::TLS1_3] {
                let (server, _client) = established(&acceptor, ssl(version, Some(&client))).await;
                let identity = server.info().client.as_deref().expect("an identity");
                assert_eq!(identity.subject, "CN=robot-7,O=Tests\\, Inc");
                assert_eq!(identity.dns_names, ["robot-7"]);
                assert_eq!(identity.uris, ["spiffe://test/robot/7"]);
                assert_eq!(identity.fingerprint.len(), 64);
            }
        }
    });
}

#[test]
fn none_is_enough_only_if_optional() {
    let ca = Ca::new("Clients");
    run(async {
        for version in [SslVersion::TLS1_2, SslVersion::TLS1_3] {
            let optional = acceptor_with(ClientAuth::Optional(ca.client_ca()));
            let (server, _client) = established(&optional, ssl(version, None)).await;
            assert!(server.info().client.is_none());
            let required = acceptor_with(ClientAuth::Required(ca.client_ca()));
            let (server, client) = handshake(&required, ssl(version, None)).await;
            assert_eq!(server.err().unwrap().outcome(), "client_cert");
            // In TLS 1.3 the client is done before the server has judged.
            let error = match client {
                Err(error) => error.to_string(),
                Ok(mut client) => client.read_u8().await.unwrap_err().to_string(),
            };
            assert!(error.contains("certificate required") || error.contains("handshake failure"));
        }
    });
}

#[test]
fn a_strangers_certificate_is_refused() {
    let (ca, stranger) = (Ca::new("Clients"), Ca::new("Strangers"));
    let client = stranger.issue(Kind::Ec, &["robot-7"]);
    run(async {
        for auth in [
            ClientAuth::Optional(ca.client_ca()),
            ClientAuth::Required(ca.client_ca()),
        ] {
            let acceptor = acceptor_with(auth);
            for version in [SslVersion::TLS1_2, SslVersion::TLS1_3] {
                let (server, _) = handshake(&acceptor, ssl(version, Some(&client))).await;
                assert_eq!(server.err().unwrap().outcome(), "client_cert");
            }
        }
    });
}

#[test]
fn trust_needs_no_root() {
    let root = Ca::new("Root");
    let issued = root.issue(Kind::Ec, &["leaf"]);
    let ca = ClientCa {
        roots: vec![issued.leaf.clone()],
        depth: 0,
    };
    run(async {
        let acceptor = acceptor_with(ClientAuth::Required(ca));
        let (server, _client) =
            established(&acceptor, ssl(SslVersion::TLS1_3, Some(&issued))).await;
        assert!(server.info().client.is_some());
    });
}

#[test]
fn resumption_keeps_the_identity() {
    let ca = Ca::new("Clients");
    let client = ca.issue(Kind::Ec, &["robot-7"]);
    run(async {
        let acceptor = acceptor_with(ClientAuth::Required(ca.client_ca()));
        for version in [SslVersion::TLS1_2, SslVersion::TLS1_3] {
            let context = || context(version, Some(&client));
            let (first, sessions) = visit(&acceptor, context(), None).await;
            let (second, _) = visit(&acceptor, context(), sessions.first()).await;
            assert!(second.resumed && second.client.is_some());
            assert_eq!(first.client, second.client);
        }
    });
}

/// One process's listeners share their ticket keys, but not who they let in.
#[test]
fn a_session_of_an_open_listener_opens_no_other() {
    let ca = Ca::new("Clients");
    let mut params = plain_params();
    let keys = TicketKeys::generate().unwrap();
    let open = Acceptor::new(&params, &keys).unwrap();
    params.client_auth = ClientAuth::Required(ca.client_ca());
    let guarded = Acceptor::new(&params, &keys).unwrap();
    run(async {
        for version in [SslVersion::TLS1_2, SslVersion::TLS1_3] {
            let (_, sessions) = visit(&open, context(version, None), None).await;
            let mut ssl = ssl(version, None);
            qat_sys::client::set_session(&mut ssl, &sessions[0]).unwrap();
            let (server, _) = handshake(&guarded, ssl).await;
            assert_eq!(server.err().unwrap().outcome(), "client_cert");
        }
    });
}
