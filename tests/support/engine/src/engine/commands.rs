//! The control commands.

use std::ffi::CStr;
use std::os::raw::{c_char, c_int, c_long, c_void};
use std::ptr;
use std::sync::atomic::Ordering;

use openssl_sys::ENGINE;

use super::ffi::{Definition, FLAG_INTERNAL, FLAG_NO_INPUT, FLAG_STRING};
use super::{MASK, device, guarded};
use crate::script::Script;

// OpenSSL keeps the numbers below 200 to itself.
const SCRIPT: u32 = 200;
const RELEASE: u32 = 201;
const ENABLE_EXTERNAL_POLLING: u32 = 202;
const ENABLE_HEURISTIC_POLLING: u32 = 203;
const POLL: u32 = 204;
const GET_NUM_REQUESTS_IN_FLIGHT: u32 = 205;
const GET_NUM_OP_RETRIES: u32 = 206;
const SW_ALGO_BITMAP: u32 = 207;

/// Sorted by number, ended by an empty one, as OpenSSL wants it.
pub(super) struct Definitions([Definition; 9]);

// SAFETY: it points to static strings, and is only read.
unsafe impl Sync for Definitions {}

impl Definitions {
    pub(super) fn as_ptr(&self) -> *const Definition {
        self.0.as_ptr()
    }
}

const fn definition(number: u32, name: &'static CStr, flags: u32) -> Definition {
    Definition {
        number,
        name: name.as_ptr(),
        description: name.as_ptr(),
        flags,
    }
}

pub(super) static DEFINITIONS: Definitions = Definitions([
    definition(SCRIPT, c"SCRIPT", FLAG_STRING),
    definition(RELEASE, c"RELEASE", FLAG_NO_INPUT),
    definition(
        ENABLE_EXTERNAL_POLLING,
        c"ENABLE_EXTERNAL_POLLING",
        FLAG_NO_INPUT,
    ),
    definition(
        ENABLE_HEURISTIC_POLLING,
        c"ENABLE_HEURISTIC_POLLING",
        FLAG_NO_INPUT,
    ),
    definition(POLL, c"POLL", FLAG_INTERNAL),
    definition(
        GET_NUM_REQUESTS_IN_FLIGHT,
        c"GET_NUM_REQUESTS_IN_FLIGHT",
        FLAG_INTERNAL,
    ),
    definition(GET_NUM_OP_RETRIES, c"GET_NUM_OP_RETRIES", FLAG_INTERNAL),
    definition(SW_ALGO_BITMAP, c"SW_ALGO_BITMAP", FLAG_STRING),
    Definition {
        number: 0,
        name: ptr::null(),
        description: ptr::null(),
        flags: 0,
    },
]);

pub(super) unsafe extern "C" fn control(
    _engine: *mut ENGINE,
    command: c_int,
    number: c_long,
    pointer: *mut c_void,
    _function: Option<unsafe extern "C" fn()>,
) -> c_int {
    guarded(0, || {
        // SAFETY: what a command's definition says is what OpenSSL and the caller give.
        unsafe { obey(command.cast_unsigned(), number, pointer) }.map_or(0, |()| 1)
    })
}

/// # Safety
/// `pointer` must be null or what the command takes: a string, or a place for its answer.
unsafe fn obey(command: u32, number: c_long, pointer: *mut c_void) -> Option<()> {
    match command {
        SCRIPT if !pointer.is_null() => {
            // SAFETY: a string, promised by the caller.
            let script = unsafe { CStr::from_ptr(pointer.cast::<c_char>()) };
            device().set_script(script.to_str().ok()?.parse::<Script>().ok()?);
            // As it was when it was loaded.
            device().poll_externally(false);
        }
        SW_ALGO_BITMAP if !pointer.is_null() => {
            // SAFETY: as above.
            let mask = unsafe { CStr::from_ptr(pointer.cast::<c_char>()) };
            let digits = mask.to_str().ok()?.trim_start_matches("0x");
            let mask = u64::from_str_radix(digits, 16).ok()?;
            MASK.store(mask, Ordering::Relaxed);
        }
        RELEASE => device().release(),
        ENABLE_EXTERNAL_POLLING => device().poll_externally(true),
        ENABLE_HEURISTIC_POLLING => {}
        POLL if !pointer.is_null() => {
            device().poll();
            // SAFETY: a place for an int, promised by the caller.
            unsafe { pointer.cast::<c_int>().write(0) };
        }
        GET_NUM_OP_RETRIES if !pointer.is_null() => {
            let refused = c_int::try_from(device().counts().refused).ok()?;
            // SAFETY: as above.
            unsafe { pointer.cast::<c_int>().write(refused) };
        }
        GET_NUM_REQUESTS_IN_FLIGHT if !pointer.is_null() && number == 1 => {
            let counter = device().0.in_flight.as_ptr();
            // SAFETY: a place for an address; the counter lives as long as the process.
            unsafe { pointer.cast::<*mut c_int>().write(counter) };
        }
        _ => return None,
    }
    Some(())
}
