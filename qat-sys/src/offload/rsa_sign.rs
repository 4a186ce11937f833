//! RSA signatures: digest and padding by OpenSSL, the private operation by whoever does
//! it. `provider-signature(7)`, `EVP_SIGNATURE-RSA(7)`. What only needs the public key
//! goes to OpenSSL's own provider (`rsa_verify`).

use std::ffi::CStr;
use std::os::raw::{c_char, c_int, c_uchar, c_void};
use std::sync::Arc;
use std::{ptr, slice};

use foreign_types::ForeignType;
use openssl::md_ctx::MdCtx;
use zeroize::Zeroizing;

use super::context::{self, Shared, guarded, hand_out};
use super::ffi::{self, Dispatch, Param};
use super::params::{self, INTEGER, UTF8};
use super::rsa_key::{self, Key, Signer};
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
    digest: Option<usize>,
    mgf1: Option<usize>,
    running: Option<MdCtx>,
    // After what is of its library context.
    pub shared: Arc<Shared>,
}

/// # Safety
/// `raw` is what `new` or `dup` gave; nobody else uses it.
pub(super) unsafe fn operation<'a>(raw: *mut c_void) -> &'a mut Operation {
    // SAFETY: as the caller says.
    unsafe { &mut *raw.cast::<Operation>() }
}

pub(super) static DISPATCH: [Dispatch; 22] = [
    Dispatch::new(1, new as *const ()),
    Dispatch::new(2, sign_init as *const ()),
    Dispatch::new(3, sign as *const ()),
    Dispatch::new(4, verify::init as *const ()),
    Dispatch::new(5, verify::verify as *const ()),
    Dispatch::new(6, verify::recover_init as *const ()),
    Dispatch::new(7, verify::recover as *const ()),
    Dispatch::new(8, digest_sign_init as *const ()),
    Dispatch::new(9, digest_update as *const ()),
    Dispatch::new(10, digest_sign_final as *const ()),
    Dispatch::new(11, digest_sign as *const ()),
    Dispatch::new(12, verify::digest_init as *const ()),
    Dispatch::new(13, verify::digest_update as *const ()),
    Dispatch::new(14, verify::digest_final as *const ()),
    Dispatch::new(15, verify::digest_verify as *const ()),
    Dispatch::new(16, free as *const ()),
    Dispatch::new(17, dup as *const ()),
    Dispatch::new(18, get_params as *const ()),
    Dispatch::new(19, known_params as *const ()),
    Dispatch::new(20, set_params as *const ()),
    Dispatch::new(21, known_params as *const ()),
    Dispatch::END,
];

static KNOWN: [Param; 5] = [
    Param::named(c"digest", UTF8),
    Param::named(c"pad-mode", UTF8),
    Param::named(c"mgf1-digest", UTF8),
    Param::named(c"saltlen", UTF8),
    Param::END,
];

