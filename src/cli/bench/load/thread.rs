//! A thread of the load, and the clients on it.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::AbortHandle;
use tokio::time::{sleep, sleep_until};

use super::{Job, Seen, Window};
use crate::cli::bench::cpu;
use crate::rt;

/// A client whose handshake failed waits so long.
const AFTER_FAILURE: Duration = Duration::from_millis(10);

/// Works off one job after another, on this CPU.
pub(super) fn run(place: Option<usize>, mut jobs: mpsc::UnboundedReceiver<Job>) {
    cpu::pin(place);
    // Without a runtime the sender sees a thread that is gone.
    let Ok(runtime) = rt::local_runtime() else {
        return;
    };
    runtime.block_on(async {
        while let Some(mut job) = jobs.recv().await {
            let reply = std::mem::replace(&mut job.reply, oneshot::channel().0);
            // Who asked may have given up.
            let _ = reply.send(work(job).await);
        }
    });
}

async fn work(job: Job) -> Seen {
    let (job, seen) = (Rc::new(job), Rc::new(RefCell::new(Seen::nothing())));
    let used = tokio::task::spawn_local(used(job.window.clone()));
    let clients: Vec<_> = (0..job.clients)
        .map(|_| tokio::task::spawn_local(client(job.clone(), seen.clone())))
        .collect();
    let handles: Vec<AbortHandle> = clients.iter().map(|one| one.abort_handle()).collect();
    let cpu = tokio::select! {
        _ = join_all(clients) => used.await.unwrap_or_default(),
        () = given_up(job.window.clone()) => {
            handles.iter().for_each(AbortHandle::abort);
            used.abort();
            Duration::ZERO
        }
    };
    let seen = seen.replace(Seen::nothing());
    Seen { cpu, ..seen }
}

/// Waits until nobody waits for the clients any more.
async fn given_up(mut window: watch::Receiver<Option<Window>>) {
    while window.changed().await.is_ok() {}
}

/// Waits for the window's end; None if there will be none.
async fn ended(mut window: watch::Receiver<Option<Window>>) -> Option<Window> {
    let window = *window.wait_for(Option::is_some).await.ok()?;
    sleep_until(window?.end.into()).await;
    window
}

/// This thread's CPU time in the window.
async fn used(mut window: watch::Receiver<Option<Window>>) -> Duration {
    if window.wait_for(Option::is_some).await.is_err() {
        return Duration::ZERO;
    }
    let before = cpu::thread_time();
    ended(window).await;
    cpu::thread_time() - before
}

/// Handshakes that end in the window are counted.
async fn client(job: Rc<Job>, seen: Rc<RefCell<Seen>>) {
    loop {
        if let Some(pace) = &job.pace {
            tokio::select! {
                () = pace.turn() => {}
                _ = ended(job.window.clone()) => return,
            }
        }
        let over = |window: Window| Instant::now() >= window.end;
        if job.window.borrow().is_some_and(over) {
            return;
        }
        let result = job.client.handshake().await;
        job.finished.fetch_add(1, Ordering::Relaxed);
        let failed = result.is_err();
        seen.borrow_mut().handshakes_in_all += u64::from(!failed);
        let counts = |window: Window| Instant::now() <= window.end;
        if job.window.borrow().is_some_and(counts) {
            seen.borrow_mut().count(result);
        } else if let Err(error) = result {
            seen.borrow_mut().failure.get_or_insert(error.to_string());
        }
        if failed {
            sleep(AFTER_FAILURE).await;
        }
    }
}
