//! Where this crate's shared library is, which is the ENGINE and the provider.

use std::io;
use std::path::{Path, PathBuf};

/// The ENGINE: what Cargo has built beside the running test; None if the test was moved, or
/// there are no engines.
pub fn library() -> Option<PathBuf> {
    match qat_sys::engine::PRESENT {
        true => module(),
        false => None,
    }
}

/// The provider, as [`library`].
pub fn module() -> Option<PathBuf> {
    let program = std::env::current_exe().ok()?;
    // Its own folder, `deps`, or the one above.
    let folders = program.ancestors().skip(1).take(2);
    let mut paths = folders.map(|folder| folder.join("libsimulated.so"));
    paths.find(|path| path.exists())
}

/// Puts the ENGINE into a folder as OpenSSL looks for it there: the environment variable
/// OPENSSL_ENGINES names the folder, the engine's id is `simulated`. False if there is none.
pub fn install(folder: &Path) -> io::Result<bool> {
    link(library(), folder)
}

/// Puts the provider into a folder of modules, by the name `simulated`; OPENSSL_MODULES
/// names the folder. False if there is none.
pub fn install_module(folder: &Path) -> io::Result<bool> {
    link(module(), folder)
}

fn link(library: Option<PathBuf>, folder: &Path) -> io::Result<bool> {
    let Some(library) = library else {
        return Ok(false);
    };
    std::os::unix::fs::symlink(library, folder.join("simulated.so"))?;
    Ok(true)
}
