//! Backends for the tests, and handshakes with OpenSSL's own client.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::Duration;

use openssl::asn1::Asn1Time;
use openssl::derive::Deriver;
use openssl::ec::{EcGroup, EcKey};
use openssl::ecdsa::EcdsaSig;
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{Id, PKey, Private};
use openssl::rsa::{Padding, Rsa};
use openssl::ssl::{
    Ssl, SslContext, SslContextBuilder, SslMethod, SslRef, SslStream, SslVerifyMode, SslVersion,
};
use openssl::x509::{X509, X509Builder, X509NameBuilder};
use qat_sys::offload::{Algorithm, Backend, EcdsaKey, Offload, Outcome, RsaKey, X25519Key};
use qat_sys::{Completion, Handshake, Step, context, job};

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Behaviour {
    Right,
    Failing,
    Panicking,
    Declining,
    Lying,
}

/// Does everything on another thread while the job is paused.
pub struct Threaded {
    pub behaviour: Behaviour,
}

impl Threaded {
    fn work<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Outcome> {
        match self.behaviour {
            Behaviour::Declining => return Err(Outcome::Declined),
            Behaviour::Panicking => std::panic::resume_unwind(Box::new("a backend's bug")),
            _ => {}
        }
        let mut worker = None;
        let completed = job::pause(|completer| {
            worker = Some(thread::spawn(move || {
                let result = work();
                completer.complete();
                result
            }));
        });
        assert_eq!(completed, Some(true));
        let result = worker.unwrap().join().unwrap();
        match self.behaviour {
            Behaviour::Failing => Err(Outcome::Failed),
            _ => Ok(result),
        }
    }
}

impl Backend for Threaded {
    fn rsa_private(&self, key: &RsaKey, input: &[u8], output: &mut [u8]) -> Outcome {
        let copy = |number: &openssl::bn::BigNum| (**number).to_owned().unwrap();
        let (n, e, d) = (copy(&key.n), copy(&key.e), copy(&key.d));
        let crt = [&key.p, &key.q, &key.dp, &key.dq, &key.qinv].map(copy);
        let first = key.attached.set(Box::new(())).is_ok();
        let input = input.to_vec();
        let work = move || {
            let [p, q, dp, dq, qinv] = crt;
            let rsa = Rsa::from_private_components(n, e, d, p, q, dp, dq, qinv).unwrap();
            if first {
                assert!(rsa.check_key().unwrap());
            }
            let mut output = vec![0; input.len()];
            rsa.private_encrypt(&input, &mut output, Padding::NONE)
                .unwrap();
            output
        };
        match self.work(work) {
            Err(outcome) => outcome,
            Ok(result) => {
                output.copy_from_slice(&result);
                if self.behaviour == Behaviour::Lying {
                    output[7] ^= 1;
                }
                Outcome::Done
            }
        }
    }

    fn ecdsa_sign(&self, key: &EcdsaKey, hash: &[u8], signature: &mut Vec<u8>) -> Outcome {
        let (key, hash) = (key.pkey.ec_key().unwrap(), hash.to_vec());
        match self.work(move || EcdsaSig::sign(&hash, &key).unwrap().to_der().unwrap()) {
            Err(outcome) => outcome,
            Ok(result) => {
                *signature = result;
                if self.behaviour == Behaviour::Lying {
                    *signature.last_mut().unwrap() ^= 1;
                }
                Outcome::Done
            }
        }
    }

    fn x25519_generate(&self, key: &mut X25519Key) -> Outcome {
        let work = || {
            let key = PKey::generate_x25519().unwrap();
            (
                key.raw_private_key().unwrap(),
                key.raw_public_key().unwrap(),
            )
        };
        match self.work(work) {
            Err(outcome) => outcome,
            Ok((private, public)) => {
                key.private.copy_from_slice(&private);
                key.public.copy_from_slice(&public);
                Outcome::Done
            }
        }
    }

