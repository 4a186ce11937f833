//! An ENGINE as a backend: this crate's own, loaded from its library, and Intel's where
//! it runs.

use std::process::Command;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use qat_sys::engine::{self, Engine, EngineBackend, EngineError, EngineOptions, Polling};
use qat_sys::offload::Outcome::{Declined, Done, Failed};
use qat_sys::offload::{Algorithm, Backend};

use crate::job::{Job, MODES, work};
use crate::{CURVES, ecdsa, exchange, keys, rsa, sign, sign_ec, signs};

/// The engine is the process' one: its tests take turns.
pub(crate) struct Turn(pub(crate) Arc<EngineBackend>, MutexGuard<'static, ()>);

/// None, and said so, where there is no engine.
pub(crate) fn turn(script: &str) -> Option<Turn> {
    static TURN: Mutex<()> = Mutex::new(());
    static ENGINE: OnceLock<Option<Arc<EngineBackend>>> = OnceLock::new();
    let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let backend = ENGINE.get_or_init(|| {
        let path = simulated::library()?;
        let engine = Engine::load("simulated", &path).unwrap();
        let options = EngineOptions {
            software_algorithms: Some("0x29".to_owned()),
            ..EngineOptions::default()
        };
        Some(Arc::new(EngineBackend::start(engine, &options).unwrap()))
    });
    let Some(backend) = backend.clone() else {
        eprintln!("SKIPPED: no engines, or no library of this crate");
        return None;
    };
    let turn = Turn(backend, turn);
    turn.tell(script);
    Some(turn)
}

impl Turn {
    pub(crate) fn tell(&self, script: &str) {
        let mut engine = Engine::by_id("simulated").unwrap();
        engine.ctrl("SCRIPT", Some(script)).unwrap();
    }
}

#[test]
fn an_engine_does_all_and_pauses() {
    let Some(Turn(backend, _guard)) = turn("rsa=never") else {
        return;
    };
    assert_eq!(backend.algorithms(), Algorithm::ALL);
    assert!(backend.name().contains("imulated"));
    for mode in MODES {
        let (asked, keys) = (backend.clone(), keys());
        let mut job = Job::start(mode, move || (signs(&*asked, &keys), exchange(&*asked)));
        assert!(!job.is_done(), "it has paused");
        assert_eq!(backend.requests_in_flight(), Some(1));
        job.step();
        let mut engine = Engine::by_id("simulated").unwrap();
        engine.ctrl("RELEASE", None).unwrap();
        while !job.is_done() {
            job.step();
        }
        assert!(job.paused > 0);
        assert_eq!(job.finish(), ([(Done, true); 3], (Done, Done, true)));
        assert_eq!(backend.requests_in_flight(), Some(0));
    }
}

#[test]
fn an_engine_that_fails_leaves_no_errors_behind() {
    let cases = [
        ("*=error", (Failed, false), (Failed, Failed, false)),
        ("*=reset", (Failed, false), (Failed, Failed, false)),
        ("*=declined", (Failed, false), (Failed, Failed, false)),
        ("*=wrong", (Done, false), (Done, Done, false)),
        ("*=twice", (Done, true), (Done, Done, true)),
        ("*=batch:2", (Done, true), (Done, Done, true)),
        ("*=afterwards:1", (Done, true), (Done, Done, true)),
        ("*=queue_full:2,now", (Done, true), (Done, Done, true)),
        // Caught at the engine's own boundary.
        ("*=panic", (Failed, false), (Failed, Failed, false)),
    ];
    for mode in MODES {
        for (script, signed, exchanged) in cases {
            let Some(Turn(asked, _guard)) = turn(script) else {
                return;
            };
            let keys = keys();
            let (got, errors) = work(mode, move || {
                let got = (signs(&*asked, &keys), exchange(&*asked));
                (got, openssl::error::ErrorStack::get())
            });
            assert_eq!(got, ([signed; 3], exchanged), "{script}");
            assert!(errors.errors().is_empty(), "{script}: {errors}");
        }
    }
}

#[test]
fn a_full_queue_is_counted() {
    let Some(Turn(backend, _guard)) = turn("rsa=queue_full:2,now") else {
        return;
    };
    let before = backend.retries().unwrap();
    for mode in MODES {
        let (asked, key) = (backend.clone(), rsa());
        let mut job = Job::start(mode, move || sign(&*asked, &key));
        while !job.is_done() {
            job.step();
        }
        assert_eq!(job.finish(), (Done, true));
    }
    assert!(backend.retries().unwrap() >= before + 2);
}

#[test]
fn polled_from_outside_it_answers_whoever_polls() {
    let Some(_turn) = turn("") else {
        return;
    };
    let options = EngineOptions {
        polling: Polling::Heuristic,
        ..EngineOptions::default()
    };
    let engine = Engine::by_id("simulated").unwrap();
    let backend = Arc::new(EngineBackend::start(engine, &options).unwrap());
    for mode in MODES {
        let (asked, key) = (backend.clone(), rsa());
        let mut job = Job::start(mode, move || sign(&*asked, &key));
        for _ in 0..20 {
            job.step();
        }
        assert!(!job.is_done(), "nobody has polled");
        while !job.is_done() {
            backend.poll().unwrap();
            job.step();
        }
        assert_eq!(job.finish(), (Done, true));
    }
}

#[test]
fn what_an_engine_does_not_know_it_refuses() {
    let Some(_turn) = turn("") else {
        return;
    };
    let options = EngineOptions {
        section: Some("SHIM".to_owned()),
        ..EngineOptions::default()
    };
    let refused = EngineBackend::start(Engine::by_id("simulated").unwrap(), &options).err();
    let refused = refused.expect("it has no such command");
    assert!(matches!(refused, EngineError::OpenSsl(_)), "{refused}");
}

#[test]
fn another_process_finds_it_by_its_id() {
    let folder = tempfile::tempdir().unwrap();
    if !simulated::install(folder.path()).unwrap() {
        eprintln!("SKIPPED: no engines, or no library of this crate");
        return;
    }
    let tool = Command::new("openssl")
        .args(["engine", "-t", "-c", "simulated"])
        .env("OPENSSL_ENGINES", folder.path())
        .env(simulated::SCRIPT, "rsa=later:5")
        .output();
    let Ok(output) = tool else {
        eprintln!("SKIPPED: no openssl program");
        return;
    };
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{output:?}");
    assert!(
        told.contains("X25519") && told.contains("[ available ]"),
        "{told}"
    );
}

#[test]
fn outside_of_a_job_an_engine_is_not_asked() {
    let Some(Turn(backend, _guard)) = turn("*=never") else {
        return;
    };
    assert_eq!(signs(&*backend, &keys()), [(Declined, false); 3]);
    let (generated, derived, _) = exchange(&*backend);
    assert_eq!((generated, derived), (Declined, Declined));
}

#[test]
fn keys_of_others_are_taken() {
    let Some(Turn(backend, _guard)) = turn("") else {
        return;
    };
    // Generated in software, derived by the engine.
    let own = openssl::pkey::PKey::generate_x25519().unwrap();
    let mut key = qat_sys::offload::X25519Key::default();
    key.private.copy_from_slice(&own.raw_private_key().unwrap());
    let peer = openssl::pkey::PKey::generate_x25519().unwrap();
    let half = peer.raw_public_key().unwrap().try_into().unwrap();
    let asked = backend.clone();
    let (outcome, secret) = work(MODES[0], move || {
        let mut secret = [0; 32];
        (asked.x25519_derive(&key, &half, &mut secret), secret)
    });
    let mut deriver = openssl::derive::Deriver::new(&peer).unwrap();
    deriver.set_peer(&own).unwrap();
    assert_eq!(
        (outcome, secret.to_vec()),
        (Done, deriver.derive_to_vec().unwrap())
    );
    // What another backend attached is not touched.
    let (asked, key, ec) = (backend.clone(), rsa(), ecdsa(CURVES[0]));
    assert!(key.attached.set(Box::new(())).is_ok() && ec.attached.set(Box::new(())).is_ok());
    let signed = work(MODES[0], move || {
        (sign(&*asked, &key), sign_ec(&*asked, &ec))
    });
    assert_eq!(signed, ((Failed, false), (Failed, false)));
}

/// Intel's, by its id; None, and said so, where it does not offload.
pub(crate) fn qatengine() -> Option<Arc<EngineBackend>> {
    static ENGINE: OnceLock<Option<Arc<EngineBackend>>> = OnceLock::new();
    let start = || {
        if !engine::PRESENT {
            eprintln!("SKIPPED: no engines");
            return None;
        }
        let options = EngineOptions {
            software_algorithms: Some("0x29".to_owned()),
            ..EngineOptions::default()
        };
        let engine = Engine::by_id("qatengine");
        let started = engine.and_then(|engine| EngineBackend::start(engine, &options));
        let backend = match started {
            Ok(backend) => Arc::new(backend),
            Err(error) => {
                eprintln!("SKIPPED: qatengine does not start: {error}");
                return None;
            }
        };
        let (asked, key) = (backend.clone(), rsa());
        let mut job = Job::start(MODES[0], move || sign(&*asked, &key));
        job.step();
        let paused = job.paused > 0;
        assert_eq!(job.finish(), (Done, true));
        if !paused {
            eprintln!("SKIPPED: qatengine starts, but does everything in software here");
            return None;
        }
        Some(backend)
    };
    ENGINE.get_or_init(start).clone()
}

#[test]
fn qatengine_does_all_where_it_runs() {
    let Some(backend) = qatengine() else { return };
    for mode in MODES {
        let keys = Arc::new(keys());
        let start = || {
            let (asked, keys) = (backend.clone(), keys.clone());
            Job::start(mode, move || (signs(&*asked, &keys), exchange(&*asked)))
        };
        let mut jobs: Vec<_> = (0..20).map(|_| start()).collect();
        while jobs.iter().any(|job| !job.is_done()) {
            for job in jobs.iter_mut().filter(|job| !job.is_done()) {
                job.step();
            }
        }
        for job in jobs {
            assert!(job.paused > 0, "it has not paused");
            assert_eq!(job.finish(), ([(Done, true); 3], (Done, Done, true)));
        }
    }
}
