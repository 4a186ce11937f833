//! Jobs that queue, and the worker that runs what they queued.

use std::sync::Arc;

use qat_sys::lanes::{Batch, Cost, Kind, LANES, Limits, Multibuffer, Table};
use qat_sys::offload::{Backend, Outcome, X25519Key};

use crate::agreement::{point, software_secret};
use crate::jobs::Job;
use crate::{library, random, rsa};

pub type Derived = (Outcome, [u8; 32]);

/// Lanes gain from `least` operations on.
fn gaining_from(least: usize) -> Table {
    Table::new(|_| Cost::new(1000.0, [1000.0 * least as f64 - 500.0; LANES]))
}

pub fn batch(least: usize) -> Option<Batch> {
    Some(Batch::new(
        library()?,
        gaining_from(least),
        Limits::default(),
    ))
}

pub fn derive(private: [u8; 32], peer: [u8; 32]) -> impl FnOnce() -> Derived {
    move || {
        let mut key = X25519Key::default();
        *key.private = private;
        let mut secret = [0; 32];
        (Multibuffer.x25519_derive(&key, &peer, &mut secret), secret)
    }
}

pub fn derive_any() -> Job<Derived> {
    Job::start(derive(random(), random()))
}

pub fn generate() -> Job<(Outcome, X25519Key)> {
    Job::start(|| {
        let mut key = X25519Key::default();
        (Multibuffer.x25519_generate(&mut key), key)
    })
}

pub fn sign(key: &Arc<rsa::Key>, input: Vec<u8>) -> Job<(Outcome, Vec<u8>)> {
    let key = key.clone();
    Job::start(move || {
        let mut output = vec![0; input.len()];
        (
            Multibuffer.rsa_private(&key.key, &input, &mut output),
            output,
        )
    })
}

#[test]
fn nothing_runs_until_the_worker_runs_it() {
    let Some(batch) = batch(2) else { return };
    for count in 2..=LANES + 3 {
        let pairs: Vec<_> = (0..count).map(|_| (random(), random())).collect();
        let jobs: Vec<_> = pairs
            .iter()
            .map(|(a, b)| Job::start(derive(*a, *b)))
            .collect();
        assert_eq!(
            (batch.len(), batch.waiting(Kind::X25519Derive)),
            (count, count)
        );
        assert_eq!(batch.full(), count >= LANES);
        assert!(batch.oldest().is_some());
        assert!(jobs.iter().all(|job| !job.finished() && job.woken() == 0));
        assert_eq!(batch.run_full(), count / LANES * LANES);
        batch.run_all();
        assert!(batch.is_empty() && batch.oldest().is_none());
        for (job, (private, peer)) in jobs.into_iter().zip(pairs) {
            let (outcome, secret) = job.finish();
            let alone = count % LANES == 1;
            assert!(outcome == Outcome::Done || alone && outcome == Outcome::Declined);
            if outcome == Outcome::Done {
                assert_eq!(Some(secret), software_secret(&private, &peer));
            }
        }
    }
    let counters = batch.counters();
    let counters = counters.of(Kind::X25519Derive);
    // 2 to 11 jobs: 8 ran four times as a full group, and one was left over once.
    assert_eq!(counters.fill(), [0, 2, 2, 1, 1, 1, 1, 4]);
    assert_eq!(
        counters.in_lanes() + counters.declined(),
        (2..=11).sum::<u64>()
    );
    assert_eq!(
        (counters.declined(), counters.failed(), counters.refused()),
        (1, 0, 0)
    );
    assert!(!counters.waited().is_zero());
}

#[test]
fn kinds_are_batched_apart() {
    let Some(batch) = batch(1) else { return };
    let (small, big) = (rsa::keys(2048), rsa::keys(3072));
    for _ in 0..4 {
        let inputs = small.iter().chain(&big).map(|key| (key, key.input()));
        let inputs: Vec<_> = inputs.collect();
        let signing: Vec<_> = inputs
            .iter()
            .map(|(key, input)| sign(key, input.clone()))
            .collect();
        let deriving: Vec<_> = (0..3).map(|_| derive_any()).collect();
        let generating: Vec<_> = (0..5).map(|_| generate()).collect();
        assert_eq!(batch.waiting(Kind::Rsa2048), 4);
        assert_eq!(batch.waiting(Kind::Rsa3072), 2);
        assert_eq!(batch.waiting(Kind::X25519Generate), 5);
        assert_eq!(batch.run_full(), 0);
        assert_eq!(batch.run(1, true), 4, "RSA-2048 has waited longest");
        assert_eq!(batch.run_all(), 2 + 3 + 5);
        for (job, (key, input)) in signing.into_iter().zip(inputs) {
            let (outcome, output) = job.finish();
            assert_eq!(output, key.private(&input));
            // Done alone: of the key whose public exponent the library does not do.
            assert!(matches!(outcome, Outcome::Done | Outcome::Verified));
        }
        assert!(
            deriving
                .into_iter()
                .all(|job| job.finish().0 == Outcome::Done)
        );
        for job in generating {
            let (outcome, key) = job.finish();
            assert_eq!(outcome, Outcome::Done);
            let mut base = [0; 32];
            base[0] = 9;
            assert_eq!(Some(key.public), software_secret(&key.private, &base));
        }
    }
}

