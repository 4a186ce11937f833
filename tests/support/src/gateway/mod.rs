//! The gateway as users run it: a process with a configuration file.
//!
//! 1. [`Setup`] is a working configuration, which a test changes.
//! 2. `start` writes it to a folder of its own and runs the binary until `/readyz`
//!    says yes; `try_start` also reports how it failed to.
//! 3. Dropped, the process is killed; a panicking test prints its log first.

mod metrics;
mod setup;

use std::fs::File;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use crate::PATIENCE;
use crate::certificates::Authority;
use crate::process::Process;

pub use metrics::Metrics;
pub use setup::Setup;

/// How a process ended that was to run.
#[derive(Debug)]
pub struct Exited {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

/// A running gateway.
pub struct Gateway {
    process: Process,
    folder: TempDir,
    authority: Authority,
    /// Port of listener 0.
    port: u16,
    admin: SocketAddr,
}

impl Gateway {
    fn spawn(setup: Setup) -> Result<Gateway, Exited> {
        let (executable, config) = (setup.executable(), setup.write());
        let folder = setup.folder();
        let output = |name: &str| File::create(folder.join(name)).expect("a file");
        let child = Command::new(executable)
            .args(["run", "--config"])
            .arg(config)
            .current_dir(folder)
            .envs(setup.environment().iter().cloned())
            .stdin(Stdio::null())
            .stdout(output("stdout"))
            .stderr(output("stderr"))
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}", executable.display()));
        let (folder, authority, port, admin) = setup.into_parts();
        let mut gateway = Gateway {
            process: Process(child),
            folder,
            authority,
            port,
            admin,
        };
        gateway.wait_ready()?;
        Ok(gateway)
    }

    fn wait_ready(&mut self) -> Result<(), Exited> {
        let since = Instant::now();
        loop {
            if let Some(status) = self.process.ended() {
                return Err(self.exited(status));
            }
            if let Ok((200, _)) = self.admin_get("/readyz") {
                return Ok(());
            }
            assert!(since.elapsed() < PATIENCE, "the gateway is not ready");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn exited(&self, status: ExitStatus) -> Exited {
        Exited {
            code: status.code(),
            stdout: self.output("stdout"),
            stderr: self.output("stderr"),
        }
    }

    fn output(&self, name: &str) -> String {
        let bytes = std::fs::read(self.folder.path().join(name)).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Of listener 0.
    pub fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn admin(&self) -> SocketAddr {
        self.admin
    }

    /// `https://localhost:PORT` and the path.
    pub fn url(&self, path: &str) -> String {
        format!("https://localhost:{}{path}", self.port)
    }

    /// Where it runs, and its files are.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Who issued its certificates.
    pub fn authority(&self) -> &Authority {
        &self.authority
    }

    /// PEM file of [`Gateway::authority`].
    pub fn ca_file(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// What it wrote to standard error so far.
    pub fn log(&self) -> String {
        self.output("stderr")
    }

    /// What it wrote to standard output so far.
    pub fn stdout(&self) -> String {
        self.output("stdout")
    }

    /// An admin page's status and text.
    ///
    /// # Errors
    /// Nobody answers.
    pub fn admin_get(&self, path: &str) -> std::io::Result<(u16, String)> {
        let mut stream = TcpStream::connect(self.admin)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        write!(
            stream,
            "GET {path} HTTP/1.1\r\nhost: admin\r\nconnection: close\r\n\r\n"
        )?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let status = answer.get(9..12).and_then(|status| status.parse().ok());
        let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
        Ok((status.unwrap_or(0), body.to_owned()))
    }

    pub fn metrics(&self) -> Metrics {
        let (status, text) = self.admin_get("/metrics").expect("metrics");
        assert_eq!(status, 200, "{text}");
        Metrics::new(text)
    }

    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Resident memory, bytes.
    pub fn memory(&self) -> u64 {
        let status = format!("/proc/{}/status", self.pid());
        let status = std::fs::read_to_string(status).expect("a status");
        let line = status.lines().find(|line| line.starts_with("VmRSS:"));
        let kib = line.and_then(|line| line.split_whitespace().nth(1));
        kib.and_then(|kib| kib.parse::<u64>().ok()).expect("VmRSS") * 1024
    }

    pub fn terminate(&self) {
        self.process.terminate();
    }

    pub fn interrupt(&self) {
        self.process.interrupt();
    }

    pub fn hang_up(&self) {
        self.process.hang_up();
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// If it runs on for longer than `most`.
    pub fn wait(&mut self, most: Duration) -> Exited {
        let status = self.process.wait(most);
        self.exited(status)
    }

    /// Its configuration.
    pub fn file(&self) -> PathBuf {
        self.folder.path().join(setup::FILE)
    }

    /// Sets the value at a JSON pointer in its file, as [`Setup::set`] does; it has to be told.
    pub fn set(&self, pointer: &str, value: impl Into<Value>) {
        let path = self.file();
        let text = std::fs::read(&path).expect("a configuration");
        let mut config = serde_json::from_slice(&text).expect("JSON");
        setup::set(&mut config, pointer, value.into());
        let text = serde_json::to_string_pretty(&config).expect("JSON");
        std::fs::write(&path, text).expect("written");
    }

    /// How many new versions of its configuration it has `applied`, or `refused`.
    pub fn reloads(&self, outcome: &str) -> f64 {
        let labels = [("outcome", outcome)];
        self.metrics().sum("gateway_config_reloads_total", &labels)
    }

    /// Makes it read its configuration again; returns when it has `applied` it, or `refused`.
    pub fn reload(&self, outcome: &str) {
        let before = self.reloads(outcome);
        self.hang_up();
        crate::eventually(outcome, || (self.reloads(outcome) > before).then_some(()));
    }

    pub fn is_running(&mut self) -> bool {
        self.process.ended().is_none()
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the gateway's log:\n{}{}", self.stdout(), self.log());
        }
    }
}
