//! Shared by the integration tests and benches.
