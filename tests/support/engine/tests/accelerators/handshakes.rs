//! TLS handshakes whose private-key work a faulty accelerator does: none may fail.

use std::sync::Arc;

use openssl::pkey::{PKey, Private};
use openssl::ssl::{SslContext, SslVersion};
use qat_sys::handshake::leaked;
use qat_sys::offload::{Algorithm, Backend, Offload, Path};
use qat_sys::{Step, context};
use simulated::Simulated;

use crate::engine::{qatengine, turn};
use crate::job::{Job, MODES, certificate};
use crate::{CURVES, ec_key, generated, leaks};

const VERSIONS: [SslVersion; 2] = [SslVersion::TLS1_2, SslVersion::TLS1_3];

/// What a script makes of a handshake's three operations. A wrong result of X25519 is not
/// among them: nobody could tell it from a right one.
pub(crate) const SCRIPTS: &[(&str, Path, Path)] = {
    use Path::{Accelerated, Redone, Software};
    &[
        ("", Accelerated, Accelerated),
        ("*=now", Accelerated, Accelerated),
        ("*=later:10", Accelerated, Accelerated),
        ("*=twice", Accelerated, Accelerated),
        ("*=afterwards:5", Accelerated, Accelerated),
        ("*=batch:2", Accelerated, Accelerated),
        ("*=queue_full:3,later:1", Accelerated, Accelerated),
        ("*=declined", Software, Software),
        ("*=error", Redone, Redone),
        ("*=reset", Redone, Redone),
        ("*=panic", Redone, Redone),
        ("rsa=wrong", Redone, Accelerated),
        ("rsa=error;*=declined", Redone, Software),
    ]
};

/// An engine or a provider cannot decline: it fails.
pub(crate) fn as_plugin(path: &Path) -> Path {
    match path {
        Path::Software => Path::Redone,
        other => *other,
    }
}

fn server(offload: &Offload) -> SslContext {
    server_with(offload, PKey::from_rsa(generated().clone()).unwrap())
}

fn server_with(offload: &Offload, key: PKey<Private>) -> SslContext {
    let leaf = certificate(&key).to_der().unwrap();
    let leaf = offload.certificate(&leaf).unwrap();
    let key = key.private_key_to_pkcs8().unwrap();
    let key = offload.private_key(&key).unwrap();
    let mut server = offload.server_context().unwrap();
    context::use_cert_and_key(&mut server, &leaf, &key, &[]).unwrap();
    server.build()
}

pub(crate) fn offload(backend: Arc<dyn Backend>) -> (Offload, SslContext) {
    let offload = Offload::new(backend, &Algorithm::ALL).unwrap();
    let server = server(&offload);
    (offload, server)
}

pub(crate) fn counted(offload: &Offload, algorithm: Algorithm, path: Path) -> u64 {
    offload.counters().get(algorithm, path)
}

/// Handshakes with every kind of certificate, whose signatures and key exchanges go those
/// ways. `backend` is given the script, with the name of what signs.
pub(crate) fn none_fails(
    script: &str,
    signed: Path,
    exchanged: Path,
    backend: impl Fn(&str) -> Arc<dyn Backend>,
) {
    let rsa = PKey::from_rsa(generated().clone()).unwrap();
    let ec = CURVES.map(|curve| (Algorithm::Ecdsa, ec_key(curve)));
    for (algorithm, key) in [(Algorithm::Rsa, rsa)].into_iter().chain(ec) {
        let script = script.replace("rsa=", &format!("{}=", algorithm.as_str()));
        for mode in MODES {
            let offload = Offload::new(backend(&script), &Algorithm::ALL).unwrap();
            let server = server_with(&offload, key.clone());
            for version in VERSIONS {
                Job::handshake(&server, mode, version).finish();
            }
            let told = format!("{script} {mode:?} {:?}", offload.counters());
            assert_eq!(counted(&offload, algorithm, signed), 2, "{told}");
            assert_eq!(counted(&offload, Algorithm::X25519, exchanged), 4, "{told}");
        }
    }
}

#[test]
fn no_handshake_fails() {
    for (script, signed, exchanged) in SCRIPTS {
        let told = |script: &str| Arc::new(Simulated::new(script)) as Arc<dyn Backend>;
        none_fails(script, *signed, *exchanged, told);
    }
}

