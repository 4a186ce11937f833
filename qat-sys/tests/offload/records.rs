//! AES-GCM by AWS-LC against OpenSSL's: the cipher itself, and records of connections.

use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::thread;

use openssl::cipher::Cipher;
use openssl::cipher_ctx::CipherCtx;
use openssl::ssl::{Ssl, SslContextBuilder, SslMethod, SslStream, SslVerifyMode, SslVersion};
use qat_sys::offload::Offload;

use crate::support::*;

const SUITES: [(SslVersion, &str); 4] = [
    (SslVersion::TLS1_2, "ECDHE-ECDSA-AES128-GCM-SHA256"),
    (SslVersion::TLS1_2, "ECDHE-ECDSA-AES256-GCM-SHA384"),
    (SslVersion::TLS1_3, "TLS_AES_128_GCM_SHA256"),
    (SslVersion::TLS1_3, "TLS_AES_256_GCM_SHA384"),
];

#[test]
fn the_same_as_openssl() {
    let offload = Offload::software().unwrap();
    for (name, key_len) in [("AES-128-GCM", 16), ("AES-256-GCM", 32)] {
        let ours = Cipher::fetch(Some(offload.library()), name, Some("provider=offload")).unwrap();
        let theirs = Cipher::fetch(None, name, None).unwrap();
        assert_eq!(ours.key_length(), theirs.key_length());
        assert_eq!(ours.iv_length(), theirs.iv_length());
        assert_eq!(ours.block_size(), theirs.block_size());
        assert_eq!(ours.nid(), theirs.nid());
        let key: Vec<u8> = (0..key_len).collect();
        let mut ciphers = [&ours, &theirs].map(|cipher| {
            let mut seal = CipherCtx::new().unwrap();
            seal.encrypt_init(Some(cipher), Some(&key), None).unwrap();
            let mut open = CipherCtx::new().unwrap();
            open.decrypt_init(Some(cipher), Some(&key), None).unwrap();
            (seal, open)
        });
        for len in (0..300).chain([1000, 4095, 16_384, 16_385, 100_000]) {
            let nonce = [len as u8; 12];
            let aad = vec![3; len % 29];
            let data: Vec<u8> = (0..len).map(|i| (i * 7 + len) as u8).collect();
            let sealed = ciphers
                .each_mut()
                .map(|(seal, _)| sealed(seal, &nonce, &aad, &data));
            assert_eq!(sealed[0], sealed[1], "{name}, {len} bytes");
            let (mut text, tag) = sealed[0].clone();
            let open = &mut ciphers[0].1;
            assert_eq!(opened(open, &nonce, &aad, &text, &tag), Some(data));
            let mut wrong = tag;
            wrong[len % 16] ^= 1;
            assert_eq!(opened(open, &nonce, &aad, &text, &wrong), None);
            if let Some(first) = text.first_mut() {
                *first ^= 1;
                assert_eq!(opened(open, &nonce, &aad, &text, &tag), None);
            }
        }
    }
}

/// In two pieces, the one of `data.len() / 3` bytes.
fn sealed(context: &mut CipherCtx, nonce: &[u8], aad: &[u8], data: &[u8]) -> (Vec<u8>, [u8; 16]) {
    let (mut text, mut tag) = (Vec::new(), [0; 16]);
    context.encrypt_init(None, None, Some(nonce)).unwrap();
    context.cipher_update(aad, None).unwrap();
    let (first, second) = data.split_at(data.len() / 3);
    context.cipher_update_vec(first, &mut text).unwrap();
    context.cipher_update_vec(second, &mut text).unwrap();
    context.cipher_final_vec(&mut text).unwrap();
    context.tag(&mut tag).unwrap();
    (text, tag)
}

