//! The provider itself: what it offers, how it starts and ends. `provider(7)`.

use std::cell::RefCell;
use std::ffi::CStr;
use std::os::raw::{c_char, c_int, c_void};
use std::ptr;
use std::sync::Arc;

use super::context::{Shared, guarded};
use super::counters::Algorithm;
use super::ffi::{self, Dispatch, Export, Offered, Param};
use super::params;
use super::{
    aes_gcm, ecdsa_key, ecdsa_sign, hybrid, rsa_key, rsa_sign, tls12_prf, tls13_kdf,
    x25519_exchange, x25519_key,
};

pub(super) const NAME: &CStr = c"offload";

const PROPERTIES: &CStr = c"provider=offload";
const RSA: &CStr = c"RSA:rsaEncryption:1.2.840.113549.1.1.1";
const EC: &CStr = c"EC:id-ecPublicKey:1.2.840.10045.2.1";
const ECDSA: &CStr = c"ECDSA";
const TLS12_PRF: &CStr = c"TLS1-PRF";
const TLS13_KDF: &CStr = c"TLS13-KDF";
const AES_128_GCM: &CStr = c"AES-128-GCM:id-aes128-GCM:2.16.840.1.101.3.4.1.6";
const AES_256_GCM: &CStr = c"AES-256-GCM:id-aes256-GCM:2.16.840.1.101.3.4.1.46";
const X25519: &CStr = c"X25519:1.3.101.110";

const TEARDOWN: c_int = 1024;
const QUERY_OPERATION: c_int = 1027;
const GET_CAPABILITIES: c_int = 1030;
const OP_CIPHER: c_int = 2;
const OP_KDF: c_int = 4;
const OP_KEYMGMT: c_int = 10;
const OP_KEYEXCH: c_int = 11;
const OP_SIGNATURE: c_int = 12;
const OP_KEM: c_int = 14;

const fn offered(names: &'static CStr, dispatch: &'static [Dispatch]) -> Offered {
    Offered {
        names: names.as_ptr(),
        properties: PROPERTIES.as_ptr(),
        dispatch: dispatch.as_ptr(),
        description: ptr::null(),
    }
}

const END: Offered = Offered {
    names: ptr::null(),
    properties: ptr::null(),
    dispatch: ptr::null(),
    description: ptr::null(),
};

/// Under another name than the one that is asked for, so that nobody makes a key with it.
const EC_KEYS: Offered = Offered {
    properties: c"provider=offload-signing".as_ptr(),
    ..offered(EC, &ecdsa_key::DISPATCH)
};

static KEYS: [Offered; 5] = [
    offered(RSA, &rsa_key::DISPATCH),
    offered(X25519, &x25519_key::DISPATCH),
    HYBRID_KEYS,
    EC_KEYS,
    END,
];
static RSA_KEYS: [Offered; 4] = [offered(RSA, &rsa_key::DISPATCH), HYBRID_KEYS, EC_KEYS, END];
static X25519_KEYS: [Offered; 4] = [
    offered(X25519, &x25519_key::DISPATCH),
    HYBRID_KEYS,
    EC_KEYS,
    END,
];
static OTHER_KEYS: [Offered; 3] = [HYBRID_KEYS, EC_KEYS, END];
static SIGNATURES: [Offered; 3] = [
    offered(RSA, &rsa_sign::DISPATCH),
    offered(ECDSA, &ecdsa_sign::DISPATCH),
    END,
];
static OTHER_SIGNATURES: [Offered; 2] = [offered(ECDSA, &ecdsa_sign::DISPATCH), END];
const HYBRID_KEYS: Offered = offered(hybrid::NAME, &hybrid::KEYS);
static ENCAPSULATIONS: [Offered; 2] = [offered(hybrid::NAME, &hybrid::KEM), END];
static EXCHANGES: [Offered; 2] = [offered(X25519, &x25519_exchange::DISPATCH), END];

static CIPHERS: [Offered; 3] = [
    offered(AES_128_GCM, &aes_gcm::AES_128),
    offered(AES_256_GCM, &aes_gcm::AES_256),
    END,
];
static KDFS: [Offered; 3] = [
    offered(TLS12_PRF, &tls12_prf::DISPATCH),
    offered(TLS13_KDF, &tls13_kdf::DISPATCH),
    END,
];

