//! X25519MLKEM768: the key exchange that a quantum computer does not undo, as a server does
//! it (draft-ietf-tls-ecdhe-mlkem). ML-KEM-768 (FIPS 203) is AWS-LC's; the X25519 in it is
//! the backend's or ours, as X25519 alone is. `provider-kem(7)`, `provider-keymgmt(7)`.
//!
//! OpenSSL has it from 3.5 on, where it costs a handshake 130 µs; here some 40 of them, and
//! older versions have it too.

use std::ffi::CStr;
use std::os::raw::{c_int, c_uchar, c_void};
use std::ptr::{self, NonNull};
use std::sync::{Arc, OnceLock};

use aws_lc_sys::{EVP_PKEY, EVP_PKEY_CTX};

use super::context::{self, Shared, guarded, hand_out, told};
use super::ffi::{Dispatch, Export, Param};
use super::params::{self, INTEGER, OCTETS, UTF8};
use super::select;
use super::x25519_pair::Pair;
use crate::stack;

pub(super) const NAME: &CStr = c"X25519MLKEM768";

/// A client's share: the encapsulation key, then the X25519 key.
const KEY: usize = 1184;
const CLIENT_SHARE: usize = KEY + 32;
/// A server's: the ciphertext, then the X25519 key.
const CIPHERTEXT: usize = 1088;
const SERVER_SHARE: usize = CIPHERTEXT + 32;
/// ML-KEM's secret, then X25519's.
const SECRET: usize = 32 + 32;

pub(super) static KEYS: [Dispatch; 14] = [
    Dispatch::new(1, new as *const ()),
    Dispatch::new(2, gen_init as *const ()),
    Dispatch::new(4, gen_set_params as *const ()),
    Dispatch::new(5, gen_settable as *const ()),
    Dispatch::new(6, generate as *const ()),
    Dispatch::new(7, context::free::<Generation> as *const ()),
    Dispatch::new(10, context::free::<Key> as *const ()),
    Dispatch::new(11, get_params as *const ()),
    Dispatch::new(12, gettable as *const ()),
    Dispatch::new(13, set_params as *const ()),
    Dispatch::new(14, settable as *const ()),
    Dispatch::new(21, has as *const ()),
    Dispatch::new(23, matches as *const ()),
    Dispatch::END,
];

pub(super) static KEM: [Dispatch; 7] = [
    Dispatch::new(1, start as *const ()),
    Dispatch::new(2, init as *const ()),
    Dispatch::new(3, encapsulate as *const ()),
    // OpenSSL 3.5 wants both directions.
    Dispatch::new(4, decapsulate_init as *const ()),
    Dispatch::new(5, decapsulate as *const ()),
    Dispatch::new(6, context::free::<Exchange> as *const ()),
    Dispatch::END,
];

static GETTABLE: [Param; 4] = [
    Param::named(c"bits", INTEGER),
    Param::named(c"security-bits", INTEGER),
    Param::named(c"max-size", INTEGER),
    Param::END,
];
static SETTABLE: [Param; 2] = [Param::named(c"encoded-pub-key", OCTETS), Param::END];
static GEN_SETTABLE: [Param; 2] = [Param::named(c"group", UTF8), Param::END];

/// Tells TLS of the group.
pub(super) fn tell(callback: Export, arg: *mut c_void) -> c_int {
    let (id, bits, kem, tls13, any, never) = (0x11ec, 192, 1, 0x0304, 0, -1);
    let group = [
        Param::lent_text(c"tls-group-name", NAME),
        Param::lent_text(c"tls-group-name-internal", NAME),
        Param::lent_text(c"tls-group-alg", NAME),
        Param::lent_int(c"tls-group-id", &id),
        Param::lent_int(c"tls-group-sec-bits", &bits),
        Param::lent_int(c"tls-group-is-kem", &kem),
        Param::lent_int(c"tls-min-tls", &tls13),
        Param::lent_int(c"tls-max-tls", &any),
        Param::lent_int(c"tls-min-dtls", &never),
        Param::lent_int(c"tls-max-dtls", &never),
        Param::END,
    ];
    // SAFETY: OpenSSL's callback with its argument; all that is lent outlives the call.
    unsafe { callback(group.as_ptr(), arg) }
}

/// What a client has sent; empty until that is set.
struct Key(OnceLock<Arc<[u8; CLIENT_SHARE]>>);

struct Generation;

