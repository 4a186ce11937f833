//! The library context with our provider in it.

use std::cell::OnceCell;
use std::ffi::CStr;
use std::os::raw::c_long;
use std::ptr;
use std::sync::Arc;

use foreign_types::ForeignType;
use openssl::error::ErrorStack;
use openssl::lib_ctx::{LibCtx, LibCtxRef};
use openssl::pkey::{PKey, Private};
use openssl::provider::Provider;
use openssl::ssl::SslContextBuilder;
use openssl::x509::X509;

use super::context::Shared;
use super::counters::{Algorithm, Counters};
use super::software::{Software, check};
use super::{Backend, Outcome, RsaKey, X25519Key, ffi, provider};

/// Whether OpenSSL's default library context is configured for FIPS 140.
/// `EVP_default_properties_is_fips_enabled(3)`.
pub fn fips() -> bool {
    openssl_sys::init();
    // SAFETY: null stands for the default context.
    unsafe { ffi::EVP_default_properties_is_fips_enabled(ptr::null_mut()) == 1 }
}

/// Key-exchange groups that servers here have whatever OpenSSL has; none where it is
/// configured for FIPS 140.
pub fn own_groups() -> &'static [&'static str] {
    match fips() {
        true => &[],
        false => &["X25519MLKEM768"],
    }
}

/// Takes no operation.
struct Nobody;

impl Backend for Nobody {
    fn rsa_private(&self, _key: &RsaKey, _input: &[u8], _output: &mut [u8]) -> Outcome {
        Outcome::Declined
    }

    fn x25519_generate(&self, _key: &mut X25519Key) -> Outcome {
        Outcome::Declined
    }

    fn x25519_derive(&self, _key: &X25519Key, _peer: &[u8; 32], _secret: &mut [u8; 32]) -> Outcome {
        Outcome::Declined
    }
}

/// Ours where we have one, OpenSSL's otherwise.
const OURS_FIRST: &CStr = c"?provider=offload";

/// A library context whose TLS servers have their private-key work done by a backend.
///
/// It stays for the life of the process, and so does the backend: OpenSSL cleans up after
/// every thread that has used a library context when the thread ends, be the context freed
/// by then or not (`OPENSSL_thread_stop_ex(3)`), and which threads have used it nobody
/// knows. So it is something to have one of for a worker, not for a connection; clones are
/// the same one, and what is made in it may go in any order and on any thread.
#[derive(Clone)]
pub struct Offload {
    library: &'static LibCtx,
    counters: Arc<Counters>,
}

impl Offload {
    /// What is not among `algorithms` is done in software.
    pub fn new(backend: Arc<dyn Backend>, algorithms: &[Algorithm]) -> Result<Offload, ErrorStack> {
        let counters = Arc::new(Counters::default());
        let shared = Arc::new(Shared {
            backend,
            algorithms: algorithms.to_vec(),
            counters: counters.clone(),
            software: Software::new()?,
        });
        // Its first use on a thread prepares the generator, for which a job's stack is small.
        // SAFETY: a place to write to.
        if unsafe { aws_lc_sys::RAND_bytes([0u8].as_mut_ptr(), 1) } != 1 {
            return Err(ErrorStack::get());
        }
        let context = LibCtx::new()?;
        // First, so that it is found first by whoever asks for no provider.
        let default = Provider::load(Some(&context), "default")?;
        // SAFETY: a living context, a name, and a function of the right type.
        check(unsafe {
            ffi::OSSL_PROVIDER_add_builtin(
                context.as_ptr(),
                provider::NAME.as_ptr(),
                provider::start,
            )
        })?;
        let offload = provider::with(shared, || Provider::load(Some(&context), "offload"))?;
        // Given back, a provider would be unloaded.
        std::mem::forget((offload, default));
        // For what OpenSSL's provider fetches with no query: X25519MLKEM768's X25519.
        // SAFETY: a living context and a string.
        check(unsafe { ffi::EVP_set_default_properties(context.as_ptr(), OURS_FIRST.as_ptr()) })?;
        Ok(Offload {
            library: Box::leak(Box::new(context)),
            counters,
        })
    }

    /// The calling thread's own, where everything is done in software: what the gateway
    /// does quicker than OpenSSL does it here too, and nothing in it is locked or counted
    /// by two threads at once.
    pub fn software() -> Result<Offload, ErrorStack> {
        thread_local! {
            static SOFTWARE: OnceCell<Offload> = const { OnceCell::new() };
        }
        SOFTWARE.with(|cell| {
            if let Some(made) = cell.get() {
                return Ok(made.clone());
            }
            let made = Offload::new(Arc::new(Nobody), &[Algorithm::X25519])?;
            Ok(cell.get_or_init(|| made).clone())
        })
    }

    /// A TLS server's context. `SSL_CTX_new_ex(3)`.
    pub fn server_context(&self) -> Result<SslContextBuilder, ErrorStack> {
        // SAFETY: valid objects; the builder takes over the one reference.
        unsafe {
            let raw = ffi::SSL_CTX_new_ex(
                self.library.as_ptr(),
                OURS_FIRST.as_ptr(),
                openssl_sys::TLS_server_method(),
            );
            if raw.is_null() {
                return Err(ErrorStack::get());
            }
            Ok(SslContextBuilder::from_ptr(raw))
        }
    }

    /// A private key, for a context of this library. `d2i_AutoPrivateKey(3)`.
    pub fn private_key(&self, pkcs8_der: &[u8]) -> Result<PKey<Private>, ErrorStack> {
        let mut der = pkcs8_der.as_ptr();
        // SAFETY: valid DER with its length; the key is the caller's.
        unsafe {
            let key = ffi::d2i_AutoPrivateKey_ex(
                ptr::null_mut(),
                &mut der,
                pkcs8_der.len() as c_long,
                self.library.as_ptr(),
                c"provider=default".as_ptr(),
            );
            if key.is_null() {
                return Err(ErrorStack::get());
            }
            Ok(PKey::from_ptr(key))
        }
    }

    /// A certificate, for a context of this library. `d2i_X509(3)`.
    pub fn certificate(&self, der: &[u8]) -> Result<X509, ErrorStack> {
        let mut data = der.as_ptr();
        // SAFETY: a certificate made here; if it cannot be read, OpenSSL frees it and sets
        // the pointer to null.
        unsafe {
            let context = self.library.as_ptr();
            let mut raw = ffi::X509_new_ex(context, c"provider=default".as_ptr());
            if raw.is_null() {
                return Err(ErrorStack::get());
            }
            let read = openssl_sys::d2i_X509(&mut raw, &mut data, der.len() as c_long);
            if read.is_null() {
                openssl_sys::X509_free(raw);
                return Err(ErrorStack::get());
            }
            Ok(X509::from_ptr(read))
        }
    }

    /// Where to fetch from, with the property query `?provider=offload`.
    pub fn library(&self) -> &LibCtxRef {
        self.library
    }

    /// To be read from any thread, also when the rest is gone.
    pub fn counters(&self) -> &Arc<Counters> {
        &self.counters
    }
}
