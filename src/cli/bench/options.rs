//! What is asked of `bench handshake`.

use std::path::PathBuf;
use std::time::Duration;

use super::case::{Case, Key, Version};
use super::error::Error;
use super::server::MOST_IN_FLIGHT;
use crate::tls;

/// For `--help`.
pub const EXAMPLES: &str = "Examples:\n  \
    qat-gateway bench handshake\n  \
    qat-gateway bench handshake --key rsa2048,p256 --tls 1.2,1.3 --resumed --report bench.html\n  \
    qat-gateway bench handshake --accelerator multibuffer --in-flight 1,8,64,512 --json -\n  \
    qat-gateway bench handshake --connect 127.0.0.1:8443 --sni localhost";

/// The command line.
#[derive(clap::Args)]
pub struct Options {
    /// Measure this one beside software, and fail if it cannot be used; again for more.
    /// Without it, all that can be used.
    #[arg(long, value_name = "NAME", value_enum, conflicts_with = "connect")]
    pub accelerator: Vec<Name>,
    /// Take the acceleration section of this configuration.
    #[arg(long, short, value_name = "FILE", conflicts_with = "connect")]
    pub config: Option<PathBuf>,
    /// Types of the certificate's key.
    #[arg(long, value_enum, value_delimiter = ',', default_values = ["rsa2048", "p256"], conflicts_with = "connect")]
    pub key: Vec<Key>,
    /// TLS versions.
    #[arg(long, value_enum, value_delimiter = ',', default_values = ["1.3"])]
    pub tls: Vec<Version>,
    /// Key-exchange groups, as OpenSSL calls them.
    #[arg(long, value_delimiter = ',', default_value = "X25519")]
    pub group: Vec<String>,
    /// Resumed handshakes beside full ones, or only them.
    #[arg(long, value_name = "WHICH", value_enum, num_args = 0..=1, require_equals = true, default_missing_value = "too")]
    pub resumed: Option<Resumed>,
    /// Handshakes in progress at any time.
    #[arg(long, value_name = "N", value_delimiter = ',', default_values = ["1", "8", "64"])]
    pub in_flight: Vec<usize>,
    /// Of each measurement; longer where one handshake takes more than a third of it.
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = duration)]
    pub duration: Duration,
    /// How often everything is measured, the accelerators taking turns.
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub rounds: u16,
    /// Threads of the load; by default one for each CPU that is left, eight at most.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub load_threads: Option<u16>,
    /// Write the report as JSON; - for standard output.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Write the report as a page with plots, which needs nothing else.
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
    /// Print the JSON Schema of what --json prints.
    #[arg(long)]
    pub json_schema: bool,
    /// Load a running gateway instead, on this machine or a private network.
    #[arg(long, value_name = "HOST:PORT")]
    pub connect: Option<String>,
    /// The name to ask it for, if it is not HOST.
    #[arg(long, value_name = "NAME", requires = "connect")]
    pub sni: Option<String>,
    /// The most handshakes in a second of --connect.
    #[arg(long, value_name = "N", default_value_t = 1000, requires = "connect", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub max_rate: u32,
    /// Allows --connect to load a server at a public address.
    #[arg(long, requires = "connect")]
    pub the_owner_agrees: bool,
}

/// Which handshakes are measured besides, or instead of, full ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Resumed {
    /// Full and resumed ones.
    Too,
    /// Resumed ones alone.
    Only,
}

/// An accelerator by its name in the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
#[value(rename_all = "snake_case")]
pub enum Name {
    QatEngine,
    QatProvider,
    Multibuffer,
}

fn duration(text: &str) -> Result<Duration, String> {
    let duration = humantime::parse_duration(text).map_err(|error| error.to_string())?;
    let allowed = Duration::from_millis(50)..=Duration::from_secs(600);
    match allowed.contains(&duration) {
        true => Ok(duration),
        false => Err("write something between 50ms and 10m".to_owned()),
    }
}

impl Options {
    /// Every combination that is asked for, keys outermost.
    ///
    /// # Errors
    /// OpenSSL lacks a group, or too many are to be in flight.
    pub fn cases(&self) -> Result<Vec<Case>, Error> {
        if let Some(group) = self.group.iter().find(|one| !tls::supported_group(one)) {
            let what = format!("--group: this OpenSSL has no group {group:?}");
            return Err(Error::Usage(what));
        }
        let allowed = 1..=MOST_IN_FLIGHT;
        if let Some(wrong) = self.in_flight.iter().find(|one| !allowed.contains(one)) {
            let what =
                format!("--in-flight {wrong}: write something between 1 and {MOST_IN_FLIGHT}");
            return Err(Error::Usage(what));
        }
        let keys: Vec<Option<Key>> = match self.connect {
            Some(_) => vec![None],
            None => self.key.iter().copied().map(Some).collect(),
        };
        let resumed: &[bool] = match self.resumed {
            None => &[false],
            Some(Resumed::Too) => &[false, true],
            Some(Resumed::Only) => &[true],
        };
        let mut cases = Vec::new();
        for key in keys {
            for version in &self.tls {
                for group in &self.group {
                    for resumed in resumed {
                        cases.extend(self.in_flight.iter().map(|in_flight| Case {
                            key,
                            version: *version,
                            group: group.clone(),
                            resumed: *resumed,
                            in_flight: *in_flight,
                        }));
                    }
                }
            }
        }
        // A value that was given twice is measured once.
        let mut unique: Vec<Case> = Vec::new();
        for case in cases {
            if !unique.contains(&case) {
                unique.push(case);
            }
        }
        Ok(unique)
    }
}