unsafe extern "C" fn new(_provider: *mut c_void) -> *mut c_void {
    guarded(ptr::null_mut(), || hand_out(Key(OnceLock::new())))
}

/// TLS makes an empty key and sets the client's share; a server has no pair of its own.
unsafe extern "C" fn gen_init(
    _provider: *mut c_void,
    selection: c_int,
    _params: *const Param,
) -> *mut c_void {
    guarded(ptr::null_mut(), || match selection & select::KEYPAIR {
        0 => hand_out(Generation),
        _ => ptr::null_mut(),
    })
}

/// There is one group, for which OpenSSL 3.5 has no name here.
unsafe extern "C" fn gen_set_params(_generation: *mut c_void, _params: *const Param) -> c_int {
    1
}

unsafe extern "C" fn gen_settable(_gen: *mut c_void, _provider: *mut c_void) -> *const Param {
    GEN_SETTABLE.as_ptr()
}

unsafe extern "C" fn generate(
    _generation: *mut c_void,
    _callback: *const c_void,
    _arg: *mut c_void,
) -> *mut c_void {
    // SAFETY: it takes no notice of the provider.
    unsafe { new(ptr::null_mut()) }
}

unsafe extern "C" fn get_params(_key: *mut c_void, params: *mut Param) -> c_int {
    guarded(0, || {
        let numbers = [
            (c"bits", 8 * CLIENT_SHARE as c_int),
            (c"security-bits", 192),
            (c"max-size", SERVER_SHARE as c_int),
        ];
        let well = numbers.into_iter().all(|(name, value)| {
            // SAFETY: OpenSSL passes a terminated array.
            let param = unsafe { params::find_mut(params, name) };
            param.is_none_or(|param| param.set_int(value))
        });
        c_int::from(well)
    })
}

unsafe extern "C" fn gettable(_provider: *mut c_void) -> *const Param {
    GETTABLE.as_ptr()
}

unsafe extern "C" fn set_params(key: *mut c_void, params: *const Param) -> c_int {
    guarded(0, || {
        // SAFETY: OpenSSL passes a key of this key manager and a terminated array.
        let (key, share) = unsafe {
            let share = params::find(params, c"encoded-pub-key");
            (&*key.cast::<Key>(), share)
        };
        let Some(share) = share else { return 1 };
        let share = share.bytes().and_then(|share| share.try_into().ok());
        c_int::from(share.is_some_and(|share| key.0.set(Arc::new(share)).is_ok()))
    })
}

unsafe extern "C" fn settable(_provider: *mut c_void) -> *const Param {
    SETTABLE.as_ptr()
}

/// OpenSSL also asks of no key at all, which has not even parameters.
unsafe extern "C" fn has(key: *const c_void, selection: c_int) -> c_int {
    // SAFETY: null or a key of this key manager.
    let Some(key) = (unsafe { key.cast::<Key>().as_ref() }) else {
        return 0;
    };
    let public = selection & select::PUBLIC == 0 || key.0.get().is_some();
    c_int::from(public && selection & select::PRIVATE == 0)
}

unsafe extern "C" fn matches(one: *const c_void, two: *const c_void, selection: c_int) -> c_int {
    // SAFETY: OpenSSL passes keys of this key manager.
    let (one, two) = unsafe { (&*one.cast::<Key>(), &*two.cast::<Key>()) };
    let same = one.0.get().is_some() && one.0.get() == two.0.get();
    c_int::from(selection & select::KEYPAIR == 0 || same)
}

/// An encapsulation to come.
struct Exchange {
    shared: Arc<Shared>,
    share: Option<Arc<[u8; CLIENT_SHARE]>>,
}

unsafe extern "C" fn start(provider: *mut c_void) -> *mut c_void {
    guarded(ptr::null_mut(), || {
        // SAFETY: OpenSSL passes the provider's own pointer.
        let shared = unsafe { context::shared(provider) };
        hand_out(Exchange {
            shared,
            share: None,
        })
    })
}

unsafe extern "C" fn init(raw: *mut c_void, key: *mut c_void, _params: *const Param) -> c_int {
    guarded(0, || {
        // SAFETY: what `start` gave, which nobody else uses now, and a key of our manager.
        let (exchange, key) = unsafe { (&mut *raw.cast::<Exchange>(), &*key.cast::<Key>()) };
        exchange.share = key.0.get().cloned();
        c_int::from(exchange.share.is_some())
    })
}

