//! Engines and providers that come with OpenSSL, loaded as an accelerator's are.

use std::path::Path;

use qat_sys::engine::{self, Engine, EngineError};
use qat_sys::provider::{Private, ProviderError};

/// Debian's and Fedora's folders; elsewhere the test has nothing to load.
const ENGINES: &[&str] = &[
    "/usr/lib/x86_64-linux-gnu/engines-3/loader_attic.so",
    "/usr/lib64/engines-3/loader_attic.so",
];

#[test]
fn an_engine_is_loaded_by_its_path_and_stays() {
    if !engine::PRESENT {
        let none = Engine::by_id("dynamic").expect_err("no engines");
        assert!(matches!(none, EngineError::NoEngines));
        return;
    }
    let Some(path) = ENGINES.iter().map(Path::new).find(|path| path.exists()) else {
        eprintln!("SKIPPED: OpenSSL's engine loader_attic is not installed");
        return;
    };
    let wrong = Engine::load("somebody_else", path);
    assert!(matches!(wrong, Err(EngineError::OpenSsl(_))), "{wrong:?}");
    drop(Engine::load("loader_attic", path).expect("loaded"));
    // It is listed from now on, whatever becomes of references.
    for _ in 0..2 {
        let engine = Engine::by_id("loader_attic").expect("listed");
        assert!(!engine.name().is_empty());
        let mut engine = engine.init().expect("initialised");
        let unknown = engine.ctrl("NO_SUCH_COMMAND", Some("1"));
        assert!(matches!(unknown, Err(EngineError::OpenSsl(_))));
        assert!(openssl::error::ErrorStack::get().errors().is_empty());
    }
}

#[test]
fn a_missing_engine_says_what_is_missing() {
    if !engine::PRESENT {
        return;
    }
    let error = Engine::by_id("no-such-engine").expect_err("none");
    assert!(error.to_string().contains("no-such-engine"), "{error}");
    let nul = Engine::by_id("a\0b").expect_err("none");
    assert!(matches!(nul, EngineError::Nul), "{nul}");
}

#[test]
fn a_provider_is_loaded_beside_default_in_its_own_context() {
    let private = match Private::load("legacy", None) {
        Ok(private) => private,
        Err(error) => {
            eprintln!("SKIPPED: OpenSSL's provider legacy is not installed: {error}");
            return;
        }
    };
    let context = Some(private.context());
    let fetch = |context, name| openssl::md::Md::fetch(context, name, None).is_ok();
    assert!(fetch(context, "SHA256"));
    assert!(fetch(context, "MD4"));
    assert!(!fetch(None, "MD4"), "it is loaded for everybody");
}

#[test]
fn a_missing_provider_says_what_is_missing() {
    let folder = Path::new("/no/such/folder");
    for folder in [None, Some(folder)] {
        let error = Private::load("no-such-provider", folder).err();
        let error = error.expect("none").to_string();
        assert!(error.contains("no-such-provider"), "{error}");
    }
    let nul = Private::load("a\0b", None).err();
    assert!(matches!(nul, Some(ProviderError::Nul)));
}
