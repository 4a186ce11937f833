//! Where there are engines.

use std::ffi::{CStr, CString};
use std::path::Path;
use std::ptr::{self, NonNull};

use openssl::error::ErrorStack;
use openssl_sys::ENGINE;

use super::{EngineError, ffi};

/// A structural reference: the engine is there, not necessarily at work.
#[derive(Debug)]
pub struct Engine(NonNull<ENGINE>);

impl Engine {
    /// The engine of that name; its library is looked for in OpenSSL's folder of
    /// engines, or that of the environment variable OPENSSL_ENGINES. `ENGINE_by_id(3)`.
    pub fn by_id(id: &str) -> Result<Engine, EngineError> {
        let id = CString::new(id).map_err(|_| EngineError::Nul)?;
        // SAFETY: options without settings; done again it does nothing.
        if unsafe { ffi::OPENSSL_init_crypto(ffi::OPENSSL_INIT_ENGINE_DYNAMIC, ptr::null()) } != 1 {
            return Err(failed());
        }
        // SAFETY: a string that OpenSSL reads during the call; the reference is ours.
        let engine = NonNull::new(unsafe { ffi::ENGINE_by_id(id.as_ptr()) }).ok_or_else(failed)?;
        clear();
        Ok(Engine(engine))
    }

    /// The engine `id` from the library at `path`, by way of the engine `dynamic`,
    /// which becomes it. Once in a process: from then on `by_id` finds it.
    /// `ENGINE_ctrl_cmd_string(3)`.
    pub fn load(id: &str, path: &Path) -> Result<Engine, EngineError> {
        let path = path.to_str().ok_or(EngineError::Nul)?;
        let mut engine = Engine::by_id("dynamic")?;
        engine.ctrl("SO_PATH", Some(path))?;
        engine.ctrl("ID", Some(id))?;
        // Listed, or OpenSSL would unload the library with the last reference.
        engine.ctrl("LIST_ADD", Some("2"))?;
        engine.ctrl("LOAD", None)?;
        clear();
        Ok(engine)
    }

    /// One of the engine's own commands, such as `ENABLE_EXTERNAL_POLLING`. What may be
    /// said when is the engine's matter. `ENGINE_ctrl_cmd_string(3)`.
    pub fn ctrl(&mut self, command: &str, argument: Option<&str>) -> Result<(), EngineError> {
        let command = CString::new(command).map_err(|_| EngineError::Nul)?;
        let argument = argument.map(CString::new).transpose();
        let argument = argument.map_err(|_| EngineError::Nul)?;
        let argument = argument.as_deref().map_or(ptr::null(), CStr::as_ptr);
        // SAFETY: a valid reference; strings, or no argument, that are read during the
        // call: engines copy what they keep.
        let done =
            unsafe { ffi::ENGINE_ctrl_cmd_string(self.0.as_ptr(), command.as_ptr(), argument, 0) };
        if done != 1 {
            return Err(failed());
        }
        Ok(())
    }

    /// What it calls itself. `ENGINE_get_name(3)`.
    pub fn name(&self) -> String {
        // SAFETY: a valid reference; the name is null or a string that lives with it.
        unsafe {
            let name = ffi::ENGINE_get_name(self.0.as_ptr());
            if name.is_null() {
                return String::new();
            }
            CStr::from_ptr(name).to_string_lossy().into_owned()
        }
    }

    /// Starts it: it finds its devices, and may start threads. `ENGINE_init(3)`.
    pub fn init(self) -> Result<Initialised, EngineError> {
        // SAFETY: a valid reference, kept beside the functional one that this makes.
        if unsafe { ffi::ENGINE_init(self.0.as_ptr()) } != 1 {
            return Err(failed());
        }
        clear();
        Ok(Initialised(self))
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        // SAFETY: our structural reference, given back once.
        unsafe { ffi::ENGINE_free(self.0.as_ptr()) };
    }
}

/// A functional reference: the engine is at work.
#[derive(Debug)]
pub struct Initialised(Engine);

impl Initialised {
    /// As [`Engine::ctrl`].
    pub fn ctrl(&mut self, command: &str, argument: Option<&str>) -> Result<(), EngineError> {
        self.0.ctrl(command, argument)
    }

    /// As [`Engine::name`].
    pub fn name(&self) -> String {
        self.0.name()
    }

    pub(super) fn as_ptr(&self) -> *mut ENGINE {
        self.0.0.as_ptr()
    }
}

impl Drop for Initialised {
    fn drop(&mut self) {
        // SAFETY: our functional reference, given back once and before the structural
        // one, which is freed when this value's field is dropped.
        unsafe { ffi::ENGINE_finish(self.0.0.as_ptr()) };
    }
}

/// Taken from OpenSSL's queue, so that no later call finds them.
fn failed() -> EngineError {
    EngineError::OpenSsl(ErrorStack::get())
}

/// Engines leave errors behind when all went well, too.
fn clear() {
    drop(ErrorStack::get());
}
