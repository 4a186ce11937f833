//! X25519MLKEM768 with whatever OpenSSL there is: the server's half through OpenSSL, the
//! client's by AWS-LC. Connections with it need a client that has it, of OpenSSL 3.5.

use std::cell::{Cell, RefCell};
use std::ffi::{c_char, c_int, c_uchar, c_void};
use std::sync::Arc;
use std::{mem, ptr};

use foreign_types::ForeignTypeRef;
use openssl::derive::Deriver;
use openssl::pkey::{Id, PKey};
use openssl_sys::{EVP_PKEY, EVP_PKEY_CTX};
use qat_sys::offload::{Algorithm, Offload, Path};

use crate::support::{Behaviour, Threaded};

unsafe extern "C" {
    // EVP_PKEY_CTX_new(3), EVP_PKEY_keygen(3), EVP_PKEY_set1_encoded_public_key(3),
    // EVP_PKEY_encapsulate(3)
    fn EVP_PKEY_CTX_new_from_name(
        library: *mut openssl_sys::OSSL_LIB_CTX,
        name: *const c_char,
        properties: *const c_char,
    ) -> *mut EVP_PKEY_CTX;
    fn EVP_PKEY_CTX_new_from_pkey(
        library: *mut openssl_sys::OSSL_LIB_CTX,
        key: *mut EVP_PKEY,
        properties: *const c_char,
    ) -> *mut EVP_PKEY_CTX;
    fn EVP_PKEY_CTX_set_group_name(context: *mut EVP_PKEY_CTX, name: *const c_char) -> c_int;
    fn EVP_PKEY_set1_encoded_public_key(
        key: *mut EVP_PKEY,
        data: *const c_uchar,
        len: usize,
    ) -> c_int;
    fn EVP_PKEY_encapsulate_init(context: *mut EVP_PKEY_CTX, params: *const c_void) -> c_int;
    fn EVP_PKEY_encapsulate(
        context: *mut EVP_PKEY_CTX,
        out: *mut c_uchar,
        out_len: *mut usize,
        secret: *mut c_uchar,
        secret_len: *mut usize,
    ) -> c_int;
}

const NAME: *const c_char = c"X25519MLKEM768".as_ptr();
const OURS: *const c_char = c"provider=offload".as_ptr();

/// A client's keys, and its share.
struct Client {
    kem: *mut aws_lc_sys::EVP_PKEY,
    x25519: PKey<openssl::pkey::Private>,
    share: Vec<u8>,
}

impl Client {
    fn new() -> Client {
        let x25519 = PKey::generate_x25519().unwrap();
        let mut share = vec![0; 1184];
        let mut kem = ptr::null_mut();
        // SAFETY: a generation by the book; room for a key with its length.
        unsafe {
            use aws_lc_sys::*;
            let context = EVP_PKEY_CTX_new_id(EVP_PKEY_KEM, ptr::null_mut());
            assert_eq!(EVP_PKEY_CTX_kem_set_params(context, NID_MLKEM768), 1);
            assert_eq!(EVP_PKEY_keygen_init(context), 1);
            assert_eq!(EVP_PKEY_keygen(context, &mut kem), 1);
            EVP_PKEY_CTX_free(context);
            let mut len = share.len();
            assert_eq!(
                EVP_PKEY_get_raw_public_key(kem, share.as_mut_ptr(), &mut len),
                1
            );
            assert_eq!(len, share.len());
        }
        share.extend(x25519.raw_public_key().unwrap());
        Client { kem, x25519, share }
    }

    /// The secret, from a server's share.
    fn secret(&self, server: &[u8]) -> Vec<u8> {
        let (ciphertext, public) = server.split_at(1088);
        let mut secret = vec![0; 32];
        let mut len = secret.len();
        // SAFETY: a living key, slices with their lengths.
        unsafe {
            use aws_lc_sys::*;
            let context = EVP_PKEY_CTX_new(self.kem, ptr::null_mut());
            let done = EVP_PKEY_decapsulate(
                context,
                secret.as_mut_ptr(),
                &mut len,
                ciphertext.as_ptr(),
                ciphertext.len(),
            );
            assert_eq!((done, len), (1, 32));
            EVP_PKEY_CTX_free(context);
        }
        let peer = PKey::public_key_from_raw_bytes(public, Id::X25519).unwrap();
        let mut deriver = Deriver::new(&self.x25519).unwrap();
        deriver.set_peer(&peer).unwrap();
        secret.extend(deriver.derive_to_vec().unwrap());
        secret
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        // SAFETY: owned by this value alone.
        unsafe { aws_lc_sys::EVP_PKEY_free(self.kem) };
    }
}

