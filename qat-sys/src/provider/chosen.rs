//! What a property query chooses in a library context: keys, contexts, and whose they are.

use std::ffi::{CStr, CString};
use std::os::raw::{c_char, c_int, c_uchar};
use std::ptr;

use foreign_types::{ForeignType, ForeignTypeRef};
use openssl::bn::BigNumRef;
use openssl::error::ErrorStack;
use openssl::pkey::{PKey, PKeyRef, Private, Public};
use openssl::pkey_ctx::PkeyCtx;
use openssl_sys::{
    EVP_PKEY, EVP_PKEY_CTX, EVP_PKEY_CTX_new_from_name, EVP_PKEY_fromdata, EVP_PKEY_fromdata_init,
    EVP_PKEY_new_raw_private_key_ex, EVP_PKEY_new_raw_public_key_ex, OSSL_LIB_CTX, OSSL_PARAM,
    OSSL_PARAM_BLD, OSSL_PARAM_BLD_free, OSSL_PARAM_BLD_new, OSSL_PARAM_BLD_push_BN,
    OSSL_PARAM_BLD_to_param, OSSL_PARAM_free,
};

use super::ffi::{self, Fetch, Free, ProviderOf};
use super::{Private as Loaded, ProviderError};

/// A kind of implementation that providers offer.
pub(super) struct Kind {
    fetch: Fetch,
    provider: ProviderOf,
    free: Free,
}

pub(super) const KEYS: Kind = Kind {
    fetch: ffi::EVP_KEYMGMT_fetch,
    provider: ffi::EVP_KEYMGMT_get0_provider,
    free: ffi::EVP_KEYMGMT_free,
};
pub(super) const SIGNATURE: Kind = Kind {
    fetch: ffi::EVP_SIGNATURE_fetch,
    provider: ffi::EVP_SIGNATURE_get0_provider,
    free: ffi::EVP_SIGNATURE_free,
};
pub(super) const CIPHER: Kind = Kind {
    fetch: ffi::EVP_ASYM_CIPHER_fetch,
    provider: ffi::EVP_ASYM_CIPHER_get0_provider,
    free: ffi::EVP_ASYM_CIPHER_free,
};
pub(super) const EXCHANGE: Kind = Kind {
    fetch: ffi::EVP_KEYEXCH_fetch,
    provider: ffi::EVP_KEYEXCH_get0_provider,
    free: ffi::EVP_KEYEXCH_free,
};

/// A provider that stays loaded, and the query that chooses its implementations.
pub(super) struct Chosen {
    library: &'static Loaded,
    name: CString,
    properties: CString,
}

impl Chosen {
    /// Keeps the library for the life of the process.
    pub(super) fn new(
        library: Loaded,
        name: &str,
        properties: Option<&str>,
    ) -> Result<Chosen, ProviderError> {
        let text = |text: String| CString::new(text).map_err(|_| ProviderError::Nul);
        let properties = properties.map_or_else(|| format!("provider={name}"), str::to_owned);
        Ok(Chosen {
            name: text(name.to_owned())?,
            properties: text(properties)?,
            library: Box::leak(Box::new(library)),
        })
    }

