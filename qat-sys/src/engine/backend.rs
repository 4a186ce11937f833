//! An engine at work, as a [`Backend`]: every call names the engine itself, so that no
//! default of the process is changed and all else stays software.
//!
//! ```text
//! rsa_private     ─→ RSA made with the engine, once a key ─→ RSA_private_encrypt ─┐
//! ecdsa_sign      ─→ EC_KEY made likewise ─→ ECDSA_sign ──────────────────────────┤
//! x25519_generate ─→ EVP_PKEY_CTX of the engine ─→ EVP_PKEY_keygen ───────────────┼─→ engine
//! x25519_derive   ─→ EVP_PKEY_CTX of key and engine ─→ EVP_PKEY_derive ───────────┘   pauses
//! ```
//!
//! Invariants: the engine is never given back, for its threads and its jobs outlive any
//! value; the engine is asked only in a job; no error of the engine stays in OpenSSL's
//! queue, where the SSL would take it for its own.

use std::ffi::CStr;
use std::mem::ManuallyDrop;
use std::os::raw::{c_int, c_long, c_uchar, c_void};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicI32, Ordering};

use foreign_types::ForeignType;
use openssl::error::ErrorStack;
use openssl::pkey::{Id, PKey, Private, Public};
use openssl::pkey_ctx::PkeyCtx;
use openssl_sys::{
    ENGINE, EVP_PKEY_CTX_new, EVP_PKEY_CTX_new_id, EVP_PKEY_get_raw_private_key,
    EVP_PKEY_new_raw_private_key, EVP_PKEY_new_raw_public_key,
};

use super::{Engine, EngineError, EngineOptions, Initialised, Polling, ffi, keys};
use crate::offload::{Algorithm, Backend, EcdsaKey, Outcome, RsaKey, X25519Key, asked};

/// Which of its counters qatengine tells the address of, after its `e_qat.h`.
const ASYMMETRIC_ON_CARDS: c_long = 1;
const ASYMMETRIC_IN_LANES: c_long = 4;

/// An engine that does the private-key work of an offloading provider.
pub struct EngineBackend {
    engine: ManuallyDrop<Initialised>,
    polling: Polling,
    algorithms: Vec<Algorithm>,
    /// Counters of the engine, which stays loaded.
    in_flight: Vec<&'static AtomicI32>,
}

// SAFETY: the only part that is not is the engine's pointer. The reference behind it is
// never given back; OpenSSL counts references atomically, and engines take calls from
// any thread: they belong to the process.
unsafe impl Send for EngineBackend {}
// SAFETY: as above.
unsafe impl Sync for EngineBackend {}

impl EngineBackend {
    /// Tells the engine its options, starts it, and never stops it.
    pub fn start(mut engine: Engine, options: &EngineOptions) -> Result<Self, EngineError> {
        options.tell(&mut engine)?;
        Ok(EngineBackend::new(engine.init()?, options))
    }

    /// Of an engine that was told these options before it was started.
    pub fn new(engine: Initialised, options: &EngineOptions) -> Self {
        let mut backend = EngineBackend {
            algorithms: algorithms(engine.as_ptr()),
            engine: ManuallyDrop::new(engine),
            polling: options.polling,
            in_flight: Vec::new(),
        };
        for kind in [ASYMMETRIC_ON_CARDS, ASYMMETRIC_IN_LANES] {
            backend.in_flight.extend(backend.counter(kind));
        }
        drop(ErrorStack::get());
        backend
    }

    /// What the engine has methods for. It may still do an operation in software, for
    /// instance one that its mask leaves out: only a pause tells.
    pub fn algorithms(&self) -> &[Algorithm] {
        &self.algorithms
    }

    fn can(&self, algorithm: Algorithm) -> bool {
        self.algorithms.contains(&algorithm)
    }

    /// As [`Engine::name`].
    pub fn name(&self) -> String {
        self.engine.name()
    }

