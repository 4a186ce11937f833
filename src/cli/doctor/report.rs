//! What `doctor` found: printed for people by [`super::text`], as JSON as it stands.

use schemars::JsonSchema;
use serde::Serialize;

/// What accelerates this machine's handshakes, and what slows the gateway down.
#[derive(Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Report {
    /// The gateway's version.
    pub version: &'static str,
    /// The loaded OpenSSL's version.
    pub openssl: &'static str,
    /// The tree that was looked at; absent: this machine.
    pub root: Option<String>,
    /// All there are, in the order in which they are usually preferred.
    pub accelerators: Vec<Accelerator>,
    /// What does not keep an accelerator from working, and is good to know.
    pub hints: Vec<Finding>,
    /// Absent: no configuration was given.
    pub configuration: Option<Configuration>,
    /// Settings of the kernel and limits of the process.
    pub settings: Vec<Setting>,
}

#[derive(Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Accelerator {
    /// As `acceleration.prefer` has it.
    pub name: &'static str,
    pub usable: bool,
    /// Its own name and version, where it is usable.
    pub what: Option<String>,
    /// Why it is not usable, in the order in which to deal with them.
    pub reasons: Vec<Finding>,
    /// What it gives; absent: it is not usable, or OpenSSL's own.
    pub offload: Option<super::measured::Offload>,
    /// What the configuration keeps it from doing.
    pub masked: Vec<Masked>,
}

/// An algorithm that is switched off.
#[derive(Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Masked {
    pub algorithm: &'static str,
    /// The setting that does it, and what it says.
    pub by: String,
}

#[derive(Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Finding {
    pub what: String,
    /// A line for a root shell that mends it, or shows more.
    pub remedy: Option<String>,
}

#[derive(Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Configuration {
    pub file: String,
    /// `acceleration.prefer`.
    pub prefer: Vec<&'static str>,
    /// `acceleration.require`.
    pub require: bool,
    /// The accelerator that the gateway would use; absent: it would refuse to start.
    pub used: Option<&'static str>,
    /// One of `prefer` is used, or it is empty. Otherwise the exit code is 69.
    pub holds: bool,
    pub certificates: Vec<Certificate>,
}

#[derive(Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Certificate {
    pub listener: String,
    /// The host names it is served for.
    pub names: Vec<String>,
    /// The key's type and size.
    pub key: String,
    pub accelerable: Accelerable,
    /// Why it is or is not.
    pub why: &'static str,
    /// Whole days; negative since it expired.
    pub expires_in_days: i32,
}

/// Which of a handshake's private-key work accelerators take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum Accelerable {
    /// Signature and key exchange.
    Yes,
    /// The key exchange; the signature on a card alone.
    Partly,
    /// The key exchange, but never the signature.
    No,
}

#[derive(Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Setting {
    /// A key of sysctl(8), or what people call it.
    pub name: &'static str,
    /// Whether it is a key of sysctl(8).
    pub sysctl: bool,
    /// Absent: it cannot be read here.
    pub present: Option<String>,
    /// Absent: it is good as it is, or cannot be read.
    pub advised: Option<String>,
    pub why: String,
    /// A line for a root shell that changes it.
    pub remedy: Option<String>,
}