unsafe extern "C" fn encapsulate(
    raw: *mut c_void,
    out: *mut c_uchar,
    out_len: *mut usize,
    secret: *mut c_uchar,
    secret_len: *mut usize,
) -> c_int {
    guarded(0, || {
        // SAFETY: what `start` gave; the job that this may pause is the only one with it.
        // Places to write to, or null.
        let (exchange, out_len, secret_len) = unsafe {
            let exchange = &*raw.cast::<Exchange>();
            (exchange, out_len.as_mut(), secret_len.as_mut())
        };
        let (Some(share), Some(out_len), Some(secret_len)) = (&exchange.share, out_len, secret_len)
        else {
            return 0;
        };
        let fits = *out_len >= SERVER_SHARE && *secret_len >= SECRET;
        (*out_len, *secret_len) = (SERVER_SHARE, SECRET);
        if out.is_null() {
            return 1;
        }
        if secret.is_null() || !fits {
            return 0;
        }
        // SAFETY: room for as many bytes, as the caller says, that nobody else has.
        let (out, secret) = unsafe {
            (
                &mut *out.cast::<[u8; SERVER_SHARE]>(),
                &mut *secret.cast::<[u8; SECRET]>(),
            )
        };
        c_int::from(exchange_keys(&exchange.shared, share, out, secret).is_some())
    })
}

/// The client's, which has no key here.
unsafe extern "C" fn decapsulate_init(
    _raw: *mut c_void,
    _key: *mut c_void,
    _params: *const Param,
) -> c_int {
    0
}

unsafe extern "C" fn decapsulate(
    _raw: *mut c_void,
    _secret: *mut c_uchar,
    _secret_len: *mut usize,
    _share: *const c_uchar,
    _len: usize,
) -> c_int {
    0
}

fn exchange_keys(
    shared: &Shared,
    theirs: &[u8; CLIENT_SHARE],
    ours: &mut [u8; SERVER_SHARE],
    secret: &mut [u8; SECRET],
) -> Option<()> {
    let (key, peer) = theirs.split_at(KEY);
    let pair = told(Pair::generate(shared))?;
    let derived = pair.derive(shared, peer.try_into().ok()?)?;
    let (ciphertext, public) = ours.split_at_mut(CIPHERTEXT);
    let (encapsulated, exchanged) = secret.split_at_mut(32);
    // It takes 20 KiB of stack.
    stack::roomy(|| mlkem768(key, ciphertext, encapsulated))?;
    public.copy_from_slice(&pair.key.public);
    exchanged.copy_from_slice(&derived[..]);
    Some(())
}

struct PublicKey(NonNull<EVP_PKEY>);

impl Drop for PublicKey {
    fn drop(&mut self) {
        // SAFETY: owned by this value alone.
        unsafe { aws_lc_sys::EVP_PKEY_free(self.0.as_ptr()) };
    }
}

struct Work(NonNull<EVP_PKEY_CTX>);

impl Drop for Work {
    fn drop(&mut self) {
        // SAFETY: owned by this value alone.
        unsafe { aws_lc_sys::EVP_PKEY_CTX_free(self.0.as_ptr()) };
    }
}

/// `ML-KEM.Encaps` (FIPS 203, 7.2). None if the key is none.
fn mlkem768(key: &[u8], ciphertext: &mut [u8], secret: &mut [u8]) -> Option<()> {
    let (mut ciphertext_len, mut secret_len) = (ciphertext.len(), secret.len());
    // SAFETY: slices with their lengths; the key outlives the work with it.
    unsafe {
        let raw = aws_lc_sys::EVP_PKEY_kem_new_raw_public_key(
            aws_lc_sys::NID_MLKEM768,
            key.as_ptr(),
            key.len(),
        );
        let key = PublicKey(NonNull::new(raw)?);
        let raw = aws_lc_sys::EVP_PKEY_CTX_new(key.0.as_ptr(), ptr::null_mut());
        let work = Work(NonNull::new(raw)?);
        let done = aws_lc_sys::EVP_PKEY_encapsulate(
            work.0.as_ptr(),
            ciphertext.as_mut_ptr(),
            &mut ciphertext_len,
            secret.as_mut_ptr(),
            &mut secret_len,
        ) == 1;
        (done && ciphertext_len == CIPHERTEXT && secret_len == 32).then_some(())
    }
}
