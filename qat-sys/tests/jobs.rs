//! Handshakes in async jobs against OpenSSL's own client, without a runtime.

use std::cell::RefCell;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use openssl::asn1::Asn1Time;
use openssl::ec::{EcGroup, EcKey};
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::ssl::{Ssl, SslContext, SslContextBuilder, SslMethod, SslStream, SslVerifyMode};
use openssl::x509::{X509, X509Builder, X509NameBuilder};
use qat_sys::handshake::leaked;
use qat_sys::job::{self, Completer};
use qat_sys::{Completion, Handshake, Step, Stop, context, tickets};

const MODES: [Completion; 2] = [Completion::Callback, Completion::Fd];

thread_local! {
    static COMPLETERS: RefCell<Vec<Completer>> = const { RefCell::new(Vec::new()) };
    static REFUSALS: RefCell<u32> = const { RefCell::new(0) };
}

fn take_completer() -> Completer {
    COMPLETERS
        .with_borrow_mut(Vec::pop)
        .expect("a job has paused")
}

fn certificate() -> (X509, PKey<Private>) {
    let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap();
    let key = PKey::from_ec_key(EcKey::generate(&group).unwrap()).unwrap();
    let mut name = X509NameBuilder::new().unwrap();
    name.append_entry_by_text("O", "A+B, \"C\"").unwrap();
    name.append_entry_by_text("CN", "Zoë").unwrap();
    let name = name.build();
    let mut builder = X509Builder::new().unwrap();
    builder.set_version(2).unwrap();
    builder.set_subject_name(&name).unwrap();
    builder.set_issuer_name(&name).unwrap();
    builder.set_pubkey(&key).unwrap();
    builder
        .set_not_before(&Asn1Time::days_from_now(0).unwrap())
        .unwrap();
    builder
        .set_not_after(&Asn1Time::days_from_now(1).unwrap())
        .unwrap();
    builder.sign(&key, MessageDigest::sha256()).unwrap();
    (builder.build(), key)
}

/// A context whose handshakes are refused as often as `REFUSALS` says, then pause once.
fn server() -> SslContext {
    let (leaf, key) = certificate();
    let mut context = SslContextBuilder::new(SslMethod::tls_server()).unwrap();
    context::use_cert_and_key(&mut context, &leaf, &key, &[]).unwrap();
    context.set_servername_callback(|_, _| {
        for _ in 0..REFUSALS.take() {
            assert!(job::in_job() && job::pause_refused());
        }
        job::pause(|completer| COMPLETERS.with_borrow_mut(|all| all.push(completer)));
        Ok(())
    });
    context.build()
}

/// Steps, and sends what there is to be sent.
fn step(handshake: &mut Handshake<TcpStream>) -> Step {
    let step = handshake.step();
    let (mut stepper, mut socket) = handshake.parts();
    let output = std::mem::take(stepper.output().unwrap());
    // The client may be gone.
    let _ = socket.write_all(&output);
    step
}

/// Steps until something else is wanted than to read.
fn run(handshake: &mut Handshake<TcpStream>) -> Step {
    loop {
        match step(handshake) {
            Step::WantRead => {
                thread::sleep(Duration::from_millis(1));
                handshake.parts().0.socket_readable();
            }
            other => return other,
        }
    }
}

/// A server's end, which does not block, and a client at work on the other; it sends `x` and gives
/// what it reads.
fn connection() -> (TcpStream, JoinHandle<std::io::Result<u8>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let client = thread::spawn(move || {
        let mut context = SslContextBuilder::new(SslMethod::tls_client()).unwrap();
        context.set_verify(SslVerifyMode::NONE);
        let mut ssl = Ssl::new(&context.build()).unwrap();
        ssl.set_hostname("localhost").unwrap();
        let mut stream = SslStream::new(ssl, TcpStream::connect(address)?).unwrap();
        stream.connect().map_err(std::io::Error::other)?;
        stream.write_all(b"x")?;
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        Ok(byte[0])
    });
    let (server, _) = listener.accept().unwrap();
    server.set_nonblocking(true).unwrap();
    (server, client)
}

#[test]
fn a_job_pauses_and_is_resumed_once_completed() {
    let context = server();
    for mode in MODES {
        REFUSALS.set(3);
        let (socket, client) = connection();
        let mut handshake = Handshake::accept(&context, socket, Some(mode)).unwrap();
        for _ in 0..3 {
            // In fd mode the status is there too, although nobody need ask for it.
            assert!(matches!(run(&mut handshake), Step::QueueFull));
        }
        assert!(matches!(run(&mut handshake), Step::Paused));
        assert!(handshake.has_job() && handshake.ssl().is_none());
        if mode == Completion::Callback {
            for _ in 0..3 {
                assert!(
                    matches!(handshake.step(), Step::Paused),
                    "nothing is resumed"
                );
            }
            assert!(handshake.wait_fds().unwrap().is_empty());
        } else {
            assert_eq!(handshake.wait_fds().unwrap().len(), 1);
        }
        let completer = take_completer();
        let other = completer.clone();
        assert!(thread::spawn(move || other.complete()).join().unwrap());
        assert!(matches!(run(&mut handshake), Step::Done));
        assert!(!completer.complete(), "too late");
        let mut connection = handshake.finish().map_err(|_| "not done").unwrap();
        let (session, mut socket) = connection.parts();
        let mut byte = Vec::new();
        while let Err(Stop::WantRead) = session.read(&mut byte) {
            thread::sleep(Duration::from_millis(1));
            session.socket_readable();
        }
        assert_eq!(byte, b"x");
        assert_eq!(session.write(b"y").unwrap(), 1);
        session.shutdown().unwrap();
        socket.write_all(session.output()).unwrap();
        assert_eq!(client.join().unwrap().unwrap(), b'y');
    }
}

