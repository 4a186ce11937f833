//! The accelerators OpenSSL's private-key work can be given to. For now OpenSSL's
//! own software alone.

mod params;

pub use params::{AccelerationParams, AcceleratorName};
