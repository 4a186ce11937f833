//! Orders for the provider of this process: providers have no control commands.

use std::ffi::{CStr, CString};
use std::os::raw::{c_char, c_int};
use std::path::Path;

use super::device;
use crate::plugin::guarded;
use crate::script::Script;

/// # Safety
/// `script` must be a string.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn simulated_provider_script(script: *const c_char) -> c_int {
    guarded(0, || {
        // SAFETY: promised by the caller.
        let script = unsafe { CStr::from_ptr(script) };
        let script: Option<Script> = script.to_str().ok().and_then(|text| text.parse().ok());
        let Some(script) = script else { return 0 };
        device().set_script(script);
        1
    })
}

#[unsafe(no_mangle)]
pub extern "C" fn simulated_provider_release() {
    guarded((), || device().release());
}

/// The shared library, whose statics are not those of this crate in the test's program.
pub struct Module(libloading::Library);

impl Module {
    /// The library at `path`, which OpenSSL gets again when it loads the same file.
    ///
    /// # Panics
    /// If it cannot be loaded.
    pub fn open(path: &Path) -> Module {
        // SAFETY: this crate's own library, whose initialisation is that of Rust's runtime.
        match unsafe { libloading::Library::new(path) } {
            Ok(library) => Module(library),
            Err(error) => panic!("{}: {error}", path.display()),
        }
    }

    /// # Panics
    /// If that is no script, see [`Script`].
    pub fn set_script(&self, script: &str) {
        let text = CString::new(script).expect("no NUL");
        // SAFETY: the function above, with a string.
        let done = unsafe {
            let set: libloading::Symbol<'_, unsafe extern "C" fn(*const c_char) -> c_int> =
                self.0.get(b"simulated_provider_script").expect("exported");
            set(text.as_ptr())
        };
        assert_eq!(done, 1, "no script: {script}");
    }

    /// As [`Device::release`](crate::Device::release).
    pub fn release(&self) {
        // SAFETY: the function above.
        unsafe {
            let release: libloading::Symbol<'_, extern "C" fn()> =
                self.0.get(b"simulated_provider_release").expect("exported");
            release();
        }
    }
}
