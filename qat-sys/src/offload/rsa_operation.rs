//! One RSA signature: what is set for it, its digest and its padding, by OpenSSL's
//! functions. `EVP_SIGNATURE-RSA(7)`.

use std::ffi::CStr;
use std::os::raw::{c_int, c_uchar, c_void};
use std::slice;
use std::sync::Arc;

use foreign_types::ForeignType;
use openssl::md_ctx::MdCtx;
use zeroize::Zeroizing;

use super::context::Shared;
use super::ffi::{self, Param};
use super::params::{self, INTEGER, UTF8};
use super::rsa_key::{Key, Signer};
use super::rsa_verify::{self as verify, Verify};

const PKCS1: c_int = 1;
const NONE: c_int = 3;
const PSS: c_int = 6;

/// Salt lengths that are none (`RSA_PSS_SALTLEN_*` in rsa.h).
const SALT_DIGEST: c_int = -1;
const SALT_AUTO: c_int = -2;
const SALT_MAX: c_int = -3;
const SALT_AUTO_DIGEST_MAX: c_int = -4;

const PADDINGS: [(&CStr, c_int); 3] = [(c"pkcs1", PKCS1), (c"none", NONE), (c"pss", PSS)];
const SALTS: [(&CStr, c_int); 4] = [
    (c"digest", SALT_DIGEST),
    (c"auto", SALT_AUTO),
    (c"max", SALT_MAX),
    (c"auto-digestmax", SALT_AUTO_DIGEST_MAX),
];

/// What OpenSSL holds for one signature or verification.
pub(super) struct Operation {
    pub key: Option<Arc<Key>>,
    /// Some if this is about the public key.
    pub verify: Option<Verify>,
    padding: c_int,
    salt: c_int,
    /// Index of the message's digest, and of that of the mask.
    pub digest: Option<usize>,
    mgf1: Option<usize>,
    pub running: Option<MdCtx>,
    // After what is of its library context.
    pub shared: Arc<Shared>,
}

/// # Safety
/// `raw` is what `new` or `dup` gave; nobody else uses it.
pub(super) unsafe fn operation<'a>(raw: *mut c_void) -> &'a mut Operation {
    // SAFETY: as the caller says.
    unsafe { &mut *raw.cast::<Operation>() }
}

impl Operation {
    pub(super) fn new(shared: Arc<Shared>) -> Operation {
        Operation {
            key: None,
            verify: None,
            padding: PKCS1,
            salt: SALT_AUTO,
            digest: None,
            mgf1: None,
            running: None,
            shared,
        }
    }

    /// With a digest or verification that goes on by itself. None if OpenSSL cannot.
    pub(super) fn copy(&self) -> Option<Operation> {
        let running = self.running.as_ref().map(verify::copy);
        let verify = self.verify.as_ref().map(Verify::copy);
        Some(Operation {
            key: self.key.clone(),
            verify: verify.map_or(Some(None), |copy| copy.map(Some))?,
            running: running.map_or(Some(None), |copy| copy.map(Some))?,
            shared: self.shared.clone(),
            ..*self
        })
    }

    /// False if `key` cannot sign.
    pub(super) fn start(&mut self, key: Option<Arc<Key>>) -> bool {
        self.key = key;
        self.verify = None;
        self.padding = PKCS1;
        self.salt = SALT_AUTO;
        (self.digest, self.mgf1, self.running) = (None, None, None);
        self.signer().is_some()
    }

    fn signer(&self) -> Option<&Signer> {
        self.key.as_ref()?.signer.as_ref()
    }

    /// # Safety
    /// `params` is null or a terminated array.
    pub(super) unsafe fn set(&mut self, params: *const Param) -> Option<()> {
        // SAFETY: as the caller says.
        let find = |key| unsafe { params::find(params, key) };
        let digest = |shared: &Shared, param: &Param| shared.software.find_digest(param.text()?);
        if let Some(param) = find(c"digest") {
            self.digest = Some(digest(&self.shared, param)?);
        }
        if let Some(param) = find(c"mgf1-digest") {
            self.mgf1 = Some(digest(&self.shared, param)?);
        }
        if let Some(param) = find(c"pad-mode") {
            self.padding = number(param, &PADDINGS)?;
            if !PADDINGS.iter().any(|&(_, padding)| padding == self.padding) {
                return None;
            }
        }
        if let Some(param) = find(c"saltlen") {
            self.salt = number(param, &SALTS)?;
            if self.salt < SALT_AUTO_DIGEST_MAX {
                return None;
            }
        }
        Some(())
    }

