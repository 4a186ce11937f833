//! ECDSA signatures with P-256 by AWS-LC, which makes one in 20 µs where OpenSSL takes 29
//! (AMD Zen 3). `provider-signature(7)`.
//!
//! There is what TLS asks for and no more: one call over the whole message.

use std::ffi::CStr;
use std::os::raw::{c_char, c_int, c_uchar, c_void};
use std::ptr;
use std::sync::Arc;

use super::context::{self, guarded, hand_out};
use super::ecdsa_key::{self, Key, LONGEST};
use super::ffi::{Dispatch, Param};
use super::rsa_sign::bytes;

pub(super) static DISPATCH: [Dispatch; 5] = [
    Dispatch::new(1, new as *const ()),
    Dispatch::new(8, digest_sign_init as *const ()),
    Dispatch::new(11, digest_sign as *const ()),
    Dispatch::new(16, context::free::<Operation> as *const ()),
    Dispatch::END,
];

/// A signature to be made, once it has been told with what.
#[derive(Default)]
struct Operation(Option<(Arc<Key>, Digest)>);

/// Points to a static.
struct Digest(*const aws_lc_sys::EVP_MD);

impl Digest {
    /// Those that TLS signs with, by OpenSSL's names for them.
    fn of(name: &str) -> Option<Digest> {
        // SAFETY: they give static objects.
        let digest = unsafe {
            match name {
                "SHA2-256" | "SHA256" => aws_lc_sys::EVP_sha256(),
                "SHA2-384" | "SHA384" => aws_lc_sys::EVP_sha384(),
                "SHA2-512" | "SHA512" => aws_lc_sys::EVP_sha512(),
                "SHA2-224" | "SHA224" => aws_lc_sys::EVP_sha224(),
                "SHA1" => aws_lc_sys::EVP_sha1(),
                _ => return None,
            }
        };
        Some(Digest(digest))
    }

    /// The message's hash, and its length.
    fn hash(&self, message: &[u8]) -> Option<([u8; 64], usize)> {
        let (mut hash, mut len) = ([0; 64], 0);
        // SAFETY: a slice with its length, and room for the longest hash.
        let ret = unsafe {
            aws_lc_sys::EVP_Digest(
                message.as_ptr().cast(),
                message.len(),
                hash.as_mut_ptr(),
                &mut len,
                self.0,
                ptr::null_mut(),
            )
        };
        (ret == 1).then_some((hash, len as usize))
    }
}

unsafe extern "C" fn new(_provider: *mut c_void, _properties: *const c_char) -> *mut c_void {
    guarded(ptr::null_mut(), || hand_out(Operation::default()))
}

unsafe extern "C" fn digest_sign_init(
    raw: *mut c_void,
    digest: *const c_char,
    key: *mut c_void,
    _params: *const Param,
) -> c_int {
    guarded(0, || {
        // SAFETY: what `new` gave, which nobody else uses now, a key of our manager or null,
        // and a text or null.
        let (operation, key, digest) = unsafe {
            let digest = (!digest.is_null()).then(|| CStr::from_ptr(digest));
            (&mut *raw.cast::<Operation>(), ecdsa_key::key(key), digest)
        };
        let name = digest.map_or(Ok("SHA256"), CStr::to_str);
        operation.0 = key.zip(name.ok().and_then(Digest::of));
        c_int::from(operation.0.is_some())
    })
}

unsafe extern "C" fn digest_sign(
    raw: *mut c_void,
    signature: *mut c_uchar,
    len: *mut usize,
    room: usize,
    data: *const c_uchar,
    data_len: usize,
) -> c_int {
    guarded(0, || {
        // SAFETY: what `new` gave; the message has its length.
        let (operation, message) = unsafe { (&*raw.cast::<Operation>(), bytes(data, data_len)) };
        let Some((key, digest)) = &operation.0 else {
            return 0;
        };
        if signature.is_null() {
            // SAFETY: a place to write to.
            unsafe { *len = LONGEST };
            return 1;
        }
        let hash = digest.hash(message);
        match hash.and_then(|(hash, len)| key.sign(&hash[..len])) {
            Some((made, made_len)) if made_len <= room => {
                // SAFETY: there is room for it, and a place for its length.
                unsafe {
                    ptr::copy_nonoverlapping(made.as_ptr(), signature, made_len);
                    *len = made_len;
                }
                1
            }
            _ => 0,
        }
    })
}
