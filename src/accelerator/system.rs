//! The machine as far as accelerators depend on it.

use std::path::{Path, PathBuf};

use super::Reason;

/// Where to look. Tests look at recorded trees.
#[derive(Clone, Debug)]
pub struct System {
    /// Above `sys`, `proc` and `dev`.
    pub root: PathBuf,
    /// Bytes the process may lock in memory; None: without limit.
    pub memlock: Option<u64>,
}

impl System {
    /// The machine this runs on.
    pub fn this() -> System {
        use rustix::process::{Resource, geteuid, getrlimit};
        // The kernel does not hold root to the limit (CAP_IPC_LOCK).
        let memlock = match geteuid().is_root() {
            true => None,
            false => getrlimit(Resource::Memlock).current,
        };
        System {
            root: PathBuf::from("/"),
            memlock,
        }
    }

    pub(super) fn path(&self, path: impl AsRef<Path>) -> PathBuf {
        self.root.join(path)
    }
}

/// A file of one word or line, without the line's end; None if there is none.
pub(super) fn read(path: impl AsRef<Path>) -> Option<String> {
    let text = std::fs::read_to_string(path).ok()?;
    Some(text.trim().to_owned())
}

/// The last name of what a symbolic link points to: sysfs names a device's driver so.
pub(super) fn link_name(path: impl AsRef<Path>) -> Option<String> {
    let target = std::fs::read_link(path).ok()?;
    Some(target.file_name()?.to_string_lossy().into_owned())
}

/// What QAT_SW, qatengine's multi-buffer code, asks of a CPU and this one lacks.
pub(super) fn cpu_lacks(system: &System) -> Option<Reason> {
    /// As qatengine itself checks them, and AVX512IFMA, which crypto_mb works with.
    const FLAGS: &[&str] = &["avx512f", "avx512ifma", "vaes", "vpclmulqdq"];
    let text = std::fs::read_to_string(system.path("proc/cpuinfo")).unwrap_or_default();
    let value = |name: &str| {
        text.lines()
            .filter_map(|line| line.split_once(':'))
            .find(|(key, _)| key.trim() == name)
            .map_or("", |(_, value)| value.trim())
    };
    let flags: Vec<&str> = value("flags").split_whitespace().collect();
    let mut lacks: Vec<&str> = Vec::new();
    if value("vendor_id") != "GenuineIntel" {
        lacks.push("Intel's mark (GenuineIntel)");
    }
    lacks.extend(FLAGS.iter().filter(|flag| !flags.contains(flag)));
    (!lacks.is_empty()).then(|| Reason::Cpu(lacks.join(", ")))
}
