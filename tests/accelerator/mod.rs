//! What accelerators do for real clients of the gateway, and what becomes of it when they
//! do not: no handshake is lost by one that fails.
//!
//! | file | about |
//! |---|---|
//! | `asked` | what is asked for and not there; cards and CPUs |
//! | `suite` | the same handshakes with every accelerator that runs here |
//! | `faults` | an accelerator that fails, lies, is late, full or reset |
//! | `breaker` | it opens, and closes again |
//! | `stuck` | operations that never come back; the end of the process |
//! | `vanish` | clients that go away while their operation is paused |
//!
//! `engine` starts the gateway with the simulated engine of `tests/support/engine`, whose
//! script each test changes while the gateway runs; `crowd` has the clients.

mod asked;
mod breaker;
mod crowd;
mod engine;
mod faults;
mod stuck;
mod suite;
mod vanish;
