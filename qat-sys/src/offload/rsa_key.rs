//! RSA keys: held by OpenSSL's own key manager, with what signing needs beside them.
//! `provider-keymgmt(7)`.

use std::os::raw::{c_int, c_void};
use std::sync::{Arc, OnceLock};

use foreign_types::ForeignType;
use openssl::bn::{BigNum, BigNumRef};
use openssl::error::ErrorStack;
use openssl::pkey::{PKey, Private};
use openssl::rsa::{Padding, Rsa, RsaPrivateKeyBuilder};
use zeroize::Zeroizing;

use super::context::{self, Shared, guarded, hand_out, told};
use super::counters::{Algorithm, Path};
use super::ffi::{self, Dispatch, Export, Param};
use super::params::{self, INTEGER, UNSIGNED, UTF8};
use super::software::check;
use super::{Outcome, RsaKey, select};

/// What OpenSSL holds: empty until the import.
struct Slot {
    key: OnceLock<Arc<Key>>,
    // After the key, which is of its library context.
    shared: Arc<Shared>,
}

pub(super) struct Key {
    /// For all that is no private-key operation.
    pub pkey: PKey<Private>,
    /// None if this is a public key.
    pub signer: Option<Signer>,
}

/// A private key in use.
pub(super) struct Signer {
    /// None if it has other than two primes: such keys stay software.
    key: Option<RsaKey>,
    /// OpenSSL's method whatever engines there are. It blinds, may be used by several
    /// threads at once, and keeps what exponentiation needs from call to call.
    rsa: Rsa<Private>,
}

impl Signer {
    /// None for a public key.
    ///
    /// # Safety
    /// `params` is a terminated array.
    unsafe fn new(params: *const Param) -> Result<Option<Signer>, ErrorStack> {
        let number = |name| {
            // SAFETY: as the caller says.
            let param = unsafe { params::find(params, name) };
            param.map(Param::number).transpose()
        };
        let (Some(n), Some(e), Some(d)) = (number(c"n")?, number(c"e")?, number(c"d")?) else {
            return Ok(None);
        };
        let crt = (
            number(c"rsa-factor1")?,
            number(c"rsa-factor2")?,
            number(c"rsa-exponent1")?,
            number(c"rsa-exponent2")?,
            number(c"rsa-coefficient1")?,
        );
        let key = match crt {
            (Some(p), Some(q), Some(dp), Some(dq), Some(qinv))
                if number(c"rsa-factor3")?.is_none() =>
            {
                let attached = OnceLock::new();
                Some(RsaKey {
                    n: copy(&n)?,
                    e: copy(&e)?,
                    d: copy(&d)?,
                    p,
                    q,
                    dp,
                    dq,
                    qinv,
                    attached,
                })
            }
            _ => None,
        };
        let mut builder = RsaPrivateKeyBuilder::new(n, e, d)?;
        if let Some(key) = &key {
            builder = builder
                .set_factors(copy(&key.p)?, copy(&key.q)?)?
                .set_crt_params(copy(&key.dp)?, copy(&key.dq)?, copy(&key.qinv)?)?;
        }
        let rsa = builder.build();
        // SAFETY: a valid RSA that nobody has used yet, and OpenSSL's static method.
        check(unsafe { ffi::RSA_set_method(rsa.as_ptr(), ffi::RSA_PKCS1_OpenSSL()) })?;
        Ok(Some(Signer { key, rsa }))
    }

    /// Bytes of the modulus, and so of a signature.
    pub(super) fn size(&self) -> usize {
        self.rsa.size() as usize
    }

    pub(super) fn rsa(&self) -> *mut openssl_sys::RSA {
        self.rsa.as_ptr()
    }

    /// The raw private operation on `input`, which is as long as the modulus; by the
    /// backend if it can be, else in software. What the backend gives is verified.
    pub(super) fn private(
        &self,
        shared: &Shared,
        input: &[u8],
        output: &mut [u8],
    ) -> Result<(), ErrorStack> {
        let outcome = match &self.key {
            Some(key) => shared.ask(|backend| backend.rsa_private(key, input, output)),
            None => Outcome::Declined,
        };
        let path = shared.path(outcome, || self.verifies(input, output));
        if path != Path::Accelerated {
            self.rsa.private_encrypt(input, output, Padding::NONE)?;
        }
        shared.counters.count(Algorithm::Rsa, path);
        Ok(())
    }

    /// Whether `output` to the power of the public exponent gives `input` again.
    fn verifies(&self, input: &[u8], output: &[u8]) -> bool {
        let mut again = Zeroizing::new(vec![0; input.len()]);
        match self.rsa.public_encrypt(output, &mut again, Padding::NONE) {
            Ok(len) => again[..len] == *input,
            // A number beyond the modulus.
            Err(_) => false,
        }
    }
}

fn copy(number: &BigNumRef) -> Result<BigNum, ErrorStack> {
    number.to_owned()
}

/// # Safety
/// `raw` is a key that OpenSSL got from this key manager.
unsafe fn slot<'a>(raw: *const c_void) -> &'a Slot {
    // SAFETY: as the caller says; OpenSSL keeps it for the call at least.
    unsafe { &*raw.cast::<Slot>() }
}

