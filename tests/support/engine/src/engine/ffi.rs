//! Declared by hand, after engine.h, rsa.h, ec.h and evp.h of OpenSSL 3.0.

use std::os::raw::{c_char, c_int, c_long, c_uchar, c_uint, c_void};

use openssl_sys::{BIGNUM, EC_KEY, ECDSA_SIG, ENGINE, EVP_PKEY, EVP_PKEY_CTX, RSA};

/// `RSA_METHOD`, `EC_KEY_METHOD` and `EVP_PKEY_METHOD`.
pub(super) type Method = c_void;

pub(super) type RsaOperation =
    unsafe extern "C" fn(c_int, *const c_uchar, *mut c_uchar, *mut RSA, c_int) -> c_int;
pub(super) type Sign = unsafe extern "C" fn(
    c_int,
    *const c_uchar,
    c_int,
    *mut c_uchar,
    *mut c_uint,
    *const BIGNUM,
    *const BIGNUM,
    *mut EC_KEY,
) -> c_int;
pub(super) type SignSetup =
    unsafe extern "C" fn(*mut EC_KEY, *mut c_void, *mut *mut BIGNUM, *mut *mut BIGNUM) -> c_int;
pub(super) type SignPair = unsafe extern "C" fn(
    *const c_uchar,
    c_int,
    *const BIGNUM,
    *const BIGNUM,
    *mut EC_KEY,
) -> *mut ECDSA_SIG;
pub(super) type Init = unsafe extern "C" fn(*mut EVP_PKEY_CTX) -> c_int;
pub(super) type Keygen = unsafe extern "C" fn(*mut EVP_PKEY_CTX, *mut EVP_PKEY) -> c_int;
pub(super) type Derive = unsafe extern "C" fn(*mut EVP_PKEY_CTX, *mut c_uchar, *mut usize) -> c_int;
pub(super) type PkeyMethods =
    unsafe extern "C" fn(*mut ENGINE, *mut *mut Method, *mut *const c_int, c_int) -> c_int;
pub(super) type Control = unsafe extern "C" fn(
    *mut ENGINE,
    c_int,
    c_long,
    *mut c_void,
    Option<unsafe extern "C" fn()>,
) -> c_int;

/// `ENGINE_CMD_DEFN`.
#[repr(C)]
pub(super) struct Definition {
    pub(super) number: c_uint,
    pub(super) name: *const c_char,
    pub(super) description: *const c_char,
    pub(super) flags: c_uint,
}

pub(super) const FLAG_STRING: c_uint = 2;
pub(super) const FLAG_NO_INPUT: c_uint = 4;
pub(super) const FLAG_INTERNAL: c_uint = 8;

unsafe extern "C" {
    pub(super) fn ENGINE_set_id(engine: *mut ENGINE, id: *const c_char) -> c_int;
    pub(super) fn ENGINE_set_name(engine: *mut ENGINE, name: *const c_char) -> c_int;
    pub(super) fn ENGINE_set_RSA(engine: *mut ENGINE, method: *const Method) -> c_int;
    pub(super) fn ENGINE_set_EC(engine: *mut ENGINE, method: *const Method) -> c_int;
    pub(super) fn ENGINE_set_pkey_meths(engine: *mut ENGINE, methods: Option<PkeyMethods>)
    -> c_int;
    pub(super) fn ENGINE_set_cmd_defns(
        engine: *mut ENGINE,
        definitions: *const Definition,
    ) -> c_int;
    pub(super) fn ENGINE_set_ctrl_function(engine: *mut ENGINE, control: Option<Control>) -> c_int;

    pub(super) fn RSA_PKCS1_OpenSSL() -> *const Method;
    pub(super) fn RSA_meth_dup(method: *const Method) -> *mut Method;
    pub(super) fn RSA_meth_get_priv_enc(method: *const Method) -> Option<RsaOperation>;
    pub(super) fn RSA_meth_set_priv_enc(
        method: *mut Method,
        operation: Option<RsaOperation>,
    ) -> c_int;

    pub(super) fn EC_KEY_OpenSSL() -> *const Method;
    pub(super) fn EC_KEY_METHOD_new(method: *const Method) -> *mut Method;
    pub(super) fn EC_KEY_METHOD_get_sign(
        method: *const Method,
        sign: *mut Option<Sign>,
        setup: *mut Option<SignSetup>,
        pair: *mut Option<SignPair>,
    );
    pub(super) fn EC_KEY_METHOD_set_sign(
        method: *mut Method,
        sign: Option<Sign>,
        setup: Option<SignSetup>,
        pair: Option<SignPair>,
    );

    pub(super) fn EVP_PKEY_meth_find(nid: c_int) -> *const Method;
    pub(super) fn EVP_PKEY_meth_new(nid: c_int, flags: c_int) -> *mut Method;
    pub(super) fn EVP_PKEY_meth_copy(to: *mut Method, from: *const Method);
    pub(super) fn EVP_PKEY_meth_get_keygen(
        method: *const Method,
        init: *mut Option<Init>,
        keygen: *mut Option<Keygen>,
    );
    pub(super) fn EVP_PKEY_meth_set_keygen(
        method: *mut Method,
        init: Option<Init>,
        keygen: Option<Keygen>,
    );
    pub(super) fn EVP_PKEY_meth_get_derive(
        method: *const Method,
        init: *mut Option<Init>,
        derive: *mut Option<Derive>,
    );
    pub(super) fn EVP_PKEY_meth_set_derive(
        method: *mut Method,
        init: Option<Init>,
        derive: Option<Derive>,
    );
}
