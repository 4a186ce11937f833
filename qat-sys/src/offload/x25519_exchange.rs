//! Key exchange with X25519. `provider-keyexch(7)`.

use std::os::raw::{c_int, c_uchar, c_void};
use std::ptr;
use std::sync::Arc;

use super::context::{self, Shared, guarded, hand_out};
use super::ffi::{Dispatch, Param};
use super::x25519_key;
use super::x25519_pair::Pair;

#[derive(Clone)]
struct Exchange {
    own: Option<Arc<Pair>>,
    peer: Option<Arc<Pair>>,
    shared: Arc<Shared>,
}

pub(super) static DISPATCH: [Dispatch; 7] = [
    Dispatch::new(1, new as *const ()),
    Dispatch::new(2, init as *const ()),
    Dispatch::new(3, derive as *const ()),
    Dispatch::new(4, set_peer as *const ()),
    Dispatch::new(5, context::free::<Exchange> as *const ()),
    Dispatch::new(6, dup as *const ()),
    Dispatch::END,
];

unsafe extern "C" fn new(provider: *mut c_void) -> *mut c_void {
    guarded(ptr::null_mut(), || {
        // SAFETY: OpenSSL passes the provider's own pointer.
        let shared = unsafe { context::shared(provider) };
        hand_out(Exchange {
            shared,
            own: None,
            peer: None,
        })
    })
}

unsafe extern "C" fn dup(raw: *mut c_void) -> *mut c_void {
    guarded(ptr::null_mut(), || {
        // SAFETY: what `new` gave.
        let old = unsafe { &*raw.cast::<Exchange>() };
        hand_out(old.clone())
    })
}

unsafe extern "C" fn init(raw: *mut c_void, key: *mut c_void, _params: *const Param) -> c_int {
    guarded(0, || {
        // SAFETY: what `new` gave, which nobody else uses now, and a key of our manager.
        let (exchange, own) = unsafe { (&mut *raw.cast::<Exchange>(), x25519_key::pair(key)) };
        exchange.own = own.filter(|pair| pair.has_private());
        exchange.peer = None;
        c_int::from(exchange.own.is_some())
    })
}

unsafe extern "C" fn set_peer(raw: *mut c_void, key: *mut c_void) -> c_int {
    guarded(0, || {
        // SAFETY: as for `init`.
        let (exchange, peer) = unsafe { (&mut *raw.cast::<Exchange>(), x25519_key::pair(key)) };
        exchange.peer = peer;
        c_int::from(exchange.peer.is_some())
    })
}

unsafe extern "C" fn derive(
    raw: *mut c_void,
    secret: *mut c_uchar,
    len: *mut usize,
    room: usize,
) -> c_int {
    guarded(0, || {
        // SAFETY: what `new` gave; the job that this may pause is the only one with it.
        let exchange = unsafe { &*raw.cast::<Exchange>() };
        let (Some(own), Some(peer)) = (&exchange.own, &exchange.peer) else {
            return 0;
        };
        // SAFETY: a place to write to.
        unsafe { *len = 32 };
        if secret.is_null() {
            return 1;
        }
        if room < 32 {
            return 0;
        }
        let Some(derived) = own.derive(&exchange.shared, &peer.key.public) else {
            return 0;
        };
        // SAFETY: room for 32 bytes, as the caller says.
        unsafe { ptr::copy_nonoverlapping(derived.as_ptr(), secret, 32) };
        1
    })
}
