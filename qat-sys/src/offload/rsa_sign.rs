//! RSA signatures: digest and padding by OpenSSL, the private operation by whoever does
//! it. `provider-signature(7)`, `EVP_SIGNATURE-RSA(7)`. What only needs the public key
//! goes to OpenSSL's own provider (`rsa_verify`).

use std::ffi::CStr;
use std::os::raw::{c_char, c_int, c_uchar, c_void};
use std::{ptr, slice};

use super::context::{self, guarded, hand_out};
use super::ffi::{Dispatch, Param};
use super::params::UTF8;
use super::rsa_key;
use super::rsa_operation::{Operation, finish, operation};
use super::rsa_verify as verify;

pub(super) static DISPATCH: [Dispatch; 22] = [
    Dispatch::new(1, new as *const ()),
    Dispatch::new(2, sign_init as *const ()),
    Dispatch::new(3, sign as *const ()),
    Dispatch::new(4, verify::init as *const ()),
    Dispatch::new(5, verify::verify as *const ()),
    Dispatch::new(6, verify::recover_init as *const ()),
    Dispatch::new(7, verify::recover as *const ()),
    Dispatch::new(8, digest_sign_init as *const ()),
    Dispatch::new(9, digest_update as *const ()),
    Dispatch::new(10, digest_sign_final as *const ()),
    Dispatch::new(11, digest_sign as *const ()),
    Dispatch::new(12, verify::digest_init as *const ()),
    Dispatch::new(13, verify::digest_update as *const ()),
    Dispatch::new(14, verify::digest_final as *const ()),
    Dispatch::new(15, verify::digest_verify as *const ()),
    Dispatch::new(16, context::free::<Operation> as *const ()),
    Dispatch::new(17, dup as *const ()),
    Dispatch::new(18, get_params as *const ()),
    Dispatch::new(19, known_params as *const ()),
    Dispatch::new(20, set_params as *const ()),
    Dispatch::new(21, known_params as *const ()),
    Dispatch::END,
];

static KNOWN: [Param; 5] = [
    Param::named(c"digest", UTF8),
    Param::named(c"pad-mode", UTF8),
    Param::named(c"mgf1-digest", UTF8),
    Param::named(c"saltlen", UTF8),
    Param::END,
];

/// # Safety
/// `data` has `len` bytes, or `len` is 0.
pub(super) unsafe fn bytes<'a>(data: *const c_uchar, len: usize) -> &'a [u8] {
    if len == 0 {
        return &[];
    }
    // SAFETY: as the caller says.
    unsafe { slice::from_raw_parts(data, len) }
}

fn answer(done: Option<()>) -> c_int {
    c_int::from(done.is_some())
}

unsafe extern "C" fn new(provider: *mut c_void, _properties: *const c_char) -> *mut c_void {
    guarded(ptr::null_mut(), || {
        // SAFETY: OpenSSL passes the provider's own pointer.
        let shared = unsafe { context::shared(provider) };
        hand_out(Operation::new(shared))
    })
}

unsafe extern "C" fn dup(raw: *mut c_void) -> *mut c_void {
    guarded(ptr::null_mut(), || {
        // SAFETY: what `new` gave.
        let copy = unsafe { operation(raw) }.copy();
        copy.map_or(ptr::null_mut(), hand_out)
    })
}

unsafe extern "C" fn sign_init(raw: *mut c_void, key: *mut c_void, params: *const Param) -> c_int {
    guarded(0, || {
        // SAFETY: what `new` gave, a key of our manager or null, and a terminated array.
        unsafe {
            let operation = operation(raw);
            let key = rsa_key::key(key).or(operation.key.take());
            answer(
                operation
                    .start(key)
                    .then_some(())
                    .and_then(|()| operation.set(params)),
            )
        }
    })
}

unsafe extern "C" fn sign(
    raw: *mut c_void,
    signature: *mut c_uchar,
    len: *mut usize,
    room: usize,
    data: *const c_uchar,
    data_len: usize,
) -> c_int {
    // SAFETY: OpenSSL's contract: each pointer with its length.
    guarded(0, || unsafe {
        let hash = || Some(bytes(data, data_len).to_vec());
        answer(operation(raw).sign(signature, len, room, hash))
    })
}

unsafe extern "C" fn digest_sign_init(
    raw: *mut c_void,
    digest: *const c_char,
    key: *mut c_void,
    params: *const Param,
) -> c_int {
    guarded(0, || {
        // SAFETY: as for `sign_init`, and a text or null.
        unsafe {
            if sign_init(raw, key, ptr::null()) != 1 {
                return 0;
            }
            let operation = operation(raw);
            let name = match digest.is_null() {
                true => Some("SHA256"),
                false => CStr::from_ptr(digest).to_str().ok(),
            };
            operation.digest = name.and_then(|name| operation.shared.software.find_digest(name));
            answer(operation.digest.and_then(|_| operation.set(params)))
        }
    })
}

unsafe extern "C" fn digest_update(raw: *mut c_void, data: *const c_uchar, len: usize) -> c_int {
    guarded(0, || {
        // SAFETY: what `new` gave, and data with its length.
        let (operation, data) = unsafe { (operation(raw), bytes(data, len)) };
        if operation.running.is_none() {
            operation.running = operation.begin_digest();
        }
        let running = operation.running.as_mut();
        answer(running.and_then(|running| running.digest_update(data).ok()))
    })
}

unsafe extern "C" fn digest_sign_final(
    raw: *mut c_void,
    signature: *mut c_uchar,
    len: *mut usize,
    room: usize,
) -> c_int {
    // SAFETY: what `new` gave; each pointer with its length.
    guarded(0, || unsafe {
        let operation = operation(raw);
        // Asked for the size alone, the digest goes on.
        let running = match signature.is_null() {
            true => None,
            false => operation
                .running
                .take()
                .or_else(|| operation.begin_digest()),
        };
        answer(operation.sign(signature, len, room, || finish(running?)))
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
    // SAFETY: what `new` gave; each pointer with its length.
    guarded(0, || unsafe {
        let operation = operation(raw);
        let hash = || {
            let mut running = operation.begin_digest()?;
            running.digest_update(bytes(data, data_len)).ok()?;
            finish(running)
        };
        answer(operation.sign(signature, len, room, hash))
    })
}

unsafe extern "C" fn set_params(raw: *mut c_void, params: *const Param) -> c_int {
    // SAFETY: what `new` gave, and a terminated array.
    guarded(0, || unsafe {
        let operation = operation(raw);
        match &operation.verify {
            Some(verify) => verify.set(params),
            None => answer(operation.set(params)),
        }
    })
}

unsafe extern "C" fn get_params(raw: *mut c_void, params: *mut Param) -> c_int {
    // SAFETY: what `new` gave, and a terminated array.
    guarded(0, || unsafe {
        let operation = operation(raw);
        match &operation.verify {
            Some(verify) => verify.get(params),
            None => answer(operation.get(params)),
        }
    })
}

unsafe extern "C" fn known_params(_raw: *mut c_void, _provider: *mut c_void) -> *const Param {
    KNOWN.as_ptr()
}
