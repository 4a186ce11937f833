//! Private EC keys, for signing alone. `provider-keymgmt(7)`.
//!
//! Nobody prefers this key manager: OpenSSL's own has the keys, makes those of the key
//! exchange, and gives one to this when it looks for the signature's provider. What cannot
//! be imported here (other curves, public keys) stays with OpenSSL's signatures too.

use std::os::raw::{c_int, c_void};
use std::ptr;
use std::sync::{Arc, OnceLock};

use super::EcdsaKey;
use super::context::{self, Shared, guarded, hand_out, told};
use super::ffi::{Dispatch, Param};
use super::params::{self, OCTETS, UNSIGNED, UTF8};

/// What OpenSSL holds: empty until the import.
struct Slot {
    key: OnceLock<Arc<EcdsaKey>>,
    // After the key, which is of its library context.
    shared: Arc<Shared>,
}

/// The key behind OpenSSL's pointer. None if it is empty.
///
/// # Safety
/// `raw` is null or a key that OpenSSL got from this key manager.
pub(super) unsafe fn key(raw: *const c_void) -> Option<Arc<EcdsaKey>> {
    // SAFETY: as the caller says; OpenSSL keeps it for the call at least.
    unsafe { raw.cast::<Slot>().as_ref() }?.key.get().cloned()
}

pub(super) static DISPATCH: [Dispatch; 6] = [
    Dispatch::new(1, new as *const ()),
    Dispatch::new(10, context::free::<Slot> as *const ()),
    Dispatch::new(21, has as *const ()),
    Dispatch::new(40, import as *const ()),
    Dispatch::new(41, types as *const ()),
    Dispatch::END,
];

static TYPES: [Param; 4] = [
    Param::named(c"group", UTF8),
    Param::named(c"pub", OCTETS),
    Param::named(c"priv", UNSIGNED),
    Param::END,
];

unsafe extern "C" fn new(provider: *mut c_void) -> *mut c_void {
    guarded(ptr::null_mut(), || {
        // SAFETY: OpenSSL passes the provider's own pointer.
        let shared = unsafe { context::shared(provider) };
        hand_out(Slot {
            shared,
            key: OnceLock::new(),
        })
    })
}

unsafe extern "C" fn has(raw: *const c_void, _selection: c_int) -> c_int {
    // SAFETY: OpenSSL passes a key of this key manager.
    c_int::from(unsafe { key(raw) }.is_some())
}

unsafe extern "C" fn import(raw: *mut c_void, selection: c_int, params: *const Param) -> c_int {
    guarded(0, || {
        // SAFETY: OpenSSL passes a key of this key manager and a terminated array.
        let (slot, imported) = unsafe {
            let slot = &*raw.cast::<Slot>();
            if params::find(params, c"priv").is_none() {
                return 0;
            }
            (slot, slot.shared.software.import(c"EC", selection, params))
        };
        let key = told(imported.and_then(EcdsaKey::of)).flatten();
        c_int::from(key.is_some_and(|key| slot.key.set(Arc::new(key)).is_ok()))
    })
}

unsafe extern "C" fn types(_selection: c_int) -> *const Param {
    TYPES.as_ptr()
}