static DISPATCH: [Dispatch; 4] = [
    Dispatch::new(TEARDOWN, teardown as *const ()),
    Dispatch::new(QUERY_OPERATION, query as *const ()),
    Dispatch::new(GET_CAPABILITIES, capabilities as *const ()),
    Dispatch::END,
];

thread_local! {
    /// For the provider that the calling thread is about to load: OpenSSL passes nothing.
    static STARTING: RefCell<Option<Arc<Shared>>> = const { RefCell::new(None) };
}

/// Runs `load`, which loads a provider, with what it shall start with.
pub(super) fn with<T>(shared: Arc<Shared>, load: impl FnOnce() -> T) -> T {
    STARTING.set(Some(shared));
    let loaded = load();
    STARTING.take();
    loaded
}

pub(super) unsafe extern "C" fn start(
    _handle: *const c_void,
    _core: *const Dispatch,
    dispatch: *mut *const Dispatch,
    provider: *mut *mut c_void,
) -> c_int {
    guarded(0, || {
        let Some(shared) = STARTING.take() else {
            return 0;
        };
        // SAFETY: two places to write to.
        unsafe {
            *dispatch = DISPATCH.as_ptr();
            *provider = Arc::into_raw(shared).cast_mut().cast();
        }
        1
    })
}

unsafe extern "C" fn teardown(provider: *mut c_void) {
    guarded((), || {
        // SAFETY: the last call with the reference that `start` gave.
        drop(unsafe { Arc::from_raw(provider.cast::<Shared>()) });
    });
}

unsafe extern "C" fn query(
    provider: *mut c_void,
    operation: c_int,
    no_cache: *mut c_int,
) -> *const Offered {
    // SAFETY: the provider is alive while it is asked; a place to write to.
    let shared = unsafe {
        *no_cache = 0;
        &*provider.cast::<Shared>()
    };
    let rsa = shared.offloads(Algorithm::Rsa);
    let x25519 = shared.offloads(Algorithm::X25519);
    match operation {
        OP_KEYMGMT if rsa && x25519 => KEYS.as_ptr(),
        OP_KEYMGMT if rsa => RSA_KEYS.as_ptr(),
        OP_KEYMGMT if x25519 => X25519_KEYS.as_ptr(),
        OP_KEYMGMT => OTHER_KEYS.as_ptr(),
        OP_CIPHER => CIPHERS.as_ptr(),
        OP_KDF => KDFS.as_ptr(),
        OP_SIGNATURE if rsa => SIGNATURES.as_ptr(),
        OP_SIGNATURE => OTHER_SIGNATURES.as_ptr(),
        OP_KEYEXCH if x25519 => EXCHANGES.as_ptr(),
        OP_KEM => ENCAPSULATIONS.as_ptr(),
        _ => ptr::null(),
    }
}

/// Whom TLS asks to be told of groups.
struct Asker {
    callback: Export,
    arg: *mut c_void,
}

/// TLS takes a group only from the provider whose keys it would use. What there is to say
/// of X25519 is what OpenSSL's own provider says. `provider-base(7)`.
unsafe extern "C" fn capabilities(
    provider: *mut c_void,
    capability: *const c_char,
    callback: Export,
    arg: *mut c_void,
) -> c_int {
    guarded(0, || {
        // SAFETY: the provider is alive while it is asked; a name.
        let (shared, name) = unsafe { (&*provider.cast::<Shared>(), CStr::from_ptr(capability)) };
        if name != c"TLS-GROUP" {
            return 1;
        }
        if hybrid::tell(callback, arg) != 1 {
            return 0;
        }
        if !shared.offloads(Algorithm::X25519) {
            return 1;
        }
        let mut asker = Asker { callback, arg };
        // SAFETY: a living provider; the asker lives during the call.
        unsafe {
            ffi::OSSL_PROVIDER_get_capabilities(
                shared.software.provider(),
                capability,
                pass_on,
                (&raw mut asker).cast(),
            )
        }
    })
}

unsafe extern "C" fn pass_on(group: *const Param, asker: *mut c_void) -> c_int {
    guarded(0, || {
        // SAFETY: a terminated array, and the asker of `capabilities`.
        unsafe {
            let algorithm = params::find(group, c"tls-group-alg").and_then(Param::text);
            match algorithm {
                Some("X25519") => {
                    let asker = &*asker.cast::<Asker>();
                    (asker.callback)(group, asker.arg)
                }
                _ => 1,
            }
        }
    })
}
