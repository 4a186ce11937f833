//! Why a measurement cannot be made.

use std::io;

use openssl::error::ErrorStack;

use crate::accelerator::Unavailable;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// What was asked for makes no sense; a line for the user.
    #[error("{0}")]
    Usage(String),
    /// Of the configuration; one a line.
    #[error("{0}")]
    Configuration(String),
    /// An accelerator that was asked for by name.
    #[error("what --accelerator names cannot be used\n{}", .0.told())]
    Unavailable(Unavailable),
    /// The server's side: whose, and why.
    #[error("the server with {0}: {1}")]
    Server(&'static str, String),
    /// Not one handshake succeeded: the case, and the first failure.
    #[error("{0}: no handshake succeeded: {1}")]
    NoHandshake(String, String),
    /// Of a report: the file, and why it cannot be written.
    #[error("{0}: {1}")]
    Output(String, io::Error),
    #[error("a thread of the benchmark ended")]
    Died,
    #[error("{0}")]
    Openssl(#[from] ErrorStack),
    #[error("{0}")]
    Io(#[from] io::Error),
}
