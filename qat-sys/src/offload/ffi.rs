//! Declared by hand, after core.h, core_dispatch.h and rsa.h of OpenSSL 3.0.

use std::os::raw::{c_char, c_int, c_long, c_uchar, c_uint, c_void};
use std::ptr;

use openssl_sys::{
    ASN1_OBJECT, EVP_MD, EVP_MD_CTX, EVP_PKEY, EVP_PKEY_CTX, OSSL_LIB_CTX, RSA, SSL_CTX,
    SSL_METHOD, X509, X509_ALGOR,
};

/// `OSSL_PARAM(3)`.
#[repr(C)]
pub(super) struct Param {
    pub key: *const c_char,
    pub data_type: c_uint,
    pub data: *mut c_void,
    pub data_size: usize,
    pub return_size: usize,
}

// SAFETY: only descriptions without data are shared, in statics.
unsafe impl Sync for Param {}

/// `OSSL_DISPATCH`: a function of a provider, by number.
#[repr(C)]
pub(super) struct Dispatch {
    id: c_int,
    function: *const (),
}

// SAFETY: functions may be called from any thread.
unsafe impl Sync for Dispatch {}

impl Dispatch {
    pub const END: Dispatch = Dispatch::new(0, ptr::null());

    pub const fn new(id: c_int, function: *const ()) -> Dispatch {
        Dispatch { id, function }
    }
}

/// `OSSL_ALGORITHM`.
#[repr(C)]
pub(super) struct Offered {
    pub names: *const c_char,
    pub properties: *const c_char,
    pub dispatch: *const Dispatch,
    pub description: *const c_char,
}

// SAFETY: points to statics.
unsafe impl Sync for Offered {}

/// `OSSL_CALLBACK`.
pub(super) type Export = unsafe extern "C" fn(*const Param, *mut c_void) -> c_int;

pub(super) type Init = unsafe extern "C" fn(
    *const c_void,
    *const Dispatch,
    *mut *const Dispatch,
    *mut *mut c_void,
) -> c_int;

pub(super) enum X509Sig {}

