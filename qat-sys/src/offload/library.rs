//! The library context with our provider in it.

use std::cell::RefCell;
use std::os::raw::{c_int, c_long, c_void};
use std::ptr;
use std::sync::{Arc, OnceLock};

use foreign_types::ForeignType;
use openssl::error::ErrorStack;
use openssl::lib_ctx::{LibCtx, LibCtxRef};
use openssl::pkey::{PKey, Private};
use openssl::provider::Provider;
use openssl::ssl::SslContextBuilder;
use openssl::x509::X509;

use super::context::{Shared, guarded};
use super::counters::{Algorithm, Counters};
use super::software::{Software, check};
use super::{Backend, ffi, provider};

/// A library context whose TLS servers have their private-key work done by a backend.
///
/// Every clone, and every TLS context made here, keeps the library context alive. Keys and
/// certificates do not: they may live on in TLS contexts made here, not beyond the last.
#[derive(Clone)]
pub struct Offload {
    library: Arc<Library>,
    counters: Arc<Counters>,
}

/// The fields are dropped in this order: a provider goes before its context.
struct Library {
    _offload: Provider,
    _default: Provider,
    context: LibCtx,
}

thread_local! {
    /// Of TLS contexts that this thread has freed: OpenSSL tells it before it is done with
    /// them, so the library goes later.
    static LEFT: RefCell<Vec<Arc<Library>>> = const { RefCell::new(Vec::new()) };
}

fn sweep() {
    let left = LEFT.try_with(RefCell::take);
    drop(left);
}

impl Offload {
    /// What is not among `algorithms` is done by OpenSSL's default provider.
    pub fn new(backend: Arc<dyn Backend>, algorithms: &[Algorithm]) -> Result<Offload, ErrorStack> {
        sweep();
        let counters = Arc::new(Counters::default());
        let shared = Arc::new(Shared {
            backend,
            algorithms: algorithms.to_vec(),
            counters: counters.clone(),
            software: Software::new()?,
        });
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
        let library = Arc::new(Library {
            _offload: offload,
            _default: default,
            context,
        });
        Ok(Offload { library, counters })
    }

    /// A TLS server's context. `SSL_CTX_new_ex(3)`.
    pub fn server_context(&self) -> Result<SslContextBuilder, ErrorStack> {
        sweep();
        let index = index()?;
        // SAFETY: valid objects; the builder takes over the one reference. The library's
        // own is given back by `left`.
        unsafe {
            let raw = ffi::SSL_CTX_new_ex(
                self.library.context.as_ptr(),
                c"?provider=offload".as_ptr(),
                openssl_sys::TLS_server_method(),
            );
            if raw.is_null() {
                return Err(ErrorStack::get());
            }
            let builder = SslContextBuilder::from_ptr(raw);
            let library = Arc::into_raw(self.library.clone());
            let data = library.cast_mut().cast::<c_void>();
            if openssl_sys::SSL_CTX_set_ex_data(raw, index, data) != 1 {
                drop(Arc::from_raw(library));
                return Err(ErrorStack::get());
            }
            Ok(builder)
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
                self.library.context.as_ptr(),
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
            let context = self.library.context.as_ptr();
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
        &self.library.context
    }

    /// To be read from any thread, also when the rest is gone.
    pub fn counters(&self) -> &Arc<Counters> {
        &self.counters
    }
}

impl Drop for Offload {
    fn drop(&mut self) {
        sweep();
    }
}

/// Where a TLS context keeps its library.
fn index() -> Result<c_int, ErrorStack> {
    static INDEX: OnceLock<c_int> = OnceLock::new();
    let index = *INDEX.get_or_init(|| {
        // SAFETY: a callback of the right type for the class.
        unsafe {
            openssl_sys::CRYPTO_get_ex_new_index(
                openssl_sys::CRYPTO_EX_INDEX_SSL_CTX,
                0,
                ptr::null_mut(),
                None,
                None,
                Some(left),
            )
        }
    });
    if index < 0 {
        Err(ErrorStack::get())
    } else {
        Ok(index)
    }
}

unsafe extern "C" fn left(
    _parent: *mut c_void,
    data: *mut c_void,
    _all: *mut openssl_sys::CRYPTO_EX_DATA,
    _index: c_int,
    _argl: c_long,
    _argp: *mut c_void,
) {
    if data.is_null() {
        return;
    }
    guarded((), || {
        // SAFETY: the reference that `server_context` gave.
        let library = unsafe { Arc::from_raw(data.cast::<Library>()) };
        let mut library = Some(library);
        let kept = LEFT.try_with(|left| left.borrow_mut().extend(library.take()));
        if kept.is_err() {
            // The thread is ending: there is no later.
            std::mem::forget(library);
        }
    });
}