    /// Looks for answers and completes their jobs; without effect if the engine's own
    /// threads do that. qatengine's `POLL`.
    pub fn poll(&self) -> Result<(), EngineError> {
        match self.polling {
            Polling::Internal | Polling::EventDriven => Ok(()),
            // The status says whether there were any: either is well.
            Polling::External | Polling::Heuristic => self.number(c"POLL").map(drop),
        }
    }

    /// Operations that the engine has not answered, where it counts them.
    /// qatengine's `GET_NUM_REQUESTS_IN_FLIGHT`.
    pub fn requests_in_flight(&self) -> Option<u32> {
        let count = |counter: &&AtomicI32| counter.load(Ordering::Relaxed).max(0).cast_unsigned();
        (!self.in_flight.is_empty()).then(|| self.in_flight.iter().map(count).sum())
    }

    /// Requests that had to be sent again because a queue was full, since the start,
    /// where the engine counts them. qatengine's `GET_NUM_OP_RETRIES`.
    pub fn retries(&self) -> Option<u32> {
        let retries = self.number(c"GET_NUM_OP_RETRIES").ok()?;
        u32::try_from(retries).ok()
    }

    fn counter(&self, kind: c_long) -> Option<&'static AtomicI32> {
        let mut address: *mut c_int = std::ptr::null_mut();
        let place = (&raw mut address).cast();
        self.command(c"GET_NUM_REQUESTS_IN_FLIGHT", kind, place)
            .ok()?;
        if address.is_null() || !address.is_aligned() {
            return None;
        }
        // SAFETY: an aligned int of the engine's, which is never unloaded; the engine
        // changes it with atomic instructions, and it is only read here.
        Some(unsafe { AtomicI32::from_ptr(address) })
    }

    /// A command that answers with an int.
    fn number(&self, command: &CStr) -> Result<c_int, EngineError> {
        let mut number: c_int = 0;
        self.command(command, 0, (&raw mut number).cast())?;
        Ok(number)
    }

    /// `place` must be what the command writes: an int, or the address of one.
    fn command(
        &self,
        command: &CStr,
        number: c_long,
        place: *mut c_void,
    ) -> Result<(), EngineError> {
        // SAFETY: a valid reference; a string that is read, and a place, private to this
        // module, of the type that qatengine documents for the command. An engine that
        // does not know the command refuses it by its name.
        let done =
            unsafe { ffi::ENGINE_ctrl_cmd(self.ptr(), command.as_ptr(), number, place, None, 0) };
        let errors = ErrorStack::get();
        if done != 1 {
            return Err(EngineError::OpenSsl(errors));
        }
        Ok(())
    }

    fn ptr(&self) -> *mut ENGINE {
        self.engine.as_ptr()
    }

    fn generate(&self, key: &mut X25519Key) -> Done {
        // SAFETY: a valid engine, of which the context takes its own reference; the new
        // context is owned from here on.
        let mut context = unsafe { owned(EVP_PKEY_CTX_new_id(Id::X25519.as_raw(), self.ptr()))? };
        context.keygen_init()?;
        let made = context.keygen()?;
        key.public.copy_from_slice(&half(made.raw_public_key()?)?);
        let mut len = key.private.len();
        // SAFETY: a valid key, and a buffer of the length that is told.
        let read = unsafe {
            EVP_PKEY_get_raw_private_key(made.as_ptr(), key.private.as_mut_ptr(), &mut len)
        };
        if read != 1 || len != key.private.len() {
            return Err(ErrorStack::get());
        }
        key.attached = Some(Box::new(made));
        Ok(true)
    }

    /// A key from its raw half. Naming the engine makes it one of the old kind, that engines
    /// can read: those of OpenSSL 3 belong to providers.
    fn key<T>(&self, new: NewRaw, half: &[u8; 32]) -> Result<PKey<T>, ErrorStack> {
        // SAFETY: one of OpenSSL's two constructors, a valid engine, of which the key takes
        // its own reference, and as many bytes as are told. The new key is owned from here
        // on, and has the half that its type says.
        unsafe {
            let made = new(Id::X25519.as_raw(), self.ptr(), half.as_ptr(), half.len());
            if made.is_null() {
                return Err(ErrorStack::get());
            }
            Ok(PKey::from_ptr(made))
        }
    }

    fn derive(&self, key: &X25519Key, peer: &[u8; 32], secret: &mut [u8; 32]) -> Done {
        let kept = key.attached.as_ref();
        let kept: Option<&PKey<Private>> = kept.and_then(|kept| kept.as_ref().downcast_ref());
        let made;
        let own = match kept {
            Some(own) => own,
            // Generated elsewhere, for instance in software.
            None => {
                made = self.key::<Private>(EVP_PKEY_new_raw_private_key, &key.private)?;
                &made
            }
        };
        let peer = self.key::<Public>(EVP_PKEY_new_raw_public_key, peer)?;
        // SAFETY: a valid key and engine, of which the context takes its own references;
        // the new context is owned from here on.
        let mut context = unsafe { owned(EVP_PKEY_CTX_new(own.as_ptr(), self.ptr()))? };
        context.derive_init()?;
        context.derive_set_peer(&peer)?;
        Ok(context.derive(Some(secret))? == secret.len())
    }
}

