//! Keys in an engine's hands.

use std::os::raw::c_int;
use std::sync::OnceLock;

use foreign_types::{ForeignType, ForeignTypeRef};
use openssl::bn::BigNum;
use openssl::ec::EcKey;
use openssl::error::ErrorStack;
use openssl::pkey::Private;
use openssl::rsa::{Padding, Rsa};
use openssl_sys::{
    BIGNUM, EC_KEY_set_group, EC_KEY_set_private_key, EC_KEY_set_public_key, ENGINE,
    RSA_set0_crt_params, RSA_set0_factors, RSA_set0_key,
};

use super::ffi;
use crate::offload::{Attachment, EcdsaKey, RsaKey};

/// A key whose operations are the engine's, kept with ours. It holds its own copy of the
/// numbers, which OpenSSL wipes, and a reference to the engine.
struct Held<T> {
    key: T,
    /// The address, only to be compared.
    engine: usize,
}

/// The key in the engine's form, made at its first use; None if it cannot be made, or is
/// another engine's.
pub(super) fn held<T: Send + Sync + 'static>(
    place: &OnceLock<Attachment>,
    engine: *mut ENGINE,
    make: impl FnOnce() -> Result<T, ErrorStack>,
) -> Option<&T> {
    let engine = engine.addr();
    if place.get().is_none() {
        let key = make().ok()?;
        // Another thread may have been faster: then its one is used.
        let _ = place.set(Box::new(Held { key, engine }));
    }
    let held: &Held<T> = place.get()?.as_ref().downcast_ref()?;
    (held.engine == engine).then_some(&held.key)
}

/// `engine` must be at work.
pub(super) fn rsa(engine: *mut ENGINE, key: &RsaKey) -> Result<Rsa<Private>, ErrorStack> {
    // SAFETY: a valid engine, of which the RSA takes its own reference. The RSA is new; the
    // numbers are its own from the calls on if they succeed, and they only fail for want of a
    // number.
    unsafe {
        let rsa = ffi::RSA_new_method(engine);
        if rsa.is_null() {
            return Err(ErrorStack::get());
        }
        // From here on it is freed whatever happens.
        let made = Rsa::from_ptr(rsa);
        given([&key.n, &key.e, &key.d], |[n, e, d]| {
            RSA_set0_key(rsa, n, e, d)
        })?;
        given([&key.p, &key.q], |[p, q]| RSA_set0_factors(rsa, p, q))?;
        given([&key.dp, &key.dq, &key.qinv], |[dp, dq, qinv]| {
            RSA_set0_crt_params(rsa, dp, dq, qinv)
        })?;
        Ok(made)
    }
}

/// The raw operation, in the running job; false if it failed. `RSA_private_encrypt(3)`.
pub(super) fn private(rsa: &Rsa<Private>, input: &[u8], output: &mut [u8]) -> bool {
    let size = rsa.size() as usize;
    let fits = input.len() == size && output.len() == size;
    fits && rsa.private_encrypt(input, output, Padding::NONE).ok() == Some(size)
}

/// `engine` must be at work.
pub(super) fn ec(engine: *mut ENGINE, key: &EcdsaKey) -> Result<EcKey<Private>, ErrorStack> {
    let plain = key.pkey.ec_key()?;
    // SAFETY: a valid engine, of which the key takes its own reference. The key is new; what
    // is set is valid, and copied.
    unsafe {
        let ec = ffi::EC_KEY_new_method(engine);
        if ec.is_null() {
            return Err(ErrorStack::get());
        }
        let made = EcKey::from_ptr(ec);
        let set = EC_KEY_set_group(ec, plain.group().as_ptr()) == 1
            && EC_KEY_set_private_key(ec, plain.private_key().as_ptr()) == 1
            && EC_KEY_set_public_key(ec, plain.public_key().as_ptr()) == 1;
        if set {
            Ok(made)
        } else {
            Err(ErrorStack::get())
        }
    }
}

/// As [`private`]. `ECDSA_sign(3)`.
pub(super) fn sign(ec: &EcKey<Private>, hash: &[u8], signature: &mut Vec<u8>) -> bool {
    let Ok(hash_len) = c_int::try_from(hash.len()) else {
        return false;
    };
    let mut len = 0;
    // SAFETY: a valid key, a slice with its length, and room for the longest signature. They
    // stay borrowed over the pause; a job that is never resumed keeps its frames, and so the
    // borrows.
    let done = unsafe {
        let size = ffi::ECDSA_size(ec.as_ptr());
        signature.resize(usize::try_from(size).unwrap_or_default(), 0);
        ffi::ECDSA_sign(
            0,
            hash.as_ptr(),
            hash_len,
            signature.as_mut_ptr(),
            &mut len,
            ec.as_ptr(),
        )
    };
    signature.truncate(len as usize);
    done == 1
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
