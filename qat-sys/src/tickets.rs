//! Session-ticket keys (RFC 5077 section 4): one, or several of which the first is in use.

use std::ffi::{c_int, c_uchar, c_void};
use std::ptr;
use std::sync::OnceLock;

use foreign_types::ForeignTypeRef;
use openssl::error::ErrorStack;
use openssl::ex_data::Index;
use openssl::ssl::{SslContext, SslContextBuilder, SslContextRef};
use openssl_sys::{EVP_CIPHER_CTX, EVP_MAC_CTX, SSL};
use zeroize::Zeroizing;

use crate::bindings;
use crate::context::check;

/// Bytes of a key: its name (16), an HMAC-SHA256 key (32) and an AES-256 key (32), as
/// `SSL_CTX_set_tlsext_ticket_keys(3)` and NGINX's `ssl_session_ticket_key` have them.
pub const TICKET_KEY_LEN: usize = 80;
/// Of those, the name: tickets carry it.
pub const TICKET_KEY_NAME_LEN: usize = 16;

const HMAC_KEY_LEN: usize = 32;
/// AES's block.
const IV_LEN: usize = 16;

pub type TicketKey = [u8; TICKET_KEY_LEN];

type Keys = Zeroizing<Vec<TicketKey>>;

/// Where a context has its keys, if there are several.
fn index() -> Result<Index<SslContext, Keys>, ErrorStack> {
    static INDEX: OnceLock<Index<SslContext, Keys>> = OnceLock::new();
    if let Some(index) = INDEX.get() {
        return Ok(*index);
    }
    let index = SslContext::new_ex_index()?;
    Ok(*INDEX.get_or_init(|| index))
}

/// Contexts with the same keys accept each other's session tickets. Tickets are sealed with
/// the first, and opened with whichever has their name; with none, OpenSSL's own stay.
pub fn set_ticket_keys(
    context: &mut SslContextBuilder,
    keys: &[TicketKey],
) -> Result<(), ErrorStack> {
    match keys {
        [] => Ok(()),
        [key] => set_only_key(context, key),
        _ => {
            context.set_ex_data(index()?, Zeroizing::new(keys.to_vec()));
            // SAFETY: the callback takes what OpenSSL's manual says it is given.
            check(unsafe {
                bindings::SSL_CTX_set_tlsext_ticket_key_evp_cb(context.as_ptr(), Some(choose))
            })
        }
    }
}

/// Without a callback, which would cost something with every ticket.
fn set_only_key(context: &mut SslContextBuilder, key: &TicketKey) -> Result<(), ErrorStack> {
    // SAFETY: OpenSSL copies the bytes (the pointer is not const only because the
    // control is shared with the getter) and checks their number.
    check(unsafe {
        openssl_sys::SSL_CTX_ctrl(
            context.as_ptr(),
            bindings::SSL_CTRL_SET_TLSEXT_TICKET_KEYS,
            TICKET_KEY_LEN as libc::c_long,
            key.as_ptr().cast::<c_void>().cast_mut(),
        )
    })
}

/// What OpenSSL is told of a ticket. `SSL_CTX_set_tlsext_ticket_key_evp_cb(3)`.
mod answer {
    use std::ffi::c_int;

    /// No handshake.
    pub(super) const ERROR: c_int = -1;
    /// A full handshake instead.
    pub(super) const UNKNOWN: c_int = 0;
    pub(super) const KNOWN: c_int = 1;
    /// Known, and to be replaced by a new ticket.
    pub(super) const OLD: c_int = 2;
}

/// Sets the contexts up that a ticket is sealed or opened with.
unsafe extern "C" fn choose(
    ssl: *mut SSL,
    name: *mut c_uchar,
    iv: *mut c_uchar,
    cipher: *mut EVP_CIPHER_CTX,
    mac: *mut EVP_MAC_CTX,
    sealing: c_int,
) -> c_int {
    // SAFETY: a connection always has a context, which lives as long as this call.
    let context = unsafe { SslContextRef::from_ptr(openssl_sys::SSL_get_SSL_CTX(ssl)) };
    let keys = index().ok().and_then(|index| context.ex_data(index));
    let Some(keys) = keys else {
        return answer::ERROR;
    };
    // SAFETY: OpenSSL gives buffers of the name's length and of EVP_MAX_IV_LENGTH, 16.
    let (name, iv) = unsafe {
        (
            std::slice::from_raw_parts_mut(name, TICKET_KEY_NAME_LEN),
            std::slice::from_raw_parts_mut(iv, IV_LEN),
        )
    };
    let sealing = sealing != 0;
    let mut keys = keys.iter().enumerate();
    let key = match sealing {
        true => keys.next(),
        false => keys.find(|(_, key)| key.starts_with(name)),
    };
    let Some((position, key)) = key else {
        return answer::UNKNOWN;
    };
    if sealing {
        name.copy_from_slice(&key[..TICKET_KEY_NAME_LEN]);
        if openssl::rand::rand_bytes(iv).is_err() {
            return answer::ERROR;
        }
    }
    let (hmac_key, aes_key) = key[TICKET_KEY_NAME_LEN..].split_at(HMAC_KEY_LEN);
    // SAFETY: both contexts are OpenSSL's, for this call; keys and IV have the lengths that
    // AES-256-CBC and the parameters are given, and are copied.
    let set = unsafe {
        let params = [
            openssl_sys::OSSL_PARAM_construct_octet_string(
                c"key".as_ptr().cast(),
                hmac_key.as_ptr().cast_mut().cast(),
                hmac_key.len(),
            ),
            utf8(c"digest", c"SHA256"),
            openssl_sys::OSSL_PARAM_construct_end(),
        ];
        openssl_sys::EVP_MAC_CTX_set_params(mac, params.as_ptr()) == 1
            && openssl_sys::EVP_CipherInit_ex(
                cipher,
                openssl_sys::EVP_aes_256_cbc(),
                ptr::null_mut(),
                aes_key.as_ptr(),
                iv.as_ptr(),
                sealing.into(),
            ) == 1
    };
    match (set, position) {
        (false, _) => answer::ERROR,
        (true, 0) => answer::KNOWN,
        (true, _) => answer::OLD,
    }
}

/// `OSSL_PARAM_construct_utf8_string(3)`, which openssl-sys lacks.
fn utf8(key: &'static std::ffi::CStr, value: &'static std::ffi::CStr) -> openssl_sys::OSSL_PARAM {
    /// `OSSL_PARAM_UTF8_STRING`.
    const UTF8_STRING: u32 = 4;
    /// `OSSL_PARAM_UNMODIFIED`.
    const UNMODIFIED: usize = usize::MAX;
    openssl_sys::OSSL_PARAM {
        key: key.as_ptr(),
        data_type: UTF8_STRING,
        data: value.as_ptr().cast_mut().cast(),
        data_size: value.count_bytes(),
        return_size: UNMODIFIED,
    }
}
