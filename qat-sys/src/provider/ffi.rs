//! Declared by hand, after evp.h and provider.h of OpenSSL 3.0.

use std::os::raw::{c_char, c_void};

use openssl_sys::{EVP_PKEY, EVP_PKEY_CTX, OSSL_LIB_CTX, OSSL_PROVIDER};

/// `EVP_KEYMGMT`, `EVP_SIGNATURE` and so on: only asked where they are from.
pub(super) type Implementation = c_void;
pub(super) type Fetch =
    unsafe extern "C" fn(*mut OSSL_LIB_CTX, *const c_char, *const c_char) -> *mut Implementation;
pub(super) type ProviderOf = unsafe extern "C" fn(*const Implementation) -> *const OSSL_PROVIDER;
pub(super) type Free = unsafe extern "C" fn(*mut Implementation);

macro_rules! implementations {
    ($($fetch:ident, $provider:ident, $free:ident;)*) => {
        unsafe extern "C" {
            $(
                pub(super) fn $fetch(
                    context: *mut OSSL_LIB_CTX,
                    algorithm: *const c_char,
                    properties: *const c_char,
                ) -> *mut Implementation;
                pub(super) fn $provider(
                    implementation: *const Implementation,
                ) -> *const OSSL_PROVIDER;
                pub(super) fn $free(implementation: *mut Implementation);
            )*
        }
    };
}

implementations! {
    EVP_KEYMGMT_fetch, EVP_KEYMGMT_get0_provider, EVP_KEYMGMT_free;
    EVP_SIGNATURE_fetch, EVP_SIGNATURE_get0_provider, EVP_SIGNATURE_free;
    EVP_ASYM_CIPHER_fetch, EVP_ASYM_CIPHER_get0_provider, EVP_ASYM_CIPHER_free;
    EVP_KEYEXCH_fetch, EVP_KEYEXCH_get0_provider, EVP_KEYEXCH_free;
}

unsafe extern "C" {
    pub(super) fn OSSL_PROVIDER_get0_name(provider: *const OSSL_PROVIDER) -> *const c_char;
    pub(super) fn EVP_PKEY_CTX_new_from_pkey(
        context: *mut OSSL_LIB_CTX,
        key: *mut EVP_PKEY,
        properties: *const c_char,
    ) -> *mut EVP_PKEY_CTX;
}
