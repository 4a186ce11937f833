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
//! | 6 | `gateway`, `reload` |
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
//!
//! **HTTP.** HTTP/2 is spoken by the `h2` crate on both sides, not through hyper's
//! server and client: resets keep their codes, interim responses pass, flow control
//! goes end to end, and header maps are moved. hyper speaks HTTP/1.1. There is a task
//! per connection and one per stream; a connection's task writes once a turn
//! ([`http`], [`upstream`]), so that what became ready together leaves together.
//!
//! **Bodies.** A response's body carries the rest of its exchange: the request's body
//! still going up, the timeouts, the slot in the pool, the record. Dropping it cancels
//! all of it; there is no other clean-up.
//!
//! **TLS.** OpenSSL reads and writes through a BIO of our own over the socket rather
//! than its socket BIO: it knows when a read has emptied the socket, and gathers what a
//! handshake writes. It is small enough for a job's 32 KiB stack.
//!
//! **Acceleration.** Private-key work is offloaded by a provider of our own
//! (`qat_sys::offload`) in a private library context, in front of every accelerator:
//! engines, other providers, libcrypto_mb. Making an engine OpenSSL's default
//! (`ENGINE_set_default`) would change the whole process, and a property query for a
//! foreign provider would leave its failures to the handshake; here an operation that
//! fails, lies or is declined is done again in software before OpenSSL hears of it. Each
//! worker has library contexts of its own, so that neither keys nor locks are shared: one
//! with the accelerator behind the provider and one without; each handshake takes the one
//! that is better now ([`accelerator::Worker::choose`]). libcrypto_mb's batches are run by
//! a task that yields to the runtime until nothing that is ready adds to them: no timer, no
//! wait for lanes that stay empty. How many operations meet cannot be told from the
//! handshakes in progress, so a kind that has not gained lately is done without a pause.
//!
//! **Software.** In both contexts the provider has AWS-LC do what it does quicker than
//! OpenSSL: X25519, X25519MLKEM768 (which OpenSSL before 3.5 has not at all), signatures with
//! P-256 and P-384, the key schedules, AES-GCM. TLS itself, other keys and ciphers, and
//! certificates stay OpenSSL's, and all of it where OpenSSL is configured for FIPS 140.
//!
//! **Reload.** A version of the configuration is a set of listeners with their contexts and
//! routes, of clusters, and a drain ([`drain`]) of its own. Every worker prepares the next
//! one, then every worker adopts it: accept loops keep their sockets and go on with its
//! listeners, so that no queue is lost; clusters that are the same object keep their pools.
//! Connections stay with the version that accepted them, whose drain begins after that. No
//! second process: accelerators are opened once, and jobs must end on their thread.
//!
//! **Configuration.** Raw structs give the JSON Schema; the schema finds every
//! structural problem at once; what stands is resolved to the parameter types that each
//! module declares. `admin` stands below `config` for that reason.

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
pub mod reload;
pub mod route;
pub mod rt;
pub mod telemetry;
pub mod tls;
pub mod upstream;
pub mod worker;
