//! libcrypto_mb, loaded at run time: a build needs nothing of it, and a machine without
//! it, or a CPU that it cannot use, is told apart from a fault.
//!
//! Its interface for what is used here has been the same from version 1.0 (interface 11)
//! to 2.3 (interface 13). `crypto_mb/{rsa,x25519,cpu_features,version}.h`.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::path::{Path, PathBuf};

use super::{Kind, search};

/// Eight pointers, of which some may be null.
pub(super) type Lanes<T> = *const *const T;
pub(super) type LanesMut<T> = *const *mut T;

pub(super) type RsaPrivateCrt = unsafe extern "C" fn(
    from: Lanes<u8>,
    to: LanesMut<u8>,
    p: Lanes<u64>,
    q: Lanes<u64>,
    dp: Lanes<u64>,
    dq: Lanes<u64>,
    qinv: Lanes<u64>,
    bits: c_int,
    method: *const c_void,
    buffer: *mut u8,
) -> u32;
pub(super) type RsaPublic = unsafe extern "C" fn(
    from: Lanes<u8>,
    to: LanesMut<u8>,
    n: Lanes<u64>,
    bits: c_int,
    method: *const c_void,
    buffer: *mut u8,
) -> u32;
pub(super) type X25519Public =
    unsafe extern "C" fn(public: LanesMut<u8>, private: Lanes<u8>) -> u32;
pub(super) type X25519 =
    unsafe extern "C" fn(secret: LanesMut<u8>, private: Lanes<u8>, peer: Lanes<u8>) -> u32;

/// `mbxVersion`, as far as it is read.
#[repr(C)]
struct Version {
    major: c_int,
    minor: c_int,
    revision: c_int,
    name: *const c_char,
    build_date: *const c_char,
    text: *const c_char,
}

/// Why the library is of no use here.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    #[error("libcrypto_mb is not found: {}", tried.join("; "))]
    NotFound { tried: Vec<String> },
    #[error("{}: version {version} is too old: 1.0 at least is needed", path.display())]
    TooOld { path: PathBuf, version: String },
    #[error("the CPU, or its operating system, lacks {}", .0.join(", "))]
    CpuLacks(Vec<&'static str>),
    #[error("{}: no function {name}", path.display())]
    MissingSymbol { path: PathBuf, name: &'static str },
}

/// How RSA of one size is done.
#[derive(Clone, Copy)]
pub(super) struct Method {
    pub private: *const c_void,
    /// With the public exponent 65537.
    pub public: *const c_void,
    /// Bytes of scratch memory that either takes.
    pub buffer: usize,
}

/// The loaded library. It stays loaded for the life of the process.
pub struct Library {
    path: PathBuf,
    version: String,
    pub(super) rsa_private_crt: RsaPrivateCrt,
    pub(super) rsa_public: RsaPublic,
    pub(super) x25519_public: X25519Public,
    pub(super) x25519: X25519,
    x25519_supported: bool,
    /// 2048, 3072, 4096; None if not supported on this CPU.
    rsa_methods: [Option<Method>; 3],
}

// SAFETY: function pointers and pointers to constants of a library that is never
// unloaded; its functions have no state but their arguments.
unsafe impl Send for Library {}
// SAFETY: as above.
unsafe impl Sync for Library {}

impl Library {
    /// Loads it from `path`, a file or a folder, or from wherever the system has it. In a
    /// folder (or the file's), Intel's run-time libraries are found too.
    pub fn load(path: Option<&Path>) -> Result<&'static Library, LoadError> {
        let (library, path) = search::open(path).map_err(|tried| LoadError::NotFound { tried })?;
        let loaded = Library::resolve(&library, path);
        // Even a library that is of no use: unloading it gains nothing and may crash.
        std::mem::forget(library);
        // A few hundred bytes for as long as the library stays.
        loaded.map(|library| &*Box::leak(Box::new(library)))
    }

    fn resolve(library: &libloading::Library, path: PathBuf) -> Result<Library, LoadError> {
        let symbols = Symbols {
            library,
            path: &path,
        };
        // SAFETY: the types are those of the headers.
        let (version, features, applicable, info) = unsafe {
            (
                symbols.get::<unsafe extern "C" fn() -> *const Version>("mbx_getversion")?,
                symbols.get::<unsafe extern "C" fn() -> u64>("mbx_get_cpu_features")?,
                symbols.get::<unsafe extern "C" fn(u64) -> c_int>("mbx_is_crypto_mb_applicable")?,
                symbols.get::<unsafe extern "C" fn(c_int) -> u64>("mbx_get_algo_info")?,
            )
        };
        // SAFETY: reads a constant of the library.
        let version = version_of(unsafe { version() }, &path)?;
        // SAFETY: reads what the CPU says of itself.
        if unsafe { applicable(features()) } == 0 {
            return Err(LoadError::CpuLacks(missing_features()));
        }
        // SAFETY: any number is answered; the width asked for is a bit of the answer.
        let supported = |algorithm: c_int| unsafe { info(algorithm) } & super::LANES as u64 != 0;
        // SAFETY: the types are those of the headers.
        unsafe {
            Ok(Library {
                rsa_private_crt: symbols.get("mbx_rsa_private_crt_mb8")?,
                rsa_public: symbols.get("mbx_rsa_public_mb8")?,
                x25519_public: symbols.get("mbx_x25519_public_key_mb8")?,
                x25519: symbols.get("mbx_x25519_mb8")?,
                x25519_supported: supported(ALGO_X25519),
                rsa_methods: [
                    symbols.rsa(
                        ["mbx_RSA2K_private_crt_Method", "mbx_RSA2K_pub65537_Method"],
                        supported(ALGO_RSA_2K),
                    )?,
                    symbols.rsa(
                        ["mbx_RSA3K_private_crt_Method", "mbx_RSA3K_pub65537_Method"],
                        supported(ALGO_RSA_3K),
                    )?,
                    symbols.rsa(
                        ["mbx_RSA4K_private_crt_Method", "mbx_RSA4K_pub65537_Method"],
                        supported(ALGO_RSA_4K),
                    )?,
                ],
                version,
                path,
            })
        }
    }

    /// The file, or the name under which the system found it.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// As the library says it, for instance `1.0.14`.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Whether it does this kind on this CPU.
    pub fn supports(&self, kind: Kind) -> bool {
        match kind {
            Kind::X25519Generate | Kind::X25519Derive => self.x25519_supported,
            _ => self.method(kind).is_some(),
        }
    }

    pub(super) fn method(&self, kind: Kind) -> Option<Method> {
        match kind {
            Kind::Rsa2048 => self.rsa_methods[0],
            Kind::Rsa3072 => self.rsa_methods[1],
            Kind::Rsa4096 => self.rsa_methods[2],
            Kind::X25519Generate | Kind::X25519Derive => None,
        }
    }
}

