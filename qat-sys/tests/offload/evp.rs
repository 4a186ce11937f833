//! Operations in a library context, and in an async job of their own.

use std::ffi::CString;
use std::os::raw::{c_char, c_int, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::ptr;

use foreign_types::{ForeignType, ForeignTypeRef};
use openssl::lib_ctx::LibCtxRef;
use openssl::md_ctx::MdCtx;
use openssl::pkey::{PKey, PKeyRef, Private};
use openssl_sys::{EVP_MD_CTX, EVP_PKEY, EVP_PKEY_CTX, OSSL_LIB_CTX};

const QUERY: *const c_char = c"?provider=offload".as_ptr();

unsafe extern "C" {
    fn ASYNC_WAIT_CTX_new() -> *mut c_void;
    fn ASYNC_WAIT_CTX_free(wait: *mut c_void);
    fn ASYNC_WAIT_CTX_get_all_fds(wait: *mut c_void, fds: *mut c_int, count: *mut usize) -> c_int;
    fn ASYNC_start_job(
        job: *mut *mut c_void,
        wait: *mut c_void,
        result: *mut c_int,
        function: unsafe extern "C" fn(*mut c_void) -> c_int,
        args: *mut c_void,
        size: usize,
    ) -> c_int;
    fn EVP_PKEY_CTX_new_from_pkey(
        library: *mut OSSL_LIB_CTX,
        key: *mut EVP_PKEY,
        properties: *const c_char,
    ) -> *mut EVP_PKEY_CTX;
    fn EVP_PKEY_CTX_ctrl_str(
        context: *mut EVP_PKEY_CTX,
        name: *const c_char,
        value: *const c_char,
    ) -> c_int;
    fn EVP_DigestSignInit_ex(
        context: *mut EVP_MD_CTX,
        key_context: *mut *mut EVP_PKEY_CTX,
        digest: *const c_char,
        library: *mut OSSL_LIB_CTX,
        properties: *const c_char,
        key: *mut EVP_PKEY,
        params: *const c_void,
    ) -> c_int;
}

type Body<'a> = Box<dyn FnOnce() + 'a>;

unsafe extern "C" fn run(args: *mut c_void) -> c_int {
    // SAFETY: what `in_job` passes: a place with a body to run once.
    let body = unsafe { (*args.cast::<*mut Option<Body<'_>>>()).as_mut() };
    body.and_then(Option::take).expect("a body")();
    1
}

/// Until the job's one descriptor is readable.
fn wait_for(wait: *mut c_void) {
    let (mut fd, mut count) = (-1, 1);
    // SAFETY: a valid wait context, and room for one descriptor.
    unsafe {
        assert_eq!(
            ASYNC_WAIT_CTX_get_all_fds(wait, ptr::null_mut(), &mut count),
            1
        );
        assert_eq!(count, 1);
        assert_eq!(ASYNC_WAIT_CTX_get_all_fds(wait, &mut fd, &mut count), 1);
        let mut poll = libc::pollfd {
            fd,
            events: libc::POLLIN,
            revents: 0,
        };
        assert_eq!(libc::poll(&mut poll, 1, -1), 1);
    }
}

/// Runs `body` in an async job, resumed when it can go on, until it has ended.
pub fn in_job(body: impl FnOnce()) {
    let mut outcome = Ok(());
    let caught = || outcome = catch_unwind(AssertUnwindSafe(body));
    let mut body: Option<Body<'_>> = Some(Box::new(caught));
    let mut args: *mut Option<Body<'_>> = &mut body;
    let (mut job, mut result) = (ptr::null_mut(), 0);
    // SAFETY: all outlives the job, which is ended here; OpenSSL copies the argument.
    unsafe {
        let wait = ASYNC_WAIT_CTX_new();
        loop {
            let args = (&raw mut args).cast();
            let size = size_of::<*mut c_void>();
            match ASYNC_start_job(&mut job, wait, &mut result, run, args, size) {
                2 => wait_for(wait),
                3 => break,
                other => panic!("ASYNC_start_job: {other}"),
            }
        }
        ASYNC_WAIT_CTX_free(wait);
    }
    drop(body);
    if let Err(panic) = outcome {
        resume_unwind(panic);
    }
}

pub fn x25519_generate(library: &LibCtxRef) -> PKey<Private> {
    let mut key = ptr::null_mut();
    // SAFETY: valid objects, and a key with one reference.
    unsafe {
        let context =
            openssl_sys::EVP_PKEY_CTX_new_from_name(library.as_ptr(), c"X25519".as_ptr(), QUERY);
        assert_eq!(openssl_sys::EVP_PKEY_keygen_init(context), 1);
        assert_eq!(openssl_sys::EVP_PKEY_keygen(context, &mut key), 1);
        openssl_sys::EVP_PKEY_CTX_free(context);
        PKey::from_ptr(key)
    }
}

pub fn derive<T>(
    library: &LibCtxRef,
    key: &PKeyRef<Private>,
    peer: &PKeyRef<T>,
) -> Option<Vec<u8>> {
    let (mut secret, mut len) = (vec![0; 32], 32);
    // SAFETY: valid objects, and room for a secret.
    unsafe {
        let context = EVP_PKEY_CTX_new_from_pkey(library.as_ptr(), key.as_ptr(), QUERY);
        assert_eq!(openssl_sys::EVP_PKEY_derive_init(context), 1);
        assert_eq!(
            openssl_sys::EVP_PKEY_derive_set_peer(context, peer.as_ptr()),
            1
        );
        let done = openssl_sys::EVP_PKEY_derive(context, secret.as_mut_ptr(), &mut len);
        openssl_sys::EVP_PKEY_CTX_free(context);
        (done == 1 && len == 32).then_some(secret)
    }
}

/// With the digest's name and OpenSSL's names of options. In parts if `whole` is false.
pub fn sign(
    library: &LibCtxRef,
    key: &PKeyRef<Private>,
    digest: &str,
    options: &[(&str, &str)],
    message: &[u8],
    whole: bool,
) -> Option<Vec<u8>> {
    let mut running = MdCtx::new().unwrap();
    let digest = CString::new(digest).unwrap();
    let mut context = ptr::null_mut();
    // SAFETY: valid objects; the key's context belongs to `running`.
    unsafe {
        let done = EVP_DigestSignInit_ex(
            running.as_ptr(),
            &mut context,
            digest.as_ptr(),
            library.as_ptr(),
            QUERY,
            key.as_ptr(),
            ptr::null(),
        );
        assert_eq!(done, 1);
        for (name, value) in options {
            let (name, value) = (CString::new(*name).unwrap(), CString::new(*value).unwrap());
            let done = EVP_PKEY_CTX_ctrl_str(context, name.as_ptr(), value.as_ptr());
            assert_eq!(done, 1, "{name:?} {value:?}");
        }
    }
    let mut signature = Vec::new();
    if whole {
        running.digest_sign_to_vec(message, &mut signature).ok()?;
    } else {
        for part in message.chunks(7) {
            running.digest_sign_update(part).ok()?;
        }
        running.digest_sign_final_to_vec(&mut signature).ok()?;
    }
    Some(signature)
}
