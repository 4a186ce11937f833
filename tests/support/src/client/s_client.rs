//! `openssl s_client`.

use std::io::Write;
use std::process::Stdio;

use crate::Gateway;
use crate::tool::require_tool;

/// What s_client said.
#[derive(Debug)]
pub struct Output {
    pub success: bool,
    /// Standard output and error.
    pub text: String,
}

impl Output {
    /// The value of a line `name: value` or `name : value`.
    pub fn value(&self, name: &str) -> Option<&str> {
        let pairs = self.text.lines().filter_map(|line| line.split_once(':'));
        let mut named = pairs.filter(|(found, _)| found.trim() == name);
        named.next().map(|(_, value)| value.trim())
    }

    /// Whether the handshake gave a session.
    pub fn connected(&self) -> bool {
        self.text.contains("Cipher is ") && !self.text.contains("Cipher is (NONE)")
    }

    /// Such as `TLSv1.3` and `TLS_AES_256_GCM_SHA384`.
    pub fn session(&self) -> Option<(&str, &str)> {
        let mut lines = self.text.lines();
        let line = lines.find_map(|line| line.split_once(", Cipher is "))?;
        let version = line.0.rsplit(' ').next().unwrap_or("");
        Some((version.trim_start_matches("New, "), line.1))
    }
}

/// Connects to the gateway, sends the input, and ends; `None` where there is no openssl.
///
/// SNI is `localhost` unless the arguments have a `-servername` or `-noservername`.
pub fn run(gateway: &Gateway, arguments: &[&str], input: &[u8]) -> Option<Output> {
    let mut command = require_tool("openssl")?;
    command
        .args(["s_client", "-connect", &gateway.address().to_string()])
        .arg("-CAfile")
        .arg(gateway.ca_file())
        .args(arguments);
    if !arguments
        .iter()
        .any(|argument| argument.ends_with("servername"))
    {
        command.args(["-servername", "localhost"]);
    }
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("openssl runs");
    // A failed handshake closes the pipe: its error is in the output.
    if let Some(mut stdin) = child.stdin.take() {
        let _ = stdin.write_all(input);
    }
    let output = child.wait_with_output().expect("its output");
    let stderr = String::from_utf8_lossy(&output.stderr);
    Some(Output {
        success: output.status.success(),
        text: format!("{}{stderr}", String::from_utf8_lossy(&output.stdout)),
    })
}
