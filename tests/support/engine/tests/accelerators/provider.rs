//! A provider as a backend: this crate's own, loaded from its library as any other.

use std::process::Command;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use openssl::derive::Deriver;
use openssl::error::ErrorStack;
use openssl::pkey::PKey;
use openssl::ssl::SslVersion;
use qat_sys::Step;
use qat_sys::handshake::leaked;
use qat_sys::offload::Outcome::{Declined, Done, Failed};
use qat_sys::offload::{Algorithm, Backend, Path, X25519Key};
use qat_sys::provider::{ProviderBackend, ProviderError};
use simulated::Module;

use crate::handshakes::{SCRIPTS, as_plugin, counted, none_fails, offload, together, workers};
use crate::job::{Job, MODES, work};
use crate::{exchange, keys, leaks, rsa, sign, signs};

/// Queries that find RSA in both ways, as signatures, and as a cipher, which signs as well
/// when nothing is padded.
const QUERIES: [&str; 3] = [
    "provider=simulated",
    "provider=simulated,output!=text",
    "provider=simulated,output!=signature",
];

type Backends = [Arc<ProviderBackend>; 3];

struct Turn {
    backend: Arc<ProviderBackend>,
    /// One for each query.
    backends: Backends,
    module: &'static Module,
    _turn: MutexGuard<'static, ()>,
}

/// The provider's device is the process' one: its tests take turns. None, and said so, where
/// there is no library.
fn turn(script: &str) -> Option<Turn> {
    static TURN: Mutex<()> = Mutex::new(());
    static LOADED: OnceLock<Option<(Backends, Module)>> = OnceLock::new();
    let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let loaded = LOADED.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        if !simulated::install_module(folder.path()).unwrap() {
            return None;
        }
        let load = |query: &str| {
            let query = Some(query).filter(|query| *query != QUERIES[0]);
            let loaded = ProviderBackend::load("simulated", Some(folder.path()), query);
            Arc::new(loaded.unwrap())
        };
        let module = Module::open(&simulated::module()?);
        Some((QUERIES.map(load), module))
    });
    let Some((backends, module)) = loaded else {
        eprintln!("SKIPPED: no library of this crate");
        return None;
    };
    module.set_script(script);
    Some(Turn {
        backend: backends[0].clone(),
        backends: backends.clone(),
        module,
        _turn: turn,
    })
}

#[test]
fn a_provider_does_all_and_pauses() {
    let Some(turn) = turn("rsa=never") else {
        return;
    };
    for (backend, query) in turn.backends.iter().zip(QUERIES) {
        assert_eq!(backend.properties(), query);
        assert_eq!(backend.algorithms(), Algorithm::ALL);
        for mode in MODES {
            let (asked, keys) = (backend.clone(), keys());
            let mut job = Job::start(mode, move || (signs(&*asked, &keys), exchange(&*asked)));
            assert!(!job.is_done(), "it has paused");
            job.step();
            turn.module.release();
            while !job.is_done() {
                job.step();
            }
            assert!(job.paused > 0);
            assert_eq!(job.finish(), ([(Done, true); 3], (Done, Done, true)));
        }
    }
}

#[test]
fn a_provider_that_fails_leaves_no_errors_behind() {
    let cases = [
        ("*=error", (Failed, false), (Failed, Failed, false)),
        ("*=reset", (Failed, false), (Failed, Failed, false)),
        ("*=declined", (Failed, false), (Failed, Failed, false)),
        ("*=wrong", (Done, false), (Done, Done, false)),
        ("*=now", (Done, true), (Done, Done, true)),
        ("*=twice", (Done, true), (Done, Done, true)),
        ("*=batch:2", (Done, true), (Done, Done, true)),
        ("*=afterwards:1", (Done, true), (Done, Done, true)),
        ("*=queue_full:2,now", (Done, true), (Done, Done, true)),
        // Caught at the provider's own boundary.
        ("*=panic", (Failed, false), (Failed, Failed, false)),
    ];
    for mode in MODES {
        for (script, signed, exchanged) in cases {
            let Some(turn) = turn(script) else { return };
            for backend in &turn.backends {
                turn.module.set_script(script);
                let (asked, keys) = (backend.clone(), keys());
                let (got, errors) = work(mode, move || {
                    let got = (signs(&*asked, &keys), exchange(&*asked));
                    (got, ErrorStack::get())
                });
                assert_eq!(got, ([signed; 3], exchanged), "{script}");
                assert!(errors.errors().is_empty(), "{script}: {errors}");
            }
        }
    }
}

#[test]
fn no_handshake_fails_with_a_provider() {
    let Some(turn) = turn("") else { return };
    for (script, signed, exchanged) in SCRIPTS {
        let told = |script: &str| {
            turn.module.set_script(script);
            turn.backend.clone() as Arc<dyn Backend>
        };
        none_fails(script, as_plugin(signed), as_plugin(exchanged), told);
    }
}

#[test]
fn a_provider_serves_workers_that_share_a_key() {
    let Some(turn) = turn("*=batch:2") else {
        return;
    };
    workers(turn.backend.clone());
}

