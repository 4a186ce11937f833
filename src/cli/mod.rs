//! The commands.

pub mod demo;
pub mod check;

use std::process::ExitCode;

pub fn main() -> ExitCode {
    ExitCode::SUCCESS
}
