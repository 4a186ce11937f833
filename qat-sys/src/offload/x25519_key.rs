//! The key manager of X25519. `provider-keymgmt(7)`.

use std::os::raw::{c_int, c_void};
use std::ptr;
use std::sync::{Arc, Mutex, PoisonError};

use zeroize::Zeroizing;

use super::context::{self, Shared, guarded, hand_out, told};
use super::ffi::{Dispatch, Export, Param};
use super::params::{self, INTEGER, OCTETS, UTF8};
use super::x25519_pair::Pair;
use super::{X25519Key, select};
use crate::x25519;

/// What OpenSSL holds: empty when it stands for parameters alone.
struct Slot {
    pair: Mutex<Option<Arc<Pair>>>,
    shared: Arc<Shared>,
}

/// # Safety
/// `raw` is a key that OpenSSL got from this key manager.
unsafe fn slot<'a>(raw: *const c_void) -> &'a Slot {
    // SAFETY: as the caller says; OpenSSL keeps it for the call at least.
    unsafe { &*raw.cast::<Slot>() }
}

impl Slot {
    fn get(&self) -> Option<Arc<Pair>> {
        self.pair
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn set(&self, pair: Pair) -> c_int {
        *self.pair.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(pair));
        1
    }

    fn with(shared: Arc<Shared>, pair: Option<Arc<Pair>>) -> *mut c_void {
        hand_out(Slot {
            shared,
            pair: Mutex::new(pair),
        })
    }
}

/// The key behind OpenSSL's pointer. None if it is empty.
///
/// # Safety
/// `raw` is null or a key that OpenSSL got from this key manager.
pub(super) unsafe fn pair(raw: *const c_void) -> Option<Arc<Pair>> {
    if raw.is_null() {
        return None;
    }
    // SAFETY: as the caller says.
    unsafe { slot(raw) }.get()
}

pub(super) static DISPATCH: [Dispatch; 21] = [
    Dispatch::new(1, new as *const ()),
    Dispatch::new(2, gen_init as *const ()),
    Dispatch::new(3, gen_set_template as *const ()),
    Dispatch::new(4, gen_set_params as *const ()),
    Dispatch::new(5, gen_settable as *const ()),
    Dispatch::new(6, generate as *const ()),
    Dispatch::new(7, context::free::<Generation> as *const ()),
    Dispatch::new(10, context::free::<Slot> as *const ()),
    Dispatch::new(11, get_params as *const ()),
    Dispatch::new(12, gettable as *const ()),
    Dispatch::new(13, set_params as *const ()),
    Dispatch::new(14, settable as *const ()),
    Dispatch::new(21, has as *const ()),
    Dispatch::new(22, validate as *const ()),
    Dispatch::new(23, matches as *const ()),
    Dispatch::new(40, import as *const ()),
    Dispatch::new(41, types as *const ()),
    Dispatch::new(42, export as *const ()),
    Dispatch::new(43, types as *const ()),
    Dispatch::new(44, dup as *const ()),
    Dispatch::END,
];

static GETTABLE: [Param; 7] = [
    Param::named(c"bits", INTEGER),
    Param::named(c"security-bits", INTEGER),
    Param::named(c"max-size", INTEGER),
    Param::named(c"encoded-pub-key", OCTETS),
    Param::named(c"pub", OCTETS),
    Param::named(c"priv", OCTETS),
    Param::END,
];
static SETTABLE: [Param; 2] = [Param::named(c"encoded-pub-key", OCTETS), Param::END];
static GEN_SETTABLE: [Param; 2] = [Param::named(c"group", UTF8), Param::END];
static TYPES: [Param; 3] = [
    Param::named(c"pub", OCTETS),
    Param::named(c"priv", OCTETS),
    Param::END,
];

unsafe extern "C" fn new(provider: *mut c_void) -> *mut c_void {
    guarded(ptr::null_mut(), || {
        // SAFETY: OpenSSL passes the provider's own pointer.
        let shared = unsafe { context::shared(provider) };
        Slot::with(shared, None)
    })
}

unsafe extern "C" fn dup(raw: *const c_void, selection: c_int) -> *mut c_void {
    guarded(ptr::null_mut(), || {
        // SAFETY: OpenSSL passes a key of this key manager.
        let slot = unsafe { slot(raw) };
        let pair = slot.get().filter(|_| selection & select::KEYPAIR != 0);
        Slot::with(slot.shared.clone(), pair)
    })
}

/// A generation to come.
struct Generation {
    shared: Arc<Shared>,
    selection: c_int,
}

unsafe extern "C" fn gen_init(
    provider: *mut c_void,
    selection: c_int,
    params: *const Param,
) -> *mut c_void {
    guarded(ptr::null_mut(), || {
        // SAFETY: OpenSSL passes the provider's own pointer and a terminated array.
        unsafe {
            if gen_set_params(ptr::null_mut(), params) != 1 {
                return ptr::null_mut();
            }
            hand_out(Generation {
                shared: context::shared(provider),
                selection,
            })
        }
    })
}

/// All keys are of the same group, so a template says nothing.
unsafe extern "C" fn gen_set_template(_generation: *mut c_void, _template: *mut c_void) -> c_int {
    1
}

unsafe extern "C" fn gen_set_params(_generation: *mut c_void, params: *const Param) -> c_int {
    // SAFETY: OpenSSL passes a terminated array.
    let group = unsafe { params::find(params, c"group") };
    let right = |group: &Param| {
        group
            .text()
            .is_some_and(|name| name.eq_ignore_ascii_case("x25519"))
    };
    c_int::from(group.is_none_or(right))
}

