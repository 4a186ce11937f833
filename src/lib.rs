#![forbid(unsafe_code)]
//! qat-gateway: terminates TLS at the edge, with the private-key work offloaded to
//! Intel QAT through OpenSSL where there is any, and forwards plaintext HTTP/2 to
//! inference backends over pooled connections.
//!
//! # ARCHITECTURE
//!
//! A request meets the modules in this order; one word names the step everywhere
//! (folder, tracing span, metric prefix, configuration section, test file):
//!
//! ```text
//! client ─TCP→ listener ─→ tls ─→ http ─→ route ─→ proxy ─→ upstream ─h2c→ backend
//! ```
//!
//! A module imports only from rows below its own, never sideways (`tests/layers.rs`
//! holds the code against this table):
//!
//! | row | modules |
//! |---|---|
//! | 7 | `main`, `cli` |
//! | 6 | `gateway` |
//! | 5 | `config`, `worker` |
//! | 4 | `listener`, `admin` |
//! | 3 | `http` |
//! | 2 | `proxy`, `tls` |
//! | 1 | `accelerator`, `route`, `upstream` |
//! | 0 | `error`, `drain`, `telemetry`, `rt` |
//!
//! **Threads.** A worker is an OS thread with a tokio `LocalRuntime`; its tasks are
//! `!Send` and everything it owns (connections, handshakes, upstream pools) stays on
//! it, because an OpenSSL job must be resumed on the thread that started it. Each
//! worker binds every listener with SO_REUSEPORT. One control thread runs the admin
//! server, DNS and signals, and never touches a connection.

pub mod accelerator;
pub mod admin;
pub mod cli;
pub mod config;
pub mod drain;
pub mod error;
pub mod gateway;
pub mod http;
pub mod listener;
pub mod proxy;
pub mod route;
pub mod rt;
pub mod telemetry;
pub mod tls;
pub mod upstream;
pub mod worker;
