//! The load: threads with clients that do one handshake after another.
//!
//! A closed loop: a client begins its next handshake when its last has ended, so that as
//! many are in progress as there are clients.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use hdrhistogram::Histogram;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::AbortHandle;
use tokio::time::{sleep, sleep_until};

use super::client::Client;
use super::cpu;
use super::error::Error;
use crate::rt;

/// Latencies in microseconds, to three digits.
pub type Latencies = Histogram<u64>;

/// The longest latency told apart from longer ones, microseconds.
const LONGEST: u64 = 60_000_000;
/// A client whose handshake failed waits so long.
const AFTER_FAILURE: Duration = Duration::from_millis(10);

/// An empty histogram.
pub fn latencies() -> Latencies {
    Latencies::new_with_bounds(1, LONGEST, 3).expect("bounds that fit")
}

/// When handshakes may begin, so that there are no more than so many in a second.
pub struct Pace {
    interval: Duration,
    next: Mutex<Instant>,
}

impl Pace {
    pub fn new(per_second: f64) -> Pace {
        Pace {
            interval: Duration::from_secs_f64(1.0 / per_second),
            next: Mutex::new(Instant::now()),
        }
    }

    /// Waits for the next turn, at most until `end`.
    async fn turn(&self, end: Instant) {
        let at = {
            let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
            let at = (*next).max(Instant::now());
            *next = at + self.interval;
            at
        };
        sleep_until(at.min(end).into()).await;
    }
}

/// When what is measured begins and ends; clients are at work before.
#[derive(Clone, Copy, Debug)]
pub struct Window {
    pub begin: Instant,
    pub end: Instant,
}

/// What the clients of all threads saw in the window.
pub struct Seen {
    pub latencies: Latencies,
    pub handshakes: u64,
    pub failed: u64,
    /// Why the last one failed.
    pub failure: Option<String>,
    /// CPU time of the load's threads.
    pub cpu: Duration,
}

impl Seen {
    fn nothing() -> Seen {
        Seen {
            latencies: latencies(),
            handshakes: 0,
            failed: 0,
            failure: None,
            cpu: Duration::ZERO,
        }
    }

    fn add(&mut self, other: Seen) {
        self.latencies += other.latencies;
        self.handshakes += other.handshakes;
        self.failed += other.failed;
        self.failure = other.failure.or(self.failure.take());
        self.cpu += other.cpu;
    }

    fn count(&mut self, result: std::io::Result<Duration>) {
        match result {
            Ok(took) => {
                let micros = u64::try_from(took.as_micros()).unwrap_or(LONGEST);
                self.latencies.saturating_record(micros.max(1));
                self.handshakes += 1;
            }
            Err(error) => {
                self.failed += 1;
                self.failure = Some(error.to_string());
            }
        }
    }
}

struct Job {
    client: Client,
    clients: usize,
    window: Window,
    pace: Option<Arc<Pace>>,
    /// Closed: nobody waits for the clients any more.
    stop: watch::Receiver<()>,
    reply: oneshot::Sender<Seen>,
}

struct Thread {
    jobs: mpsc::UnboundedSender<Job>,
    handle: JoinHandle<()>,
}

/// The load's threads. Dropped, it stops its clients and waits for the threads' end.
pub struct Load(Vec<Thread>);

impl Drop for Load {
    fn drop(&mut self) {
        for Thread { jobs, handle } in self.0.drain(..) {
            drop(jobs);
            // One that panicked has ended as well.
            let _ = handle.join();
        }
    }
}

impl Load {
    /// A thread on each of these CPUs.
    ///
    /// # Errors
    /// One cannot be made.
    pub fn start(places: &[Option<usize>]) -> Result<Load, Error> {
        let thread = |place: &Option<usize>| {
            let (place, (jobs, received)) = (*place, mpsc::unbounded_channel());
            let thread = std::thread::Builder::new().name("load".to_owned());
            let handle = thread.spawn(move || run(place, received))?;
            Ok(Thread { jobs, handle })
        };
        Ok(Load(
            places.iter().map(thread).collect::<Result<_, Error>>()?,
        ))
    }

    pub fn threads(&self) -> usize {
        self.0.len()
    }

    /// Runs so many clients until the window ends.
    ///
    /// # Errors
    /// A thread is gone.
    pub async fn run(
        &self,
        client: &Client,
        clients: usize,
        window: Window,
        pace: Option<&Arc<Pace>>,
    ) -> Result<Seen, Error> {
        let (_running, stop) = watch::channel(());
        let mut replies = Vec::new();
        for (index, thread) in self.0.iter().enumerate() {
            // The first threads have one more if it does not come out even.
            let share = (clients + self.0.len() - 1 - index) / self.0.len();
            let (reply, replied) = oneshot::channel();
            let job = Job {
                client: client.clone(),
                clients: share,
                window,
                pace: pace.cloned(),
                stop: stop.clone(),
                reply,
            };
            thread.jobs.send(job).map_err(|_| Error::Died)?;
            replies.push(replied);
        }
        let mut seen = Seen::nothing();
        for reply in replies {
            seen.add(reply.await.map_err(|_| Error::Died)?);
        }
        Ok(seen)
    }
}

fn run(place: Option<usize>, mut jobs: mpsc::UnboundedReceiver<Job>) {
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
    let used = tokio::task::spawn_local(used(job.window));
    let clients: Vec<_> = (0..job.clients)
        .map(|_| tokio::task::spawn_local(client(job.clone(), seen.clone())))
        .collect();
    let handles: Vec<AbortHandle> = clients.iter().map(|one| one.abort_handle()).collect();
    let mut stop = job.stop.clone();
    tokio::select! {
        _ = join_all(clients) => {}
        _ = stop.changed() => {
            handles.iter().for_each(AbortHandle::abort);
            used.abort();
        }
    }
    let cpu = used.await.unwrap_or_default();
    let seen = seen.replace(Seen::nothing());
    Seen { cpu, ..seen }
}

/// This thread's CPU time in the window.
async fn used(window: Window) -> Duration {
    sleep_until(window.begin.into()).await;
    let before = cpu::thread_time();
    sleep_until(window.end.into()).await;
    cpu::thread_time() - before
}

/// Only handshakes that begin and end in the window are counted.
async fn client(job: Rc<Job>, seen: Rc<RefCell<Seen>>) {
    let window = job.window;
    loop {
        if let Some(pace) = &job.pace {
            pace.turn(window.end).await;
        }
        let begun = Instant::now();
        if begun >= window.end {
            return;
        }
        let result = job.client.handshake().await;
        let failed = result.is_err();
        if begun >= window.begin && Instant::now() <= window.end {
            seen.borrow_mut().count(result);
        } else if let Err(error) = result {
            seen.borrow_mut().failure = Some(error.to_string());
        }
        if failed {
            sleep(AFTER_FAILURE).await;
        }
    }
}