unsafe extern "C" {
    pub(super) fn OSSL_PROVIDER_add_builtin(
        context: *mut OSSL_LIB_CTX,
        name: *const c_char,
        init: Init,
    ) -> c_int;

    pub(super) fn OSSL_PROVIDER_get_capabilities(
        provider: *const openssl_sys::OSSL_PROVIDER,
        capability: *const c_char,
        callback: Export,
        arg: *mut c_void,
    ) -> c_int;

    pub(super) fn EVP_set_default_properties(
        context: *mut OSSL_LIB_CTX,
        properties: *const c_char,
    ) -> c_int;
    pub(super) fn EVP_default_properties_is_fips_enabled(context: *mut OSSL_LIB_CTX) -> c_int;

    pub(super) fn OSSL_PARAM_locate_const(p: *const Param, key: *const c_char) -> *const Param;
    pub(super) fn OSSL_PARAM_locate(p: *mut Param, key: *const c_char) -> *mut Param;
    pub(super) fn OSSL_PARAM_get_int(p: *const Param, value: *mut c_int) -> c_int;
    pub(super) fn OSSL_PARAM_set_int(p: *mut Param, value: c_int) -> c_int;
    pub(super) fn OSSL_PARAM_set_octet_string(
        p: *mut Param,
        value: *const c_void,
        len: usize,
    ) -> c_int;
    pub(super) fn OSSL_PARAM_set_utf8_string(p: *mut Param, value: *const c_char) -> c_int;
    pub(super) fn OSSL_PARAM_get_BN(p: *const Param, value: *mut *mut openssl_sys::BIGNUM)
    -> c_int;

    pub(super) fn EVP_PKEY_fromdata(
        context: *mut EVP_PKEY_CTX,
        key: *mut *mut EVP_PKEY,
        selection: c_int,
        params: *const Param,
    ) -> c_int;
    pub(super) fn EVP_PKEY_export(
        key: *const EVP_PKEY,
        selection: c_int,
        export: Export,
        arg: *mut c_void,
    ) -> c_int;
    pub(super) fn EVP_PKEY_get_params(key: *const EVP_PKEY, params: *mut Param) -> c_int;
    pub(super) fn EVP_PKEY_CTX_new_from_pkey(
        context: *mut OSSL_LIB_CTX,
        key: *mut EVP_PKEY,
        properties: *const c_char,
    ) -> *mut EVP_PKEY_CTX;
    pub(super) fn EVP_PKEY_CTX_dup(context: *const EVP_PKEY_CTX) -> *mut EVP_PKEY_CTX;
    pub(super) fn EVP_PKEY_CTX_set_params(
        context: *mut EVP_PKEY_CTX,
        params: *const Param,
    ) -> c_int;
    pub(super) fn EVP_PKEY_CTX_get_params(context: *mut EVP_PKEY_CTX, params: *mut Param) -> c_int;
    pub(super) fn EVP_PKEY_verify_recover_init(context: *mut EVP_PKEY_CTX) -> c_int;
    pub(super) fn EVP_PKEY_verify_recover(
        context: *mut EVP_PKEY_CTX,
        out: *mut c_uchar,
        out_len: *mut usize,
        signature: *const c_uchar,
        len: usize,
    ) -> c_int;
    pub(super) fn EVP_DigestVerifyInit_ex(
        context: *mut EVP_MD_CTX,
        key_context: *mut *mut EVP_PKEY_CTX,
        digest: *const c_char,
        library: *mut OSSL_LIB_CTX,
        properties: *const c_char,
        key: *mut EVP_PKEY,
        params: *const Param,
    ) -> c_int;

    pub(super) fn RSA_set_method(rsa: *mut RSA, method: *const c_void) -> c_int;
    pub(super) fn RSA_PKCS1_OpenSSL() -> *const c_void;
    pub(super) fn RSA_padding_add_PKCS1_type_1(
        to: *mut c_uchar,
        to_len: c_int,
        from: *const c_uchar,
        from_len: c_int,
    ) -> c_int;
    pub(super) fn RSA_padding_add_PKCS1_PSS_mgf1(
        rsa: *mut RSA,
        to: *mut c_uchar,
        hash: *const c_uchar,
        digest: *const EVP_MD,
        mgf1: *const EVP_MD,
        salt_len: c_int,
    ) -> c_int;

    pub(super) fn X509_SIG_new() -> *mut X509Sig;
    pub(super) fn X509_SIG_free(sig: *mut X509Sig);
    pub(super) fn X509_SIG_getm(
        sig: *mut X509Sig,
        algorithm: *mut *mut X509_ALGOR,
        digest: *mut *mut openssl_sys::ASN1_OCTET_STRING,
    );
    pub(super) fn X509_ALGOR_set0(
        algorithm: *mut X509_ALGOR,
        object: *mut ASN1_OBJECT,
        kind: c_int,
        value: *mut c_void,
    ) -> c_int;
    pub(super) fn i2d_X509_SIG(sig: *const X509Sig, out: *mut *mut c_uchar) -> c_int;
    pub(super) fn ASN1_STRING_set(
        string: *mut openssl_sys::ASN1_OCTET_STRING,
        data: *const c_void,
        len: c_int,
    ) -> c_int;

    pub(super) fn SSL_CTX_new_ex(
        context: *mut OSSL_LIB_CTX,
        properties: *const c_char,
        method: *const SSL_METHOD,
    ) -> *mut SSL_CTX;
    pub(super) fn X509_new_ex(context: *mut OSSL_LIB_CTX, properties: *const c_char) -> *mut X509;
    pub(super) fn d2i_AutoPrivateKey_ex(
        key: *mut *mut EVP_PKEY,
        der: *mut *const c_uchar,
        len: c_long,
        context: *mut OSSL_LIB_CTX,
        properties: *const c_char,
    ) -> *mut EVP_PKEY;
}