#[test]
fn no_handshake_fails_with_an_engine() {
    let Some(turn) = turn("") else { return };
    for (script, signed, exchanged) in SCRIPTS {
        let told = |script: &str| {
            turn.tell(script);
            turn.0.clone() as Arc<dyn Backend>
        };
        none_fails(script, as_plugin(signed), as_plugin(exchanged), told);
    }
}

/// Handshakes side by side; each is stepped until all are at their end.
pub(crate) fn together(server: &SslContext, count: usize) {
    let start = |index: usize| Job::handshake(server, MODES[index % 2], VERSIONS[index / 2 % 2]);
    let mut jobs: Vec<_> = (0..count).map(start).collect();
    while !jobs.is_empty() {
        let steps = jobs.iter_mut().map(|job| job.step());
        let done: Vec<bool> = steps
            .map(|step| match step {
                Step::Done => true,
                Step::Failed(failure) => panic!("{failure:?}"),
                _ => false,
            })
            .collect();
        let mut index = 0;
        let finished = jobs.extract_if(.., |_| {
            index += 1;
            done[index - 1]
        });
        finished.for_each(Job::finish);
    }
}

#[test]
fn full_batches_serve_many() {
    // Longer than the test may take: only full batches get through.
    let simulated = Arc::new(Simulated::new("rsa=batch:3600000"));
    let (offload, server) = offload(simulated.clone());
    together(&server, 32);
    assert_eq!(counted(&offload, Algorithm::Rsa, Path::Accelerated), 32);
    assert_eq!(simulated.counts().batches, [(8, 4)].into());
}

#[test]
fn qatengine_serves_workers_that_share_a_key() {
    let Some(engine) = qatengine() else { return };
    workers(engine);
}

#[test]
fn an_engine_serves_workers_that_share_a_key() {
    let Some(turn) = turn("*=batch:2") else {
        return;
    };
    workers(turn.0.clone());
}

/// Two threads, whose handshakes use one context, and so one key.
pub(crate) fn workers(backend: Arc<dyn Backend>) {
    let (offload, server) = offload(backend);
    std::thread::scope(|scope| {
        let threads = [(); 2].map(|()| scope.spawn(|| together(&server, 32)));
        // The scope waits for the closures alone; OpenSSL cleans up after them, and must
        // have done so before its context is freed.
        for thread in threads {
            thread.join().unwrap();
        }
    });
    assert_eq!(counted(&offload, Algorithm::Rsa, Path::Accelerated), 64);
    assert_eq!(counted(&offload, Algorithm::X25519, Path::Accelerated), 128);
}

#[test]
fn a_reset_under_load_fails_nobody() {
    let script = "rsa=never,never,never,never,never,reset,later:1";
    let (offload, server) = offload(Arc::new(Simulated::new(script)));
    together(&server, 12);
    assert_eq!(counted(&offload, Algorithm::Rsa, Path::Redone), 6);
    assert_eq!(counted(&offload, Algorithm::Rsa, Path::Accelerated), 6);
}

#[test]
fn what_is_never_answered_stays_paused() {
    let _leaks = leaks();
    for script in ["generate=never", "derive=never", "rsa=never"] {
        for mode in MODES {
            let before = leaked();
            let simulated = Arc::new(Simulated::new(script));
            let (_offload, server) = offload(simulated.clone());
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
            simulated.set_script("");
            simulated.device().release();
            kept.finish();
        }
    }
}

/// OpenSSL cleans up after a thread when it ends, in every library context it has used.
#[test]
fn a_thread_may_outlive_an_offload() {
    let (offload, server) = offload(Arc::new(Simulated::new("*=later:1")));
    let (told, done) = std::sync::mpsc::channel();
    let (go, gone) = std::sync::mpsc::channel::<()>();
    let thread = std::thread::spawn(move || {
        together(&server, 4);
        drop(server);
        told.send(()).unwrap();
        // Until all that is of the offload is gone.
        let _ = gone.recv();
    });
    done.recv().unwrap();
    drop(offload);
    drop(go);
    thread.join().unwrap();
}
