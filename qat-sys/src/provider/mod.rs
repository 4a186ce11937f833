//! A provider in a library context of its own: what OpenSSL does elsewhere in the
//! process stays as it is.
//!
//! | file | |
//! |---|---|
//! | `mod` | [`Private`]: the library context, and what is loaded into it |
//! | `backend` | [`ProviderBackend`]: its operations, for an offloading provider of ours |
//! | `chosen` | keys and contexts of a property query in that library context |
//! | `ffi` | what openssl-sys lacks |

mod backend;
mod chosen;
mod ffi;

use std::ffi::CString;
use std::path::Path;

use openssl::error::ErrorStack;
use openssl::lib_ctx::{LibCtx, LibCtxRef};
use openssl::provider::Provider;

pub use backend::ProviderBackend;

#[derive(Debug, thiserror::Error)]
pub enum ProviderError {
    #[error("a name or path contains a NUL byte or is no text")]
    Nul,
    /// OpenSSL's reasons.
    #[error("{}", crate::error::told(.0))]
    OpenSsl(#[from] ErrorStack),
}

/// `default` and one more provider. The fields are dropped in this order: a provider
/// goes before its context. `OSSL_PROVIDER(3)`, `OSSL_LIB_CTX(3)`.
///
/// Other threads that have used the context must have ended before it is dropped
/// (`OPENSSL_thread_stop_ex(3)`).
pub struct Private {
    _provider: Provider,
    _default: Provider,
    context: LibCtx,
}

impl Private {
    /// Loads the module NAME.so from `folder`, else from OpenSSL's folder of modules or
    /// that of the environment variable OPENSSL_MODULES.
    pub fn load(name: &str, folder: Option<&Path>) -> Result<Private, ProviderError> {
        // The openssl crate panics on a NUL byte.
        CString::new(name).map_err(|_| ProviderError::Nul)?;
        let context = LibCtx::new()?;
        if let Some(folder) = folder {
            let folder = folder.to_str().ok_or(ProviderError::Nul)?;
            CString::new(folder).map_err(|_| ProviderError::Nul)?;
            Provider::set_default_search_path(Some(&context), folder)?;
        }
        // Loading any provider suppresses the implicit default one.
        let default = Provider::load(Some(&context), "default")?;
        let provider = Provider::load(Some(&context), name)?;
        // A module that loads leaves errors behind as well.
        drop(ErrorStack::get());
        Ok(Private {
            _provider: provider,
            _default: default,
            context,
        })
    }

    pub fn context(&self) -> &LibCtxRef {
        &self.context
    }
}
