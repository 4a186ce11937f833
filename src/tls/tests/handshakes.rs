//! What a handshake settles: versions, names, keys, protocols, sessions.

use openssl::ssl::{SslContextBuilder, SslVersion};

use super::support::*;
use crate::tls::*;

#[test]
fn both_versions() {
    run(async {
        let acceptor = acceptor(&plain_params());
        for (version, expected) in [
            (SslVersion::TLS1_2, TlsVersion::Tls12),
            (SslVersion::TLS1_3, TlsVersion::Tls13),
        ] {
            let mut context = client_context();
            context.set_min_proto_version(Some(version)).unwrap();
            context.set_max_proto_version(Some(version)).unwrap();
            let ssl = client_ssl(&context.build(), Some("LOCALHOST"));
            let (server, client) = established(&acceptor, ssl).await;
            let info = server.info();
            assert_eq!(info.version, expected);
            assert_eq!(info.cipher, client.ssl().current_cipher().unwrap().name());
            assert_eq!(info.group, Some("X25519"));
            assert_eq!(info.sni.as_deref(), Some("localhost"));
            assert_eq!(info.key_type, Some(KeyType::Ecdsa));
            assert_eq!((info.alpn, info.resumed, info.pauses), (None, false, 0));
            assert!(info.client.is_none());
        }
    });
}

#[test]
fn hybrid_groups_where_there_are_any() {
    const GROUP: &str = "X25519MLKEM768";
    if !supported_group(GROUP) {
        return;
    }
    let mut params = plain_params();
    params.groups.insert(0, GROUP.to_owned());
    run(async {
        let ssl = client_ssl(&client_context().build(), Some("localhost"));
        let (server, _client) = established(&acceptor(&params), ssl).await;
        assert_eq!(server.info().group, Some(GROUP));
    });
}

#[test]
fn names_choose_certificates() {
    let ca = Ca::new("CA");
    let certs = vec![
        ca.issue(Kind::Ec, &["default.test"]),
        ca.issue(Kind::Ec, &["a.test", "*.b.test"]),
        ca.issue(Kind::Ec, &["x.b.test"]),
    ];
    let leaves: Vec<_> = certs.iter().map(|c| c.leaf.to_der().unwrap()).collect();
    run(async {
        let acceptor = acceptor(&params(certs));
        for (name, index) in [
            (Some("default.test"), 0),
            (Some("a.test"), 1),
            (Some("A.Test"), 1),
            (Some("y.b.test"), 1),
            (Some("x.b.test"), 2),
            (Some("b.test"), 0),
            (Some("z.y.b.test"), 0),
            (Some("other"), 0),
            (None, 0),
        ] {
            let ssl = client_ssl(&client_context().build(), name);
            let (_server, client) = established(&acceptor, ssl).await;
            let shown = client.ssl().peer_certificate().unwrap().to_der().unwrap();
            assert!(shown == leaves[index], "{name:?}");
        }
    });
}

#[test]
fn strict_sni_refuses_other_names() {
    let mut params = plain_params();
    params.strict_sni = true;
    run(async {
        let acceptor = acceptor(&params);
        established(
            &acceptor,
            client_ssl(&client_context().build(), Some("localhost")),
        )
        .await;
        for name in [Some("other.test"), None] {
            let ssl = client_ssl(&client_context().build(), name);
            let (server, client) = handshake(&acceptor, ssl).await;
            assert_eq!(server.err().unwrap().outcome(), "unknown_name");
            assert!(
                client
                    .err()
                    .unwrap()
                    .to_string()
                    .contains("unrecognized name")
            );
        }
    });
}

#[test]
fn signature_algorithms_choose_among_keys() {
    let ca = Ca::new("CA");
    let names = &["localhost"];
    let both = params(vec![ca.issue(Kind::Rsa, names), ca.issue(Kind::Ec, names)]);
    run(async {
        let acceptor = acceptor(&both);
        for version in [SslVersion::TLS1_2, SslVersion::TLS1_3] {
            for (sigalgs, expected) in [
                (None, KeyType::Ecdsa),
                (Some("RSA-PSS+SHA256:RSA+SHA256"), KeyType::Rsa),
                (Some("ECDSA+SHA256"), KeyType::Ecdsa),
            ] {
                let mut context = client_context();
                context.set_max_proto_version(Some(version)).unwrap();
                if let Some(sigalgs) = sigalgs {
                    context.set_sigalgs_list(sigalgs).unwrap();
                }
                let ssl = client_ssl(&context.build(), Some("localhost"));
                let (server, _client) = established(&acceptor, ssl).await;
                assert_eq!(
                    server.info().key_type,
                    Some(expected),
                    "{version:?} {sigalgs:?}"
                );
            }
        }
    });
}

