//! What needs a public RSA key alone is left to OpenSSL's own provider.

use std::os::raw::{c_char, c_int, c_uchar, c_void};
use std::ptr;

use foreign_types::ForeignType;
use openssl::md_ctx::MdCtx;

use super::context::guarded;
use super::ffi::{self, Param};
use super::rsa_key;
use super::rsa_operation::operation;
use super::rsa_sign::bytes;
use super::software::KeyContext;

/// OpenSSL's context behind ours.
pub(super) enum Verify {
    /// Of a message.
    Digest(MdCtx, *mut openssl_sys::EVP_PKEY_CTX),
    /// Of a hash, or to recover one.
    Hash(KeyContext),
}

impl Verify {
    pub(super) fn copy(&self) -> Option<Verify> {
        match self {
            Verify::Digest(running, _) => {
                let running = copy(running)?;
                // SAFETY: a valid context, which keeps its key context.
                let key = unsafe { EVP_MD_CTX_get_pkey_ctx(running.as_ptr()) };
                Some(Verify::Digest(running, key))
            }
            Verify::Hash(context) => {
                // SAFETY: a valid context.
                let copy = unsafe { ffi::EVP_PKEY_CTX_dup(context.0) };
                KeyContext::own(copy).ok().map(Verify::Hash)
            }
        }
    }

    fn key_context(&self) -> *mut openssl_sys::EVP_PKEY_CTX {
        match self {
            Verify::Digest(_, key) => *key,
            Verify::Hash(context) => context.0,
        }
    }

    /// # Safety
    /// `params` is null or a terminated array.
    pub(super) unsafe fn set(&self, params: *const Param) -> c_int {
        if params.is_null() {
            return 1;
        }
        // SAFETY: as the caller says.
        unsafe { ffi::EVP_PKEY_CTX_set_params(self.key_context(), params) }
    }

    /// # Safety
    /// `params` is null or a terminated array of the caller's.
    pub(super) unsafe fn get(&self, params: *mut Param) -> c_int {
        if params.is_null() {
            return 1;
        }
        // SAFETY: as the caller says.
        unsafe { ffi::EVP_PKEY_CTX_get_params(self.key_context(), params) }
    }
}

unsafe extern "C" {
    fn EVP_MD_CTX_get_pkey_ctx(
        context: *const openssl_sys::EVP_MD_CTX,
    ) -> *mut openssl_sys::EVP_PKEY_CTX;
}

pub(super) fn copy(running: &MdCtx) -> Option<MdCtx> {
    let copy = MdCtx::new().ok()?;
    // SAFETY: two valid contexts.
    let done = unsafe { openssl_sys::EVP_MD_CTX_copy_ex(copy.as_ptr(), running.as_ptr()) };
    (done == 1).then_some(copy)
}

/// # Safety
/// The provider's contract for an init function.
unsafe fn start(
    raw: *mut c_void,
    key: *mut c_void,
    params: *const Param,
    init: unsafe extern "C" fn(*mut openssl_sys::EVP_PKEY_CTX) -> c_int,
) -> c_int {
    guarded(0, || {
        // SAFETY: what `new` gave, a key of our manager or null, and a terminated array.
        unsafe {
            let operation = operation(raw);
            operation.key = rsa_key::key(key).or(operation.key.take());
            let Some(key) = &operation.key else { return 0 };
            let Ok(context) = KeyContext::of(&operation.shared.software, &key.pkey) else {
                return 0;
            };
            if init(context.0) != 1 {
                return 0;
            }
            operation.verify.insert(Verify::Hash(context)).set(params)
        }
    })
}

pub(super) unsafe extern "C" fn init(
    raw: *mut c_void,
    key: *mut c_void,
    params: *const Param,
) -> c_int {
    // SAFETY: as our caller's.
    unsafe { start(raw, key, params, openssl_sys::EVP_PKEY_verify_init) }
}

pub(super) unsafe extern "C" fn recover_init(
    raw: *mut c_void,
    key: *mut c_void,
    params: *const Param,
) -> c_int {
    // SAFETY: as our caller's.
    unsafe { start(raw, key, params, ffi::EVP_PKEY_verify_recover_init) }
}

pub(super) unsafe extern "C" fn verify(
    raw: *mut c_void,
    signature: *const c_uchar,
    len: usize,
    data: *const c_uchar,
    data_len: usize,
) -> c_int {
    // SAFETY: what `new` gave; each pointer with its length.
    unsafe {
        match &operation(raw).verify {
            Some(Verify::Hash(context)) => {
                openssl_sys::EVP_PKEY_verify(context.0, signature, len, data, data_len)
            }
            _ => 0,
        }
    }
}

pub(super) unsafe extern "C" fn recover(
    raw: *mut c_void,
    out: *mut c_uchar,
    out_len: *mut usize,
    room: usize,
    signature: *const c_uchar,
    len: usize,
) -> c_int {
    // SAFETY: what `new` gave; each pointer with its length.
    unsafe {
        match &operation(raw).verify {
            Some(Verify::Hash(context)) => {
                *out_len = room;
                ffi::EVP_PKEY_verify_recover(context.0, out, out_len, signature, len)
            }
            _ => 0,
        }
    }
}

pub(super) unsafe extern "C" fn digest_init(
    raw: *mut c_void,
    digest: *const c_char,
    key: *mut c_void,
    params: *const Param,
) -> c_int {
    guarded(0, || {
        // SAFETY: what `new` gave, a text, a key of our manager, and a terminated array.
        unsafe {
            let operation = operation(raw);
            operation.key = rsa_key::key(key).or(operation.key.take());
            let (Some(key), Ok(running)) = (&operation.key, MdCtx::new()) else {
                return 0;
            };
            let mut context = ptr::null_mut();
            let done = ffi::EVP_DigestVerifyInit_ex(
                running.as_ptr(),
                &mut context,
                digest,
                operation.shared.software.context(),
                ptr::null(),
                key.pkey.as_ptr(),
                params,
            );
            operation.verify = Some(Verify::Digest(running, context));
            done
        }
    })
}

pub(super) unsafe extern "C" fn digest_update(
    raw: *mut c_void,
    data: *const c_uchar,
    len: usize,
) -> c_int {
    guarded(0, || {
        // SAFETY: what `new` gave, and data with its length.
        let (operation, data) = unsafe { (operation(raw), bytes(data, len)) };
        match &mut operation.verify {
            Some(Verify::Digest(running, _)) => {
                c_int::from(running.digest_verify_update(data).is_ok())
            }
            _ => 0,
        }
    })
}

pub(super) unsafe extern "C" fn digest_final(
    raw: *mut c_void,
    signature: *const c_uchar,
    len: usize,
) -> c_int {
    // SAFETY: what `new` gave, and a signature with its length.
    unsafe {
        match &operation(raw).verify {
            Some(Verify::Digest(running, _)) => {
                openssl_sys::EVP_DigestVerifyFinal(running.as_ptr(), signature, len)
            }
            _ => 0,
        }
    }
}

pub(super) unsafe extern "C" fn digest_verify(
    raw: *mut c_void,
    signature: *const c_uchar,
    len: usize,
    data: *const c_uchar,
    data_len: usize,
) -> c_int {
    // SAFETY: what `new` gave; each pointer with its length.
    unsafe {
        match &operation(raw).verify {
            Some(Verify::Digest(running, _)) => {
                openssl_sys::EVP_DigestVerify(running.as_ptr(), signature, len, data, data_len)
            }
            _ => 0,
        }
    }
}
