//! ECDSA signatures, by the backend or in software. `provider-signature(7)`.
//!
//! There is what TLS asks for and no more: one call over the whole message.

use std::ffi::CStr;
use std::os::raw::{c_char, c_int, c_uchar, c_void};
use std::sync::Arc;
use std::{ptr, slice};

use super::context::{self, Shared, guarded, hand_out};
use super::counters::{Algorithm, Path};
use super::ffi::{Dispatch, Param};
use super::rsa_sign::bytes;
use super::{EcdsaKey, ecdsa_key};

pub(super) static DISPATCH: [Dispatch; 5] = [
    Dispatch::new(1, new as *const ()),
    Dispatch::new(8, digest_sign_init as *const ()),
    Dispatch::new(11, digest_sign as *const ()),
    Dispatch::new(16, context::free::<Operation> as *const ()),
    Dispatch::END,
];

/// A signature to be made.
struct Operation {
    /// Once it has been told with what.
    ready: Option<(Arc<EcdsaKey>, Digest)>,
    // After the key, which is of its library context.
    shared: Arc<Shared>,
}

impl Operation {
    /// Writes the signature of `hash`, with room for the longest; its length. By the backend
    /// if it can be, else in software. What the backend gives is verified.
    fn sign(&self, key: &EcdsaKey, hash: &[u8], output: &mut [u8]) -> Option<usize> {
        let (shared, software) = (&self.shared, &key.software);
        if !shared.offloads(Algorithm::Ecdsa) {
            return software.sign(hash, output);
        }
        let mut given = Vec::new();
        let outcome = shared.ask(|backend| backend.ecdsa_sign(key, hash, &mut given));
        let path = shared.path(outcome, || software.verifies(hash, &given));
        let len = match path {
            Path::Accelerated => {
                output.get_mut(..given.len())?.copy_from_slice(&given);
                given.len()
            }
            Path::Software | Path::Redone => software.sign(hash, output)?,
        };
        shared.counters.count(Algorithm::Ecdsa, path);
        Some(len)
    }
}

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

unsafe extern "C" fn new(provider: *mut c_void, _properties: *const c_char) -> *mut c_void {
    guarded(ptr::null_mut(), || {
        // SAFETY: OpenSSL passes the provider's own pointer.
        let shared = unsafe { context::shared(provider) };
        hand_out(Operation {
            ready: None,
            shared,
        })
    })
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
        operation.ready = key.zip(name.ok().and_then(Digest::of));
        c_int::from(operation.ready.is_some())
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
        let Some((key, digest)) = &operation.ready else {
            return 0;
        };
        let size = key.software.size();
        if signature.is_null() {
            // SAFETY: a place to write to.
            unsafe { *len = size };
            return 1;
        }
        if room < size {
            return 0;
        }
        // SAFETY: room for so much, as the caller says.
        let output = unsafe { slice::from_raw_parts_mut(signature, size) };
        let hash = digest.hash(message);
        let made = hash.and_then(|(hash, len)| operation.sign(key, &hash[..len], output));
        let Some(made) = made else { return 0 };
        // SAFETY: a place to write to.
        unsafe { *len = made };
        1
    })
}
