//! The key schedule of TLS 1.3 (RFC 8446, 7.1): HKDF by AWS-LC. `EVP_KDF-TLS13_KDF(7)`.

use std::os::raw::{c_int, c_uchar, c_void};

use zeroize::Zeroizing;

use super::ffi::{Dispatch, Param};
use super::kdf::{self, Hash};
use super::params;

/// `EVP_KDF_HKDF_MODE_*` (kdf.h).
const EXTRACT_ONLY: c_int = 1;
const EXPAND_ONLY: c_int = 2;

/// Of the longest hash, that of SHA-384.
const LONGEST_HASH: usize = 48;
/// `HkdfLabel`: two bytes of length, then a label and a hash, each with its length before it.
const LONGEST_INFO: usize = 2 + 256 + 256;

pub(super) static DISPATCH: [Dispatch; 4] = kdf::dispatch(derive);

unsafe extern "C" fn derive(
    _context: *mut c_void,
    out: *mut c_uchar,
    len: usize,
    params: *const Param,
) -> c_int {
    // SAFETY: a terminated array, and room for `len` bytes that nobody else has.
    unsafe { kdf::derive(out, len, |out| Request::of(params)?.derive(out)) }
}

/// What a call is to derive.
struct Request<'a> {
    mode: c_int,
    hash: Hash,
    key: Option<&'a [u8]>,
    salt: Option<&'a [u8]>,
    prefix: &'a [u8],
    label: &'a [u8],
    data: &'a [u8],
}

impl<'a> Request<'a> {
    /// None if there is no mode, or no digest that is known here.
    ///
    /// # Safety
    /// `params` is null or an array that ends as such arrays do, and outlives the result.
    unsafe fn of(params: *const Param) -> Option<Request<'a>> {
        let (mut mode, mut hash) = (None, None);
        let (mut key, mut salt) = (None, None);
        let (mut prefix, mut label, mut data) = (None, None, None);
        // SAFETY: as the caller says.
        for (name, param) in unsafe { params::each(params) } {
            match name {
                b"mode" => mode = param.int(),
                b"digest" => hash = param.text().and_then(Hash::of),
                b"key" => key = param.bytes(),
                b"salt" => salt = param.bytes(),
                b"prefix" => prefix = param.bytes(),
                b"label" => label = param.bytes(),
                b"data" => data = param.bytes(),
                _ => {}
            }
        }
        Some(Request {
            mode: mode?,
            hash: hash?,
            key,
            salt,
            prefix: prefix.unwrap_or_default(),
            label: label.unwrap_or_default(),
            data: data.unwrap_or_default(),
        })
    }

    fn derive(&self, out: &mut [u8]) -> Option<()> {
        match self.mode {
            EXPAND_ONLY => self.expand_label(self.key?, self.data, out),
            EXTRACT_ONLY => self.next_secret(out),
            _ => None,
        }
    }

    /// From one stage of the schedule to the next: `HKDF-Extract` with the secret derived
    /// from the last stage's, `salt`, and the new input, `key`; zeros where there is none.
    fn next_secret(&self, out: &mut [u8]) -> Option<()> {
        let hash = self.hash;
        let zeros = &[0; LONGEST_HASH][..hash.len];
        let mut derived = Zeroizing::new([0; LONGEST_HASH]);
        let derived = &mut derived[..hash.len];
        if let Some(secret) = self.salt {
            self.expand_label(secret, hash.of_nothing, derived)?;
        }
        hash.extract(derived, self.key.unwrap_or(zeros), out)
    }

    /// `HKDF-Expand-Label`.
    fn expand_label(&self, secret: &[u8], context: &[u8], out: &mut [u8]) -> Option<()> {
        let mut info = [0; LONGEST_INFO];
        let mut len = 0;
        let mut put = |bytes: &[u8]| {
            info.get_mut(len..len + bytes.len())?.copy_from_slice(bytes);
            len += bytes.len();
            Some(())
        };
        put(&u16::try_from(out.len()).ok()?.to_be_bytes())?;
        put(&[u8::try_from(self.prefix.len() + self.label.len()).ok()?])?;
        put(self.prefix)?;
        put(self.label)?;
        put(&[u8::try_from(context.len()).ok()?])?;
        put(context)?;
        self.hash.expand(secret, &info[..len], out)
    }
}

impl Hash {
    /// `HKDF-Extract` (RFC 5869, 2.2); `out` is as long as the hash.
    fn extract(self, salt: &[u8], input: &[u8], out: &mut [u8]) -> Option<()> {
        if out.len() != self.len {
            return None;
        }
        let mut len = 0;
        // SAFETY: slices with their lengths, and room for a hash.
        let ret = unsafe {
            aws_lc_sys::HKDF_extract(
                out.as_mut_ptr(),
                &mut len,
                self.digest,
                input.as_ptr(),
                input.len(),
                salt.as_ptr(),
                salt.len(),
            )
        };
        (ret == 1 && len == out.len()).then_some(())
    }

    /// `HKDF-Expand` (RFC 5869, 2.3).
    fn expand(self, secret: &[u8], info: &[u8], out: &mut [u8]) -> Option<()> {
        // SAFETY: slices with their lengths.
        let ret = unsafe {
            aws_lc_sys::HKDF_expand(
                out.as_mut_ptr(),
                out.len(),
                self.digest,
                secret.as_ptr(),
                secret.len(),
                info.as_ptr(),
                info.len(),
            )
        };
        (ret == 1).then_some(())
    }
}
