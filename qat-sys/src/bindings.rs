// Made by `cargo build -p qat-sys --features bindgen` from wrapper.h: do not edit.
use openssl_sys::*;

pub type ASYNC_JOB = async_job_st;
pub type ASYNC_WAIT_CTX = async_wait_ctx_st;
pub type ASYNC_callback_fn = ::core::option::Option<
    unsafe extern "C" fn(arg: *mut ::core::ffi::c_void) -> ::core::ffi::c_int,
>;
pub type SSL_async_callback_fn = ::core::option::Option<
    unsafe extern "C" fn(s: *mut SSL, arg: *mut ::core::ffi::c_void) -> ::core::ffi::c_int,
>;
#[repr(C)]
#[derive(Debug)]
pub struct async_job_st {
    _unused: [u8; 0],
}
#[repr(C)]
#[derive(Debug)]
pub struct async_wait_ctx_st {
    _unused: [u8; 0],
}
pub const ASYNC_NO_JOBS: i32 = 1;
pub const ASYNC_PAUSE: i32 = 2;
pub const ASYNC_STATUS_OK: i32 = 2;
pub const ASYNC_STATUS_EAGAIN: i32 = 3;
pub const ERR_LIB_SSL: i32 = 20;
pub const XN_FLAG_RFC2253: i32 = 17892119;
pub const SSL_R_CALLBACK_FAILED: i32 = 234;
pub const SSL_R_CERTIFICATE_VERIFY_FAILED: i32 = 134;
pub const SSL_R_HTTPS_PROXY_REQUEST: i32 = 155;
pub const SSL_R_HTTP_REQUEST: i32 = 156;
pub const SSL_R_NO_APPLICATION_PROTOCOL: i32 = 235;
pub const SSL_R_NO_SHARED_CIPHER: i32 = 193;
pub const SSL_R_NO_SHARED_GROUPS: i32 = 410;
pub const SSL_R_NO_SHARED_SIGNATURE_ALGORITHMS: i32 = 376;
pub const SSL_R_NO_SUITABLE_KEY_SHARE: i32 = 101;
pub const SSL_R_NO_SUITABLE_SIGNATURE_ALGORITHM: i32 = 118;
pub const SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE: i32 = 199;
pub const SSL_R_UNEXPECTED_EOF_WHILE_READING: i32 = 294;
pub const SSL_R_UNSUPPORTED_PROTOCOL: i32 = 258;
pub const SSL_R_VERSION_TOO_LOW: i32 = 396;
pub const SSL_R_WRONG_VERSION_NUMBER: i32 = 267;
pub const SSL_MODE_ASYNC: i32 = 256;
pub const TLSEXT_nid_unknown: i32 = 16777216;
pub const SSL_ERROR_WANT_ASYNC: i32 = 9;
pub const SSL_ERROR_WANT_ASYNC_JOB: i32 = 10;
pub const SSL_CTRL_SET_TLSEXT_TICKET_KEYS: i32 = 59;
pub const SSL_CTRL_CLEAR_MODE: i32 = 78;
pub const SSL_CTRL_GET_NEGOTIATED_GROUP: i32 = 134;
unsafe extern "C" {
    pub fn ASYNC_init_thread(max_size: usize, init_size: usize) -> ::core::ffi::c_int;
    pub fn ASYNC_WAIT_CTX_new() -> *mut ASYNC_WAIT_CTX;
    pub fn ASYNC_WAIT_CTX_free(ctx: *mut ASYNC_WAIT_CTX);
    pub fn ASYNC_WAIT_CTX_set_wait_fd(
        ctx: *mut ASYNC_WAIT_CTX,
        key: *const ::core::ffi::c_void,
        fd: ::core::ffi::c_int,
        custom_data: *mut ::core::ffi::c_void,
        cleanup: ::core::option::Option<
            unsafe extern "C" fn(
                arg1: *mut ASYNC_WAIT_CTX,
                arg2: *const ::core::ffi::c_void,
                arg3: ::core::ffi::c_int,
                arg4: *mut ::core::ffi::c_void,
            ),
        >,
    ) -> ::core::ffi::c_int;
    pub fn ASYNC_WAIT_CTX_get_fd(
        ctx: *mut ASYNC_WAIT_CTX,
        key: *const ::core::ffi::c_void,
        fd: *mut ::core::ffi::c_int,
        custom_data: *mut *mut ::core::ffi::c_void,
    ) -> ::core::ffi::c_int;
    pub fn ASYNC_WAIT_CTX_get_callback(
        ctx: *mut ASYNC_WAIT_CTX,
        callback: *mut ASYNC_callback_fn,
        callback_arg: *mut *mut ::core::ffi::c_void,
    ) -> ::core::ffi::c_int;
    pub fn ASYNC_WAIT_CTX_set_callback(
        ctx: *mut ASYNC_WAIT_CTX,
        callback: ASYNC_callback_fn,
        callback_arg: *mut ::core::ffi::c_void,
    ) -> ::core::ffi::c_int;
    pub fn ASYNC_WAIT_CTX_set_status(
        ctx: *mut ASYNC_WAIT_CTX,
        status: ::core::ffi::c_int,
    ) -> ::core::ffi::c_int;
    pub fn ASYNC_WAIT_CTX_get_status(ctx: *mut ASYNC_WAIT_CTX) -> ::core::ffi::c_int;
    pub fn ASYNC_is_capable() -> ::core::ffi::c_int;
    pub fn ASYNC_start_job(
        job: *mut *mut ASYNC_JOB,
        ctx: *mut ASYNC_WAIT_CTX,
        ret: *mut ::core::ffi::c_int,
        func: ::core::option::Option<
            unsafe extern "C" fn(arg1: *mut ::core::ffi::c_void) -> ::core::ffi::c_int,
        >,
        args: *mut ::core::ffi::c_void,
        size: usize,
    ) -> ::core::ffi::c_int;
    pub fn ASYNC_pause_job() -> ::core::ffi::c_int;
    pub fn ASYNC_get_current_job() -> *mut ASYNC_JOB;
    pub fn ASYNC_get_wait_ctx(job: *mut ASYNC_JOB) -> *mut ASYNC_WAIT_CTX;
    pub fn BIO_s_null() -> *const BIO_METHOD;
    pub fn ERR_peek_error() -> ::core::ffi::c_ulong;
    pub fn X509_NAME_print_ex(
        out: *mut BIO,
        nm: *const X509_NAME,
        indent: ::core::ffi::c_int,
        flags: ::core::ffi::c_ulong,
    ) -> ::core::ffi::c_int;
    pub fn SSL_CTX_set_tlsext_ticket_key_evp_cb(
        ctx: *mut SSL_CTX,
        fp: ::core::option::Option<
            unsafe extern "C" fn(
                arg1: *mut SSL,
                arg2: *mut ::core::ffi::c_uchar,
                arg3: *mut ::core::ffi::c_uchar,
                arg4: *mut EVP_CIPHER_CTX,
                arg5: *mut EVP_MAC_CTX,
                arg6: ::core::ffi::c_int,
            ) -> ::core::ffi::c_int,
        >,
    ) -> ::core::ffi::c_int;
    pub fn SSL_CTX_set_timeout(ctx: *mut SSL_CTX, t: ::core::ffi::c_long) -> ::core::ffi::c_long;
    pub fn SSL_has_pending(s: *const SSL) -> ::core::ffi::c_int;
    pub fn SSL_CTX_use_cert_and_key(
        ctx: *mut SSL_CTX,
        x509: *mut X509,
        privatekey: *mut EVP_PKEY,
        chain: *mut stack_st_X509,
        override_: ::core::ffi::c_int,
    ) -> ::core::ffi::c_int;
    pub fn SSL_get_all_async_fds(
        s: *mut SSL,
        fds: *mut ::core::ffi::c_int,
        numfds: *mut usize,
    ) -> ::core::ffi::c_int;
    pub fn SSL_get_changed_async_fds(
        s: *mut SSL,
        addfd: *mut ::core::ffi::c_int,
        numaddfds: *mut usize,
        delfd: *mut ::core::ffi::c_int,
        numdelfds: *mut usize,
    ) -> ::core::ffi::c_int;
    pub fn SSL_set_async_callback(
        s: *mut SSL,
        callback: SSL_async_callback_fn,
    ) -> ::core::ffi::c_int;
    pub fn SSL_set_async_callback_arg(
        s: *mut SSL,
        arg: *mut ::core::ffi::c_void,
    ) -> ::core::ffi::c_int;
    pub fn SSL_get_async_status(s: *mut SSL, status: *mut ::core::ffi::c_int)
    -> ::core::ffi::c_int;
    pub fn SSL_CTX_set_default_read_buffer_len(ctx: *mut SSL_CTX, len: usize);
}
