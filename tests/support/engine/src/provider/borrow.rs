//! Implementations of the default provider, with a function exchanged.

use std::ffi::CStr;
use std::os::raw::c_int;
use std::{ptr, slice};

use foreign_types::ForeignType;
use openssl::provider::Provider;

use super::ffi::{self, Dispatch, Offered};

/// An implementation of the default provider.
#[derive(Clone, Copy)]
pub(super) struct Borrowed<'a> {
    offered: &'a Offered,
    dispatch: &'a [Dispatch],
}

impl Borrowed<'_> {
    /// None if there is no such function.
    pub(super) fn function(&self, id: c_int) -> Option<*const ()> {
        let found = self.dispatch.iter().find(|one| one.id == id);
        found.map(|one| one.function)
    }

    /// With `function` in place of its own, for ever.
    pub(super) fn with(
        &self,
        properties: &'static CStr,
        id: c_int,
        function: *const (),
    ) -> Offered {
        let replaced = |one: &Dispatch| match one.id == id {
            true => Dispatch { id, function },
            false => *one,
        };
        let mut dispatch: Vec<Dispatch> = self.dispatch.iter().map(replaced).collect();
        dispatch.push(Dispatch::END);
        Offered {
            names: self.offered.names,
            properties: properties.as_ptr(),
            dispatch: dispatch.leak().as_ptr(),
            description: ptr::null(),
        }
    }

    pub(super) fn unchanged(&self, properties: &'static CStr) -> Offered {
        Offered {
            names: self.offered.names,
            properties: properties.as_ptr(),
            dispatch: self.dispatch.as_ptr(),
            description: ptr::null(),
        }
    }
}

/// The default provider's implementation whose first name that is.
pub(super) fn borrow(
    default: &'static Provider,
    operation: c_int,
    name: &str,
) -> Option<Borrowed<'static>> {
    let mut no_cache = 0;
    // SAFETY: a provider that stays; it answers with null or a terminated array of
    // terminated arrays, which all live as long as it does.
    unsafe {
        let query = ffi::OSSL_PROVIDER_query_operation;
        let mut at = query(default.as_ptr(), operation, &mut no_cache);
        while !at.is_null() && !(*at).names.is_null() {
            let names = CStr::from_ptr((*at).names).to_str().ok()?;
            if names.split(':').next() == Some(name) {
                let dispatch = (*at).dispatch;
                let mut len = 0;
                while (*dispatch.add(len)).id != 0 {
                    len += 1;
                }
                return Some(Borrowed {
                    offered: &*at,
                    dispatch: slice::from_raw_parts(dispatch, len),
                });
            }
            at = at.add(1);
        }
    }
    None
}

/// # Safety
/// `function` is of the type `F`, which is that of a function.
pub(super) unsafe fn typed<F: Copy>(function: *const ()) -> F {
    const { assert!(size_of::<F>() == size_of::<*const ()>()) };
    // SAFETY: as the caller says.
    unsafe { std::mem::transmute_copy(&function) }
}