// enum MBX_ALGO
const ALGO_RSA_2K: c_int = 1;
const ALGO_RSA_3K: c_int = 2;
const ALGO_RSA_4K: c_int = 3;
const ALGO_X25519: c_int = 4;

struct Symbols<'a> {
    library: &'a libloading::Library,
    path: &'a Path,
}

impl Symbols<'_> {
    /// # Safety
    /// `F` must be the type of the function of this name.
    unsafe fn get<F: Copy>(&self, name: &'static str) -> Result<F, LoadError> {
        // SAFETY: the caller's promise.
        let symbol = unsafe { self.library.get::<F>(name.as_bytes()) };
        symbol
            .map(|symbol| *symbol)
            .map_err(|_| LoadError::MissingSymbol {
                path: self.path.to_owned(),
                name,
            })
    }

    /// # Safety
    /// `names` must be the constructors of methods (`const mbx_RSA_Method* name(void)`),
    /// of the private operation and of the public one.
    unsafe fn rsa(
        &self,
        names: [&'static str; 2],
        wanted: bool,
    ) -> Result<Option<Method>, LoadError> {
        type Constructor = unsafe extern "C" fn() -> *const c_void;
        type Size = unsafe extern "C" fn(*const c_void) -> c_int;
        if !wanted {
            return Ok(None);
        }
        // SAFETY: the caller's promise, and the header's; the functions only read
        // constants of the library.
        unsafe {
            let private = self.get::<Constructor>(names[0])?();
            let public = self.get::<Constructor>(names[1])?();
            let size = self.get::<Size>("mbx_RSA_Method_BufSize")?;
            let size = |method: *const c_void| match method.is_null() {
                true => 0,
                false => usize::try_from(size(method)).unwrap_or(0),
            };
            let usable = size(private) > 0 && size(public) > 0;
            Ok(usable.then(|| Method {
                private,
                public,
                buffer: size(private).max(size(public)),
            }))
        }
    }
}

fn version_of(version: *const Version, path: &Path) -> Result<String, LoadError> {
    // SAFETY: null, or a constant of the library with terminated strings.
    let text = unsafe {
        version.as_ref().map(|version| {
            let mut text = format!("{}.{}.{}", version.major, version.minor, version.revision);
            if version.major < 1 && !version.text.is_null() {
                text = CStr::from_ptr(version.text).to_string_lossy().into_owned();
            }
            (version.major, text)
        })
    };
    match text {
        Some((1.., text)) => Ok(text),
        other => Err(LoadError::TooOld {
            path: path.to_owned(),
            version: other.map_or("unknown".to_owned(), |(_, text)| text),
        }),
    }
}

/// What the library's quickest code needs and is not there; if all is, its own word.
fn missing_features() -> Vec<&'static str> {
    let mut missing = Vec::new();
    #[cfg(target_arch = "x86_64")]
    {
        let features = [
            ("BMI2", is_x86_feature_detected!("bmi2")),
            ("AVX512F", is_x86_feature_detected!("avx512f")),
            ("AVX512DQ", is_x86_feature_detected!("avx512dq")),
            ("AVX512BW", is_x86_feature_detected!("avx512bw")),
            ("AVX512_IFMA", is_x86_feature_detected!("avx512ifma")),
            ("AVX512_VBMI2", is_x86_feature_detected!("avx512vbmi2")),
        ];
        missing.extend(
            features
                .iter()
                .filter(|(_, there)| !there)
                .map(|(name, _)| *name),
        );
    }
    if missing.is_empty() {
        missing.push("what libcrypto_mb asks for");
    }
    missing
}