#[test]
fn a_reset_of_a_provider_under_load_fails_nobody() {
    let Some(turn) = turn("rsa=never,never,never,never,never,reset,later:1") else {
        return;
    };
    let (offload, server) = offload(turn.backend.clone());
    together(&server, 12);
    assert_eq!(counted(&offload, Algorithm::Rsa, Path::Redone), 6);
    assert_eq!(counted(&offload, Algorithm::Rsa, Path::Accelerated), 6);
}

#[test]
fn what_a_provider_never_answers_stays_paused() {
    let _leaks = leaks();
    for script in ["generate=never", "derive=never", "rsa=never"] {
        for mode in MODES {
            let Some(turn) = turn(script) else { return };
            let before = leaked();
            let (_offload, server) = offload(turn.backend.clone());
            let start = || {
                let mut job = Job::handshake(&server, mode, SslVersion::TLS1_3);
                // So many in a row: it is not one that is answered.
                let mut paused = 0;
                while paused < 50 {
                    match job.step() {
                        Step::Paused => paused += 1,
                        Step::Done => panic!("{script}: it has gone on"),
                        _ => paused = 0,
                    }
                }
                job
            };
            let (kept, dropped) = (start(), start());
            dropped.abandon();
            assert_eq!(leaked(), before + 1, "{script}");
            // Also to the dropped one, whose SSL must still be there. On a busy machine one may
            // be at an earlier operation.
            turn.module.set_script("");
            turn.module.release();
            kept.finish();
        }
    }
}

#[test]
fn another_process_finds_it_by_its_name() {
    let folder = tempfile::tempdir().unwrap();
    if !simulated::install_module(folder.path()).unwrap() {
        eprintln!("SKIPPED: no library of this crate");
        return;
    }
    let tool = Command::new("openssl")
        .args(["list", "-providers", "-signature-algorithms"])
        .args(["-provider", "simulated"])
        .env("OPENSSL_MODULES", folder.path())
        .output();
    let Ok(output) = tool else {
        eprintln!("SKIPPED: no openssl program");
        return;
    };
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{output:?}");
    for words in ["tests only, no security", "rsaEncryption } @ simulated"] {
        assert!(told.contains(words), "{told}");
    }
}

#[test]
fn outside_of_a_job_a_provider_is_not_asked() {
    let Some(turn) = turn("*=never") else {
        return;
    };
    assert_eq!(signs(&*turn.backend, &keys()), [(Declined, false); 3]);
    let (generated, derived, _) = exchange(&*turn.backend);
    assert_eq!((generated, derived), (Declined, Declined));
}

#[test]
fn keys_of_others_are_taken() {
    let Some(turn) = turn("") else {
        return;
    };
    // Generated in software or by another backend, derived by the provider.
    let own = PKey::generate_x25519().unwrap();
    let peer = PKey::generate_x25519().unwrap();
    let mut deriver = Deriver::new(&peer).unwrap();
    deriver.set_peer(&own).unwrap();
    let expected = deriver.derive_to_vec().unwrap();
    for foreign in [false, true] {
        let mut key = X25519Key::default();
        key.private.copy_from_slice(&own.raw_private_key().unwrap());
        if foreign {
            key.attached = Some(Box::new(()));
        }
        let half = peer.raw_public_key().unwrap().try_into().unwrap();
        let asked = turn.backend.clone();
        let (outcome, secret) = work(MODES[0], move || {
            let mut secret = [0; 32];
            (asked.x25519_derive(&key, &half, &mut secret), secret)
        });
        assert_eq!((outcome, secret.to_vec()), (Done, expected.clone()));
    }
    // What another backend attached is not touched, be it of the same kind.
    let key = Arc::new(rsa());
    for (backend, expected) in [
        (&turn.backends[1], (Done, true)),
        (&turn.backend, (Failed, false)),
    ] {
        let (asked, key) = (backend.clone(), key.clone());
        assert_eq!(work(MODES[0], move || sign(&*asked, &key)), expected);
    }
}

#[test]
fn what_others_offer_is_not_taken_for_its_own() {
    let Some(_turn) = turn("") else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    simulated::install_module(folder.path()).unwrap();
    let load = |properties| ProviderBackend::load("simulated", Some(folder.path()), properties);
    for properties in ["provider=default", "provider=nobody", "no such : query"] {
        let backend = load(Some(properties)).unwrap();
        assert_eq!(backend.algorithms(), [], "{properties}");
        assert!(ErrorStack::get().errors().is_empty());
    }
    let nul = load(Some("a\0b")).err();
    assert!(matches!(nul, Some(ProviderError::Nul)), "{nul:?}");
    // `default` is loaded in any case, and is a provider as well.
    let default = ProviderBackend::load("default", None, None).unwrap();
    assert_eq!(default.algorithms(), Algorithm::ALL);
    let missing = ProviderBackend::load("no-such-provider", Some(folder.path()), None).err();
    let missing = missing.expect("it is not there").to_string();
    assert!(missing.contains("no-such-provider"), "{missing}");
}
