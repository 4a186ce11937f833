//! Reading and writing of `OSSL_PARAM(3)` arrays.

use std::ffi::CStr;
use std::os::raw::{c_int, c_uint};
use std::{ptr, slice};

use openssl::bn::BigNum;
use openssl::error::ErrorStack;

use foreign_types::ForeignType;

use super::ffi::{self, Param};

pub(super) const INTEGER: c_uint = 1;
pub(super) const UNSIGNED: c_uint = 2;
pub(super) const UTF8: c_uint = 4;
pub(super) const OCTETS: c_uint = 5;

impl Param {
    pub(super) const END: Param = Param::of(ptr::null(), 0);

    /// A description for a table of what can be got or set.
    pub(super) const fn named(key: &'static CStr, data_type: c_uint) -> Param {
        Param::of(key.as_ptr(), data_type)
    }

    const fn of(key: *const std::os::raw::c_char, data_type: c_uint) -> Param {
        Param {
            key,
            data_type,
            data: ptr::null_mut(),
            data_size: 0,
            return_size: usize::MAX,
        }
    }

    /// Lends `data`, which must live until the parameter has been used.
    pub(super) fn octets(key: &'static CStr, data: &[u8]) -> Param {
        Param {
            data: data.as_ptr().cast_mut().cast(),
            data_size: data.len(),
            ..Param::named(key, OCTETS)
        }
    }

    /// As [`Param::octets`].
    pub(super) fn lent_text(key: &'static CStr, text: &CStr) -> Param {
        Param {
            data: text.as_ptr().cast_mut().cast(),
            data_size: text.count_bytes(),
            ..Param::named(key, UTF8)
        }
    }

    /// As [`Param::octets`].
    pub(super) fn lent_int(key: &'static CStr, value: &c_int) -> Param {
        Param {
            data: ptr::from_ref(value).cast_mut().cast(),
            data_size: size_of::<c_int>(),
            ..Param::named(key, INTEGER)
        }
    }

    pub(super) fn bytes(&self) -> Option<&[u8]> {
        if self.data.is_null() {
            return None;
        }
        // SAFETY: by the protocol of parameters, `data` has `data_size` bytes.
        Some(unsafe { slice::from_raw_parts(self.data.cast::<u8>(), self.data_size) })
    }
}

/// The parameters given to a function, which may be a null pointer.
///
/// # Safety
/// `params` is null or an array that ends as such arrays do, and outlives the result.
pub(super) unsafe fn find<'a>(params: *const Param, key: &CStr) -> Option<&'a Param> {
    if params.is_null() {
        return None;
    }
    // SAFETY: as the caller says.
    unsafe { ffi::OSSL_PARAM_locate_const(params, key.as_ptr()).as_ref() }
}

/// As [`find`], for a parameter to be answered.
///
/// # Safety
/// As of [`find`], and nobody else has the array.
pub(super) unsafe fn find_mut<'a>(params: *mut Param, key: &CStr) -> Option<&'a mut Param> {
    if params.is_null() {
        return None;
    }
    // SAFETY: as the caller says.
    unsafe { ffi::OSSL_PARAM_locate(params, key.as_ptr()).as_mut() }
}

/// The parameters with their names.
///
/// # Safety
/// As of [`find`].
pub(super) unsafe fn each<'a>(
    mut params: *const Param,
) -> impl Iterator<Item = (&'a [u8], &'a Param)> {
    std::iter::from_fn(move || {
        // SAFETY: as the caller says; a name ends with a NUL, and only the last has none.
        unsafe {
            let param = params.as_ref().filter(|param| !param.key.is_null())?;
            params = params.add(1);
            Some((CStr::from_ptr(param.key).to_bytes(), param))
        }
    })
}

/// As [`each`], for parameters to be answered.
///
/// # Safety
/// As of [`find_mut`].
pub(super) unsafe fn each_mut<'a>(
    mut params: *mut Param,
) -> impl Iterator<Item = (&'a [u8], &'a mut Param)> {
    std::iter::from_fn(move || {
        // SAFETY: as the caller says; a name ends with a NUL, and only the last has none.
        unsafe {
            let param = params.as_mut().filter(|param| !param.key.is_null())?;
            params = params.add(1);
            Some((CStr::from_ptr(param.key).to_bytes(), param))
        }
    })
}

impl Param {
    pub(super) fn int(&self) -> Option<c_int> {
        let mut value = 0;
        // SAFETY: a valid parameter and a place to write to; the type is checked.
        (unsafe { ffi::OSSL_PARAM_get_int(self, &mut value) } == 1).then_some(value)
    }

    /// Up to the first NUL.
    pub(super) fn text(&self) -> Option<&str> {
        if self.data_type != UTF8 {
            return None;
        }
        let bytes = self.bytes()?;
        let end = bytes.iter().position(|&byte| byte == 0);
        std::str::from_utf8(&bytes[..end.unwrap_or(bytes.len())]).ok()
    }

    pub(super) fn key32(&self) -> Option<[u8; 32]> {
        if self.data_type != OCTETS {
            return None;
        }
        self.bytes()?.try_into().ok()
    }

    /// A number that is wiped when freed.
    pub(super) fn number(&self) -> Result<BigNum, ErrorStack> {
        let number = BigNum::new_secure()?;
        let mut raw = number.as_ptr();
        // SAFETY: a valid parameter; with a number given, it is set in place.
        match unsafe { ffi::OSSL_PARAM_get_BN(self, &mut raw) } {
            1 => Ok(number),
            _ => Err(ErrorStack::get()),
        }
    }

    pub(super) fn set_int(&mut self, value: c_int) -> bool {
        // SAFETY: a valid parameter, whose type and room are checked.
        unsafe { ffi::OSSL_PARAM_set_int(self, value) == 1 }
    }

    pub(super) fn set_octets(&mut self, value: &[u8]) -> bool {
        // SAFETY: a valid parameter, whose type and room are checked.
        unsafe { ffi::OSSL_PARAM_set_octet_string(self, value.as_ptr().cast(), value.len()) == 1 }
    }

    pub(super) fn set_text(&mut self, value: &CStr) -> bool {
        // SAFETY: a valid parameter, whose type and room are checked.
        unsafe { ffi::OSSL_PARAM_set_utf8_string(self, value.as_ptr()) == 1 }
    }
}
