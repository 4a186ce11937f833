//! The simulated backend does what its script says, and no more.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use qat_sys::handshake::leaked;
use qat_sys::job;
use qat_sys::offload::Outcome::{Declined, Done, Failed};
use simulated::{Script, Simulated};

use crate::job::{Job, MODES, work};
use crate::{exchange, keys, leaks, rsa, sign, signs};

fn backend(script: &str) -> Arc<Simulated> {
    Arc::new(Simulated::new(script))
}

#[test]
fn it_is_right_whenever_it_completes() {
    let keys = Arc::new(keys());
    for mode in MODES {
        for script in [
            "",
            "*=now",
            "*=later:20",
            "*=twice",
            "*=afterwards:1",
            "*=batch:2",
        ] {
            let backend = backend(script);
            let (asked, keys) = (backend.clone(), keys.clone());
            let got = work(mode, move || (signs(&*asked, &keys), exchange(&*asked)));
            assert_eq!(got, ([(Done, true); 3], (Done, Done, true)), "{script}");
            let counts = backend.counts();
            assert_eq!((counts.asked, counts.done), (5, 5), "{script}");
        }
    }
}

#[test]
fn a_completion_after_the_ssl_finds_nobody() {
    for mode in MODES {
        let backend = backend("*=afterwards:50");
        let (asked, key) = (backend.clone(), rsa());
        assert_eq!(work(mode, move || sign(&*asked, &key)), (Done, true));
        while backend.counts().too_late == 0 {
            std::thread::yield_now();
        }
    }
}

#[test]
fn it_fails_lies_and_declines() {
    let cases = [
        ("*=error", (Failed, false)),
        ("*=reset", (Failed, false)),
        ("*=wrong", (Done, false)),
        ("*=declined", (Declined, false)),
    ];
    for mode in MODES {
        for (script, expected) in cases {
            let (asked, keys) = (backend(script), keys());
            let got = work(mode, move || signs(&*asked, &keys));
            assert_eq!(got, [expected; 3], "{script}");
        }
    }
}

#[test]
fn a_full_queue_refuses_as_often_as_said() {
    for mode in MODES {
        let backend = backend("rsa=queue_full:3,now");
        let (asked, key) = (backend.clone(), rsa());
        assert_eq!(work(mode, move || sign(&*asked, &key)), (Done, true));
        assert_eq!(backend.counts().refused, 3);
    }
}

#[test]
fn eight_make_a_batch() {
    // Longer than the test may take: only a full batch gets through.
    let backend = backend("*=batch:3600000");
    let key = Arc::new(rsa());
    let jobs: Vec<_> = (0..8)
        .map(|index| {
            let (asked, key) = (backend.clone(), key.clone());
            let job = Job::start(MODES[index % 2], move || sign(&*asked, &key));
            assert!(index == 7 || !job.is_done());
            job
        })
        .collect();
    for job in jobs {
        assert_eq!(job.finish(), (Done, true));
    }
    assert_eq!(backend.counts().batches, [(8, 1)].into());
}

#[test]
fn a_reset_takes_all_that_are_in_flight_with_it() {
    let backend = backend("rsa=never,later:3600000,batch:3600000,reset,now");
    let key = Arc::new(rsa());
    let start = || {
        let (asked, key) = (backend.clone(), key.clone());
        Job::start(MODES[0], move || sign(&*asked, &key))
    };
    let jobs: Vec<_> = (0..4).map(|_| start()).collect();
    for job in jobs {
        assert_eq!(job.finish(), (Failed, false));
    }
    assert_eq!(start().finish(), (Done, true), "it works again");
}

#[test]
fn what_is_never_answered_stays_paused_until_released() {
    let _leaks = leaks();
    for mode in MODES {
        let before = leaked();
        let backend = backend("rsa=never");
        let key = Arc::new(rsa());
        let start = || {
            let (asked, key) = (backend.clone(), key.clone());
            Job::start(mode, move || sign(&*asked, &key))
        };
        let (mut one, other) = (start(), start());
        for _ in 0..20 {
            one.step();
        }
        assert!(!one.is_done());
        other.abandon();
        assert_eq!(leaked(), before + 1);
        // The abandoned one is answered, too, where its job still waits.
        backend.device().release();
        assert_eq!(one.finish(), (Done, true));
    }
}

#[test]
fn a_panic_comes_out_of_the_job() {
    let (asked, key) = (backend("*=panic"), rsa());
    let caught = work(MODES[0], move || {
        catch_unwind(AssertUnwindSafe(|| sign(&*asked, &key))).is_err()
    });
    assert!(caught);
}

#[test]
fn without_a_job_it_fails() {
    let (backend, key) = (backend("*=never"), rsa());
    assert!(!job::in_job());
    assert_eq!(sign(&*backend, &key), (Failed, false));
}

#[test]
fn scripts_are_checked() {
    for wrong in ["rsa", "rsa=", "rsa=sometimes", "dsa=now", "rsa=later:x"] {
        assert!(wrong.parse::<Script>().is_err(), "{wrong}");
    }
    assert!(" rsa=now, error; *=batch:10;".parse::<Script>().is_ok());
}