    /// # Safety
    /// `params` is null or a terminated array of the caller's.
    pub(super) unsafe fn get(&self, params: *mut Param) -> Option<()> {
        // SAFETY: as the caller says.
        let find = |key| unsafe { params::find_mut(params, key) };
        let put = |param: &mut Param, value, names: &[(&CStr, c_int)]| {
            if param.data_type == INTEGER {
                return param.set_int(value);
            }
            let name = names.iter().find(|&&(_, number)| number == value);
            name.is_some_and(|(name, _)| param.set_text(name))
        };
        let name =
            |index: Option<usize>| index.map_or(c"", |i| self.shared.software.digest(i).name);
        let well = find(c"pad-mode").is_none_or(|param| put(param, self.padding, &PADDINGS))
            && find(c"saltlen").is_none_or(|param| put(param, self.salt, &SALTS))
            && find(c"digest").is_none_or(|param| param.set_text(name(self.digest)))
            && find(c"mgf1-digest")
                .is_none_or(|param| param.set_text(name(self.mgf1.or(self.digest))));
        well.then_some(())
    }

    /// The padded `hash` (without a digest: whatever the caller signs).
    fn pad(&self, signer: &Signer, hash: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let mut padded = Zeroizing::new(vec![0; signer.size()]);
        let digest = self.digest.map(|index| self.shared.software.digest(index));
        if digest.is_some_and(|digest| digest.md.size() != hash.len()) {
            return None;
        }
        let done = match (self.padding, digest) {
            (PKCS1, digest) => {
                let prefix = digest.map_or(&[][..], |digest| &digest.prefix);
                let info = [prefix, hash].concat();
                // SAFETY: both lengths are told; OpenSSL checks that one fits the other.
                unsafe {
                    ffi::RSA_padding_add_PKCS1_type_1(
                        padded.as_mut_ptr(),
                        padded.len() as c_int,
                        info.as_ptr(),
                        c_int::try_from(info.len()).ok()?,
                    )
                }
            }
            (PSS, Some(digest)) => {
                let mgf1 = self
                    .mgf1
                    .map_or(digest, |index| self.shared.software.digest(index));
                // SAFETY: the hash is as long as its digest's, the room as the modulus.
                unsafe {
                    ffi::RSA_padding_add_PKCS1_PSS_mgf1(
                        signer.rsa(),
                        padded.as_mut_ptr(),
                        hash.as_ptr(),
                        digest.md.as_ptr(),
                        mgf1.md.as_ptr(),
                        self.salt_len(signer.size(), digest.md.size()),
                    )
                }
            }
            (NONE, None) if hash.len() == padded.len() => {
                padded.copy_from_slice(hash);
                1
            }
            _ => 0,
        };
        (done == 1).then_some(padded)
    }

    /// As OpenSSL's padding understands it: not all versions know the last one.
    fn salt_len(&self, modulus: usize, hash: usize) -> c_int {
        match self.salt {
            SALT_AUTO_DIGEST_MAX if modulus < 2 * hash + 2 => SALT_MAX,
            SALT_AUTO_DIGEST_MAX => SALT_DIGEST,
            other => other,
        }
    }

    /// Signs into `signature`, which has room for `room` bytes, or tells the size.
    ///
    /// # Safety
    /// `signature` is null or has that room; `len` can be written.
    pub(super) unsafe fn sign(
        &self,
        signature: *mut c_uchar,
        len: *mut usize,
        room: usize,
        hash: impl FnOnce() -> Option<Vec<u8>>,
    ) -> Option<()> {
        let signer = self.signer()?;
        // SAFETY: as the caller says.
        unsafe { *len = signer.size() };
        if signature.is_null() {
            return Some(());
        }
        if room < signer.size() {
            return None;
        }
        let padded = self.pad(signer, &hash()?)?;
        // SAFETY: as the caller says.
        let output = unsafe { slice::from_raw_parts_mut(signature, signer.size()) };
        signer.private(&self.shared, &padded, output).ok()
    }

    pub(super) fn begin_digest(&self) -> Option<MdCtx> {
        let mut running = MdCtx::new().ok()?;
        running
            .digest_init(&self.shared.software.digest(self.digest?).md)
            .ok()?;
        Some(running)
    }
}

/// A number, or its name.
fn number(param: &Param, names: &[(&CStr, c_int)]) -> Option<c_int> {
    if param.data_type != UTF8 {
        return param.int();
    }
    let text = param.text()?;
    let named = names
        .iter()
        .find(|(name, _)| name.to_bytes() == text.as_bytes());
    named
        .map(|&(_, number)| number)
        .or_else(|| text.parse().ok())
}

pub(super) fn finish(mut running: MdCtx) -> Option<Vec<u8>> {
    let mut hash = vec![0; running.size()];
    running.digest_final(&mut hash).ok()?;
    Some(hash)
}
