//! Declared by hand, after engine.h of OpenSSL 3.0: `bindings.rs` holds what every
//! OpenSSL has, and engines may be absent.

use std::os::raw::{c_char, c_int, c_long, c_uchar, c_uint, c_void};

use openssl_sys::{EC_KEY, ENGINE, RSA};

/// For `OPENSSL_init_crypto`: makes the engine `dynamic`, which loads others.
pub(super) const OPENSSL_INIT_ENGINE_DYNAMIC: u64 = 0x0400;

/// `RSA_METHOD`, `EC_KEY_METHOD` and `EVP_PKEY_METHOD`: only looked for here.
pub(super) type Method = c_void;

unsafe extern "C" {
    pub(super) fn ENGINE_by_id(id: *const c_char) -> *mut ENGINE;
    pub(super) fn ENGINE_free(engine: *mut ENGINE) -> c_int;
    pub(super) fn ENGINE_init(engine: *mut ENGINE) -> c_int;
    pub(super) fn ENGINE_finish(engine: *mut ENGINE) -> c_int;
    pub(super) fn ENGINE_get_name(engine: *const ENGINE) -> *const c_char;
    pub(super) fn ENGINE_ctrl_cmd_string(
        engine: *mut ENGINE,
        name: *const c_char,
        argument: *const c_char,
        optional: c_int,
    ) -> c_int;
    pub(super) fn ENGINE_ctrl_cmd(
        engine: *mut ENGINE,
        name: *const c_char,
        number: c_long,
        pointer: *mut c_void,
        function: Option<unsafe extern "C" fn()>,
        optional: c_int,
    ) -> c_int;
    pub(super) fn ENGINE_get_RSA(engine: *const ENGINE) -> *const Method;
    pub(super) fn ENGINE_get_EC(engine: *const ENGINE) -> *const Method;
    pub(super) fn ENGINE_get_pkey_meths(
        engine: *const ENGINE,
    ) -> Option<
        unsafe extern "C" fn(*mut ENGINE, *mut *mut Method, *mut *const c_int, c_int) -> c_int,
    >;
    pub(super) fn ENGINE_get_pkey_meth(engine: *mut ENGINE, nid: c_int) -> *const Method;
    pub(super) fn RSA_new_method(engine: *mut ENGINE) -> *mut RSA;
    pub(super) fn EC_KEY_new_method(engine: *mut ENGINE) -> *mut EC_KEY;
    pub(super) fn ECDSA_size(key: *const EC_KEY) -> c_int;
    pub(super) fn ECDSA_sign(
        kind: c_int,
        hash: *const c_uchar,
        len: c_int,
        signature: *mut c_uchar,
        signature_len: *mut c_uint,
        key: *mut EC_KEY,
    ) -> c_int;
    pub(super) fn OPENSSL_init_crypto(
        options: u64,
        settings: *const openssl_sys::OPENSSL_INIT_SETTINGS,
    ) -> c_int;
}
