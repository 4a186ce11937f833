//! h2load, nghttp2's load generator.

use std::process::{Child, Stdio};

use crate::Gateway;
use crate::tool::require_tool;

/// What h2load counted.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Report {
    pub total: u64,
    pub succeeded: u64,
    pub failed: u64,
    pub errored: u64,
    pub timed_out: u64,
    /// By class: 2xx, 3xx, 4xx, 5xx.
    pub statuses: [u64; 4],
    /// All it said.
    pub text: String,
}

/// A running h2load.
pub struct H2load(Child);

impl H2load {
    /// Starts it with these arguments against a path; None where there is no h2load.
    pub fn start(gateway: &Gateway, path: &str, arguments: &[&str]) -> Option<H2load> {
        let child = require_tool("h2load")?
            .args(arguments)
            .arg(gateway.url(path))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("h2load runs");
        Some(H2load(child))
    }

    /// Waits for its end, which its arguments bound.
    pub fn finish(self) -> Report {
        let output = self.0.wait_with_output().expect("h2load's output");
        let stderr = String::from_utf8_lossy(&output.stderr);
        parse(format!(
            "{}{stderr}",
            String::from_utf8_lossy(&output.stdout)
        ))
    }
}

fn parse(text: String) -> Report {
    let mut report = Report::default();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("requests: ") {
            let number = |what: &str| count(rest, what);
            report.total = number("total");
            report.succeeded = number("succeeded");
            report.failed = number("failed");
            report.errored = number("errored");
            report.timed_out = number("timeout");
        }
        if let Some(rest) = line.strip_prefix("status codes: ") {
            report.statuses = ["2xx", "3xx", "4xx", "5xx"].map(|class| count(rest, class));
        }
    }
    report.text = text;
    report
}

/// `7` of `…, 7 what, …`.
fn count(line: &str, what: &str) -> u64 {
    let counts = line.split(", ").filter_map(|part| part.split_once(' '));
    let mut named = counts.filter(|(_, name)| *name == what);
    named
        .next()
        .and_then(|(count, _)| count.parse().ok())
        .unwrap_or(0)
}
