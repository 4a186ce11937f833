//! The device as an ENGINE: OpenSSL's own methods for RSA, ECDSA and X25519, whose results are
//! held back until the device has answered. `bind_engine` and `v_check` are what OpenSSL
//! looks for in an engine's library (engine.h, "dynamic").
//!
//! It takes the commands of qatengine that the gateway uses, and `SCRIPT`, `RELEASE`.

mod commands;
mod ffi;

use std::ffi::CStr;
use std::os::raw::{c_char, c_int, c_uchar, c_uint, c_ulong, c_void};
use std::ptr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use openssl_sys::{BIGNUM, EC_KEY, ENGINE, EVP_PKEY, EVP_PKEY_CTX, RSA};

use crate::device::Device;
use crate::plugin::{self, guarded};
use crate::script::Operation;

const ID: &CStr = c"simulated";
const NAME: &CStr = c"Simulated accelerator (tests only, no security)";
/// `OSSL_DYNAMIC_VERSION` of engine.h, the same in all of OpenSSL 3.
const VERSION: c_ulong = 0x0003_0000;
const X25519: c_int = openssl_sys::NID_X25519;

static DEVICE: OnceLock<Device> = OnceLock::new();
static METHODS: OnceLock<Methods> = OnceLock::new();

fn device() -> &'static Device {
    DEVICE.get_or_init(plugin::device)
}

/// What the device does, in qatengine's bits; the rest is OpenSSL's alone.
static MASK: AtomicU64 = AtomicU64::new(u64::MAX);

fn held_back(operation: Operation, output: &mut [u8]) -> bool {
    let bit = match operation {
        Operation::Rsa => 0x1,
        Operation::Ecdsa => 0x8,
        Operation::Generate | Operation::Derive => 0x20,
    };
    if MASK.load(Ordering::Relaxed) & bit == 0 {
        return true;
    }
    plugin::held_back(device(), operation, output)
}

/// Made once, kept for ever.
struct Methods {
    rsa: *const ffi::Method,
    ec: *const ffi::Method,
    x25519: *const ffi::Method,
    private: ffi::RsaOperation,
    sign: ffi::Sign,
    generate: ffi::Keygen,
    derive: ffi::Derive,
}

// SAFETY: OpenSSL's methods are not changed once they are made, and never freed here.
unsafe impl Send for Methods {}
// SAFETY: as above.
unsafe impl Sync for Methods {}

/// Copies of OpenSSL's methods, with ours in place of some; None if it has none.
fn methods() -> Option<&'static Methods> {
    if METHODS.get().is_none() {
        // SAFETY: OpenSSL's own methods are static; the copies are ours, and filled
        // before anybody else sees them.
        let made = unsafe {
            let software = ffi::RSA_PKCS1_OpenSSL();
            let private = ffi::RSA_meth_get_priv_enc(software)?;
            let rsa = ffi::RSA_meth_dup(software);
            if rsa.is_null() || ffi::RSA_meth_set_priv_enc(rsa, Some(private_encrypt)) != 1 {
                return None;
            }
            let software = ffi::EC_KEY_OpenSSL();
            let ec = ffi::EC_KEY_METHOD_new(software);
            if ec.is_null() {
                return None;
            }
            let (mut own, mut setup, mut pair) = (None, None, None);
            ffi::EC_KEY_METHOD_get_sign(software, &mut own, &mut setup, &mut pair);
            ffi::EC_KEY_METHOD_set_sign(ec, Some(sign), setup, pair);
            let software = ffi::EVP_PKEY_meth_find(X25519);
            let x25519 = ffi::EVP_PKEY_meth_new(X25519, 0);
            if software.is_null() || x25519.is_null() {
                return None;
            }
            ffi::EVP_PKEY_meth_copy(x25519, software);
            let (mut init, mut generate, mut derive) = (None, None, None);
            ffi::EVP_PKEY_meth_get_keygen(software, &mut init, &mut generate);
            ffi::EVP_PKEY_meth_set_keygen(x25519, init, Some(keygen));
            ffi::EVP_PKEY_meth_get_derive(software, &mut init, &mut derive);
            ffi::EVP_PKEY_meth_set_derive(x25519, init, Some(self::derive));
            Methods {
                rsa,
                ec,
                x25519,
                private,
                sign: own?,
                generate: generate?,
                derive: derive?,
            }
        };
        let _ = METHODS.set(made);
    }
    METHODS.get()
}

