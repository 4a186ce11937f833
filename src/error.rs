//! Whose fault a failure is, and the process's exit codes.

/// The side at fault, which decides the status and whether a retry can help.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The client broke a rule or went away.
    Downstream,
    /// The backend failed, refused or went away.
    Upstream,
    /// The gateway itself: a limit reached, a bug.
    Gateway,
}

/// Exit codes of the commands, from sysexits(3).
pub mod exit {
    /// All went well.
    pub const OK: u8 = 0;
    /// Something failed that has no code of its own.
    pub const FAILURE: u8 = 1;
    /// EX_USAGE: the command line is wrong.
    pub const USAGE: u8 = 64;
    /// EX_UNAVAILABLE: a required accelerator is not available; of `doctor`: no preferred one is.
    pub const UNAVAILABLE: u8 = 69;
    /// EX_SOFTWARE: a bug in the gateway.
    pub const SOFTWARE: u8 = 70;
    /// EX_OSERR: the system refused something, such as binding an address.
    pub const OS: u8 = 71;
    /// EX_TEMPFAIL: the drain deadline passed with streams still open.
    pub const DRAIN_TIMEOUT: u8 = 75;
    /// EX_CONFIG: the configuration has problems.
    pub const CONFIG: u8 = 78;
    /// Not of sysexits(3): ended by SIGINT or SIGTERM before it was done, as shells tell it.
    pub const INTERRUPTED: u8 = 130;
}
