//! What the integration tests and benches share: the gateway as a process, real
//! peers on both sides of it, certificates, a simulated accelerator.
//!
//! Helpers panic: in a test that is the error report. Waits are bounded by
//! [`PATIENCE`], which only failing tests use up.

pub mod backend;
pub mod certificates;
pub mod client;
pub mod gateway;
pub mod ports;
pub mod process;
pub mod tool;

use std::time::{Duration, Instant};

pub use gateway::{Exited, Gateway, Setup};
pub use simulated;

/// How long anything that should happen may take on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Asks again and again until there is an answer.
///
/// # Panics
/// After [`PATIENCE`] without one.
pub fn eventually<T>(what: &str, mut answer: impl FnMut() -> Option<T>) -> T {
    let since = Instant::now();
    loop {
        if let Some(answer) = answer() {
            return answer;
        }
        assert!(
            since.elapsed() < PATIENCE,
            "not within {PATIENCE:?}: {what}"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// [`eventually`] for tests that run on a runtime.
pub async fn eventually_async<T>(what: &str, mut answer: impl FnMut() -> Option<T>) -> T {
    let since = Instant::now();
    loop {
        if let Some(answer) = answer() {
            return answer;
        }
        assert!(
            since.elapsed() < PATIENCE,
            "not within {PATIENCE:?}: {what}"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A future's result, if it comes in time.
///
/// # Panics
/// After [`PATIENCE`] without one.
pub async fn in_time<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, future).await {
        Ok(value) => value,
        Err(_) => panic!("not within {PATIENCE:?}: {what}"),
    }
}

/// Raises this process' limit of open files, which its children have too, to the
/// most that is allowed; gives what it is then.
pub fn raise_open_files() -> u64 {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    // Where that is refused, the old limit holds.
    let _ = setrlimit(Resource::Nofile, limit);
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}
