//! Declared by hand, after core.h, core_dispatch.h and provider.h of OpenSSL 3.0.

use std::os::raw::{c_char, c_int, c_uchar, c_void};
use std::ptr;

use openssl_sys::{OSSL_PARAM, OSSL_PROVIDER};

pub(super) const GET_PARAMS: c_int = 1026;
pub(super) const QUERY_OPERATION: c_int = 1027;
pub(super) const OP_KEYMGMT: c_int = 10;
pub(super) const OP_KEYEXCH: c_int = 11;
pub(super) const OP_SIGNATURE: c_int = 12;
pub(super) const OP_ASYM_CIPHER: c_int = 13;

pub(super) const KEYMGMT_GEN: c_int = 6;
pub(super) const KEYMGMT_FREE: c_int = 10;
pub(super) const KEYEXCH_DERIVE: c_int = 3;
pub(super) const SIGNATURE_SIGN: c_int = 3;
pub(super) const ASYM_CIPHER_DECRYPT: c_int = 5;

/// `OSSL_FUNC_signature_sign_fn`, and that of decryption, which is the same.
pub(super) type Private = unsafe extern "C" fn(
    *mut c_void,
    *mut c_uchar,
    *mut usize,
    usize,
    *const c_uchar,
    usize,
) -> c_int;
/// `OSSL_FUNC_keymgmt_gen_fn`
pub(super) type Generate =
    unsafe extern "C" fn(*mut c_void, *const c_void, *mut c_void) -> *mut c_void;
/// `OSSL_FUNC_keymgmt_free_fn`
pub(super) type Free = unsafe extern "C" fn(*mut c_void);
/// `OSSL_FUNC_keyexch_derive_fn`
pub(super) type Derive =
    unsafe extern "C" fn(*mut c_void, *mut c_uchar, *mut usize, usize) -> c_int;

/// `OSSL_DISPATCH`: a function of a provider, by number.
#[derive(Clone, Copy)]
#[repr(C)]
pub(super) struct Dispatch {
    pub(super) id: c_int,
    pub(super) function: *const (),
}

impl Dispatch {
    pub(super) const END: Dispatch = Dispatch {
        id: 0,
        function: ptr::null(),
    };
}

// SAFETY: functions may be called from any thread.
unsafe impl Sync for Dispatch {}
// SAFETY: as above.
unsafe impl Send for Dispatch {}

/// `OSSL_ALGORITHM`.
#[repr(C)]
pub(super) struct Offered {
    pub(super) names: *const c_char,
    pub(super) properties: *const c_char,
    pub(super) dispatch: *const Dispatch,
    pub(super) description: *const c_char,
}

// SAFETY: points to what lives as long as the process, and is only read.
unsafe impl Sync for Offered {}
// SAFETY: as above.
unsafe impl Send for Offered {}

impl Offered {
    pub(super) const END: Offered = Offered {
        names: ptr::null(),
        properties: ptr::null(),
        dispatch: ptr::null(),
        description: ptr::null(),
    };
}

unsafe extern "C" {
    pub(super) fn OSSL_PROVIDER_query_operation(
        provider: *const OSSL_PROVIDER,
        operation: c_int,
        no_cache: *mut c_int,
    ) -> *const Offered;
    pub(super) fn OSSL_PARAM_set_utf8_ptr(param: *mut OSSL_PARAM, value: *const c_char) -> c_int;
    pub(super) fn OSSL_PROVIDER_get0_provider_ctx(provider: *const OSSL_PROVIDER) -> *mut c_void;
}
