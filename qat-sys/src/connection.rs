//! An SSL whose handshake is done, on a socket BIO: a synchronous record layer.

use std::ffi::CStr;
use std::marker::PhantomData;
use std::ptr;
use std::rc::Rc;
use std::sync::Arc;

use bytes::BufMut;
use foreign_types::ForeignTypeRef;
use openssl::ssl::{Ssl, SslRef};

use crate::error::{self, Stop};
use crate::socket::Socket;
use crate::{Signal, bindings};

/// An established TLS connection over the socket `S`.
pub struct Connection<S> {
    // Before the socket, whose descriptor its BIO names.
    session: Session,
    socket: S,
}

/// The TLS side of a [`Connection`].
pub struct Session {
    ssl: Ssl,
    // After the SSL: a late second callback may still raise it.
    _signal: Option<Arc<Signal>>,
    _stays_on_its_thread: PhantomData<Rc<()>>,
}

impl<S> Connection<S> {
    pub(crate) fn new(ssl: Ssl, signal: Option<Arc<Signal>>, socket: S) -> Connection<S> {
        let session = Session {
            ssl,
            _signal: signal,
            _stays_on_its_thread: PhantomData,
        };
        Connection { session, socket }
    }

    /// Both sides at once, to try the one within a readiness check of the other.
    pub fn parts(&mut self) -> (&mut Session, &S) {
        (&mut self.session, &self.socket)
    }

    pub fn session(&self) -> &Session {
        &self.session
    }

    pub fn socket(&self) -> &S {
        &self.socket
    }
}

impl Session {
    /// For what the handshake settled: version, cipher, names, certificates.
    pub fn ssl(&self) -> &SslRef {
        &self.ssl
    }

    /// Whether a read could give data without the socket being readable: records, or
    /// the beginning of one, are already inside. `SSL_has_pending(3)`.
    pub fn has_pending(&self) -> bool {
        // SAFETY: only reads the SSL.
        unsafe { bindings::SSL_has_pending(self.ssl.as_ptr()) == 1 }
    }

    /// The socket is readable: the next read may ask it.
    pub fn socket_readable(&mut self) {
        if let Some(socket) = Socket::of(&mut self.ssl) {
            socket.drained = false;
        }
    }

    /// Whether the socket has been emptied since it was last readable.
    pub fn socket_drained(&mut self) -> bool {
        Socket::of(&mut self.ssl).is_some_and(|socket| socket.drained)
    }

    /// What has been written and is to be sent, by whoever owns the socket. Reading may
    /// add to it as well.
    pub fn output(&mut self) -> &mut Vec<u8> {
        let socket = Socket::of(&mut self.ssl);
        &mut socket
            .expect("a connection is never parted from its socket")
            .output
    }

    /// Reads into `buf`, at most the rest of one record. `SSL_read_ex(3)`.
    pub fn read(&mut self, buf: &mut impl BufMut) -> Result<usize, Stop> {
        error::clear_stale();
        let chunk = buf.chunk_mut();
        let mut read = 0;
        // SAFETY: OpenSSL writes at most the chunk's length to the chunk.
        let ret = unsafe {
            openssl_sys::SSL_read_ex(
                self.ssl.as_ptr(),
                chunk.as_mut_ptr().cast(),
                chunk.len(),
                &mut read,
            )
        };
        if ret != 1 {
            return Err(self.stop(ret));
        }
        // SAFETY: OpenSSL has written that many bytes to the chunk.
        unsafe { buf.advance_mut(read) };
        Ok(read)
    }

    /// Seals the front of `data`, one record at most in partial-write mode, and adds it to
    /// the output. `SSL_write_ex(3)`.
    pub fn write(&mut self, data: &[u8]) -> Result<usize, Stop> {
        if data.is_empty() {
            return Ok(0);
        }
        error::clear_stale();
        let mut written = 0;
        // SAFETY: OpenSSL reads at most the slice, and keeps no pointer to it: the mode
        // is not async, and the BIO refuses no write.
        let ret = unsafe {
            openssl_sys::SSL_write_ex(
                self.ssl.as_ptr(),
                data.as_ptr().cast(),
                data.len(),
                &mut written,
            )
        };
        if ret == 1 {
            Ok(written)
        } else {
            Err(self.stop(ret))
        }
    }

    /// Adds close_notify to the output, without waiting for the peer's. `SSL_shutdown(3)`.
    pub fn shutdown(&mut self) -> Result<(), Stop> {
        error::clear_stale();
        // SAFETY: a valid SSL whose handshake is done.
        let ret = unsafe { openssl_sys::SSL_shutdown(self.ssl.as_ptr()) };
        // 0: sent; 1: sent, and the peer's is there already.
        if ret >= 0 {
            Ok(())
        } else {
            Err(self.stop(ret))
        }
    }

    /// The key-exchange group, by its IANA name, if the library's number for it is known
    /// here. `SSL_get_negotiated_group(3)`.
    pub fn group(&self) -> Option<&'static str> {
        // SAFETY: only reads the SSL.
        let id = unsafe {
            openssl_sys::SSL_ctrl(
                self.ssl.as_ptr(),
                bindings::SSL_CTRL_GET_NEGOTIATED_GROUP,
                0,
                ptr::null_mut(),
            )
        };
        let id = i32::try_from(id)
            .ok()
            .filter(|id| *id != openssl_sys::NID_undef)?;
        if id & bindings::TLSEXT_nid_unknown != 0 {
            return hybrid(id & 0xffff);
        }
        // SAFETY: the names of built-in numbers are static strings; a number in use for
        // a group is built in.
        let name = unsafe {
            let name = openssl_sys::OBJ_nid2sn(id);
            if name.is_null() {
                None
            } else {
                CStr::from_ptr(name).to_str().ok()
            }
        };
        match name? {
            "prime256v1" => Some("secp256r1"),
            other => Some(other),
        }
    }

    fn stop(&self, ret: i32) -> Stop {
        let (code, system) = error::code(&self.ssl, ret);
        match code {
            openssl_sys::SSL_ERROR_WANT_READ => Stop::WantRead,
            _ => Stop::Failed(error::failure(code, system)),
        }
    }
}

/// Groups that have a code point and no object identifier (IANA, TLS Supported Groups).
fn hybrid(code_point: i32) -> Option<&'static str> {
    match code_point {
        0x0200 => Some("MLKEM512"),
        0x0201 => Some("MLKEM768"),
        0x0202 => Some("MLKEM1024"),
        0x11eb => Some("SecP256r1MLKEM768"),
        0x11ec => Some("X25519MLKEM768"),
        0x11ed => Some("SecP384r1MLKEM1024"),
        _ => None,
    }
}
