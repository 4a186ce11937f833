//! What `demo` needs and a bare machine lacks: a backend, a certificate, and commands
//! to try.

pub mod backend;
pub mod certificate;
pub mod hints;
mod inference;
mod openai;
mod run;

pub use run::run;
