//! The key schedule of TLS 1.2 (RFC 5246, 5), by AWS-LC. `EVP_KDF-TLS1_PRF(7)`.

use std::os::raw::{c_int, c_uchar, c_void};
use std::ptr;

use super::ffi::{Dispatch, Param};
use super::kdf::{self, Hash};
use super::params;

pub(super) static DISPATCH: [Dispatch; 4] = kdf::dispatch(derive);

unsafe extern "C" fn derive(
    _context: *mut c_void,
    out: *mut c_uchar,
    len: usize,
    params: *const Param,
) -> c_int {
    // SAFETY: a terminated array, and room for `len` bytes that nobody else has.
    unsafe { kdf::derive(out, len, |out| prf(params, out)) }
}

/// None if there is no secret, or no digest that is known here.
///
/// # Safety
/// `params` is null or an array that ends as such arrays do.
unsafe fn prf(params: *const Param, out: &mut [u8]) -> Option<()> {
    let (mut hash, mut secret) = (None, None);
    // The label, then the seeds: what is hashed is one after the other.
    let mut seed = Vec::with_capacity(128);
    // SAFETY: as the caller says.
    for (name, param) in unsafe { params::each(params) } {
        match name {
            b"digest" => hash = param.text().and_then(Hash::of),
            b"secret" => secret = param.bytes(),
            b"seed" => seed.extend_from_slice(param.bytes().unwrap_or_default()),
            _ => {}
        }
    }
    let (hash, secret): (Hash, &[u8]) = (hash?, secret?);
    // SAFETY: slices with their lengths, and none for what is not there.
    let ret = unsafe {
        aws_lc_sys::CRYPTO_tls1_prf(
            hash.digest,
            out.as_mut_ptr(),
            out.len(),
            secret.as_ptr(),
            secret.len(),
            seed.as_ptr().cast(),
            seed.len(),
            ptr::null(),
            0,
            ptr::null(),
            0,
        )
    };
    (ret == 1).then_some(())
}
