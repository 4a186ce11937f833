//! A socket BIO that knows when it has emptied its socket.
//!
//! OpenSSL's own asks the socket until it says that there is nothing more: once too
//! often for every message. A read that brings in less than it has room for has emptied
//! the socket; this BIO remembers that, and answers the next read by itself until it is
//! told that the socket is readable again. It otherwise does what `BIO_s_socket(3)` does.
//!
//! Its functions also run in async jobs: they call the kernel and nothing else.

use std::ffi::{c_char, c_int, c_long, c_void};
use std::os::fd::RawFd;
use std::ptr;
use std::sync::OnceLock;

use openssl_sys::{BIO, BIO_METHOD, BIO_set_retry_read, BIO_set_retry_write};

/// The BIO's whole state is its data pointer, which points nowhere: the descriptor,
/// shifted by two, and these.
const DRAINED: usize = 1;
const EOF: usize = 2;

struct Method(*mut BIO_METHOD);

// SAFETY: made once, before it is shared, and never changed.
unsafe impl Send for Method {}
// SAFETY: as above.
unsafe impl Sync for Method {}

fn method() -> *mut BIO_METHOD {
    static METHOD: OnceLock<Method> = OnceLock::new();
    let make = || {
        let name = c"gateway socket".as_ptr();
        // SAFETY: the name is static, and the functions have the types that are asked
        // for. Null, if memory has run out, is left alone.
        unsafe {
            let method = openssl_sys::BIO_meth_new(openssl_sys::BIO_TYPE_NONE, name);
            if !method.is_null() {
                openssl_sys::BIO_meth_set_read__fixed_rust(method, Some(read));
                openssl_sys::BIO_meth_set_write__fixed_rust(method, Some(write));
                openssl_sys::BIO_meth_set_ctrl__fixed_rust(method, Some(ctrl));
            }
            Method(method)
        }
    };
    METHOD.get_or_init(make).0
}

/// A BIO on a socket that it does not own; null if memory has run out.
pub(crate) fn new(socket: RawFd) -> *mut BIO {
    let method = method();
    if method.is_null() {
        return ptr::null_mut();
    }
    // SAFETY: the method is complete; a BIO is initialised before it is used.
    unsafe {
        let bio = openssl_sys::BIO_new(method);
        if !bio.is_null() {
            set_state(bio, (socket as usize) << 2);
            openssl_sys::BIO_set_init(bio, 1);
        }
        bio
    }
}

/// Whether the socket has been emptied since it was last [readable](set_readable).
///
/// # Safety
/// `bio` is a valid BIO.
pub(crate) unsafe fn is_drained(bio: *mut BIO) -> bool {
    // SAFETY: the caller's promise.
    unsafe { state(bio) & DRAINED != 0 }
}

/// There may be something in the socket.
///
/// # Safety
/// `bio` is a valid BIO made by [`new`], or one without data.
pub(crate) unsafe fn set_readable(bio: *mut BIO) {
    // SAFETY: the caller's promise.
    unsafe { set_state(bio, state(bio) & !DRAINED) };
}

unsafe fn state(bio: *mut BIO) -> usize {
    // SAFETY: a valid BIO; its data is a number.
    unsafe { openssl_sys::BIO_get_data(bio).addr() }
}

unsafe fn set_state(bio: *mut BIO, state: usize) {
    // SAFETY: a valid BIO; its data is a number.
    unsafe { openssl_sys::BIO_set_data(bio, ptr::without_provenance_mut::<c_void>(state)) };
}

unsafe fn descriptor(bio: *mut BIO) -> RawFd {
    // SAFETY: a valid BIO made by `new`, which was given a RawFd.
    unsafe { (state(bio) >> 2) as RawFd }
}

/// `EINTR` is no answer, and everything else is one.
fn retried(mut call: impl FnMut() -> isize) -> (isize, c_int) {
    loop {
        let ret = call();
        // SAFETY: the address of the calling thread's errno is always valid.
        let errno = unsafe { *libc::__errno_location() };
        if ret >= 0 || errno != libc::EINTR {
            return (ret, errno);
        }
    }
}

fn would_block(errno: c_int) -> bool {
    errno == libc::EAGAIN || errno == libc::EWOULDBLOCK
}

unsafe extern "C" fn read(bio: *mut BIO, buf: *mut c_char, len: c_int) -> c_int {
    // SAFETY: OpenSSL calls with a BIO made by `new`, whose owner keeps the socket open,
    // and with room for `len` bytes.
    unsafe {
        openssl_sys::BIO_clear_retry_flags(bio);
        let Ok(room) = usize::try_from(len) else {
            return -1;
        };
        if is_drained(bio) {
            BIO_set_retry_read(bio);
            return -1;
        }
        let (read, errno) = retried(|| libc::recv(descriptor(bio), buf.cast(), room, 0));
        if read == 0 && room > 0 {
            set_state(bio, state(bio) | EOF);
        } else if read > 0 && read.unsigned_abs() < room {
            set_state(bio, state(bio) | DRAINED);
        } else if read < 0 && would_block(errno) {
            set_state(bio, state(bio) | DRAINED);
            BIO_set_retry_read(bio);
        }
        read as c_int
    }
}

unsafe extern "C" fn write(bio: *mut BIO, buf: *const c_char, len: c_int) -> c_int {
    // SAFETY: as in `read`, with `len` bytes to be read.
    unsafe {
        openssl_sys::BIO_clear_retry_flags(bio);
        let Ok(len) = usize::try_from(len) else {
            return -1;
        };
        let flags = libc::MSG_NOSIGNAL;
        let (sent, errno) = retried(|| libc::send(descriptor(bio), buf.cast(), len, flags));
        if sent < 0 && would_block(errno) {
            BIO_set_retry_write(bio);
        }
        sent as c_int
    }
}

unsafe extern "C" fn ctrl(bio: *mut BIO, cmd: c_int, _num: c_long, _ptr: *mut c_void) -> c_long {
    match cmd {
        openssl_sys::BIO_CTRL_FLUSH => 1,
        // SAFETY: OpenSSL calls with a BIO made by `new`.
        openssl_sys::BIO_CTRL_EOF => (unsafe { state(bio) } & EOF != 0).into(),
        // Also whether the kernel does TLS on this socket, by whatever number: no.
        _ => 0,
    }
}