/// The key behind OpenSSL's pointer. None if it is empty.
///
/// # Safety
/// `raw` is null or a key that OpenSSL got from this key manager.
pub(super) unsafe fn key(raw: *mut c_void) -> Option<Arc<Key>> {
    if raw.is_null() {
        return None;
    }
    // SAFETY: as the caller says.
    unsafe { slot(raw) }.key.get().cloned()
}

pub(super) static DISPATCH: [Dispatch; 13] = [
    Dispatch::new(1, new as *const ()),
    Dispatch::new(10, context::free::<Slot> as *const ()),
    Dispatch::new(11, get_params as *const ()),
    Dispatch::new(12, gettable as *const ()),
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

static GETTABLE: [Param; 9] = [
    Param::named(c"bits", INTEGER),
    Param::named(c"security-bits", INTEGER),
    Param::named(c"max-size", INTEGER),
    Param::named(c"default-digest", UTF8),
    Param::named(c"mandatory-digest", UTF8),
    Param::named(c"n", UNSIGNED),
    Param::named(c"e", UNSIGNED),
    Param::named(c"d", UNSIGNED),
    Param::END,
];

static TYPES: [Param; 9] = [
    Param::named(c"n", UNSIGNED),
    Param::named(c"e", UNSIGNED),
    Param::named(c"d", UNSIGNED),
    Param::named(c"rsa-factor1", UNSIGNED),
    Param::named(c"rsa-factor2", UNSIGNED),
    Param::named(c"rsa-exponent1", UNSIGNED),
    Param::named(c"rsa-exponent2", UNSIGNED),
    Param::named(c"rsa-coefficient1", UNSIGNED),
    Param::END,
];

unsafe extern "C" fn new(provider: *mut c_void) -> *mut c_void {
    guarded(std::ptr::null_mut(), || {
        // SAFETY: OpenSSL passes the provider's own pointer.
        let shared = unsafe { context::shared(provider) };
        hand_out(Slot {
            shared,
            key: OnceLock::new(),
        })
    })
}

unsafe extern "C" fn dup(raw: *const c_void, _selection: c_int) -> *mut c_void {
    guarded(std::ptr::null_mut(), || {
        // SAFETY: OpenSSL passes a key of this key manager. Keys do not change.
        let slot = unsafe { slot(raw) };
        hand_out(Slot {
            shared: slot.shared.clone(),
            key: slot.key.clone(),
        })
    })
}

unsafe extern "C" fn import(raw: *mut c_void, selection: c_int, params: *const Param) -> c_int {
    guarded(0, || {
        // SAFETY: OpenSSL passes a key of this key manager and a terminated array.
        unsafe {
            let slot = slot(raw);
            let imported = slot.shared.software.import(c"RSA", selection, params);
            let signer = match selection & select::PRIVATE {
                0 => Ok(None),
                _ => Signer::new(params),
            };
            let (Some(pkey), Some(signer)) = (told(imported), told(signer)) else {
                return 0;
            };
            c_int::from(slot.key.set(Arc::new(Key { pkey, signer })).is_ok())
        }
    })
}

unsafe extern "C" fn export(
    raw: *mut c_void,
    selection: c_int,
    callback: Export,
    arg: *mut c_void,
) -> c_int {
    // SAFETY: OpenSSL passes a key of this key manager, and a callback with its argument.
    unsafe {
        match key(raw) {
            Some(key) => ffi::EVP_PKEY_export(key.pkey.as_ptr(), selection, callback, arg),
            None => 0,
        }
    }
}

unsafe extern "C" fn get_params(raw: *mut c_void, params: *mut Param) -> c_int {
    // SAFETY: OpenSSL passes a key of this key manager and a terminated array.
    unsafe {
        match key(raw) {
            Some(key) => ffi::EVP_PKEY_get_params(key.pkey.as_ptr(), params),
            None => 0,
        }
    }
}

unsafe extern "C" fn gettable(_provider: *mut c_void) -> *const Param {
    GETTABLE.as_ptr()
}

unsafe extern "C" fn types(_selection: c_int) -> *const Param {
    TYPES.as_ptr()
}

unsafe extern "C" fn has(raw: *const c_void, selection: c_int) -> c_int {
    // SAFETY: OpenSSL passes a key of this key manager.
    let key = unsafe { key(raw.cast_mut()) };
    let Some(key) = key else { return 0 };
    c_int::from(selection & select::PRIVATE == 0 || key.signer.is_some())
}

unsafe extern "C" fn validate(raw: *const c_void, selection: c_int, _check: c_int) -> c_int {
    // SAFETY: as for `has`. The import has been through OpenSSL's own key manager.
    unsafe { has(raw, selection) }
}

unsafe extern "C" fn matches(one: *const c_void, two: *const c_void, _selection: c_int) -> c_int {
    // SAFETY: OpenSSL passes keys of this key manager. The public halves decide.
    unsafe {
        match (key(one.cast_mut()), key(two.cast_mut())) {
            (Some(one), Some(two)) => {
                c_int::from(openssl_sys::EVP_PKEY_eq(one.pkey.as_ptr(), two.pkey.as_ptr()) == 1)
            }
            _ => 0,
        }
    }
}