    fn x25519_derive(&self, key: &X25519Key, peer: &[u8; 32], secret: &mut [u8; 32]) -> Outcome {
        let (private, peer) = (*key.private, *peer);
        let work = move || {
            let own = PKey::private_key_from_raw_bytes(&private, Id::X25519).unwrap();
            let peer = PKey::public_key_from_raw_bytes(&peer, Id::X25519).unwrap();
            let mut deriver = Deriver::new(&own).unwrap();
            deriver.set_peer(&peer).unwrap();
            // An error means zeros.
            deriver.derive_to_vec().unwrap_or(vec![0; 32])
        };
        match self.work(work) {
            Err(outcome) => outcome,
            Ok(result) => {
                if self.behaviour == Behaviour::Lying {
                    secret.fill(0);
                } else {
                    secret.copy_from_slice(&result);
                }
                Outcome::Done
            }
        }
    }
}

pub fn offload(behaviour: Behaviour) -> Offload {
    Offload::new(Arc::new(Threaded { behaviour }), &Algorithm::ALL).unwrap()
}

#[derive(Clone, Copy, Debug)]
pub enum Kind {
    Rsa(u32),
    Ecdsa,
    P384,
    P521,
}

pub fn key(kind: Kind) -> PKey<Private> {
    match kind {
        Kind::Rsa(bits) => PKey::from_rsa(Rsa::generate(bits).unwrap()).unwrap(),
        Kind::Ecdsa => ec_key(Nid::X9_62_PRIME256V1),
        Kind::P384 => ec_key(Nid::SECP384R1),
        Kind::P521 => ec_key(Nid::SECP521R1),
    }
}

fn ec_key(curve: Nid) -> PKey<Private> {
    let group = EcGroup::from_curve_name(curve).unwrap();
    PKey::from_ec_key(EcKey::generate(&group).unwrap()).unwrap()
}

/// A certificate of its own for `key`.
pub fn certificate(key: &PKey<Private>) -> X509 {
    let mut name = X509NameBuilder::new().unwrap();
    name.append_entry_by_text("CN", "localhost").unwrap();
    let name = name.build();
    let mut builder = X509Builder::new().unwrap();
    builder.set_version(2).unwrap();
    builder.set_subject_name(&name).unwrap();
    builder.set_issuer_name(&name).unwrap();
    builder.set_pubkey(key).unwrap();
    builder
        .set_not_before(&Asn1Time::days_from_now(0).unwrap())
        .unwrap();
    builder
        .set_not_after(&Asn1Time::days_from_now(1).unwrap())
        .unwrap();
    builder.sign(key, MessageDigest::sha256()).unwrap();
    builder.build()
}

fn builder(offload: &Offload, kind: Kind) -> SslContextBuilder {
    let key = key(kind);
    let leaf = offload
        .certificate(&certificate(&key).to_der().unwrap())
        .unwrap();
    let key = offload
        .private_key(&key.private_key_to_pkcs8().unwrap())
        .unwrap();
    let mut context = offload.server_context().unwrap();
    context::use_cert_and_key(&mut context, &leaf, &key, &[]).unwrap();
    // SHA-1 is below the default security level.
    context.set_security_level(0);
    context
}

pub fn server(offload: &Offload, kind: Kind) -> SslContext {
    builder(offload, kind).build()
}

/// Verifies nothing of the chain, but the client must prove that it has the key.
pub fn server_asking_for_certificates(offload: &Offload) -> SslContext {
    let mut context = builder(offload, Kind::Rsa(2048));
    let verify = SslVerifyMode::PEER | SslVerifyMode::FAIL_IF_NO_PEER_CERT;
    context.set_verify_callback(verify, |_, store| {
        // Its own signature is good, at least.
        let leaf = store.current_cert().unwrap();
        leaf.verify(&leaf.public_key().unwrap()).unwrap()
    });
    context.set_session_id_context(b"test").unwrap();
    context.build()
}

