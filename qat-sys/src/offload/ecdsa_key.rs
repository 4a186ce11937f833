//! Private P-256 keys, for signing alone. `provider-keymgmt(7)`.
//!
//! Nobody prefers this key manager: OpenSSL's own has the keys, makes those of the key
//! exchange, and gives one to this when it looks for the signature's provider. What cannot
//! be imported here (other curves, public keys) stays with OpenSSL's signatures too.

use std::os::raw::{c_int, c_void};
use std::ptr::{self, NonNull};
use std::sync::{Arc, OnceLock};

use zeroize::Zeroizing;

use super::context::{self, guarded, hand_out, told};
use super::ffi::{Dispatch, Param};
use super::params::{self, UNSIGNED, UTF8};

/// The longest signature: a sequence of two numbers of 33 bytes, in DER.
pub(super) const LONGEST: usize = 72;

/// A private key in AWS-LC's form.
pub(super) struct Key(NonNull<aws_lc_sys::EC_KEY>);

// SAFETY: it does not change, and signing takes it as constant.
unsafe impl Send for Key {}
// SAFETY: as above.
unsafe impl Sync for Key {}

impl Key {
    /// From the private number, big-endian. None if it is none of P-256.
    fn new(private: &[u8]) -> Option<Key> {
        // SAFETY: slices with their lengths; the key copies the number, which is wiped.
        unsafe {
            let key = aws_lc_sys::EC_KEY_new_by_curve_name(aws_lc_sys::NID_X9_62_prime256v1);
            let key = Key(NonNull::new(key)?);
            let number = aws_lc_sys::BN_bin2bn(private.as_ptr(), private.len(), ptr::null_mut());
            let set = aws_lc_sys::EC_KEY_set_private_key(key.0.as_ptr(), number);
            aws_lc_sys::BN_clear_free(number);
            (set == 1).then_some(key)
        }
    }

    /// The signature of a hash, in DER, and its length.
    pub(super) fn sign(&self, hash: &[u8]) -> Option<([u8; LONGEST], usize)> {
        let (mut signature, mut len) = ([0; LONGEST], 0);
        // SAFETY: a slice with its length, and room for the longest signature of this curve.
        let ret = unsafe {
            aws_lc_sys::ECDSA_sign(
                0,
                hash.as_ptr(),
                hash.len(),
                signature.as_mut_ptr(),
                &mut len,
                self.0.as_ptr(),
            )
        };
        (ret == 1).then_some((signature, len as usize))
    }
}

impl Drop for Key {
    fn drop(&mut self) {
        // SAFETY: owned by this value alone.
        unsafe { aws_lc_sys::EC_KEY_free(self.0.as_ptr()) };
    }
}

/// What OpenSSL holds: empty until the import.
#[derive(Default)]
struct Slot(OnceLock<Arc<Key>>);

/// The key behind OpenSSL's pointer. None if it is empty.
///
/// # Safety
/// `raw` is null or a key that OpenSSL got from this key manager.
pub(super) unsafe fn key(raw: *const c_void) -> Option<Arc<Key>> {
    // SAFETY: as the caller says; OpenSSL keeps it for the call at least.
    unsafe { raw.cast::<Slot>().as_ref() }?.0.get().cloned()
}

pub(super) static DISPATCH: [Dispatch; 6] = [
    Dispatch::new(1, new as *const ()),
    Dispatch::new(10, context::free::<Slot> as *const ()),
    Dispatch::new(21, has as *const ()),
    Dispatch::new(40, import as *const ()),
    Dispatch::new(41, types as *const ()),
    Dispatch::END,
];

static TYPES: [Param; 3] = [
    Param::named(c"group", UTF8),
    Param::named(c"priv", UNSIGNED),
    Param::END,
];

unsafe extern "C" fn new(_provider: *mut c_void) -> *mut c_void {
    guarded(ptr::null_mut(), || hand_out(Slot::default()))
}

unsafe extern "C" fn has(raw: *const c_void, _selection: c_int) -> c_int {
    // SAFETY: OpenSSL passes a key of this key manager.
    c_int::from(unsafe { key(raw) }.is_some())
}

unsafe extern "C" fn import(raw: *mut c_void, _selection: c_int, params: *const Param) -> c_int {
    guarded(0, || {
        // SAFETY: OpenSSL passes a key of this key manager and a terminated array.
        let (slot, group, private) = unsafe {
            (
                &*raw.cast::<Slot>(),
                params::find(params, c"group").and_then(Param::text),
                params::find(params, c"priv"),
            )
        };
        if !matches!(group, Some("prime256v1" | "P-256")) {
            return 0;
        }
        let number = private.and_then(|private| told(private.number()));
        let bytes = number.and_then(|number| told(number.to_vec_padded(32)));
        let key = bytes.and_then(|bytes| Key::new(&Zeroizing::new(bytes)));
        c_int::from(key.is_some_and(|key| slot.0.set(Arc::new(key)).is_ok()))
    })
}

unsafe extern "C" fn types(_selection: c_int) -> *const Param {
    TYPES.as_ptr()
}
