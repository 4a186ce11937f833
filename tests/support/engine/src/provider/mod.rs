//! The device as a provider: OpenSSL's own implementations of RSA, ECDSA and X25519, borrowed
//! from the default provider of another library context, whose results are held back until the
//! device has answered. `OSSL_provider_init` is what OpenSSL looks for in a module
//! (`provider(7)`).
//!
//! RSA can be asked for as a cipher, too. Either way has its word for the property `output`,
//! by which a query can leave it out: names of its own OpenSSL 3.0 does not take.

mod borrow;
mod control;
mod ffi;

use std::ffi::CStr;
use std::os::raw::{c_int, c_uchar, c_void};
use std::ptr;
use std::slice;
use std::sync::OnceLock;

use foreign_types::ForeignType;
use openssl::lib_ctx::LibCtx;
use openssl::provider::Provider;
use openssl_sys::{OSSL_PARAM, OSSL_PARAM_locate};

use borrow::{borrow, typed};
pub use control::Module;
use ffi::{Dispatch, Offered};

use crate::device::Device;
use crate::plugin::{self, guarded};
use crate::script::Operation;

const NAME: &CStr = c"Simulated accelerator (tests only, no security)";
const PROPERTIES: &CStr = c"provider=simulated";
const CIPHERS: &CStr = c"provider=simulated,output=text";
const SIGNATURES: &CStr = c"provider=simulated,output=signature";

static DEVICE: OnceLock<Device> = OnceLock::new();
static METHODS: OnceLock<Methods> = OnceLock::new();

fn device() -> &'static Device {
    DEVICE.get_or_init(plugin::device)
}

fn held_back(operation: Operation, output: &mut [u8]) -> bool {
    plugin::held_back(device(), operation, output)
}

/// Made once, kept for ever.
struct Methods {
    /// The default provider's own: its functions get what they expect.
    context: *mut c_void,
    sign: ffi::Private,
    ecdsa_sign: ffi::Private,
    decrypt: ffi::Private,
    generate: ffi::Generate,
    free: ffi::Free,
    derive: ffi::Derive,
    keys: [Offered; 4],
    signatures: [Offered; 3],
    ciphers: [Offered; 2],
    exchanges: [Offered; 2],
}

// SAFETY: the context is a provider's, which may be used from any thread and is never freed.
unsafe impl Send for Methods {}
// SAFETY: as above.
unsafe impl Sync for Methods {}

fn make() -> Option<Methods> {
    // Never freed, as what is borrowed from it is not given back.
    let context: &'static LibCtx = Box::leak(Box::new(LibCtx::new().ok()?));
    let default = Provider::load(Some(context), "default").ok()?;
    let default: &'static Provider = Box::leak(Box::new(default));
    let rsa_keys = borrow(default, ffi::OP_KEYMGMT, "RSA")?;
    let ec_keys = borrow(default, ffi::OP_KEYMGMT, "EC")?;
    let keys = borrow(default, ffi::OP_KEYMGMT, "X25519")?;
    let signature = borrow(default, ffi::OP_SIGNATURE, "RSA")?;
    let ecdsa = borrow(default, ffi::OP_SIGNATURE, "ECDSA")?;
    let cipher = borrow(default, ffi::OP_ASYM_CIPHER, "RSA")?;
    let exchange = borrow(default, ffi::OP_KEYEXCH, "X25519")?;
    // SAFETY: the numbers say which types the functions have (core_dispatch.h); the
    // provider is valid.
    unsafe {
        Some(Methods {
            context: ffi::OSSL_PROVIDER_get0_provider_ctx(default.as_ptr()),
            sign: typed(signature.function(ffi::SIGNATURE_SIGN)?),
            ecdsa_sign: typed(ecdsa.function(ffi::SIGNATURE_SIGN)?),
            decrypt: typed(cipher.function(ffi::ASYM_CIPHER_DECRYPT)?),
            generate: typed(keys.function(ffi::KEYMGMT_GEN)?),
            free: typed(keys.function(ffi::KEYMGMT_FREE)?),
            derive: typed(exchange.function(ffi::KEYEXCH_DERIVE)?),
            keys: [
                rsa_keys.unchanged(PROPERTIES),
                ec_keys.unchanged(PROPERTIES),
                keys.with(PROPERTIES, ffi::KEYMGMT_GEN, generate as *const ()),
                Offered::END,
            ],
            signatures: [
                signature.with(SIGNATURES, ffi::SIGNATURE_SIGN, sign as *const ()),
                ecdsa.with(PROPERTIES, ffi::SIGNATURE_SIGN, ecdsa_sign as *const ()),
                Offered::END,
            ],
            ciphers: [
                cipher.with(CIPHERS, ffi::ASYM_CIPHER_DECRYPT, decrypt as *const ()),
                Offered::END,
            ],
            exchanges: [
                exchange.with(PROPERTIES, ffi::KEYEXCH_DERIVE, derive as *const ()),
                Offered::END,
            ],
        })
    }
}