impl Operation {
    fn start(&mut self, key: Option<Arc<Key>>) -> bool {
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
    unsafe fn set(&mut self, params: *const Param) -> Option<()> {
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
    unsafe fn get(&self, params: *mut Param) -> Option<()> {
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
    unsafe fn sign(
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

    fn begin_digest(&self) -> Option<MdCtx> {
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

fn finish(mut running: MdCtx) -> Option<Vec<u8>> {
    let mut hash = vec![0; running.size()];
    running.digest_final(&mut hash).ok()?;
    Some(hash)
}

/// # Safety
/// `data` has `len` bytes, or `len` is 0.
pub(super) unsafe fn bytes<'a>(data: *const c_uchar, len: usize) -> &'a [u8] {
    if len == 0 {
        return &[];
    }
    // SAFETY: as the caller says.
    unsafe { slice::from_raw_parts(data, len) }
}

fn answer(done: Option<()>) -> c_int {
    c_int::from(done.is_some())
}

unsafe extern "C" fn new(provider: *mut c_void, _properties: *const c_char) -> *mut c_void {
    guarded(ptr::null_mut(), || {
        hand_out(Operation {
            // SAFETY: OpenSSL passes the provider's own pointer.
            shared: unsafe { context::shared(provider) },
            key: None,
            verify: None,
            padding: PKCS1,
            salt: SALT_AUTO,
            digest: None,
            mgf1: None,
            running: None,
        })
    })
}

unsafe extern "C" fn free(raw: *mut c_void) {
    // SAFETY: OpenSSL's last use of what `new` or `dup` gave it.
    unsafe { context::free::<Operation>(raw) }
}

unsafe extern "C" fn dup(raw: *mut c_void) -> *mut c_void {
    guarded(ptr::null_mut(), || {
        // SAFETY: what `new` gave.
        let old = unsafe { operation(raw) };
        let running = match &old.running {
            None => None,
            Some(running) => match verify::copy(running) {
                None => return ptr::null_mut(),
                copy => copy,
            },
        };
        let verify = match &old.verify {
            None => None,
            Some(verify) => match verify.copy() {
                None => return ptr::null_mut(),
                copy => copy,
            },
        };
        hand_out(Operation {
            shared: old.shared.clone(),
            key: old.key.clone(),
            running,
            verify,
            ..*old
        })
    })
}

unsafe extern "C" fn sign_init(raw: *mut c_void, key: *mut c_void, params: *const Param) -> c_int {
    guarded(0, || {
        // SAFETY: what `new` gave, a key of our manager or null, and a terminated array.
        unsafe {
            let operation = operation(raw);
            let key = rsa_key::key(key).or(operation.key.take());
            answer(
                operation
                    .start(key)
                    .then_some(())
                    .and_then(|()| operation.set(params)),
            )
        }
    })
}

unsafe extern "C" fn sign(
    raw: *mut c_void,
    signature: *mut c_uchar,
    len: *mut usize,
    room: usize,
    data: *const c_uchar,
    data_len: usize,
) -> c_int {
    // SAFETY: OpenSSL's contract: each pointer with its length.
    guarded(0, || unsafe {
        let hash = || Some(bytes(data, data_len).to_vec());
        answer(operation(raw).sign(signature, len, room, hash))
    })
}

unsafe extern "C" fn digest_sign_init(
    raw: *mut c_void,
    digest: *const c_char,
    key: *mut c_void,
    params: *const Param,
) -> c_int {
    guarded(0, || {
        // SAFETY: as for `sign_init`, and a text or null.
        unsafe {
            if sign_init(raw, key, ptr::null()) != 1 {
                return 0;
            }
            let operation = operation(raw);
            let name = match digest.is_null() {
                true => Some("SHA256"),
                false => CStr::from_ptr(digest).to_str().ok(),
            };
            operation.digest = name.and_then(|name| operation.shared.software.find_digest(name));
            answer(operation.digest.and_then(|_| operation.set(params)))
        }
    })
}

unsafe extern "C" fn digest_update(raw: *mut c_void, data: *const c_uchar, len: usize) -> c_int {
    guarded(0, || {
        // SAFETY: what `new` gave, and data with its length.
        let (operation, data) = unsafe { (operation(raw), bytes(data, len)) };
        if operation.running.is_none() {
            operation.running = operation.begin_digest();
        }
        let running = operation.running.as_mut();
        answer(running.and_then(|running| running.digest_update(data).ok()))
    })
}

unsafe extern "C" fn digest_sign_final(
    raw: *mut c_void,
    signature: *mut c_uchar,
    len: *mut usize,
    room: usize,
) -> c_int {
    // SAFETY: what `new` gave; each pointer with its length.
    guarded(0, || unsafe {
        let operation = operation(raw);
        // Asked for the size alone, the digest goes on.
        let running = match signature.is_null() {
            true => None,
            false => operation
                .running
                .take()
                .or_else(|| operation.begin_digest()),
        };
        answer(operation.sign(signature, len, room, || finish(running?)))
    })
}

unsafe extern "C" fn digest_sign(
    raw: *mut c_void,
    signature: *mut c_uchar,
    len: *mut usize,
    room: usize,
    data: *const c_uchar,
    data_len: usize,
) -> c_int {
    // SAFETY: what `new` gave; each pointer with its length.
    guarded(0, || unsafe {
        let operation = operation(raw);
        let hash = || {
            let mut running = operation.begin_digest()?;
            running.digest_update(bytes(data, data_len)).ok()?;
            finish(running)
        };
        answer(operation.sign(signature, len, room, hash))
    })
}

unsafe extern "C" fn set_params(raw: *mut c_void, params: *const Param) -> c_int {
    // SAFETY: what `new` gave, and a terminated array.
    guarded(0, || unsafe {
        let operation = operation(raw);
        match &operation.verify {
            Some(verify) => verify.set(params),
            None => answer(operation.set(params)),
        }
    })
}

unsafe extern "C" fn get_params(raw: *mut c_void, params: *mut Param) -> c_int {
    // SAFETY: what `new` gave, and a terminated array.
    guarded(0, || unsafe {
        let operation = operation(raw);
        match &operation.verify {
            Some(verify) => verify.get(params),
            None => answer(operation.get(params)),
        }
    })
}

unsafe extern "C" fn known_params(_raw: *mut c_void, _provider: *mut c_void) -> *const Param {
    KNOWN.as_ptr()
}
