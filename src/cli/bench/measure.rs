//! One measurement: a case, with one accelerator, for the time of a window.

use std::sync::Arc;
use std::time::Duration;

use openssl::x509::X509;
use tokio::time::sleep_until;

use super::case::{Case, Key};
use super::client::{Client, Closer};
use super::cpu;
use super::error::Error;
use super::load::{Latencies, Load, Pace, Seen, Window};
use super::server::{Operations, Server};
use crate::cli::demo::certificate;
use crate::tls::{Alpn, Certificate, ClientAuth, TlsParams};

/// The name in the certificates.
pub const NAME: &str = "localhost";

/// Of a measurement that is longer than it was to be.
const LONGEST: Duration = Duration::from_secs(10);

/// How long each measurement takes.
#[derive(Clone, Copy, Debug)]
pub struct Times {
    /// Clients are at work before anything is counted.
    pub warm_up: Duration,
    pub duration: Duration,
}

impl Times {
    /// A measurement of this length, and its warm-up.
    pub fn of(duration: Duration) -> Times {
        let warm_up = (duration / 4).clamp(Duration::from_millis(50), Duration::from_millis(500));
        Times { warm_up, duration }
    }

    /// Many clients that began together end together for a while, one wave after another:
    /// what is measured has some of them.
    fn at_least(self, wave: Duration) -> Duration {
        self.duration.max((wave * 3).min(LONGEST))
    }
}

/// What a measurement came to.
pub struct Sample {
    pub latencies: Latencies,
    /// Handshakes per second.
    pub rate: f64,
    pub handshakes: u64,
    pub handshakes_in_all: u64,
    pub failed: u64,
    pub failure: Option<String>,
    /// What part of the load's CPUs it took.
    pub load_busy: f64,
    /// None: the server is elsewhere.
    pub server: Option<ServerSample>,
}

/// What the server's side came to.
#[derive(Clone, Copy, Debug)]
pub struct ServerSample {
    /// CPU time of a handshake.
    pub cpu: Duration,
    /// What part of the server's CPU it took.
    pub busy: f64,
    /// Handshakes given to the accelerator.
    pub accelerated: u64,
    pub operations: Operations,
}

/// A certificate made for the occasion.
pub struct Identity(Certificate);

impl Identity {
    /// # Errors
    /// OpenSSL fails.
    pub fn make(key: Key) -> Result<Identity, Error> {
        let key = key.generate()?;
        let leaf: X509 = certificate::throw_away(&key)?;
        Ok(Identity(Certificate {
            leaf,
            intermediates: Vec::new(),
            key,
            names: vec![NAME.to_owned()],
        }))
    }

    /// What a server needs to serve it as the case says.
    pub fn params(&self, case: &Case) -> TlsParams {
        TlsParams {
            certificates: vec![self.0.clone()],
            minimum_version: case.version.into(),
            maximum_version: case.version.into(),
            cipher_list: None,
            cipher_suites: None,
            groups: case.groups(),
            prefer_client_ciphers: false,
            alpn: vec![Alpn::H2, Alpn::Http11],
            session_tickets: 1,
            session_lifetime: Duration::from_secs(3600),
            ticket_keys: None,
            strict_sni: false,
            client_auth: ClientAuth::Off,
            handshake_timeout: Duration::from_secs(10),
        }
    }
}

/// Measures this process' own server.
///
/// # Errors
/// The server cannot be set up, or no handshake succeeds.
pub async fn own(
    server: &Server,
    load: &Load,
    identity: &Identity,
    case: &Case,
    times: Times,
) -> Result<Sample, Error> {
    let address = server.begin(identity.params(case)).await?;
    let client = Client::new(case, address, NAME, Closer::Server)?;
    prepare(&client, case).await?;
    let running = load.begin(&client, case.in_flight, None)?;
    let wave = running.warm_up(times.warm_up).await;
    let (before, process_before) = (server.snapshot().await?, cpu::process_time());
    let window = running.open(times.at_least(wave));
    sleep_until(window.end.into()).await;
    let (after, process_after) = (server.snapshot().await?, cpu::process_time());
    let seen = running.seen().await?;
    server.end().await?;
    let elapsed = (after.at - before.at).as_secs_f64();
    let handshakes = after.handshakes - before.handshakes;
    if handshakes == 0 {
        return Err(none(case, &seen));
    }
    let thread = after.cpu - before.cpu;
    // What is neither the server's nor the load's is the accelerator's own threads'.
    let cpu = match server.has_threads() {
        true => (process_after - process_before)
            .saturating_sub(seen.cpu)
            .max(thread),
        false => thread,
    };
    Ok(Sample {
        rate: handshakes as f64 / elapsed,
        handshakes,
        handshakes_in_all: seen.handshakes_in_all,
        failed: seen.failed.max(after.failed - before.failed),
        load_busy: load_busy(&seen, load, window),
        server: Some(ServerSample {
            cpu: cpu.div_f64(handshakes as f64),
            busy: thread.as_secs_f64() / elapsed,
            accelerated: after.accelerated - before.accelerated,
            operations: after.operations.since(before.operations),
        }),
        latencies: seen.latencies,
        failure: seen.failure,
    })
}

/// Measures a server elsewhere.
///
/// # Errors
/// No handshake succeeds.
pub async fn remote(
    client: &Client,
    load: &Load,
    case: &Case,
    times: Times,
    pace: &Arc<Pace>,
) -> Result<Sample, Error> {
    prepare(client, case).await?;
    let running = load.begin(client, case.in_flight, Some(pace))?;
    let wave = running.warm_up(times.warm_up).await;
    let window = running.open(times.at_least(wave));
    let seen = running.seen().await?;
    if seen.handshakes == 0 {
        return Err(none(case, &seen));
    }
    Ok(Sample {
        rate: seen.handshakes as f64 / window.length().as_secs_f64(),
        handshakes: seen.handshakes,
        handshakes_in_all: seen.handshakes_in_all,
        failed: seen.failed,
        load_busy: load_busy(&seen, load, window),
        server: None,
        latencies: seen.latencies,
        failure: seen.failure,
    })
}

async fn prepare(client: &Client, case: &Case) -> Result<(), Error> {
    let prepared = client.prepare().await;
    prepared.map_err(|error| Error::NoHandshake(case.to_string(), error.to_string()))
}

fn none(case: &Case, seen: &Seen) -> Error {
    let why = seen.failure.clone();
    let why =
        why.unwrap_or_else(|| "none ended within the time; give it a longer --duration".to_owned());
    Error::NoHandshake(case.to_string(), why)
}

fn load_busy(seen: &Seen, load: &Load, window: Window) -> f64 {
    seen.cpu.as_secs_f64() / window.length().as_secs_f64() / load.threads() as f64
}
