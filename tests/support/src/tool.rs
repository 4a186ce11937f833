//! Programs that a machine may lack.

use std::process::{Command, Stdio};

/// Set to 1 (as `.ci/run` does), a tool that is missing fails its test.
pub const REQUIRE: &str = "QAT_GATEWAY_TEST_REQUIRE_TOOLS";

/// A command for the tool, or `None`, said aloud, where it is not installed:
///
/// ```ignore
/// let Some(curl) = require_tool("curl") else { return };
/// ```
///
/// # Panics
/// If it is missing and [`REQUIRE`] says that nothing may be.
pub fn require_tool(name: &str) -> Option<Command> {
    let argument = match name {
        "openssl" => "version",
        _ => "--version",
    };
    let found = Command::new(name)
        .arg(argument)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    if found {
        return Some(Command::new(name));
    }
    skip(&format!("{name} is not installed"));
    None
}

/// A Python that has grpcio and grpcio-tools: the program that
/// `QAT_GATEWAY_TEST_PYTHON` names, or `python3`.
///
/// # Panics
/// As [`require_tool`].
pub fn require_grpcio() -> Option<Command> {
    let python = std::env::var("QAT_GATEWAY_TEST_PYTHON");
    let python = python.unwrap_or_else(|_| "python3".to_owned());
    let found = Command::new(&python)
        .args(["-c", "import grpc, grpc_tools"])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    if found {
        return Some(Command::new(python));
    }
    skip("Python's grpcio and grpcio-tools are not installed");
    None
}

/// Says that a test, or a part of it, does not run here, and why.
///
/// # Panics
/// If [`REQUIRE`] says that everything must run.
pub fn skip(reason: &str) {
    assert!(!required(), "{reason}, and {REQUIRE} is set");
    cannot(reason);
}

/// The same for what this machine cannot have: nothing that could be installed.
pub fn cannot(reason: &str) {
    // Past the test harness' capture: a skipped test must not look like a passed one.
    use std::io::Write;
    let _ = writeln!(std::io::stderr(), "SKIPPED: {reason}");
}

fn required() -> bool {
    std::env::var(REQUIRE).is_ok_and(|value| value == "1")
}
