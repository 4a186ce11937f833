//! What the provider's functions share.

use std::any::Any;
use std::os::raw::c_void;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use openssl::error::ErrorStack;

use super::counters::{Algorithm, Counters, Path};
use super::software::Software;
use super::{Backend, Outcome};
use crate::{error, job};

/// One of these belongs to each library context with our provider.
pub(super) struct Shared {
    pub backend: Arc<dyn Backend>,
    pub algorithms: Vec<Algorithm>,
    pub counters: Arc<Counters>,
    pub software: Software,
}

impl Shared {
    /// Whether it is the backend's to do; else it is neither asked nor counted.
    pub(super) fn offloads(&self, algorithm: Algorithm) -> bool {
        self.algorithms.contains(&algorithm)
    }

    /// The backend's answer; outside an async job it declines without being asked.
    pub(super) fn ask(&self, operation: impl FnOnce(&dyn Backend) -> Outcome) -> Outcome {
        if !job::in_job() {
            return Outcome::Declined;
        }
        let asked = catch_unwind(AssertUnwindSafe(|| operation(&*self.backend)));
        // SSL_get_error takes what is left behind for a failure of the handshake.
        error::clear_stale();
        asked.unwrap_or_else(|panic| {
            forget(panic);
            Outcome::Failed
        })
    }

    /// Whose result is taken, where the public key can verify one.
    pub(super) fn path(&self, outcome: Outcome, verifies: impl FnOnce() -> bool) -> Path {
        match outcome {
            Outcome::Verified => Path::Accelerated,
            Outcome::Done if verifies() => Path::Accelerated,
            Outcome::Done => {
                self.backend.refuted();
                Path::Redone
            }
            Outcome::Declined => Path::Software,
            Outcome::Failed => Path::Redone,
        }
    }
}

/// None if it failed; OpenSSL's reasons go back to where its caller looks for them.
pub(super) fn told<T>(result: Result<T, ErrorStack>) -> Option<T> {
    result.map_err(|reasons| reasons.put()).ok()
}

/// A panic's payload may panic itself when dropped.
fn forget(panic: Box<dyn Any + Send>) {
    let dropped = catch_unwind(AssertUnwindSafe(|| drop(panic)));
    if let Err(again) = dropped {
        std::mem::forget(again);
    }
}

/// Runs what a C caller called: no panic goes through.
pub(super) fn guarded<T>(otherwise: T, body: impl FnOnce() -> T) -> T {
    catch_unwind(AssertUnwindSafe(body)).unwrap_or_else(|panic| {
        forget(panic);
        otherwise
    })
}

/// A reference of its own to what the provider was started with.
///
/// # Safety
/// `provider` is the pointer that the provider's start gave to OpenSSL.
pub(super) unsafe fn shared(provider: *mut c_void) -> Arc<Shared> {
    let raw = provider.cast_const().cast::<Shared>();
    // SAFETY: it came from Arc::into_raw and holds its reference until the teardown.
    unsafe {
        Arc::increment_strong_count(raw);
        Arc::from_raw(raw)
    }
}

/// Hands `value` to OpenSSL, until [`free`].
pub(super) fn hand_out<T>(value: T) -> *mut c_void {
    Box::into_raw(Box::new(value)).cast()
}

/// What OpenSSL calls when it needs it no longer.
///
/// # Safety
/// `raw` is null or came from [`hand_out`] with the same type, and is not used again.
pub(super) unsafe extern "C" fn free<T>(raw: *mut c_void) {
    if !raw.is_null() {
        // SAFETY: as the caller says.
        guarded((), || drop(unsafe { Box::from_raw(raw.cast::<T>()) }));
    }
}
