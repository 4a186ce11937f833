//! An ENGINE: an accelerator's library behind OpenSSL's older plug-in interface.
//!
//! ```text
//! by_id │ load ─→ Engine ─ctrl*─→ init ─→ Initialised ─ctrl*─→ dropped: finish, free
//!                    └──────────── dropped: free
//! ```
//!
//! An engine does nothing for anybody until it is made a default, which never happens
//! here, or named in a call, which an [`EngineBackend`] does. A loaded engine stays in OpenSSL's list when all references are
//! given back, and with it its library, whose threads may still run.

#[cfg(engines)]
mod backend;
#[cfg(engines)]
mod ffi;
#[cfg_attr(engines, path = "present.rs")]
#[cfg_attr(not(engines), path = "absent.rs")]
mod imp;
#[cfg(engines)]
mod keys;
mod options;

use openssl::error::ErrorStack;

#[cfg(engines)]
pub use backend::EngineBackend;
#[cfg(not(engines))]
pub use imp::EngineBackend;
pub use imp::{Engine, Initialised};
pub use options::{EngineOptions, Polling};

/// Whether this build of OpenSSL has engines: they are left out of some
/// distributions' and gone in OpenSSL 4.
pub const PRESENT: bool = cfg!(engines);

#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    #[error("this OpenSSL has no engines")]
    NoEngines,
    #[error("a name or argument contains a NUL byte")]
    Nul,
    /// OpenSSL's reasons.
    #[error("{}", crate::error::told(.0))]
    OpenSsl(ErrorStack),
}
