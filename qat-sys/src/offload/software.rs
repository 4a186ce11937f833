//! OpenSSL's own implementation, in a library context where there is nothing else: what
//! is fetched there is never ours, and it can be freed in any order with the context
//! that our provider is in.

use std::ffi::CStr;
use std::os::raw::{c_int, c_void};
use std::ptr;

use foreign_types::ForeignType;
use openssl::error::ErrorStack;
use openssl::lib_ctx::LibCtx;
use openssl::md::Md;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::provider::Provider;
use openssl_sys::{EVP_PKEY, EVP_PKEY_CTX};

use super::ffi::{self, Param};

/// A digest, fetched once.
pub(super) struct Digest {
    pub name: &'static CStr,
    names: &'static [&'static str],
    pub md: Md,
    /// What precedes the hash in a DigestInfo (RFC 8017, 9.2); empty for MD5-SHA1.
    pub prefix: Vec<u8>,
}

const DIGESTS: &[(&CStr, &[&str], Nid)] = &[
    (c"SHA256", &["SHA2-256", "SHA256", "SHA-256"], Nid::SHA256),
    (c"SHA384", &["SHA2-384", "SHA384", "SHA-384"], Nid::SHA384),
    (c"SHA512", &["SHA2-512", "SHA512", "SHA-512"], Nid::SHA512),
    (c"SHA1", &["SHA1", "SHA-1", "SSL3-SHA1"], Nid::SHA1),
    (c"SHA224", &["SHA2-224", "SHA224", "SHA-224"], Nid::SHA224),
    (c"MD5-SHA1", &["MD5-SHA1"], Nid::MD5_SHA1),
    (c"SHA3-256", &["SHA3-256"], Nid::SHA3_256),
    (c"SHA3-384", &["SHA3-384"], Nid::SHA3_384),
    (c"SHA3-512", &["SHA3-512"], Nid::SHA3_512),
];

/// Fields are dropped in this order: what was fetched goes before its provider, and the
/// provider before its context.
pub(super) struct Software {
    digests: Vec<Digest>,
    default: Provider,
    context: LibCtx,
}

impl Software {
    pub(super) fn new() -> Result<Software, ErrorStack> {
        let context = LibCtx::new()?;
        let default = Provider::load(Some(&context), "default")?;
        let mut digests = Vec::new();
        for &(name, names, nid) in DIGESTS {
            let md = Md::fetch(Some(&context), names[0], None)?;
            let prefix = match nid {
                Nid::MD5_SHA1 => Vec::new(),
                nid => digest_info_prefix(nid, md.size())?,
            };
            digests.push(Digest {
                name,
                names,
                md,
                prefix,
            });
        }
        Ok(Software {
            digests,
            default,
            context,
        })
    }

    pub(super) fn context(&self) -> *mut openssl_sys::OSSL_LIB_CTX {
        self.context.as_ptr()
    }

    pub(super) fn provider(&self) -> *const openssl_sys::OSSL_PROVIDER {
        self.default.as_ptr()
    }

    pub(super) fn digest(&self, index: usize) -> &Digest {
        &self.digests[index]
    }

    pub(super) fn find_digest(&self, name: &str) -> Option<usize> {
        self.digests.iter().position(|digest| {
            digest
                .names
                .iter()
                .any(|own| own.eq_ignore_ascii_case(name))
        })
    }

    /// A key from parameters as a key manager's import gets them.
    ///
    /// # Safety
    /// `params` is a terminated array.
    pub(super) unsafe fn import(
        &self,
        algorithm: &CStr,
        selection: c_int,
        params: *const Param,
    ) -> Result<PKey<Private>, ErrorStack> {
        let context = KeyContext::named(self, algorithm)?;
        let mut key = ptr::null_mut();
        // SAFETY: a valid context; the array is as the caller says.
        unsafe {
            check(openssl_sys::EVP_PKEY_fromdata_init(context.0))?;
            check(ffi::EVP_PKEY_fromdata(
                context.0, &mut key, selection, params,
            ))?;
            owned(key)
        }
    }
}

/// An `EVP_PKEY_CTX` of the software context.
pub(super) struct KeyContext(pub *mut EVP_PKEY_CTX);

impl KeyContext {
    fn named(software: &Software, algorithm: &CStr) -> Result<KeyContext, ErrorStack> {
        // SAFETY: a living context and a name.
        KeyContext::own(unsafe {
            openssl_sys::EVP_PKEY_CTX_new_from_name(
                software.context(),
                algorithm.as_ptr(),
                ptr::null(),
            )
        })
    }

    pub(super) fn of(software: &Software, key: &PKey<Private>) -> Result<KeyContext, ErrorStack> {
        // SAFETY: a living context and a key, of which it takes its own reference.
        KeyContext::own(unsafe {
            ffi::EVP_PKEY_CTX_new_from_pkey(software.context(), key.as_ptr(), ptr::null())
        })
    }

    pub(super) fn own(raw: *mut EVP_PKEY_CTX) -> Result<KeyContext, ErrorStack> {
        if raw.is_null() {
            return Err(ErrorStack::get());
        }
        Ok(KeyContext(raw))
    }
}

impl Drop for KeyContext {
    fn drop(&mut self) {
        // SAFETY: owned by this value alone.
        unsafe { openssl_sys::EVP_PKEY_CTX_free(self.0) };
    }
}

pub(super) fn check(ret: c_int) -> Result<(), ErrorStack> {
    if ret == 1 {
        Ok(())
    } else {
        Err(ErrorStack::get())
    }
}

/// # Safety
/// `key` is null or a key whose one reference is the caller's.
unsafe fn owned(key: *mut EVP_PKEY) -> Result<PKey<Private>, ErrorStack> {
    if key.is_null() {
        return Err(ErrorStack::get());
    }
    // SAFETY: as the caller says.
    Ok(unsafe { PKey::from_ptr(key) })
}

/// The DER of a DigestInfo with a hash of zeros, without the hash, which comes last.
fn digest_info_prefix(nid: Nid, hash_len: usize) -> Result<Vec<u8>, ErrorStack> {
    const V_ASN1_NULL: c_int = 5;
    let zeros = [0u8; 64];
    let mut der = vec![0u8; 128];
    // SAFETY: the members belong to `sig`, which copies the zeros; 128 bytes are room
    // enough for a hash of at most 64 with an identifier.
    unsafe {
        let sig = ffi::X509_SIG_new();
        if sig.is_null() {
            return Err(ErrorStack::get());
        }
        let (mut algorithm, mut digest) = (ptr::null_mut(), ptr::null_mut());
        ffi::X509_SIG_getm(sig, &mut algorithm, &mut digest);
        let object = openssl_sys::OBJ_nid2obj(nid.as_raw());
        let set = ffi::X509_ALGOR_set0(algorithm, object, V_ASN1_NULL, ptr::null_mut());
        let data = zeros.as_ptr().cast::<c_void>();
        let stored = ffi::ASN1_STRING_set(digest, data, hash_len as c_int);
        let mut end = der.as_mut_ptr();
        let len = ffi::i2d_X509_SIG(sig, ptr::null_mut());
        let fits = usize::try_from(len).is_ok_and(|len| len > hash_len && len <= der.len());
        if set == 1 && stored == 1 && fits {
            ffi::i2d_X509_SIG(sig, &mut end);
            der.truncate(len as usize - hash_len);
        } else {
            der.clear();
        }
        ffi::X509_SIG_free(sig);
    }
    if der.is_empty() {
        Err(ErrorStack::get())
    } else {
        Ok(der)
    }
}