unsafe extern "C" fn gen_settable(_gen: *mut c_void, _provider: *mut c_void) -> *const Param {
    GEN_SETTABLE.as_ptr()
}

unsafe extern "C" fn generate(
    generation: *mut c_void,
    _callback: *const c_void,
    _arg: *mut c_void,
) -> *mut c_void {
    guarded(ptr::null_mut(), || {
        // SAFETY: what `gen_init` gave; OpenSSL keeps it during the call.
        let generation = unsafe { &*generation.cast::<Generation>() };
        let pair = match generation.selection & select::KEYPAIR {
            0 => None,
            _ => match told(Pair::generate(&generation.shared)) {
                Some(pair) => Some(Arc::new(pair)),
                None => return ptr::null_mut(),
            },
        };
        Slot::with(generation.shared.clone(), pair)
    })
}

unsafe extern "C" fn import(raw: *mut c_void, selection: c_int, params: *const Param) -> c_int {
    guarded(0, || {
        // SAFETY: OpenSSL passes a key of this key manager and a terminated array.
        let (slot, public, private) = unsafe {
            (
                slot(raw),
                params::find(params, c"pub"),
                params::find(params, c"priv"),
            )
        };
        let public = public.and_then(Param::key32);
        let private = private
            .filter(|_| selection & select::PRIVATE != 0)
            .and_then(Param::key32)
            .map(Zeroizing::new);
        match (public, private) {
            (Some(public), Some(private)) => slot.set(Pair::new(X25519Key {
                private,
                public,
                attached: None,
            })),
            (Some(public), None) => slot.set(Pair::public(public)),
            (None, Some(private)) => slot.set(Pair::new(X25519Key {
                public: x25519::public(&private),
                private,
                attached: None,
            })),
            (None, None) => 0,
        }
    })
}

unsafe extern "C" fn export(
    raw: *mut c_void,
    selection: c_int,
    callback: Export,
    arg: *mut c_void,
) -> c_int {
    guarded(0, || {
        // SAFETY: OpenSSL passes a key of this key manager.
        let Some(pair) = (unsafe { pair(raw) }) else {
            return 0;
        };
        let public = Param::octets(c"pub", &pair.key.public);
        let with_private = selection & select::PRIVATE != 0 && pair.has_private();
        let params = match with_private {
            true => [
                public,
                Param::octets(c"priv", &pair.key.private[..]),
                Param::END,
            ],
            false => [public, Param::END, Param::END],
        };
        // SAFETY: OpenSSL's callback with its argument; the array lives during the call.
        unsafe { callback(params.as_ptr(), arg) }
    })
}

unsafe extern "C" fn get_params(raw: *mut c_void, params: *mut Param) -> c_int {
    guarded(0, || {
        // SAFETY: OpenSSL passes a key of this key manager and a terminated array.
        let (pair, find) = unsafe { (pair(raw), |key| params::find_mut(params, key)) };
        let numbers = [(c"bits", 253), (c"security-bits", 128), (c"max-size", 32)];
        let mut well = true;
        for (key, value) in numbers {
            well &= find(key).is_none_or(|param| param.set_int(value));
        }
        if let Some(pair) = pair {
            for key in [c"encoded-pub-key", c"pub"] {
                well &= find(key).is_none_or(|param| param.set_octets(&pair.key.public));
            }
            if pair.has_private() {
                well &= find(c"priv").is_none_or(|param| param.set_octets(&pair.key.private[..]));
            }
        }
        c_int::from(well)
    })
}

unsafe extern "C" fn gettable(_provider: *mut c_void) -> *const Param {
    GETTABLE.as_ptr()
}

/// A peer's key: TLS sets the public half of a key that stands for parameters.
unsafe extern "C" fn set_params(raw: *mut c_void, params: *const Param) -> c_int {
    guarded(0, || {
        // SAFETY: OpenSSL passes a key of this key manager and a terminated array.
        let (slot, public) = unsafe { (slot(raw), params::find(params, c"encoded-pub-key")) };
        match public.map(Param::key32) {
            None => 1,
            Some(None) => 0,
            Some(Some(public)) => slot.set(Pair::public(public)),
        }
    })
}

unsafe extern "C" fn settable(_provider: *mut c_void) -> *const Param {
    SETTABLE.as_ptr()
}

unsafe extern "C" fn types(_selection: c_int) -> *const Param {
    TYPES.as_ptr()
}

/// OpenSSL also asks of no key at all, which has not even parameters.
unsafe extern "C" fn has(raw: *const c_void, selection: c_int) -> c_int {
    if raw.is_null() {
        return 0;
    }
    // SAFETY: OpenSSL passes a key of this key manager.
    let pair = unsafe { pair(raw) };
    let public = selection & select::PUBLIC == 0 || pair.is_some();
    let private = selection & select::PRIVATE == 0 || pair.is_some_and(|pair| pair.has_private());
    c_int::from(public && private)
}

unsafe extern "C" fn validate(raw: *const c_void, selection: c_int, _check: c_int) -> c_int {
    // SAFETY: as for `has`. Every string of 32 bytes is a key.
    unsafe { has(raw, selection) }
}

unsafe extern "C" fn matches(one: *const c_void, two: *const c_void, selection: c_int) -> c_int {
    if selection & select::KEYPAIR == 0 {
        return 1;
    }
    // SAFETY: OpenSSL passes keys of this key manager. The public halves decide.
    match unsafe { (pair(one), pair(two)) } {
        (Some(one), Some(two)) => c_int::from(one.key.public == two.key.public),
        _ => 0,
    }
}
