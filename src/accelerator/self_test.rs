//! Whether an accelerator really does what it says: operations whose results are checked,
//! and that have really been offloaded.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use openssl::bn::{BigNum, BigNumContext};
use openssl::derive::Deriver;
use openssl::ec::{EcGroup, EcKey};
use openssl::error::ErrorStack;
use openssl::nid::Nid;
use openssl::pkey::{Id, PKey, Private};
use openssl::rsa::Rsa;
use qat_sys::offload::{Algorithm, Backend, EcdsaKey, Outcome, RsaKey, X25519Key};
use qat_sys::{Step, Task};

/// How long a test may take; a batch that does not fill takes 10 ms.
pub(super) const PATIENCE: Duration = Duration::from_secs(2);

/// Why an accelerator is not to be trusted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Flaw {
    #[error("{0}: it takes no operation")]
    Declined(&'static str),
    #[error("{0}: it fails")]
    Failed(&'static str),
    #[error("{0}: its result is wrong")]
    Wrong(&'static str),
    #[error("{0}: it does not finish within {PATIENCE:?}")]
    Stuck(&'static str),
    #[error("it answers without having offloaded anything")]
    NotOffloaded,
    #[error("the test could not be made: {0}")]
    NotMade(String),
}

impl From<ErrorStack> for Flaw {
    fn from(stack: ErrorStack) -> Self {
        Flaw::NotMade(stack.to_string())
    }
}

/// A key for tests and calibration alone.
pub(super) struct TestKey {
    pub(super) software: Rsa<Private>,
    pub(super) key: RsaKey,
}

/// Made once in a process.
pub(super) fn rsa_key() -> Result<&'static TestKey, ErrorStack> {
    static KEY: OnceLock<TestKey> = OnceLock::new();
    if let Some(key) = KEY.get() {
        return Ok(key);
    }
    let software = Rsa::generate(2048)?;
    let key = RsaKey::of(&software)?;
    Ok(KEY.get_or_init(|| TestKey { software, key }))
}

/// Of P-256 and P-384; likewise.
pub(super) fn ecdsa_keys() -> Result<&'static [EcdsaKey], ErrorStack> {
    static KEYS: OnceLock<Vec<EcdsaKey>> = OnceLock::new();
    if let Some(keys) = KEYS.get() {
        return Ok(keys);
    }
    let mut keys = Vec::new();
    for curve in [Nid::X9_62_PRIME256V1, Nid::SECP384R1] {
        let key = EcKey::generate(&*EcGroup::from_curve_name(curve)?)?;
        keys.extend(EcdsaKey::of(PKey::from_ec_key(key)?)?);
    }
    Ok(KEYS.get_or_init(|| keys))
}

/// One operation of an algorithm, checked against OpenSSL's own.
fn check(backend: &dyn Backend, algorithm: Algorithm) -> Result<(), Flaw> {
    match algorithm {
        Algorithm::Rsa => check_rsa(backend),
        Algorithm::X25519 => check_x25519(backend),
        Algorithm::Ecdsa => check_ecdsa(backend),
    }
}

/// Tests every algorithm, on the calling thread, which must not end afterwards: engines
/// keep something for each thread that gave them work. Those go that it does by itself, in
/// software: an engine whose mask leaves one out, for instance.
///
/// # Errors
/// The first flaw found, or all of them go.
pub(super) fn run(
    backend: &Arc<dyn Backend>,
    algorithms: &mut Vec<Algorithm>,
    poll: &dyn Fn(),
) -> Result<(), Flaw> {
    let mut offloaded = Vec::new();
    for algorithm in algorithms.iter() {
        let mut test = Test::start(backend, *algorithm)?;
        while !test.step()? {
            std::thread::sleep(Duration::from_micros(50));
            poll();
        }
        offloaded.extend(test.paused.then_some(*algorithm));
    }
    *algorithms = offloaded;
    match algorithms.is_empty() {
        true => Err(Flaw::NotOffloaded),
        false => Ok(()),
    }
}

/// The same while other tasks of the worker go on.
pub(super) async fn probe(
    backend: &Arc<dyn Backend>,
    algorithms: &[Algorithm],
) -> Result<(), Flaw> {
    for algorithm in algorithms {
        let mut test = Test::start(backend, *algorithm)?;
        while !test.step()? {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
    Ok(())
}

struct Test {
    task: Task,
    result: Rc<RefCell<Option<Result<(), Flaw>>>>,
    algorithm: Algorithm,
    deadline: Instant,
    /// It has been at least once.
    paused: bool,
}

impl Test {
    fn start(backend: &Arc<dyn Backend>, algorithm: Algorithm) -> Result<Test, Flaw> {
        // Made before, or it would be made on the job's stack.
        rsa_key()?;
        ecdsa_keys()?;
        let backend = backend.clone();
        let result = Rc::new(RefCell::new(None));
        let told = result.clone();
        let task = Task::new(move || {
            let checked = check(&*backend, algorithm);
            *told.borrow_mut() = Some(checked);
        })?;
        Ok(Test {
            task,
            result,
            algorithm,
            deadline: Instant::now() + PATIENCE,
            paused: false,
        })
    }

    /// Whether it has ended; well, if it is no error.
    fn step(&mut self) -> Result<bool, Flaw> {
        let step = self.task.step();
        if let Step::Done = step {
            let not_run = || Err(Flaw::NotMade("the test was not run".to_owned()));
            return self.result.take().unwrap_or_else(not_run).map(|()| true);
        }
        self.paused |= matches!(step, Step::Paused);
        match Instant::now() > self.deadline {
            true => Err(Flaw::Stuck(self.algorithm.as_str())),
            false => Ok(false),
        }
    }
}

fn done(outcome: Outcome, what: &'static str) -> Result<(), Flaw> {
    match outcome {
        Outcome::Done | Outcome::Verified => Ok(()),
        Outcome::Declined => Err(Flaw::Declined(what)),
        Outcome::Failed => Err(Flaw::Failed(what)),
    }
}

fn check_rsa(backend: &dyn Backend) -> Result<(), Flaw> {
    const WHAT: &str = "rsa";
    let key = &rsa_key()?.key;
    let length = usize::try_from(key.n.num_bytes()).unwrap_or_default();
    let mut message = BigNum::new()?;
    key.n.rand_range(&mut message)?;
    let size = i32::try_from(length).unwrap_or_default();
    let input = message.to_vec_padded(size)?;
    let mut output = vec![0; length];
    done(backend.rsa_private(key, &input, &mut output), WHAT)?;
    let signature = BigNum::from_slice(&output)?;
    let mut back = BigNum::new()?;
    let mut context = BigNumContext::new()?;
    back.mod_exp(&signature, &key.e, &key.n, &mut context)?;
    match back == message {
        true => Ok(()),
        false => Err(Flaw::Wrong(WHAT)),
    }
}

fn check_x25519(backend: &dyn Backend) -> Result<(), Flaw> {
    const WHAT: &str = "x25519";
    let mut ours = X25519Key::default();
    done(backend.x25519_generate(&mut ours), WHAT)?;
    let theirs = PKey::generate_x25519()?;
    let public = theirs.raw_public_key()?;
    let peer: [u8; 32] = public.try_into().map_err(|_| Flaw::Wrong(WHAT))?;
    let mut secret = [0; 32];
    done(backend.x25519_derive(&ours, &peer, &mut secret), WHAT)?;
    let public = PKey::public_key_from_raw_bytes(&ours.public, Id::X25519)?;
    let mut deriver = Deriver::new(&theirs)?;
    deriver.set_peer(&public)?;
    match deriver.derive_to_vec()? == secret {
        true => Ok(()),
        false => Err(Flaw::Wrong(WHAT)),
    }
}

fn check_ecdsa(backend: &dyn Backend) -> Result<(), Flaw> {
    const WHAT: &str = "ecdsa";
    for key in ecdsa_keys()? {
        let (mut hash, mut signature) = ([0; 32], Vec::new());
        openssl::rand::rand_bytes(&mut hash)?;
        done(backend.ecdsa_sign(key, &hash, &mut signature), WHAT)?;
        if !key.software.verifies(&hash, &signature) {
            return Err(Flaw::Wrong(WHAT));
        }
    }
    Ok(())
}