/// Called by OpenSSL when the library is loaded.
///
/// # Safety
/// `engine` must be an ENGINE that is being made, and `id` null or a string.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn bind_engine(
    engine: *mut ENGINE,
    id: *const c_char,
    _functions: *const c_void,
) -> c_int {
    guarded(0, || {
        let Some(methods) = methods() else { return 0 };
        // SAFETY: promised by the caller; what is set lives as long as the process.
        unsafe {
            if !id.is_null() && CStr::from_ptr(id) != ID {
                return 0;
            }
            let set = [
                ffi::ENGINE_set_id(engine, ID.as_ptr()),
                ffi::ENGINE_set_name(engine, NAME.as_ptr()),
                ffi::ENGINE_set_RSA(engine, methods.rsa),
                ffi::ENGINE_set_EC(engine, methods.ec),
                ffi::ENGINE_set_pkey_meths(engine, Some(pkey_methods)),
                ffi::ENGINE_set_cmd_defns(engine, commands::DEFINITIONS.as_ptr()),
                ffi::ENGINE_set_ctrl_function(engine, Some(commands::control)),
            ];
            device();
            c_int::from(set.iter().all(|set| *set == 1))
        }
    })
}

/// Called by OpenSSL before `bind_engine`.
#[unsafe(no_mangle)]
pub extern "C" fn v_check(version: c_ulong) -> c_ulong {
    if version >= VERSION { VERSION } else { 0 }
}

/// The method of an algorithm, or, without a place for one, the list of algorithms.
unsafe extern "C" fn pkey_methods(
    _engine: *mut ENGINE,
    method: *mut *mut ffi::Method,
    nids: *mut *const c_int,
    nid: c_int,
) -> c_int {
    static NIDS: [c_int; 1] = [X25519];
    let known = methods().filter(|_| nid == X25519);
    // SAFETY: OpenSSL gives places to write to, one of which is null.
    unsafe {
        if method.is_null() {
            *nids = NIDS.as_ptr();
            return 1;
        }
        *method = known.map_or(ptr::null_mut(), |methods| methods.x25519.cast_mut());
    }
    c_int::from(known.is_some())
}

unsafe extern "C" fn private_encrypt(
    len: c_int,
    from: *const c_uchar,
    to: *mut c_uchar,
    rsa: *mut RSA,
    padding: c_int,
) -> c_int {
    guarded(-1, || {
        let Some(methods) = methods() else { return -1 };
        // SAFETY: OpenSSL's own operation with what OpenSSL gave us.
        let done = unsafe { (methods.private)(len, from, to, rsa, padding) };
        let Ok(size) = usize::try_from(done) else {
            return done;
        };
        // SAFETY: that many bytes have just been written.
        let output = unsafe { std::slice::from_raw_parts_mut(to, size) };
        if held_back(Operation::Rsa, output) {
            done
        } else {
            -1
        }
    })
}

unsafe extern "C" fn sign(
    kind: c_int,
    hash: *const c_uchar,
    hash_len: c_int,
    signature: *mut c_uchar,
    len: *mut c_uint,
    kinv: *const BIGNUM,
    r: *const BIGNUM,
    key: *mut EC_KEY,
) -> c_int {
    guarded(0, || {
        let Some(methods) = methods() else { return 0 };
        // SAFETY: OpenSSL's own operation with what OpenSSL gave us, which tells how many
        // bytes it has written.
        unsafe {
            let done = (methods.sign)(kind, hash, hash_len, signature, len, kinv, r, key);
            if done != 1 {
                return done;
            }
            let output = std::slice::from_raw_parts_mut(signature, *len as usize);
            c_int::from(held_back(Operation::Ecdsa, output))
        }
    })
}

unsafe extern "C" fn keygen(context: *mut EVP_PKEY_CTX, key: *mut EVP_PKEY) -> c_int {
    guarded(0, || {
        let Some(methods) = methods() else { return 0 };
        // SAFETY: as above. The key is changed no more: a wrong one is not simulated.
        let done = unsafe { (methods.generate)(context, key) };
        if done == 1 && held_back(Operation::Generate, &mut []) {
            1
        } else {
            0
        }
    })
}

unsafe extern "C" fn derive(
    context: *mut EVP_PKEY_CTX,
    secret: *mut c_uchar,
    len: *mut usize,
) -> c_int {
    guarded(0, || {
        let Some(methods) = methods() else { return 0 };
        // SAFETY: as above; the length is written, and without a place for the secret it
        // is all that is asked for.
        unsafe {
            let done = (methods.derive)(context, secret, len);
            if done != 1 || secret.is_null() {
                return done;
            }
            let output = std::slice::from_raw_parts_mut(secret, *len);
            c_int::from(held_back(Operation::Derive, output))
        }
    })
}
