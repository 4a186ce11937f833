//! A BIO that reads from a socket and gathers what is written.
//!
//! Reading: OpenSSL's own socket BIO asks the socket until it says that there is nothing
//! more: once too often for every message. A read that brings in less than it has room
//! for has emptied the socket; this BIO remembers that, and answers the next read by
//! itself until it is told that the socket is readable again.
//!
//! Writing: OpenSSL writes record by record, and its tickets one by one. Here what one
//! call writes is gathered, for its caller to send at once; a write is never refused.
//!
//! Its functions also run in async jobs: they call the kernel and grow a vector, no more.

use std::ffi::{c_char, c_int, c_long, c_void};
use std::os::fd::RawFd;
use std::ptr::{self, NonNull};
use std::slice;
use std::sync::OnceLock;

use foreign_types::ForeignTypeRef;
use openssl::ssl::SslRef;
use openssl_sys::{BIO, BIO_METHOD};

use crate::copy;

/// What a BIO knows. It belongs to the BIO and goes with it.
pub(crate) struct Socket {
    fd: RawFd,
    /// Emptied since it was last readable.
    pub(crate) drained: bool,
    /// Read to its end.
    eof: bool,
    /// Written by OpenSSL and not yet sent.
    pub(crate) output: Vec<u8>,
}

impl Socket {
    /// That of an SSL; None once the SSL is parted from its socket.
    ///
    /// The SSL must not be in a call while this is borrowed: hence its exclusive borrow.
    pub(crate) fn of(ssl: &mut SslRef) -> Option<&mut Socket> {
        // SAFETY: the read BIO is one made by `new`, whose data is its Socket, or one
        // without data. Only the BIO's functions reach it otherwise, in calls of the SSL.
        unsafe {
            let bio = NonNull::new(openssl_sys::SSL_get_rbio(ssl.as_ptr()))?;
            openssl_sys::BIO_get_data(bio.as_ptr())
                .cast::<Socket>()
                .as_mut()
        }
    }
}

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
                openssl_sys::BIO_meth_set_destroy__fixed_rust(method, Some(destroy));
            }
            Method(method)
        }
    };
    METHOD.get_or_init(make).0
}

/// A BIO on a socket that it does not own; null if memory has run out.
pub(crate) fn new(fd: RawFd) -> *mut BIO {
    let method = method();
    if method.is_null() {
        return ptr::null_mut();
    }
    // SAFETY: the method is complete; a BIO is initialised before it is used.
    unsafe {
        let bio = openssl_sys::BIO_new(method);
        if !bio.is_null() {
            let socket = Socket {
                fd,
                drained: false,
                eof: false,
                output: Vec::new(),
            };
            openssl_sys::BIO_set_data(bio, Box::into_raw(Box::new(socket)).cast());
            openssl_sys::BIO_set_init(bio, 1);
        }
        bio
    }
}

/// # Safety
/// `bio` was made by `new`, and its socket is not borrowed elsewhere.
unsafe fn socket<'a>(bio: *mut BIO) -> &'a mut Socket {
    // SAFETY: `new` has set it, and `destroy` comes last.
    unsafe { &mut *openssl_sys::BIO_get_data(bio).cast::<Socket>() }
}

/// Reads; `EINTR` is no answer, everything else is one.
fn receive(fd: RawFd, buf: *mut c_char, room: usize) -> Result<usize, c_int> {
    loop {
        // SAFETY: the caller gives room for that many bytes; errno is always readable.
        let (ret, errno) = unsafe {
            (
                libc::recv(fd, buf.cast(), room, 0),
                *libc::__errno_location(),
            )
        };
        match usize::try_from(ret) {
            Ok(read) => return Ok(read),
            Err(_) if errno == libc::EINTR => {}
            Err(_) => return Err(errno),
        }
    }
}

unsafe extern "C" fn read(bio: *mut BIO, buf: *mut c_char, len: c_int) -> c_int {
    // SAFETY: OpenSSL calls with a BIO made by `new`, whose owner keeps the socket open,
    // and with room for `len` bytes.
    unsafe {
        openssl_sys::BIO_clear_retry_flags(bio);
        let socket = socket(bio);
        let Ok(room @ 1..) = usize::try_from(len) else {
            return 0;
        };
        let received = if socket.drained {
            Err(libc::EAGAIN)
        } else {
            receive(socket.fd, buf, room)
        };
        match received {
            Ok(0) => {
                socket.eof = true;
                0
            }
            Ok(read) => {
                socket.drained = read < room;
                read as c_int
            }
            Err(errno) => {
                if errno == libc::EAGAIN || errno == libc::EWOULDBLOCK {
                    socket.drained = true;
                    openssl_sys::BIO_set_retry_read(bio);
                }
                -1
            }
        }
    }
}

unsafe extern "C" fn write(bio: *mut BIO, buf: *const c_char, len: c_int) -> c_int {
    // SAFETY: as in `read`, with `len` bytes to be read.
    unsafe {
        openssl_sys::BIO_clear_retry_flags(bio);
        if let Ok(len) = usize::try_from(len) {
            copy::append(
                &mut socket(bio).output,
                slice::from_raw_parts(buf.cast(), len),
            );
        }
        len
    }
}

unsafe extern "C" fn ctrl(bio: *mut BIO, cmd: c_int, _num: c_long, _ptr: *mut c_void) -> c_long {
    match cmd {
        openssl_sys::BIO_CTRL_FLUSH => 1,
        // SAFETY: OpenSSL calls with a BIO made by `new`.
        openssl_sys::BIO_CTRL_EOF => unsafe { socket(bio) }.eof.into(),
        // Also whether the kernel does TLS on this socket, by whatever number: no.
        _ => 0,
    }
}

unsafe extern "C" fn destroy(bio: *mut BIO) -> c_int {
    // SAFETY: OpenSSL calls once, with a BIO whose data, if any, is that of `new`.
    unsafe {
        let data = openssl_sys::BIO_get_data(bio).cast::<Socket>();
        openssl_sys::BIO_set_data(bio, ptr::null_mut());
        if !data.is_null() {
            drop(Box::from_raw(data));
        }
    }
    1
}
