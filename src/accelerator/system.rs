//! The machine as far as accelerators depend on it.

use std::path::{Path, PathBuf};

use rustix::process::{getegid, getgroups};

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
    /// A recorded tree, with the limits of its `proc/self/limits`.
    pub fn recorded(root: impl Into<PathBuf>) -> System {
        let root = root.into();
        let memlock = limit(&root, "Max locked memory").map(|(soft, _)| soft);
        System {
            memlock: memlock.filter(|limit| *limit < u64::MAX),
            root,
        }
    }

    /// The soft and the hard limit of open files (`RLIMIT_NOFILE`, getrlimit(2)); the
    /// largest number for none.
    pub fn open_files(&self) -> Option<(u64, u64)> {
        limit(&self.root, "Max open files")
    }

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

    /// The name of a file's group, if its members may read and write the file and this
    /// process is none of them.
    pub(super) fn group_with_access(&self, file: &Path) -> Option<String> {
        let stat = rustix::fs::stat(file).ok()?;
        let ours = getgroups().unwrap_or_default();
        let mut ours = ours.into_iter().chain([getegid()]);
        let member = ours.any(|group| group.as_raw() == stat.st_gid);
        if member || stat.st_mode & 0o060 != 0o060 {
            return None;
        }
        let id = stat.st_gid.to_string();
        let groups = read(self.path("etc/group"))?;
        // group(5): NAME:PASSWORD:ID:MEMBERS
        groups.lines().find_map(|line| {
            let mut fields = line.split(':');
            let name = fields.next()?;
            (fields.nth(1)? == id).then(|| name.to_owned())
        })
    }
}

/// Soft and hard, from proc_pid_limits(5).
fn limit(root: &Path, name: &str) -> Option<(u64, u64)> {
    let text = read(root.join("proc/self/limits"))?;
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    let mut values = line.split_whitespace().map(|value| match value {
        "unlimited" => Some(u64::MAX),
        value => value.parse().ok(),
    });
    Some((values.next()??, values.next()??))
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