/// What a client insists on.
#[derive(Clone, Copy)]
pub struct Client {
    pub version: SslVersion,
    pub schemes: Option<&'static str>,
    /// Of TLS 1.2.
    pub ciphers: Option<&'static str>,
    /// Of TLS 1.3.
    pub suites: Option<&'static str>,
    pub groups: &'static str,
    /// What it shows a certificate of.
    pub key: Kind,
}

impl Client {
    pub fn new(version: SslVersion) -> Client {
        let groups = "X25519:P-256:P-384:P-521";
        Client {
            version,
            schemes: None,
            ciphers: None,
            suites: None,
            key: Kind::Rsa(2048),
            groups,
        }
    }
}

pub fn handshake(
    context: &SslContext,
    version: SslVersion,
    schemes: Option<&'static str>,
) -> Result<(), String> {
    let client = Client {
        schemes,
        ..Client::new(version)
    };
    handshake_with(context, client, Some(Completion::Callback))
}

/// A full handshake.
pub fn handshake_with(
    context: &SslContext,
    client: Client,
    completion: Option<Completion>,
) -> Result<(), String> {
    both_ends(context, client, completion, |_| ()).map(drop)
}

/// A full handshake, and what the server and the client then have.
pub fn both_ends<T: Send + 'static>(
    context: &SslContext,
    client: Client,
    completion: Option<Completion>,
    look: fn(&SslRef) -> T,
) -> Result<(T, T), String> {
    let (server, socket) = UnixStream::pair().unwrap();
    server.set_nonblocking(true).unwrap();
    let client = thread::spawn(move || connect(socket, client, look));
    let mut handshake = Handshake::accept(context, server, completion).unwrap();
    let accepted = loop {
        let step = handshake.step();
        let (mut stepper, mut socket) = handshake.parts();
        let output = std::mem::take(stepper.output().unwrap());
        let _ = socket.write_all(&output);
        match step {
            Step::Done => break Ok(look(handshake.ssl().unwrap())),
            Step::WantRead | Step::Paused | Step::NoJob => {
                thread::sleep(Duration::from_micros(200));
                handshake.parts().0.socket_readable();
            }
            other => break Err(format!("{other:?}")),
        }
    };
    drop(handshake);
    let connected = client.join().unwrap();
    Ok((accepted?, connected?))
}

static RSA_CLIENT: OnceLock<PKey<Private>> = OnceLock::new();

fn connect<T>(socket: UnixStream, client: Client, look: fn(&SslRef) -> T) -> Result<T, String> {
    let mut context = SslContextBuilder::new(SslMethod::tls_client()).unwrap();
    context.set_verify(SslVerifyMode::NONE);
    context.set_security_level(0);
    context.set_min_proto_version(Some(client.version)).unwrap();
    context.set_max_proto_version(Some(client.version)).unwrap();
    context
        .set_groups_list(client.groups)
        .map_err(|_| "no such group".to_owned())?;
    if let Some(ciphers) = client.ciphers {
        context.set_cipher_list(ciphers).unwrap();
    }
    if let Some(suites) = client.suites {
        context.set_ciphersuites(suites).unwrap();
    }
    if let Some(schemes) = client.schemes {
        context.set_sigalgs_list(schemes).unwrap();
    }
    let made;
    let key = match client.key {
        Kind::Rsa(_) => RSA_CLIENT.get_or_init(|| key(client.key)),
        kind => {
            made = key(kind);
            &made
        }
    };
    context.set_certificate(&certificate(key)).unwrap();
    context.set_private_key(key).unwrap();
    let ssl = Ssl::new(&context.build()).unwrap();
    let mut stream = SslStream::new(ssl, socket).unwrap();
    stream
        .connect()
        .map_err(|error| format!("client: {error:?}"))?;
    // The server is gone after its handshake: whatever comes is no TLS failure of it.
    let _ = stream.read(&mut [0]);
    Ok(look(stream.ssl()))
}