#[test]
fn a_zero_secret_is_a_result() {
    let Some(batch) = batch(1) else { return };
    let low = point("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800");
    let zero = Job::start(derive(random(), low));
    let other = derive_any();
    batch.run_all();
    assert_eq!(zero.finish(), (Outcome::Done, [0; 32]));
    assert_eq!(other.finish().0, Outcome::Done);
    let doubtful = Job::start(derive(random(), [0; 32]));
    assert_eq!(doubtful.finish().0, Outcome::Declined, "never paused");
}

#[test]
fn too_few_do_not_wait() {
    let Some(batch) = batch(3) else { return };
    batch.set_in_progress(2);
    assert_eq!(
        derive_any().finish().0,
        Outcome::Declined,
        "and never paused"
    );
    batch.set_in_progress(3);
    let two = [derive_any(), derive_any()];
    assert_eq!(batch.run_all(), 2);
    assert!(two.map(|job| job.finish().0) == [Outcome::Declined; 2]);
    let never = Batch::new(
        library().unwrap(),
        Table::new(|_| Cost::NEVER),
        Limits::default(),
    );
    assert_eq!(derive_any().finish().0, Outcome::Declined);
    assert!(never.is_empty());
}

#[test]
fn the_queue_is_bounded() {
    let Some(batch) = batch(1) else { return };
    batch.set_limit(10);
    let mut jobs: Vec<_> = (0..10).map(|_| derive_any()).collect();
    assert_eq!(derive_any().finish().0, Outcome::Declined);
    assert_eq!(batch.counters().of(Kind::X25519Derive).refused(), 1);
    assert_eq!((batch.run_full(), batch.len()), (8, 2));
    jobs.push(derive_any());
    batch.run_all();
    assert!(jobs.into_iter().all(|job| job.finish().0 == Outcome::Done));
}

#[test]
fn jobs_are_woken_by_descriptors_too() {
    let Some(batch) = batch(1) else { return };
    let (private, peer) = (random(), random());
    let job = Job::with_fd(derive(private, peer));
    assert_eq!(job.woken(), 0);
    batch.run_all();
    assert_eq!(job.woken(), 1);
    assert_eq!(Some(job.finish().1), software_secret(&private, &peer));
}

#[test]
fn a_job_resumed_early_takes_its_operation_back() {
    let Some(batch) = batch(1) else { return };
    let mut early = derive_any();
    let other = derive_any();
    assert!(early.resume());
    assert_eq!((early.woken(), batch.len()), (0, 1));
    assert_eq!(early.finish().0, Outcome::Declined);
    assert_eq!(batch.run_all(), 1);
    assert_eq!(other.finish().0, Outcome::Done);
}

#[test]
fn a_job_never_resumed_disturbs_nobody() {
    let Some(batch) = batch(1) else { return };
    drop(derive_any());
    let other = derive_any();
    assert_eq!(batch.run_all(), 2);
    assert_eq!(other.finish().0, Outcome::Done);
}

/// Alone over and over again, an operation is soon done without a pause, but for trials; in
/// a crowd they meet again.
#[test]
fn what_saves_nothing_is_not_queued() {
    let Some(batch) = batch(2) else { return };
    let alone = |count: usize| {
        let before = batch.counters().of(Kind::X25519Derive).declined();
        for _ in 0..count {
            let job = derive_any();
            batch.run_all();
            assert_eq!(job.finish().0, Outcome::Declined);
        }
        batch.counters().of(Kind::X25519Derive).declined() - before
    };
    let queued = alone(2048);
    assert!(queued > 32 && queued < 400, "{queued}");
    assert_eq!(alone(1024), 64, "a trial");
    let crowd = || {
        let jobs: Vec<_> = (0..LANES).map(|_| derive_any()).collect();
        batch.run_all();
        jobs.into_iter().all(|job| job.finish().0 == Outcome::Done)
    };
    assert!(!crowd());
    assert!((0..256).any(|_| crowd()));
    assert!((0..100).all(|_| crowd()));
}
