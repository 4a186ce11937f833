//! Where a batch belongs: its thread, its flusher, its life.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use qat_sys::lanes::Kind;
use qat_sys::offload::Outcome;

use crate::agreement::software_secret;
use crate::batch::{batch, derive, derive_any, generate, sign};
use crate::jobs::Job;
use crate::{library, random, rsa};

#[test]
fn outside_of_jobs_and_without_a_batch_all_is_declined() {
    assert_eq!(derive_any().finish().0, Outcome::Declined);
    let key = &rsa::keys(2048)[0];
    assert_eq!(sign(key, key.input()).finish().0, Outcome::Declined);
    let Some(batch) = batch(1) else { return };
    assert_eq!(derive(random(), random())().0, Outcome::Declined);
    let modulus = key.key.n.to_vec();
    assert_eq!(sign(key, modulus).finish().0, Outcome::Declined);
    let small = Arc::new(rsa::key_of(openssl::rsa::Rsa::generate(1024).unwrap()));
    assert_eq!(sign(&small, small.input()).finish().0, Outcome::Declined);
    assert!(batch.is_empty());
    drop(batch);
    assert_eq!(generate().finish().0, Outcome::Declined);
}

#[test]
fn a_batch_that_ends_gives_back_what_waits() {
    let Some(first) = batch(1) else { return };
    let old = derive_any();
    let Some(second) = batch(1) else { return };
    let new = derive_any();
    assert_eq!((first.len(), second.len()), (1, 1));
    drop(first);
    assert_eq!(old.finish().0, Outcome::Declined);
    second.run_all();
    assert_eq!(new.finish().0, Outcome::Done);
    let last = derive_any();
    drop(second);
    assert_eq!(last.finish().0, Outcome::Declined);
}

#[test]
fn a_batch_does_not_run_on_a_jobs_stack() {
    let Some(batch) = batch(1) else { return };
    let batch = std::rc::Rc::new(batch);
    let waits = derive_any();
    let inner = batch.clone();
    assert_eq!(Job::start(move || inner.run_all()).finish(), 0);
    assert_eq!((batch.run_all(), waits.finish().0), (1, Outcome::Done));
}

struct Count(AtomicU32);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn the_first_to_wait_wakes_the_flusher() {
    let Some(batch) = batch(1) else { return };
    let count = Arc::new(Count(AtomicU32::new(0)));
    let waker = Waker::from(count.clone());
    let mut cx = Context::from_waker(&waker);
    for round in 1..3 {
        assert_eq!(batch.poll_waiting(&mut cx), Poll::Pending);
        let jobs: Vec<_> = (0..3).map(|_| derive_any()).collect();
        assert_eq!(count.0.load(Ordering::Relaxed), round);
        assert_eq!(batch.poll_waiting(&mut cx), Poll::Ready(()));
        batch.run_all();
        assert!(jobs.into_iter().all(|job| job.finish().0 == Outcome::Done));
    }
}

#[test]
fn threads_do_not_disturb_one_another() {
    if library().is_none() {
        return;
    }
    let key = rsa::keys(2048)[1].clone();
    let work = || {
        let batch = batch(1).unwrap();
        for round in 0..20 {
            let pairs: Vec<_> = (0..round % 11 + 1).map(|_| (random(), random())).collect();
            let jobs: Vec<_> = pairs
                .iter()
                .map(|(a, b)| Job::start(derive(*a, *b)))
                .collect();
            let input = key.input();
            let signing = sign(&key, input.clone());
            assert_eq!(batch.len(), pairs.len() + 1);
            assert_eq!(batch.run_all(), pairs.len() + 1);
            for (job, (private, peer)) in jobs.into_iter().zip(pairs) {
                assert_eq!(Some(job.finish().1), software_secret(&private, &peer));
            }
            assert_eq!(signing.finish().1, key.private(&input));
        }
        batch.counters()
    };
    std::thread::scope(|scope| {
        let threads = [scope.spawn(work), scope.spawn(work)];
        for counters in threads.map(|thread| thread.join().unwrap()) {
            assert_eq!(counters.of(Kind::Rsa2048).in_lanes(), 20);
        }
    });
}