/// As libssl does it: the server's share and the secret. None if the client's share is bad.
fn encapsulate(offload: &Offload, share: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    let library = offload.library().as_ptr();
    let (mut out, mut secret) = (Vec::new(), Vec::new());
    let (mut out_len, mut secret_len) = (0, 0);
    // SAFETY: contexts and keys that are freed once; places with their lengths.
    unsafe {
        let context = EVP_PKEY_CTX_new_from_name(library, NAME, OURS);
        assert_eq!(openssl_sys::EVP_PKEY_paramgen_init(context), 1);
        assert_eq!(EVP_PKEY_CTX_set_group_name(context, NAME), 1);
        let mut key = ptr::null_mut();
        assert_eq!(openssl_sys::EVP_PKEY_paramgen(context, &mut key), 1);
        openssl_sys::EVP_PKEY_CTX_free(context);
        let mut done = EVP_PKEY_set1_encoded_public_key(key, share.as_ptr(), share.len()) == 1;
        if done {
            let context = EVP_PKEY_CTX_new_from_pkey(library, key, OURS);
            assert_eq!(EVP_PKEY_encapsulate_init(context, ptr::null()), 1);
            let mut call = |out: *mut u8, secret: *mut u8| {
                EVP_PKEY_encapsulate(context, out, &mut out_len, secret, &mut secret_len) == 1
            };
            assert!(call(ptr::null_mut(), ptr::null_mut()));
            (out, secret) = (vec![0; 1120], vec![0; 64]);
            done = call(out.as_mut_ptr(), secret.as_mut_ptr());
            assert_eq!((out_len, secret_len), (out.len(), secret.len()));
            openssl_sys::EVP_PKEY_CTX_free(context);
        }
        openssl_sys::EVP_PKEY_free(key);
        done.then_some((out, secret))
    }
}

#[test]
fn both_ends_have_the_same_secret() {
    let offload = Offload::software().unwrap();
    for _ in 0..20 {
        let client = Client::new();
        let (share, secret) = encapsulate(&offload, &client.share).unwrap();
        assert_eq!(client.secret(&share), secret);
    }
}

/// Whatever the backend is there for.
#[test]
fn every_server_has_it() {
    for algorithms in [
        &[][..],
        &[Algorithm::Rsa],
        &[Algorithm::Ecdsa],
        &Algorithm::ALL,
    ] {
        let backend = Arc::new(Threaded {
            behaviour: Behaviour::Panicking,
        });
        let offload = Offload::new(backend, algorithms).unwrap();
        let mut context = offload.server_context().unwrap();
        context.set_groups_list("X25519MLKEM768:X25519").unwrap();
        let client = Client::new();
        let (share, secret) = encapsulate(&offload, &client.share).unwrap();
        assert_eq!(client.secret(&share), secret);
        // Outside a job nobody is asked; what is not offloaded is not counted either.
        let software = offload.counters().get(Algorithm::X25519, Path::Software);
        let offloaded = algorithms.contains(&Algorithm::X25519);
        assert_eq!(software, if offloaded { 2 } else { 0 });
    }
}

#[test]
fn bad_shares_are_refused() {
    let offload = Offload::software().unwrap();
    let good = Client::new().share.clone();
    assert!(encapsulate(&offload, &good[1..]).is_none());
    assert!(encapsulate(&offload, &[&good[..], &[0]].concat()).is_none());
    assert!(encapsulate(&offload, &[]).is_none());
    // Coefficients beyond the modulus (FIPS 203, 7.2).
    let mut beyond = good.clone();
    beyond[..12].fill(0xff);
    assert!(encapsulate(&offload, &beyond).is_none());
    // A secret of zeros (RFC 8446, 7.4.2).
    let mut zeros = good;
    zeros[1184..].fill(0);
    assert!(encapsulate(&offload, &zeros).is_none());
    // What was left behind is nobody else's failure.
    openssl::error::ErrorStack::get();
}

thread_local! {
    static WORK: RefCell<Option<Box<dyn FnOnce()>>> = const { RefCell::new(None) };
    static BACK: Cell<*const libc::ucontext_t> = const { Cell::new(ptr::null()) };
}

extern "C" fn on_own_stack() {
    WORK.take().unwrap()();
    // SAFETY: the context that `stack_of` waits in.
    unsafe { libc::setcontext(BACK.get()) };
}

/// Bytes of stack that `work` takes.
fn stack_of(work: impl FnOnce() + 'static) -> usize {
    const PAINT: u8 = 0xc5;
    let mut stack = vec![PAINT; 1 << 20];
    WORK.set(Some(Box::new(work)));
    // SAFETY: contexts made by the book; the stack outlives what runs on it.
    unsafe {
        let (mut here, mut there): (libc::ucontext_t, libc::ucontext_t) = mem::zeroed();
        assert_eq!(libc::getcontext(&mut there), 0);
        there.uc_stack.ss_sp = stack.as_mut_ptr().cast();
        there.uc_stack.ss_size = stack.len();
        there.uc_link = ptr::null_mut();
        libc::makecontext(&mut there, on_own_stack, 0);
        BACK.set(&raw const here);
        assert_eq!(libc::swapcontext(&mut here, &there), 0);
    }
    stack.len() - stack.iter().position(|byte| *byte != PAINT).unwrap()
}

/// In a job it has a stack of 128 KiB for itself.
#[test]
fn it_takes_little_stack() {
    let offload = Offload::software().unwrap();
    let client = Client::new();
    let taken = stack_of(move || {
        encapsulate(&offload, &client.share).unwrap();
    });
    assert!(taken < 32 * 1024, "{taken} bytes");
}