#[test]
fn wildcard_stands_in_for_a_missing_key_type() {
    let ca = Ca::new("CA");
    let certs = vec![
        ca.issue(Kind::Rsa, &["www.a.test"]),
        ca.issue(Kind::Ec, &["*.a.test"]),
    ];
    run(async {
        let acceptor = acceptor(&params(certs));
        let mut context = client_context();
        context.set_sigalgs_list("ECDSA+SHA256").unwrap();
        let ssl = client_ssl(&context.build(), Some("www.a.test"));
        let (server, _client) = established(&acceptor, ssl).await;
        assert_eq!(server.info().key_type, Some(KeyType::Ecdsa));
    });
}

#[test]
fn alpn_takes_the_servers_preference() {
    run(async {
        let acceptor = acceptor(&plain_params());
        for (offer, expected) in [
            (&b"\x08http/1.1\x02h2"[..], Alpn::H2),
            (b"\x08http/1.1", Alpn::Http11),
            (b"\x03foo\x02h2", Alpn::H2),
        ] {
            let mut context = client_context();
            context.set_alpn_protos(offer).unwrap();
            let ssl = client_ssl(&context.build(), Some("localhost"));
            let (server, client) = established(&acceptor, ssl).await;
            assert_eq!(server.info().alpn, Some(expected));
            assert_eq!(
                client.ssl().selected_alpn_protocol(),
                Some(expected.as_bytes())
            );
        }
    });
}

#[test]
fn alpn_without_overlap_is_fatal() {
    run(async {
        let mut context = client_context();
        context.set_alpn_protos(b"\x03foo").unwrap();
        let ssl = client_ssl(&context.build(), Some("localhost"));
        let (server, client) = handshake(&acceptor(&plain_params()), ssl).await;
        assert_eq!(server.err().unwrap().outcome(), "no_shared_alpn");
        assert!(
            client
                .err()
                .unwrap()
                .to_string()
                .contains("no application protocol")
        );
    });
}

fn client(version: SslVersion) -> SslContextBuilder {
    let mut context = client_context();
    context.set_max_proto_version(Some(version)).unwrap();
    context
}

#[test]
fn sessions_resume_on_every_worker() {
    let ca = Ca::new("CA");
    // Two names, so that the session is resumed in another than the default context.
    let certs = vec![
        ca.issue(Kind::Ec, &["default.test"]),
        ca.issue(Kind::Ec, &["a.test"]),
    ];
    let params = params(certs);
    run(async {
        let keys = TicketKeys::generate().unwrap();
        let [one, two] = [0, 1].map(|_| Acceptor::new(&params, &keys).unwrap());
        let stranger = acceptor(&params);
        for version in [SslVersion::TLS1_2, SslVersion::TLS1_3] {
            let (info, sessions) = visit(&one, client(version), None).await;
            assert!(!info.resumed);
            let expected = if version == SslVersion::TLS1_3 { 2 } else { 1 };
            assert_eq!(sessions.len(), expected);
            let (info, _) = visit(&two, client(version), sessions.first()).await;
            assert!(info.resumed, "{version:?}");
            assert_eq!((info.key_type, info.sni.as_deref()), (None, Some("a.test")));
            let (info, _) = visit(&stranger, client(version), sessions.first()).await;
            assert!(!info.resumed, "{version:?}");
        }
    });
}

#[test]
fn no_tickets_no_resumption() {
    let mut params = plain_params();
    params.session_tickets = 0;
    run(async {
        let acceptor = acceptor(&params);
        for version in [SslVersion::TLS1_2, SslVersion::TLS1_3] {
            let (_, sessions) = visit(&acceptor, client(version), None).await;
            if let Some(session) = sessions.first() {
                assert!(
                    !visit(&acceptor, client(version), Some(session))
                        .await
                        .0
                        .resumed
                );
            }
        }
    });
}