/// `EVP_PKEY_new_raw_private_key` or its sister.
type NewRaw =
    unsafe extern "C" fn(c_int, *mut ENGINE, *const c_uchar, usize) -> *mut openssl_sys::EVP_PKEY;
/// Whether a result of the right length is there.
type Done = Result<bool, ErrorStack>;

impl Backend for EngineBackend {
    fn rsa_private(&self, key: &RsaKey, input: &[u8], output: &mut [u8]) -> Outcome {
        asked(self.can(Algorithm::Rsa), || {
            let rsa = keys::held(&key.attached, self.ptr(), || keys::rsa(self.ptr(), key));
            Ok(rsa.is_some_and(|rsa| keys::private(rsa, input, output)))
        })
    }

    fn ecdsa_sign(&self, key: &EcdsaKey, hash: &[u8], signature: &mut Vec<u8>) -> Outcome {
        asked(self.can(Algorithm::Ecdsa), || {
            let ec = keys::held(&key.attached, self.ptr(), || keys::ec(self.ptr(), key));
            Ok(ec.is_some_and(|ec| keys::sign(ec, hash, signature)))
        })
    }

    fn x25519_generate(&self, key: &mut X25519Key) -> Outcome {
        asked(self.can(Algorithm::X25519), || self.generate(key))
    }

    fn x25519_derive(&self, key: &X25519Key, peer: &[u8; 32], secret: &mut [u8; 32]) -> Outcome {
        asked(self.can(Algorithm::X25519), || {
            self.derive(key, peer, secret)
        })
    }
}

fn algorithms(engine: *mut ENGINE) -> Vec<Algorithm> {
    // SAFETY: a valid reference; the methods are only compared with null.
    let has = |algorithm: &Algorithm| unsafe {
        match algorithm {
            Algorithm::Rsa => !ffi::ENGINE_get_RSA(engine).is_null(),
            Algorithm::Ecdsa => !ffi::ENGINE_get_EC(engine).is_null(),
            Algorithm::X25519 => {
                ffi::ENGINE_get_pkey_meths(engine).is_some()
                    && !ffi::ENGINE_get_pkey_meth(engine, Id::X25519.as_raw()).is_null()
            }
        }
    };
    let algorithms = Algorithm::ALL.into_iter().filter(has).collect();
    drop(ErrorStack::get());
    algorithms
}

/// # Safety
/// The context must be valid and nobody else's, or null.
unsafe fn owned(context: *mut openssl_sys::EVP_PKEY_CTX) -> Result<PkeyCtx<Private>, ErrorStack> {
    match NonNull::new(context) {
        // SAFETY: promised by the caller.
        Some(context) => Ok(unsafe { PkeyCtx::from_ptr(context.as_ptr()) }),
        None => Err(ErrorStack::get()),
    }
}

fn half(bytes: Vec<u8>) -> Result<[u8; 32], ErrorStack> {
    bytes.try_into().map_err(|_| ErrorStack::get())
}
