//! curl.

use std::path::PathBuf;
use std::process::Command;

use crate::Gateway;
use crate::tool::require_tool;

/// What curl got.
#[derive(Debug)]
pub struct Response {
    /// curl's exit code; 0 is success.
    pub exit: i32,
    pub status: u16,
    /// `1.1`, `2`.
    pub version: String,
    /// Heads of all responses, informational ones too, and trailers.
    pub headers: String,
    pub body: Vec<u8>,
    /// Connections curl made.
    pub connects: u32,
    /// Seconds to the first byte, and in all.
    pub first_byte: f64,
    pub total: f64,
    pub stderr: String,
}

impl Response {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:#?}"))
    }

    /// The value of the last header or trailer of that name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.header_all(name).pop()
    }

    pub fn header_all(&self, name: &str) -> Vec<&str> {
        let pairs = self
            .headers
            .lines()
            .filter_map(|line| line.split_once(": "));
        pairs
            .filter(|(found, _)| found.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.trim_end())
            .collect()
    }

    /// # Panics
    /// Unless curl succeeded with that status.
    #[track_caller]
    pub fn expect(self, status: u16) -> Response {
        assert!(self.exit == 0 && self.status == status, "{self:#?}");
        self
    }
}

/// curl for one gateway.
pub struct Curl {
    ca_file: PathBuf,
    base: String,
}

impl Curl {
    /// None where there is no curl.
    pub fn new(gateway: &Gateway) -> Option<Curl> {
        require_tool("curl")?;
        Some(Curl {
            ca_file: gateway.ca_file(),
            base: gateway.url(""),
        })
    }

    /// For a listener that speaks plaintext, or has another port.
    pub fn at(gateway: &Gateway, base: &str) -> Option<Curl> {
        let mut curl = Curl::new(gateway)?;
        base.clone_into(&mut curl.base);
        Some(curl)
    }

    /// Over HTTP/2.
    pub fn h2(&self, path: &str, arguments: &[&str]) -> Response {
        let version = match self.base.starts_with("https:") {
            true => "--http2",
            false => "--http2-prior-knowledge",
        };
        self.run(path, version, arguments)
    }

    pub fn h1(&self, path: &str, arguments: &[&str]) -> Response {
        self.run(path, "--http1.1", arguments)
    }

    /// The command as it is run, for tests that do the rest themselves.
    pub fn command(&self, path: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new("curl");
        command
            .args(["--silent", "--show-error", "--noproxy", "*"])
            .args(["--max-time", "120", "--cacert"])
            .arg(&self.ca_file)
            .args(arguments)
            .arg(format!("{}{path}", self.base));
        command
    }

    fn run(&self, path: &str, version: &str, arguments: &[&str]) -> Response {
        let folder = tempfile::tempdir().expect("a folder");
        let (head, body) = (folder.path().join("head"), folder.path().join("body"));
        let output = self
            .command(path, arguments)
            .arg(version)
            .arg("--dump-header")
            .arg(&head)
            .arg("--output")
            .arg(&body)
            .args(["--write-out", WRITE_OUT])
            .output()
            .expect("curl runs");
        let told = String::from_utf8_lossy(&output.stdout).into_owned();
        let mut told = told.split(' ');
        let mut next = || told.next().unwrap_or("").to_owned();
        Response {
            exit: output.status.code().unwrap_or(-1),
            status: next().parse().unwrap_or(0),
            version: next(),
            connects: next().parse().unwrap_or(0),
            first_byte: next().parse().unwrap_or(0.0),
            total: next().parse().unwrap_or(0.0),
            headers: std::fs::read_to_string(&head).unwrap_or_default(),
            body: std::fs::read(&body).unwrap_or_default(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

const WRITE_OUT: &str =
    "%{http_code} %{http_version} %{num_connects} %{time_starttransfer} %{time_total}";
