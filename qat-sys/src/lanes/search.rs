//! Where libcrypto_mb may be, and how it is opened.
//!
//! Distributions put it on the loader's path. Intel's PyPI wheels (`ipp-crypto`, and
//! `intel-cmplr-lib-rt` for the compiler's run-time libraries it needs) do not: a folder
//! named in the configuration is searched for both.

use std::fs;
use std::path::{Path, PathBuf};

/// Newest first: 13 of Intel's wheels of 2026, 11 of Debian 13.
const SONAMES: [&str; 4] = [
    "libcrypto_mb.so.13",
    "libcrypto_mb.so.12",
    "libcrypto_mb.so.11",
    "libcrypto_mb.so",
];

/// What Intel's builds need and the loader does not find beside them: opened before, by
/// path, they satisfy it by name. In an order in which each finds what it needs itself.
const DEPENDENCIES: [&str; 4] = ["libintlc.so.5", "libirng.so", "libimf.so", "libsvml.so"];

/// The places to try in order, and the folder whose dependencies to open first.
pub(super) fn candidates(configured: Option<&Path>) -> (Vec<PathBuf>, Option<PathBuf>) {
    // Absolute, for the loader searches its own path for a name without a slash.
    let configured = configured.map(|path| std::path::absolute(path).unwrap_or(path.to_owned()));
    match configured.as_deref() {
        None => (SONAMES.iter().map(PathBuf::from).collect(), None),
        Some(folder) if folder.is_dir() => {
            let mut found: Vec<_> = SONAMES.iter().map(|name| folder.join(name)).collect();
            found.retain(|path| path.exists());
            found.extend(others(folder));
            if found.is_empty() {
                // Tried nevertheless, so that the error says what was looked for.
                found.push(folder.join(SONAMES[0]));
            }
            (found, Some(folder.to_owned()))
        }
        Some(file) => {
            let folder = file.parent().filter(|folder| folder.is_dir());
            (vec![file.to_owned()], folder.map(Path::to_owned))
        }
    }
}

/// Versions of which this module does not know, newest first by name.
fn others(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    let mut names: Vec<_> = names
        .filter(|name| name.starts_with("libcrypto_mb.so") && !SONAMES.contains(&name.as_str()))
        .collect();
    names.sort_unstable_by(|a, b| b.cmp(a));
    names.into_iter().map(|name| folder.join(name)).collect()
}

/// Opens the first candidate that can be, or says what each came to.
pub(super) fn open(
    configured: Option<&Path>,
) -> Result<(libloading::Library, PathBuf), Vec<String>> {
    let (candidates, folder) = candidates(configured);
    if let Some(folder) = folder {
        for name in DEPENDENCIES {
            // Not there or not usable: if it is needed, opening the library will say so.
            if let Ok(dependency) = open_file(&folder.join(name)) {
                std::mem::forget(dependency);
            }
        }
    }
    let mut tried = Vec::new();
    for path in candidates {
        match open_file(&path) {
            Ok(library) => return Ok((library, path)),
            // The loader's message names the file.
            Err(error) => tried.push(error.to_string()),
        }
    }
    Err(tried)
}

fn open_file(path: &Path) -> Result<libloading::Library, libloading::Error> {
    // SAFETY: the initialisers of Intel's libraries only look at the CPU; whoever may
    // name another library in the configuration may run code here anyway.
    unsafe { libloading::Library::new(path) }
}
