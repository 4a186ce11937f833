//! The load: threads with clients that do one handshake after another.
//!
//! A closed loop: a client begins its next handshake when its last has ended, so that as
//! many are in progress as there are clients.

mod thread;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{sleep, sleep_until};

use super::client::Client;
use super::error::Error;

/// Latencies in microseconds, to three digits.
pub type Latencies = Histogram<u64>;

/// The longest latency told apart from longer ones, microseconds.
const LONGEST: u64 = 60_000_000;
/// However many clients there are.
const LONGEST_WARM_UP: Duration = Duration::from_secs(10);

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

    /// Waits for the next turn.
    async fn turn(&self) {
        let at = {
            let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
            let at = (*next).max(Instant::now());
            *next = at + self.interval;
            at
        };
        sleep_until(at.into()).await;
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
    /// Those before and after the window too.
    pub handshakes_in_all: u64,
    pub failed: u64,
    /// Why the first one failed: later failures often follow from it.
    pub failure: Option<String>,
    /// CPU time of the load's threads.
    pub cpu: Duration,
}

impl Window {
    pub fn length(self) -> Duration {
        self.end - self.begin
    }
}

impl Seen {
    fn nothing() -> Seen {
        Seen {
            latencies: latencies(),
            handshakes: 0,
            handshakes_in_all: 0,
            failed: 0,
            failure: None,
            cpu: Duration::ZERO,
        }
    }

    fn add(&mut self, other: Seen) {
        self.latencies += other.latencies;
        self.handshakes += other.handshakes;
        self.handshakes_in_all += other.handshakes_in_all;
        self.failed += other.failed;
        self.failure = self.failure.take().or(other.failure);
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
                self.failure.get_or_insert(error.to_string());
            }
        }
    }
}

struct Job {
    client: Client,
    clients: usize,
    /// None yet: the clients are to warm up. Closed: nobody waits for them any more.
    window: watch::Receiver<Option<Window>>,
    /// Handshakes that have ended, of all threads.
    finished: Arc<AtomicU64>,
    pace: Option<Arc<Pace>>,
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
            let builder = std::thread::Builder::new().name("load".to_owned());
            let handle = builder.spawn(move || thread::run(place, received))?;
            Ok(Thread { jobs, handle })
        };
        Ok(Load(
            places.iter().map(thread).collect::<Result<_, Error>>()?,
        ))
    }

    pub fn threads(&self) -> usize {
        self.0.len()
    }

    /// Sets so many clients to work.
    ///
    /// # Errors
    /// A thread is gone.
    pub fn begin(
        &self,
        client: &Client,
        clients: usize,
        pace: Option<&Arc<Pace>>,
    ) -> Result<Running, Error> {
        let (window, watched) = watch::channel(None);
        let finished = Arc::new(AtomicU64::new(0));
        let mut replies = Vec::new();
        for (index, thread) in self.0.iter().enumerate() {
            // The first threads have one more if it does not come out even.
            let share = (clients + self.0.len() - 1 - index) / self.0.len();
            let (reply, replied) = oneshot::channel();
            let job = Job {
                client: client.clone(),
                clients: share,
                window: watched.clone(),
                finished: finished.clone(),
                pace: pace.cloned(),
                reply,
            };
            thread.jobs.send(job).map_err(|_| Error::Died)?;
            replies.push(replied);
        }
        Ok(Running {
            clients: clients as u64,
            window,
            finished,
            replies,
        })
    }
}

/// Clients at work; dropped, they stop.
pub struct Running {
    clients: u64,
    window: watch::Sender<Option<Window>>,
    finished: Arc<AtomicU64>,
    replies: Vec<oneshot::Receiver<Seen>>,
}

impl Running {
    /// Waits at least so long, and, within reason, until there have been as many handshakes
    /// as clients: the first come all at once. Gives how long those took.
    pub async fn warm_up(&self, least: Duration) -> Duration {
        let begun = Instant::now();
        while self.finished.load(Ordering::Relaxed) < self.clients
            && begun.elapsed() < LONGEST_WARM_UP
        {
            sleep(Duration::from_millis(2)).await;
        }
        let wave = begun.elapsed();
        sleep(least.saturating_sub(wave)).await;
        wave
    }

    /// Counts from now on, for so long.
    pub fn open(&self, duration: Duration) -> Window {
        let begin = Instant::now();
        let end = begin + duration;
        let window = Window { begin, end };
        self.window.send_replace(Some(window));
        window
    }

    /// What the clients saw, when all have ended.
    ///
    /// # Errors
    /// A thread is gone.
    pub async fn seen(self) -> Result<Seen, Error> {
        let mut seen = Seen::nothing();
        for reply in self.replies {
            seen.add(reply.await.map_err(|_| Error::Died)?);
        }
        Ok(seen)
    }
}