    pub(super) fn library(&self) -> &'static Loaded {
        self.library
    }

    pub(super) fn properties(&self) -> &str {
        self.properties.to_str().unwrap_or_default()
    }

    fn context(&self) -> *mut OSSL_LIB_CTX {
        self.library.context().as_ptr()
    }

    fn query(&self) -> *const c_char {
        self.properties.as_ptr()
    }

    /// Whether the query finds an implementation, and the provider's own.
    pub(super) fn offers(&self, kind: &Kind, algorithm: &CStr) -> bool {
        // SAFETY: the kind's functions belong together; what is fetched is freed once,
        // after its provider's name, which is a string that lives with it, has been read.
        unsafe {
            let found = (kind.fetch)(self.context(), algorithm.as_ptr(), self.query());
            if found.is_null() {
                return false;
            }
            let provider = (kind.provider)(found);
            let ours = !provider.is_null() && {
                let name = ffi::OSSL_PROVIDER_get0_name(provider);
                !name.is_null() && CStr::from_ptr(name) == self.name.as_c_str()
            };
            (kind.free)(found);
            ours
        }
    }

    /// For making keys.
    pub(super) fn named(&self, algorithm: &CStr) -> Result<PkeyCtx<()>, ErrorStack> {
        // SAFETY: a living context and strings; the result is null or owned from here on.
        unsafe {
            owned(EVP_PKEY_CTX_new_from_name(
                self.context(),
                algorithm.as_ptr(),
                self.query(),
            ))
        }
    }

    /// For using a key, of which it takes its own reference.
    pub(super) fn of(&self, key: &PKeyRef<Private>) -> Result<PkeyCtx<Private>, ErrorStack> {
        // SAFETY: a living context, a key and a string; as for `named`.
        unsafe {
            owned(ffi::EVP_PKEY_CTX_new_from_pkey(
                self.context(),
                key.as_ptr(),
                self.query(),
            ))
        }
    }

    /// An RSA key pair of numbers with the names of `EVP_PKEY-RSA(7)`.
    pub(super) fn rsa(&self, numbers: &[(&CStr, &BigNumRef)]) -> Result<PKey<Private>, ErrorStack> {
        let params = Params::of(numbers)?;
        let context = self.named(c"RSA")?;
        let mut key = ptr::null_mut();
        // SAFETY: a valid context, parameters that end as they must, a place for the key.
        unsafe {
            check(EVP_PKEY_fromdata_init(context.as_ptr()))?;
            let made = EVP_PKEY_fromdata(context.as_ptr(), &mut key, KEYPAIR, params.0);
            check(made)?;
            owned_key(key)
        }
    }

    pub(super) fn x25519_private(&self, half: &[u8; 32]) -> Result<PKey<Private>, ErrorStack> {
        // SAFETY: OpenSSL's constructor of keys with a private half.
        unsafe { self.raw(EVP_PKEY_new_raw_private_key_ex, half) }
    }

    pub(super) fn x25519_public(&self, half: &[u8; 32]) -> Result<PKey<Public>, ErrorStack> {
        // SAFETY: OpenSSL's constructor of keys with a public half.
        unsafe { self.raw(EVP_PKEY_new_raw_public_key_ex, half) }
    }

    /// # Safety
    /// `new` is `EVP_PKEY_new_raw_private_key_ex` or its sister, as `T` says.
    unsafe fn raw<T>(&self, new: NewRaw, half: &[u8; 32]) -> Result<PKey<T>, ErrorStack> {
        // SAFETY: a living context, strings, and as many bytes as are told.
        unsafe {
            owned_key(new(
                self.context(),
                c"X25519".as_ptr(),
                self.query(),
                half.as_ptr(),
                half.len(),
            ))
        }
    }
}

type NewRaw = unsafe extern "C" fn(
    *mut OSSL_LIB_CTX,
    *const c_char,
    *const c_char,
    *const c_uchar,
    usize,
) -> *mut EVP_PKEY;

/// `EVP_PKEY_KEYPAIR` of evp.h: all of a key, its parameters too.
const KEYPAIR: c_int = 0x87;

/// Numbers as parameters; OpenSSL wipes those that are secret when they are freed.
struct Params(*mut OSSL_PARAM);

impl Params {
    fn of(numbers: &[(&CStr, &BigNumRef)]) -> Result<Params, ErrorStack> {
        /// Freed in every case.
        struct Builder(*mut OSSL_PARAM_BLD);
        impl Drop for Builder {
            fn drop(&mut self) {
                // SAFETY: ours, freed once; null is allowed.
                unsafe { OSSL_PARAM_BLD_free(self.0) };
            }
        }
        // SAFETY: takes nothing.
        let builder = Builder(unsafe { OSSL_PARAM_BLD_new() });
        if builder.0.is_null() {
            return Err(ErrorStack::get());
        }
        for (name, number) in numbers {
            // SAFETY: name and number outlive the builder, which copies them at the end.
            check(unsafe { OSSL_PARAM_BLD_push_BN(builder.0, name.as_ptr(), number.as_ptr()) })?;
        }
        // SAFETY: a valid builder; the array is ours.
        let params = unsafe { OSSL_PARAM_BLD_to_param(builder.0) };
        if params.is_null() {
            return Err(ErrorStack::get());
        }
        Ok(Params(params))
    }
}

impl Drop for Params {
    fn drop(&mut self) {
        // SAFETY: ours, freed once.
        unsafe { OSSL_PARAM_free(self.0) };
    }
}

fn check(done: c_int) -> Result<(), ErrorStack> {
    if done == 1 {
        Ok(())
    } else {
        Err(ErrorStack::get())
    }
}

/// # Safety
/// `context` is null or valid and nobody else's.
unsafe fn owned<T>(context: *mut EVP_PKEY_CTX) -> Result<PkeyCtx<T>, ErrorStack> {
    if context.is_null() {
        return Err(ErrorStack::get());
    }
    // SAFETY: promised by the caller.
    Ok(unsafe { PkeyCtx::from_ptr(context) })
}

/// # Safety
/// `key` is null or a key whose one reference is the caller's, with what `T` says.
unsafe fn owned_key<T>(key: *mut EVP_PKEY) -> Result<PKey<T>, ErrorStack> {
    if key.is_null() {
        return Err(ErrorStack::get());
    }
    // SAFETY: promised by the caller.
    Ok(unsafe { PKey::from_ptr(key) })
}