/// Counts what is dropped unfinished, so it is the only test of this process that does.
#[test]
fn an_unfinished_job_is_leaked_unless_it_is_ended() {
    let context = server();
    for mode in MODES {
        let before = leaked();
        for detached in [true, false] {
            let (socket, client) = connection();
            let mut handshake = Handshake::accept(&context, socket, Some(mode)).unwrap();
            assert!(matches!(run(&mut handshake), Step::Paused));
            let completer = take_completer();
            if !detached {
                drop(handshake);
                assert!(client.join().unwrap().is_err());
                assert_eq!(leaked(), before + 1);
                // What comes late finds the SSL still there.
                assert!(completer.complete());
                continue;
            }
            let (mut dead, socket) = handshake.detach();
            drop(socket);
            assert!(client.join().unwrap().is_err());
            completer.complete();
            assert!(matches!(dead.step(), Step::Failed(_)));
            assert!(!dead.has_job());
            drop(dead);
            assert_eq!(leaked(), before);
        }
    }
}

#[test]
fn outside_of_a_job_nothing_pauses() {
    assert!(job::is_capable());
    assert!(!job::in_job());
    assert_eq!(job::pause(|_| panic!("there is no job")), None);
    assert!(!job::pause_refused());
}

#[test]
fn jobs_are_bounded() {
    job::init_thread(1, 1).unwrap();
    job::init_thread(0, 0).unwrap();
    let context = server();
    let (one, two) = (connection(), connection());
    let mode = Some(Completion::Callback);
    let mut first = Handshake::accept(&context, one.0, mode).unwrap();
    let mut second = Handshake::accept(&context, two.0, mode).unwrap();
    assert!(matches!(run(&mut first), Step::Paused));
    let completer = take_completer();
    assert!(matches!(run(&mut second), Step::NoJob));
    assert!(!second.has_job());
    completer.complete();
    assert!(matches!(run(&mut first), Step::Done));
    assert!(matches!(run(&mut second), Step::Paused));
    take_completer().complete();
    assert!(matches!(run(&mut second), Step::Done));
    drop((first, second));
    assert!(one.1.join().unwrap().is_err() && two.1.join().unwrap().is_err());
}

struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn a_completion_wakes_whoever_polls_its_signal() {
    let context = server();
    let (socket, client) = connection();
    let mode = Some(Completion::Callback);
    let mut handshake = Handshake::accept(&context, socket, mode).unwrap();
    assert!(matches!(run(&mut handshake), Step::Paused));
    let signal = handshake.signal().expect("callback mode").clone();
    let count = Arc::new(Count(AtomicUsize::new(0)));
    let waker = Waker::from(count.clone());
    let mut cx = Context::from_waker(&waker);
    assert_eq!(signal.poll(&mut cx), Poll::Pending);
    let completer = take_completer();
    thread::spawn(move || completer.complete()).join().unwrap();
    assert_eq!(count.0.load(Ordering::Relaxed), 1);
    assert_eq!(signal.poll(&mut cx), Poll::Ready(()));
    assert!(matches!(run(&mut handshake), Step::Done));
    assert!(!signal.is_raised());
    drop(handshake);
    assert!(client.join().unwrap().is_err());
}

#[test]
fn names_are_printed_by_the_rfc() {
    let (leaf, _) = certificate();
    let name = qat_sys::certificate::rfc2253(leaf.subject_name()).unwrap();
    assert_eq!(name, "CN=Zo\\C3\\AB,O=A\\+B\\, \\\"C\\\"");
}

#[test]
fn what_a_context_refuses() {
    let (leaf, key) = certificate();
    let (_, other) = certificate();
    let mut context = SslContextBuilder::new(SslMethod::tls_server()).unwrap();
    assert!(context::use_cert_and_key(&mut context, &leaf, &other, &[]).is_err());
    context::use_cert_and_key(&mut context, &leaf, &key, &[]).unwrap();
    assert!(
        context::use_cert_and_key(&mut context, &leaf, &key, &[]).is_err(),
        "taken"
    );
    tickets::set_ticket_keys(&mut context, &[[7; tickets::TICKET_KEY_LEN]]).unwrap();
}
