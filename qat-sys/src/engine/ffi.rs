//! Declared by hand, after engine.h of OpenSSL 3.0: `bindings.rs` holds what every
//! OpenSSL has, and engines may be absent.

use std::os::raw::{c_char, c_int};

use openssl_sys::ENGINE;

/// For `OPENSSL_init_crypto`: makes the engine `dynamic`, which loads others.
pub(super) const OPENSSL_INIT_ENGINE_DYNAMIC: u64 = 0x0400;

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
    pub(super) fn OPENSSL_init_crypto(
        options: u64,
        settings: *const openssl_sys::OPENSSL_INIT_SETTINGS,
    ) -> c_int;
}