static DISPATCH: [Dispatch; 3] = [
    Dispatch {
        id: ffi::GET_PARAMS,
        function: get_params as *const (),
    },
    Dispatch {
        id: ffi::QUERY_OPERATION,
        function: query as *const (),
    },
    Dispatch::END,
];

/// Called by OpenSSL when the module is loaded.
///
/// # Safety
/// `dispatch` and `provider` must be places to write to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn OSSL_provider_init(
    _handle: *const c_void,
    _core: *const c_void,
    dispatch: *mut *const c_void,
    provider: *mut *mut c_void,
) -> c_int {
    guarded(0, || {
        if METHODS.get().is_none() {
            let Some(made) = make() else { return 0 };
            let _ = METHODS.set(made);
        }
        let Some(methods) = METHODS.get() else {
            return 0;
        };
        device();
        // SAFETY: promised by the caller.
        unsafe {
            *dispatch = DISPATCH.as_ptr().cast();
            *provider = methods.context;
        }
        1
    })
}

/// Its name, for people. `provider-base(7)`.
unsafe extern "C" fn get_params(_provider: *mut c_void, params: *mut OSSL_PARAM) -> c_int {
    // SAFETY: OpenSSL passes a terminated array; the name is static.
    unsafe {
        let name = OSSL_PARAM_locate(params, c"name".as_ptr());
        match name.is_null() {
            true => 1,
            false => ffi::OSSL_PARAM_set_utf8_ptr(name, NAME.as_ptr()),
        }
    }
}

unsafe extern "C" fn query(
    _provider: *mut c_void,
    operation: c_int,
    no_cache: *mut c_int,
) -> *const Offered {
    // SAFETY: a place to write to.
    unsafe { *no_cache = 0 };
    let Some(methods) = METHODS.get() else {
        return ptr::null();
    };
    match operation {
        ffi::OP_KEYMGMT => methods.keys.as_ptr(),
        ffi::OP_SIGNATURE => methods.signatures.as_ptr(),
        ffi::OP_ASYM_CIPHER => methods.ciphers.as_ptr(),
        ffi::OP_KEYEXCH => methods.exchanges.as_ptr(),
        _ => ptr::null(),
    }
}

/// Functions that do a private-key operation by the borrowed one of the same name.
macro_rules! private {
    ($($name:ident, $operation:expr;)*) => {$(
        unsafe extern "C" fn $name(
            context: *mut c_void,
            output: *mut c_uchar,
            len: *mut usize,
            room: usize,
            input: *const c_uchar,
            input_len: usize,
        ) -> c_int {
            guarded(0, || {
                let Some(methods) = METHODS.get() else {
                    return 0;
                };
                // SAFETY: OpenSSL's own operation with what OpenSSL gave us.
                unsafe {
                    let done = (methods.$name)(context, output, len, room, input, input_len);
                    given($operation, done, output, len)
                }
            })
        }
    )*};
}

private! {
    sign, Operation::Rsa;
    decrypt, Operation::Rsa;
    ecdsa_sign, Operation::Ecdsa;
}

unsafe extern "C" fn derive(
    context: *mut c_void,
    secret: *mut c_uchar,
    len: *mut usize,
    room: usize,
) -> c_int {
    guarded(0, || {
        let Some(methods) = METHODS.get() else {
            return 0;
        };
        // SAFETY: OpenSSL's own operation with what OpenSSL gave us.
        unsafe {
            let done = (methods.derive)(context, secret, len, room);
            given(Operation::Derive, done, secret, len)
        }
    })
}

/// What is told of an operation: asked for the length alone, it has not been done.
///
/// # Safety
/// If `done` is 1 and `output` not null, `len` bytes have been written to it.
unsafe fn given(
    operation: Operation,
    done: c_int,
    output: *mut c_uchar,
    len: *const usize,
) -> c_int {
    if done != 1 || output.is_null() {
        return done;
    }
    // SAFETY: as the caller says.
    let output = unsafe { slice::from_raw_parts_mut(output, *len) };
    c_int::from(held_back(operation, output))
}

unsafe extern "C" fn generate(
    generation: *mut c_void,
    callback: *const c_void,
    arg: *mut c_void,
) -> *mut c_void {
    guarded(ptr::null_mut(), || {
        let Some(methods) = METHODS.get() else {
            return ptr::null_mut();
        };
        // SAFETY: as for `derive`. The key is changed no more: a wrong one is not simulated.
        // One that is not given is freed by who made it.
        unsafe {
            let key = (methods.generate)(generation, callback, arg);
            let free = Unfreed(key, methods.free);
            if key.is_null() || held_back(Operation::Generate, &mut []) {
                std::mem::forget(free);
                return key;
            }
        }
        ptr::null_mut()
    })
}

/// A key that goes when the script panics, too.
struct Unfreed(*mut c_void, ffi::Free);

impl Drop for Unfreed {
    fn drop(&mut self) {
        // SAFETY: a key of the provider whose function this is, which nobody has seen.
        unsafe { (self.1)(self.0) };
    }
}
