//! Where this crate's shared library is, which is the ENGINE.

use std::io;
use std::path::{Path, PathBuf};

/// What Cargo has built beside the running test; None if the test was moved, or there are
/// no engines.
pub fn library() -> Option<PathBuf> {
    if !qat_sys::engine::PRESENT {
        return None;
    }
    let program = std::env::current_exe().ok()?;
    // Its own folder, `deps`, or the one above.
    let folders = program.ancestors().skip(1).take(2);
    let mut paths = folders.map(|folder| folder.join("libsimulated.so"));
    paths.find(|path| path.exists())
}

/// Puts it into a folder as OpenSSL looks for it there: the environment variable
/// OPENSSL_ENGINES names the folder, the engine's id is `simulated`. False if there is none.
pub fn install(folder: &Path) -> io::Result<bool> {
    let Some(library) = library() else {
        return Ok(false);
    };
    std::os::unix::fs::symlink(library, folder.join("simulated.so"))?;
    Ok(true)
}
