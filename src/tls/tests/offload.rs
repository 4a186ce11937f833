//! Handshakes that pause in an async job, with a simulated accelerator.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use qat_sys::Completion;
use qat_sys::job::{self, Completer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::{JoinHandle, spawn_local, yield_now};
use tokio::time::{Instant, sleep};

use super::pause::{HookGuard, set_hook};
use super::support::*;
use crate::tls::*;

const MODES: [Completion; 2] = [Completion::Callback, Completion::Fd];
const LIMIT: Duration = Duration::from_secs(10);

/// An acceptor whose handshakes run in jobs, and its graveyard at work.
fn offloading(mode: Completion, timeout: Duration) -> (Acceptor, Rc<Graveyard>) {
    init_thread(0, 1).unwrap();
    let mut params = plain_params();
    params.handshake_timeout = timeout;
    let graveyard = Graveyard::new();
    spawn_local(graveyard.clone().run());
    (
        acceptor(&params).with_async(mode, graveyard.clone()),
        graveyard,
    )
}

fn client() -> openssl::ssl::Ssl {
    client_ssl(&client_context().build(), Some("localhost"))
}

/// Runs the test in both modes, on a runtime of its own each.
fn each_mode<F: Future<Output = ()>>(test: impl Fn(Completion) -> F) {
    for mode in MODES {
        run(test(mode));
    }
}

/// What becomes of the jobs that `pausing` pauses.
#[derive(Clone, Default)]
struct Jobs {
    completers: Rc<RefCell<Vec<Completer>>>,
    resumed: Rc<Cell<u32>>,
}

impl Jobs {
    fn paused(&self) -> usize {
        self.completers.borrow().len()
    }

    fn resumed(&self) -> u32 {
        self.resumed.get()
    }

    fn completer(&self, index: usize) -> Completer {
        self.completers.borrow()[index].clone()
    }
}

/// From now on every handshake of this thread pauses, until it is completed.
fn pausing() -> (HookGuard, Jobs) {
    let jobs = Jobs::default();
    let Jobs {
        completers,
        resumed,
    } = jobs.clone();
    let guard = set_hook(move || {
        let completed = job::pause(|completer| completers.borrow_mut().push(completer));
        assert_eq!(completed, Some(true), "resumed before its completion");
        resumed.set(resumed.get() + 1);
    });
    (guard, jobs)
}

async fn wait_for(what: impl Fn() -> bool) {
    let deadline = Instant::now() + LIMIT;
    while !what() {
        assert!(Instant::now() < deadline, "it does not happen");
        sleep(Duration::from_millis(1)).await;
    }
}

#[test]
fn completed_by_another_thread() {
    each_mode(|mode| async move {
        let (acceptor, graveyard) = offloading(mode, LIMIT);
        let _hook = set_hook(|| {
            for _ in 0..3 {
                let completed = job::pause(|completer| {
                    std::thread::spawn(move || {
                        std::thread::sleep(Duration::from_millis(5));
                        completer.complete()
                    });
                });
                assert_eq!(completed, Some(true));
            }
        });
        let (server, _client) = established(&acceptor, client()).await;
        assert_eq!(server.info().pauses, 3);
        let counts = acceptor.counters();
        assert_eq!(
            (counts.pauses(), counts.queue_full(), counts.no_job()),
            (3, 0, 0)
        );
        assert!(counts.paused() >= Duration::from_millis(12));
        assert_eq!(graveyard.register().buried(), 0);
    });
}

#[test]
fn completed_before_the_pause() {
    each_mode(|mode| async move {
        let (acceptor, _graveyard) = offloading(mode, LIMIT);
        let _hook = set_hook(|| {
            let completed = job::pause(|completer| assert!(completer.complete()));
            assert_eq!(completed, Some(true));
        });
        let (server, _client) = established(&acceptor, client()).await;
        assert_eq!(server.info().pauses, 1);
    });
}

#[test]
fn completed_twice() {
    each_mode(|mode| async move {
        let (acceptor, _graveyard) = offloading(mode, LIMIT);
        let (_hook, jobs) = pausing();
        let completing = async {
            wait_for(|| jobs.paused() == 1).await;
            let completer = jobs.completer(0);
            assert!(completer.complete() && completer.complete());
            wait_for(|| jobs.resumed() == 1).await;
            assert!(!completer.complete());
        };
        let ((mut server, mut client), ()) =
            tokio::join!(established(&acceptor, client()), completing);
        server.write_all(b"x").await.unwrap();
        server.flush().await.unwrap();
        assert_eq!(client.read_u8().await.unwrap(), b'x');
    });
}

/// Neither polls of the task nor what arrives on the socket resume the job.
#[test]
fn nothing_else_resumes() {
    each_mode(|mode| async move {
        let (acceptor, _graveyard) = offloading(mode, LIMIT);
        let (_hook, jobs) = pausing();
        let (server, mut raw) = sockets().await;
        raw.write_all(&hello().await).await.unwrap();
        let accept = acceptor.accept(server);
        let disturbing = async {
            wait_for(|| jobs.paused() == 1).await;
            for _ in 0..20 {
                // An alert, which a resumed handshake would choke on. This task shares
                // its waker with the handshake, which is polled as often.
                raw.write_all(b"\x15\x03\x03\x00\x02\x02\x28")
                    .await
                    .unwrap();
                sleep(Duration::from_millis(1)).await;
                yield_now().await;
            }
            assert_eq!(jobs.resumed(), 0);
            jobs.completer(0).complete();
        };
        let (outcome, ()) = tokio::join!(accept, disturbing);
        assert_eq!(outcome.err().unwrap().outcome(), "client_alert");
        assert_eq!(jobs.resumed(), 1);
    });
}

#[test]
fn a_client_that_leaves_does_not_resume_it() {
    each_mode(|mode| async move {
        let (acceptor, graveyard) = offloading(mode, LIMIT);
        let (_hook, jobs) = pausing();
        let (server, mut raw) = sockets().await;
        raw.write_all(&hello().await).await.unwrap();
        let leaving = async {
            wait_for(|| jobs.paused() == 1).await;
            raw.set_zero_linger().unwrap();
            drop(raw);
            sleep(Duration::from_millis(20)).await;
            assert_eq!(jobs.resumed(), 0);
            jobs.completer(0).complete();
        };
        let (outcome, ()) = tokio::join!(acceptor.accept(server), leaving);
        assert_eq!(outcome.err().unwrap().outcome(), "peer_gone");
        assert_eq!((jobs.resumed(), graveyard.register().buried()), (1, 0));
    });
}

#[test]
fn never_completed_in_time() {
    each_mode(|mode| async move {
        let (acceptor, graveyard) = offloading(mode, Duration::from_millis(50));
        let (_hook, jobs) = pausing();
        let (server, client) = handshake(&acceptor, client()).await;
        assert_eq!(server.err().unwrap().outcome(), "stalled");
        assert!(client.is_err(), "its socket is reset, not left");
        assert_eq!((graveyard.size(), graveyard.register().buried()), (1, 1));
        assert_eq!(graveyard.drain(Duration::from_millis(20)).await, 1);
        assert!(graveyard.register().oldest().unwrap() >= Duration::from_millis(20));
        assert_eq!(jobs.resumed(), 0);
        let completer = jobs.completer(0);
        std::thread::spawn(move || completer.complete());
        assert_eq!(graveyard.drain(LIMIT).await, 0);
        assert_eq!((jobs.resumed(), graveyard.register().oldest()), (1, None));
    });
}

#[test]
fn completed_after_the_task_is_dropped() {
    each_mode(|mode| async move {
        let (acceptor, graveyard) = offloading(mode, LIMIT);
        let (_hook, jobs) = pausing();
        let (task, _raw) = abandoned(&acceptor, || jobs.paused() == 1).await;
        assert!(task.await.unwrap_err().is_cancelled());
        assert_eq!(graveyard.size(), 1);
        jobs.completer(0).complete();
        assert_eq!(graveyard.drain(LIMIT).await, 0);
        assert_eq!(jobs.resumed(), 1);
    });
}

/// A task in a handshake, aborted once `paused`.
async fn abandoned(
    acceptor: &Acceptor,
    paused: impl Fn() -> bool,
) -> (JoinHandle<()>, tokio::net::TcpStream) {
    let (server, mut raw) = sockets().await;
    raw.write_all(&hello().await).await.unwrap();
    let acceptor = acceptor.clone();
    let task = spawn_local(async move { drop(acceptor.accept(server).await) });
    wait_for(paused).await;
    task.abort();
    (task, raw)
}

/// What a client begins with.
async fn hello() -> Vec<u8> {
    let (mut server, raw) = sockets().await;
    let task = spawn_local(connect(raw, client()));
    let mut hello = vec![0; 4096];
    let read = server.read(&mut hello).await.unwrap();
    hello.truncate(read);
    task.abort();
    hello
}

#[test]
fn queue_full_is_tried_again() {
    each_mode(|mode| async move {
        let (acceptor, _graveyard) = offloading(mode, LIMIT);
        let _hook = set_hook(|| {
            for _ in 0..5 {
                assert!(job::pause_refused());
            }
            job::pause(|completer| assert!(completer.complete()));
        });
        let (server, _client) = established(&acceptor, client()).await;
        assert_eq!(
            (server.info().pauses, acceptor.counters().queue_full()),
            (1, 5)
        );
    });
}

#[test]
fn queue_full_for_ever() {
    each_mode(|mode| async move {
        let (acceptor, graveyard) = offloading(mode, Duration::from_millis(50));
        let full = Rc::new(Cell::new(true));
        let queue = full.clone();
        let _hook = set_hook(move || {
            while queue.get() {
                assert!(job::pause_refused());
            }
        });
        let (server, _) = handshake(&acceptor, client()).await;
        assert_eq!(server.err().unwrap().outcome(), "stalled");
        assert_eq!(graveyard.size(), 1);
        full.set(false);
        assert_eq!(graveyard.drain(LIMIT).await, 0);
    });
}

#[test]
fn one_job_for_two_handshakes() {
    each_mode(|mode| async move {
        // A new thread, because a thread's first bound holds.
        let waited = std::thread::spawn(move || {
            run(async move {
                init_thread(1, 1).unwrap();
                let (acceptor, _graveyard) = offloading(mode, LIMIT);
                let (_hook, jobs) = pausing();
                let completing = async {
                    wait_for(|| acceptor.counters().no_job() >= 3).await;
                    assert_eq!(jobs.paused(), 1);
                    jobs.completer(0).complete();
                    wait_for(|| jobs.paused() == 2).await;
                    jobs.completer(1).complete();
                };
                let one = established(&acceptor, client());
                let two = established(&acceptor, client());
                let _all = tokio::join!(one, two, completing);
                acceptor.counters().no_job()
            })
        });
        assert!(waited.join().unwrap() >= 3);
    });
}

fn open_fds() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

#[test]
fn thousands_of_abandoned_handshakes_leave_nothing() {
    const ROUNDS: usize = 20;
    const EACH: usize = 100;
    each_mode(|mode| async move {
        let (acceptor, graveyard) = offloading(mode, LIMIT);
        let (_hook, jobs) = pausing();
        let hello = hello().await;
        let (fds, leaked) = (open_fds(), qat_sys::handshake::leaked());
        for round in 0..ROUNDS {
            let mut tasks = Vec::new();
            for _ in 0..EACH {
                let (server, mut raw) = sockets().await;
                raw.write_all(&hello).await.unwrap();
                let acceptor = acceptor.clone();
                tasks.push(spawn_local(
                    async move { drop(acceptor.accept(server).await) },
                ));
            }
            wait_for(|| jobs.paused() == EACH).await;
            tasks.iter().for_each(JoinHandle::abort);
            wait_for(|| graveyard.size() == EACH).await;
            let batch = jobs.completers.take();
            std::thread::spawn(move || batch.iter().for_each(|one| assert!(one.complete())));
            assert_eq!(graveyard.drain(LIMIT).await, 0);
            assert_eq!(jobs.resumed() as usize, (round + 1) * EACH);
        }
        assert_eq!(graveyard.register().buried() as usize, ROUNDS * EACH);
        assert_eq!(qat_sys::handshake::leaked(), leaked);
        // Other tests of this process open some of theirs.
        assert!(
            open_fds() < fds + ROUNDS * EACH / 4,
            "{fds} before, {} after",
            open_fds()
        );
    });
}

#[test]
fn software_runs_inline_in_async_mode() {
    each_mode(|mode| async move {
        let (acceptor, _graveyard) = offloading(mode, LIMIT);
        let (mut server, mut client) = established(&acceptor, client()).await;
        assert_eq!((server.info().pauses, acceptor.counters().pauses()), (0, 0));
        client.write_all(b"hello").await.unwrap();
        let mut heard = [0; 5];
        server.read_exact(&mut heard).await.unwrap();
        assert_eq!(&heard, b"hello");
    });
}
