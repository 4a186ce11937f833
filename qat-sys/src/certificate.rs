//! Certificates: what the `openssl` crate cannot print.

use foreign_types::ForeignTypeRef;
use openssl::error::ErrorStack;
use openssl::x509::X509NameRef;

use crate::bindings;

/// The name as RFC 2253 (and RFC 4514) writes it: `CN=a,OU=b,O=c`, most specific first,
/// special characters escaped, everything outside ASCII as `\XX`.
/// `X509_NAME_print_ex(3)`.
pub fn rfc2253(name: &X509NameRef) -> Result<String, ErrorStack> {
    // SAFETY: the memory BIO is created and freed here, and its bytes are copied before.
    unsafe {
        let bio = openssl_sys::BIO_new(openssl_sys::BIO_s_mem());
        if bio.is_null() {
            return Err(ErrorStack::get());
        }
        let flags = bindings::XN_FLAG_RFC2253 as libc::c_ulong;
        let written = bindings::X509_NAME_print_ex(bio, name.as_ptr(), 0, flags);
        let mut data = std::ptr::null_mut();
        let len = openssl_sys::BIO_get_mem_data(bio, &mut data);
        let text = match usize::try_from(len) {
            Ok(len) if len > 0 && written >= 0 && !data.is_null() => {
                let bytes = std::slice::from_raw_parts(data.cast_const().cast::<u8>(), len);
                String::from_utf8_lossy(bytes).into_owned()
            }
            _ => String::new(),
        };
        openssl_sys::BIO_free_all(bio);
        if written < 0 {
            Err(ErrorStack::get())
        } else {
            Ok(text)
        }
    }
}
