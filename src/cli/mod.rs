//! The commands.

pub mod bench;
pub mod check;
pub mod demo;
pub mod doctor;
pub mod run;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::error::exit;

/// Terminates TLS at the edge and forwards plaintext HTTP/2 to inference backends.
#[derive(Parser)]
#[command(
    name = "qat-gateway",
    version,
    after_help = "Examples:\n  qat-gateway demo\n  qat-gateway check --config config/minimal.yaml\n  qat-gateway doctor --config config/minimal.yaml\n  qat-gateway bench handshake\n  qat-gateway run --config /etc/qat-gateway/gateway.yaml"
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the gateway.
    Run {
        /// The YAML file that says what to do.
        #[arg(long, short, value_name = "FILE")]
        config: PathBuf,
    },
    /// Try it: a throw-away certificate, a built-in backend, commands to try.
    Demo {
        /// Port of the TLS listener on 127.0.0.1; 0 takes a free one.
        #[arg(long, default_value_t = 8443)]
        port: u16,
        /// Port of the admin server on 127.0.0.1; 0 takes a free one.
        #[arg(long, default_value_t = 9901)]
        admin_port: u16,
    },
    /// Validate a configuration without running it.
    #[command(group = clap::ArgGroup::new("what").required(true))]
    Check {
        /// The file to validate.
        #[arg(long, short, value_name = "FILE", group = "what")]
        config: Option<PathBuf>,
        /// Print the file format's JSON Schema.
        #[arg(long, group = "what")]
        schema: bool,
    },
    /// Say which accelerators this machine has, why the others are not used, and which
    /// settings cost speed, each with what to type.
    #[command(after_help = doctor::EXAMPLES)]
    Doctor(doctor::Options),
    /// Measure this machine.
    #[command(subcommand)]
    Bench(bench::What),
}

/// Parses the command line, runs the command.
pub fn main() -> ExitCode {
    // Before anything of OpenSSL runs.
    #[cfg(feature = "mimalloc")]
    qat_sys::allocator::use_mimalloc();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let code = if error.use_stderr() {
                exit::USAGE
            } else {
                exit::OK
            };
            let _ = error.print();
            return ExitCode::from(code);
        }
    };
    match cli.command {
        Command::Run { config } => run::run(&config),
        Command::Demo { port, admin_port } => demo::run(port, admin_port),
        Command::Check {
            config: Some(file), ..
        } => check::run(&file),
        Command::Check { config: None, .. } => check::schema(),
        Command::Doctor(options) => doctor::run(&options),
        Command::Bench(what) => bench::run(&what),
    }
}
