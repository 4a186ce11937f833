//! An RSA key in an engine's hands.

use std::os::raw::c_int;
use std::ptr::NonNull;

use foreign_types::ForeignType;
use openssl::bn::BigNum;
use openssl::error::ErrorStack;
use openssl_sys::{
    BIGNUM, ENGINE, RSA, RSA_NO_PADDING, RSA_free, RSA_private_encrypt, RSA_set0_crt_params,
    RSA_set0_factors, RSA_set0_key, RSA_size,
};

use super::ffi;
use crate::offload::RsaKey;

/// An RSA whose operations are the engine's. It holds its own copy of the numbers, which
/// OpenSSL wipes, and a reference to the engine.
pub(super) struct EngineRsa {
    rsa: NonNull<RSA>,
    engine: *const ENGINE,
}

// SAFETY: RSA structures may be used from any thread, by several at a time, as long as
// nobody changes them: nobody does after `new`. The engine's pointer is only compared.
unsafe impl Send for EngineRsa {}
// SAFETY: as above.
unsafe impl Sync for EngineRsa {}

impl EngineRsa {
    /// `engine` must be at work.
    pub(super) fn new(engine: *mut ENGINE, key: &RsaKey) -> Result<EngineRsa, ErrorStack> {
        // SAFETY: a valid engine, of which the RSA takes its own reference.
        let rsa =
            NonNull::new(unsafe { ffi::RSA_new_method(engine) }).ok_or_else(ErrorStack::get)?;
        // From here on it is freed whatever happens.
        let made = EngineRsa { rsa, engine };
        let rsa = rsa.as_ptr();
        // SAFETY: a new RSA; the numbers are its own from the calls on if they succeed,
        // and they only fail for want of a number.
        unsafe {
            given([&key.n, &key.e, &key.d], |[n, e, d]| {
                RSA_set0_key(rsa, n, e, d)
            })?;
            given([&key.p, &key.q], |[p, q]| RSA_set0_factors(rsa, p, q))?;
            given([&key.dp, &key.dq, &key.qinv], |[dp, dq, qinv]| {
                RSA_set0_crt_params(rsa, dp, dq, qinv)
            })?;
        }
        Ok(made)
    }

    pub(super) fn is_of(&self, engine: *const ENGINE) -> bool {
        self.engine == engine
    }

    /// The raw operation, in the running job; false if it failed. `RSA_private_encrypt(3)`.
    pub(super) fn private(&self, input: &[u8], output: &mut [u8]) -> bool {
        // SAFETY: a valid RSA with a modulus.
        let size = unsafe { RSA_size(self.rsa.as_ptr()) };
        if usize::try_from(size) != Ok(input.len()) || input.len() != output.len() {
            return false;
        }
        // SAFETY: without padding, `size` bytes are read and as many written, which both
        // have. They stay borrowed over the pause; a job that is never resumed keeps its
        // frames, and so the borrows.
        let done = unsafe {
            RSA_private_encrypt(
                size,
                input.as_ptr(),
                output.as_mut_ptr(),
                self.rsa.as_ptr(),
                RSA_NO_PADDING,
            )
        };
        done == size
    }
}

impl Drop for EngineRsa {
    fn drop(&mut self) {
        // SAFETY: ours, freed once; its numbers and its reference to the engine with it.
        unsafe { RSA_free(self.rsa.as_ptr()) };
    }
}

/// Copies numbers and gives them away to `taker`, unless it says that it failed.
fn given<const N: usize>(
    numbers: [&BigNum; N],
    taker: impl FnOnce([*mut BIGNUM; N]) -> c_int,
) -> Result<(), ErrorStack> {
    let mut copies = Vec::with_capacity(N);
    for number in numbers {
        copies.push((**number).to_owned()?);
    }
    let pointers: [*mut BIGNUM; N] = std::array::from_fn(|index| copies[index].as_ptr());
    if taker(pointers) != 1 {
        for copy in &mut copies {
            copy.clear();
        }
        return Err(ErrorStack::get());
    }
    copies.into_iter().for_each(std::mem::forget);
    Ok(())
}
