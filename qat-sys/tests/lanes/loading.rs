//! Finding the library, and saying why not.

use std::path::Path;

use qat_sys::lanes::{Kind, Library, LoadError, self_test};

use crate::{configured, library};

#[test]
fn what_is_there_passes_its_self_test() {
    let Some(library) = library() else { return };
    assert!(!library.version().is_empty());
    assert!(Kind::ALL.into_iter().any(|kind| library.supports(kind)));
    self_test(library).unwrap();
}

#[test]
fn a_second_load_is_as_good_as_the_first() {
    let Some(first) = library() else { return };
    let second = Library::load(configured().as_deref()).unwrap();
    assert_eq!(first.version(), second.version());
    let folder = first.path().parent().filter(|folder| folder.is_dir());
    if let Some(folder) = folder {
        let third = Library::load(Some(folder)).unwrap();
        assert!(third.path().starts_with(folder));
    }
}

#[test]
fn what_was_tried_is_told() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    for path in [
        here.join("absent.so"),
        here.join("src"),
        here.join("build.rs"),
    ] {
        let Err(LoadError::NotFound { tried }) = Library::load(Some(&path)) else {
            panic!("{path:?} is no library");
        };
        assert!(
            tried
                .iter()
                .any(|text| text.contains(path.to_str().unwrap())),
            "{tried:?}"
        );
    }
}

#[test]
fn another_library_lacks_the_functions() {
    let Ok(path) = std::fs::read_to_string("/proc/self/maps") else {
        eprintln!("SKIPPED: /proc is not mounted");
        return;
    };
    let libc = path
        .lines()
        .filter_map(|line| line.split_whitespace().nth(5));
    let Some(libc) = libc.into_iter().find(|path| path.contains("/libc.so")) else {
        eprintln!("SKIPPED: there is no libc.so");
        return;
    };
    match Library::load(Some(Path::new(libc))) {
        Err(LoadError::MissingSymbol { name, .. }) => assert_eq!(name, "mbx_getversion"),
        other => panic!("{:?}", other.map(Library::version)),
    }
}
