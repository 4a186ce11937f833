//! What OpenSSL allocates with. A handshake makes a few hundred small allocations, so
//! the allocator shows in its cost.

use std::ffi::{c_char, c_int, c_void};

use libmimalloc_sys as mimalloc;

type Malloc = unsafe extern "C" fn(usize, *const c_char, c_int) -> *mut c_void;
type Realloc = unsafe extern "C" fn(*mut c_void, usize, *const c_char, c_int) -> *mut c_void;
type Free = unsafe extern "C" fn(*mut c_void, *const c_char, c_int);

unsafe extern "C" {
    // Missing in openssl-sys. Its types are CRYPTO_malloc_fn and so on (crypto.h).
    fn CRYPTO_set_mem_functions(malloc: Malloc, realloc: Realloc, free: Free) -> c_int;
}

/// Lets OpenSSL allocate with mimalloc; false if it has allocated already, and then
/// everything stays as it was. To be called first thing in the process
/// (`CRYPTO_set_mem_functions(3)`).
pub fn use_mimalloc() -> bool {
    // SAFETY: the three functions keep malloc's contract as OpenSSL states it, agree
    // with each other, and live as long as the process.
    unsafe { CRYPTO_set_mem_functions(malloc, realloc, free) == 1 }
}

unsafe extern "C" fn malloc(size: usize, _file: *const c_char, _line: c_int) -> *mut c_void {
    // OpenSSL's own answers so, and some of its callers count on it.
    if size == 0 {
        return std::ptr::null_mut();
    }
    // SAFETY: any size will do.
    unsafe { mimalloc::mi_malloc(size) }
}

unsafe extern "C" fn realloc(
    old: *mut c_void,
    size: usize,
    _file: *const c_char,
    _line: c_int,
) -> *mut c_void {
    if size == 0 {
        // SAFETY: `old` is null or came from these functions: OpenSSL's promise.
        unsafe { mimalloc::mi_free(old) };
        return std::ptr::null_mut();
    }
    // SAFETY: as above.
    unsafe { mimalloc::mi_realloc(old, size) }
}

unsafe extern "C" fn free(old: *mut c_void, _file: *const c_char, _line: c_int) {
    // SAFETY: `old` is null or came from these functions: OpenSSL's promise.
    unsafe { mimalloc::mi_free(old) }
}