fn opened(
    context: &mut CipherCtx,
    nonce: &[u8],
    aad: &[u8],
    text: &[u8],
    tag: &[u8],
) -> Option<Vec<u8>> {
    let mut data = Vec::new();
    context.decrypt_init(None, None, Some(nonce)).unwrap();
    context.set_tag(tag).unwrap();
    context.cipher_update(aad, None).unwrap();
    context.cipher_update_vec(text, &mut data).unwrap();
    context.cipher_final_vec(&mut data).ok().map(|_| data)
}

#[test]
fn what_is_not_tls_is_refused() {
    let offload = Offload::software().unwrap();
    let cipher = Cipher::fetch(
        Some(offload.library()),
        "AES-128-GCM",
        Some("provider=offload"),
    );
    let cipher = cipher.unwrap();
    let mut context = CipherCtx::new().unwrap();
    context.encrypt_init(Some(&cipher), None, None).unwrap();
    // Without a key.
    assert!(context.cipher_update(&[1; 5], None).is_err());
    assert!(context.tag(&mut [0; 16]).is_err());
    assert!(context.set_iv_length(16).is_err());
    context.set_iv_length(12).unwrap();
    context.encrypt_init(None, Some(&[1; 16]), None).unwrap();
    // A tag cannot be expected of what is sealed.
    assert!(context.set_tag(&[0; 16]).is_err());
}

#[test]
fn records_of_every_size() {
    for (version, suite) in SUITES {
        let (mut client, _server) = connected(version, suite);
        let mut sizes: Vec<usize> = (1..100).collect();
        sizes.extend([1000, 16_383, 16_384, 16_385, 50_000]);
        for size in sizes {
            let sent: Vec<u8> = (0..size).map(|i| (i * 13 + size) as u8).collect();
            client.write_all(&sent).unwrap();
            let mut received = vec![0; size];
            client.read_exact(&mut received).unwrap();
            assert!(sent == received, "{suite}: {size} bytes");
        }
    }
}

#[test]
fn a_record_that_was_tampered_with_ends_the_connection() {
    for (version, suite) in SUITES {
        for len in [0, 1, 8, 16, 23, 24, 25, 48, 16_384] {
            let (client, server) = connected(version, suite);
            let mut forged = vec![23, 3, 3, (len >> 8) as u8, len as u8];
            forged.resize(5 + len, 0x5a);
            client.get_ref().write_all(&forged).unwrap();
            let error = server.join().unwrap().unwrap_err();
            assert!(error.contains("ssl"), "{suite}, {len} bytes: {error}");
        }
    }
}

type Server = thread::JoinHandle<Result<(), String>>;

/// A client of OpenSSL's and a server that sends everything back, and says what ended it.
fn connected(version: SslVersion, suite: &'static str) -> (SslStream<UnixStream>, Server) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let server = thread::spawn(move || {
        let context = server(&Offload::software().unwrap(), Kind::Ecdsa);
        let mut stream = SslStream::new(Ssl::new(&context).unwrap(), ours).unwrap();
        stream.accept().unwrap();
        let mut data = vec![0; 20_000];
        loop {
            match stream.read(&mut data) {
                Ok(0) => return Ok(()),
                Ok(len) => stream.write_all(&data[..len]).unwrap(),
                Err(error) if error.kind() == ErrorKind::ConnectionReset => return Ok(()),
                Err(error) => return Err(format!("{error:?}").to_lowercase()),
            }
        }
    });
    let mut context = SslContextBuilder::new(SslMethod::tls_client()).unwrap();
    context.set_verify(SslVerifyMode::NONE);
    context.set_min_proto_version(Some(version)).unwrap();
    context.set_max_proto_version(Some(version)).unwrap();
    match version {
        SslVersion::TLS1_3 => context.set_ciphersuites(suite).unwrap(),
        _ => context.set_cipher_list(suite).unwrap(),
    }
    let mut stream = SslStream::new(Ssl::new(&context.build()).unwrap(), theirs).unwrap();
    stream.connect().unwrap();
    (stream, server)
}
