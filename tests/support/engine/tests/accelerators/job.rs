//! Handshakes, and work in their async jobs: in the callback for server names.

use std::cell::RefCell;
use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::rc::Rc;
use std::sync::OnceLock;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use openssl::asn1::Asn1Time;
use openssl::ec::{EcGroup, EcKey};
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::ssl::{
    Ssl, SslContext, SslContextBuilder, SslMethod, SslStream, SslVerifyMode, SslVersion,
};
use openssl::x509::{X509, X509Builder};
use qat_sys::{Completion, Handshake, Step, context};

pub(crate) const MODES: [Completion; 2] = [Completion::Callback, Completion::Fd];
const PATIENCE: Duration = Duration::from_secs(30);

thread_local! {
    static WORK: RefCell<Option<Box<dyn FnOnce()>>> = const { RefCell::new(None) };
}

pub(crate) struct Job<T> {
    handshake: Handshake<TcpStream>,
    client: JoinHandle<bool>,
    result: Rc<RefCell<Option<T>>>,
    /// How often it was found paused, and refused.
    pub(crate) paused: usize,
    pub(crate) refused: usize,
}

impl<T: 'static> Job<T> {
    /// Runs the work until it pauses, or ends.
    pub(crate) fn start(mode: Completion, work: impl FnOnce() -> T + 'static) -> Job<T> {
        let result = Rc::new(RefCell::new(None));
        let place = result.clone();
        let work = move || {
            let done = work();
            *place.borrow_mut() = Some(done);
        };
        WORK.set(Some(Box::new(work)));
        let mut job = Job::accept(server(), mode, SslVersion::TLS1_3, result);
        let since = Instant::now();
        while WORK.with_borrow(Option::is_some) {
            assert!(since.elapsed() < PATIENCE, "the work is not begun");
            job.step();
        }
        job
    }

    fn accept(
        context: &SslContext,
        mode: Completion,
        version: SslVersion,
        result: Rc<RefCell<Option<T>>>,
    ) -> Job<T> {
        let (socket, client) = connection(version);
        Job {
            handshake: Handshake::accept(context, socket, Some(mode)).unwrap(),
            client,
            result,
            paused: 0,
            refused: 0,
        }
    }

    pub(crate) fn step(&mut self) -> Step {
        let step = self.handshake.step();
        let (mut stepper, mut socket) = self.handshake.parts();
        // The client may be gone.
        let _ = socket.write_all(&std::mem::take(stepper.output().unwrap()));
        match step {
            Step::WantRead => self.handshake.parts().0.socket_readable(),
            Step::Paused => self.paused += 1,
            Step::QueueFull => self.refused += 1,
            _ => {}
        }
        thread::sleep(Duration::from_micros(200));
        step
    }

    pub(crate) fn is_done(&self) -> bool {
        self.result.borrow().is_some()
    }

    /// The work's result, once the handshake has come to its end with it.
    pub(crate) fn finish(mut self) -> T {
        let since = Instant::now();
        loop {
            match self.step() {
                Step::Done => break,
                Step::Failed(failure) => panic!("{failure:?}"),
                _ => assert!(since.elapsed() < PATIENCE, "the handshake does not end"),
            }
        }
        drop(self.handshake);
        assert!(self.client.join().unwrap(), "the client is not content");
        self.result.take().expect("it has ended")
    }

    /// Leaves it unfinished, as nobody should.
    pub(crate) fn abandon(self) {
        drop(self.handshake);
        assert!(!self.client.join().unwrap());
    }
}

impl Job<()> {
    /// A handshake without work of the test's.
    pub(crate) fn handshake(context: &SslContext, mode: Completion, version: SslVersion) -> Self {
        Job::accept(context, mode, version, Rc::new(RefCell::new(Some(()))))
    }
}

pub(crate) fn work<T: 'static>(mode: Completion, work: impl FnOnce() -> T + 'static) -> T {
    Job::start(mode, work).finish()
}

fn server() -> &'static SslContext {
    static SERVER: OnceLock<SslContext> = OnceLock::new();
    SERVER.get_or_init(|| {
        let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap();
        let key = PKey::from_ec_key(EcKey::generate(&group).unwrap()).unwrap();
        let leaf = certificate(&key);
        let mut server = SslContextBuilder::new(SslMethod::tls_server()).unwrap();
        context::use_cert_and_key(&mut server, &leaf, &key, &[]).unwrap();
        server.set_servername_callback(|_, _| {
            let work = WORK.take().expect("one handshake at a time begins");
            work();
            Ok(())
        });
        server.build()
    })
}

/// Signed with its own key.
pub(crate) fn certificate(key: &PKey<Private>) -> X509 {
    let mut leaf = X509Builder::new().unwrap();
    leaf.set_version(2).unwrap();
    let [today, tomorrow] = [0, 1].map(|days| Asn1Time::days_from_now(days).unwrap());
    leaf.set_not_before(&today).unwrap();
    leaf.set_not_after(&tomorrow).unwrap();
    leaf.set_pubkey(key).unwrap();
    leaf.sign(key, MessageDigest::sha256()).unwrap();
    leaf.build()
}

/// The server's end, which does not block, and a client that only shakes hands.
fn connection(version: SslVersion) -> (TcpStream, JoinHandle<bool>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let client = thread::spawn(move || {
        let mut context = SslContextBuilder::new(SslMethod::tls_client()).unwrap();
        context.set_verify(SslVerifyMode::NONE);
        context.set_max_proto_version(Some(version)).unwrap();
        // The others for certificates, where TLS 1.2 has one list for both.
        context.set_groups_list("X25519:P-256:P-384").unwrap();
        let mut ssl = Ssl::new(&context.build()).unwrap();
        ssl.set_hostname("localhost").unwrap();
        let stream = TcpStream::connect(address).unwrap();
        // Some handshakes are abandoned.
        SslStream::new(ssl, stream).unwrap().connect().is_ok()
    });
    let (server, _) = listener.accept().unwrap();
    server.set_nonblocking(true).unwrap();
    (server, client)
}
