//! What both key derivations of TLS are made of: AWS-LC's hash functions, and contexts
//! without a state, since TLS gives every parameter with the call that derives.
//!
//! OpenSSL's own look up a digest and a MAC by name and copy every parameter each time: a
//! handshake of TLS 1.3, with twenty derivations, makes 711 allocations by them, 354 by
//! these.

use std::os::raw::{c_int, c_uchar, c_void};
use std::ptr::NonNull;
use std::slice;

use super::context::guarded;
use super::ffi::{Dispatch, Param};

/// `OSSL_FUNC_kdf_derive_fn` (core_dispatch.h).
pub(super) type Derive =
    unsafe extern "C" fn(*mut c_void, *mut c_uchar, usize, *const Param) -> c_int;

pub(super) const fn dispatch(derive: Derive) -> [Dispatch; 4] {
    [
        Dispatch::new(1, new as *const ()),
        Dispatch::new(3, free as *const ()),
        Dispatch::new(5, derive as *const ()),
        Dispatch::END,
    ]
}

/// Has `work` fill what OpenSSL asks for; none from it is a failure.
///
/// # Safety
/// `out` is null or has room for `len` bytes that nobody else has.
pub(super) unsafe fn derive(
    out: *mut c_uchar,
    len: usize,
    work: impl FnOnce(&mut [u8]) -> Option<()>,
) -> c_int {
    guarded(0, || {
        if out.is_null() {
            return 0;
        }
        // SAFETY: as the caller says.
        let out = unsafe { slice::from_raw_parts_mut(out, len) };
        c_int::from(work(out).is_some())
    })
}

unsafe extern "C" fn new(_provider: *mut c_void) -> *mut c_void {
    // Anything but null: nobody looks at it.
    NonNull::<c_void>::dangling().as_ptr()
}

unsafe extern "C" fn free(_context: *mut c_void) {}

/// A hash function of a cipher suite.
#[derive(Clone, Copy)]
pub(super) struct Hash {
    pub digest: *const aws_lc_sys::EVP_MD,
    pub len: usize,
    /// The hash of no bytes at all.
    pub of_nothing: &'static [u8],
}

const SHA256_OF_NOTHING: [u8; 32] = [
    0xe3, 0xb0, 0xc4, 0x42, 0x98, 0xfc, 0x1c, 0x14, 0x9a, 0xfb, 0xf4, 0xc8, 0x99, 0x6f, 0xb9, 0x24,
    0x27, 0xae, 0x41, 0xe4, 0x64, 0x9b, 0x93, 0x4c, 0xa4, 0x95, 0x99, 0x1b, 0x78, 0x52, 0xb8, 0x55,
];
const SHA384_OF_NOTHING: [u8; 48] = [
    0x38, 0xb0, 0x60, 0xa7, 0x51, 0xac, 0x96, 0x38, 0x4c, 0xd9, 0x32, 0x7e, 0xb1, 0xb1, 0xe3, 0x6a,
    0x21, 0xfd, 0xb7, 0x11, 0x14, 0xbe, 0x07, 0x43, 0x4c, 0x0c, 0xc7, 0xbf, 0x63, 0xf6, 0xe1, 0xda,
    0x27, 0x4e, 0xde, 0xbf, 0xe7, 0x6f, 0x65, 0xfb, 0xd5, 0x1a, 0xd2, 0xf1, 0x48, 0x98, 0xb9, 0x5b,
];

impl Hash {
    /// By OpenSSL's name for it.
    pub(super) fn of(name: &str) -> Option<Hash> {
        // SAFETY: they give static objects.
        let (sha256, sha384) = unsafe { (aws_lc_sys::EVP_sha256(), aws_lc_sys::EVP_sha384()) };
        let (digest, of_nothing) = match name {
            "SHA2-256" | "SHA256" => (sha256, &SHA256_OF_NOTHING[..]),
            "SHA2-384" | "SHA384" => (sha384, &SHA384_OF_NOTHING[..]),
            _ => return None,
        };
        Some(Hash {
            digest,
            len: of_nothing.len(),
            of_nothing,
        })
    }
}
