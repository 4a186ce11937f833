//! The machine as far as accelerators depend on it.

use std::path::{Path, PathBuf};

use rustix::io::Errno;
use rustix::process::{getegid, geteuid, getgroups};

use super::{Barrier, Reason};

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
        use rustix::process::{Resource, getrlimit};
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

    /// Whether SELinux forbids what its policy does not allow, rather than log it alone.
    /// selinux(8), `getenforce`.
    pub(super) fn selinux_enforces(&self) -> bool {
        read(self.path("sys/fs/selinux/enforce")).as_deref() == Some("1")
    }

    /// What keeps this process from a file: access(2) for reading and writing gave `error`.
    pub(super) fn barrier(&self, file: &Path, error: Errno) -> Barrier {
        // What the kernel's device cgroup says, whatever the mode.
        if error == Errno::PERM {
            return Barrier::Cgroup;
        }
        let Ok(stat) = rustix::fs::stat(file) else {
            return Barrier::Mode;
        };
        let ours = getgroups().unwrap_or_default();
        let mut ours = ours.into_iter().chain([getegid()]);
        let member = ours.any(|group| group.as_raw() == stat.st_gid);
        let user = geteuid();
        let bits = match member {
            _ if user.as_raw() == stat.st_uid => 0o600,
            true => 0o060,
            false => 0o006,
        };
        if user.is_root() || stat.st_mode & bits == bits {
            return match self.selinux_enforces() {
                true => Barrier::Selinux,
                false => Barrier::Policy,
            };
        }
        let would_help = !member && stat.st_mode & 0o060 == 0o060;
        let group = would_help.then(|| self.group_name(stat.st_gid)).flatten();
        group.map_or(Barrier::Mode, Barrier::Group)
    }

    /// From group(5): `NAME:PASSWORD:ID:MEMBERS`.
    fn group_name(&self, id: u32) -> Option<String> {
        let (groups, id) = (read(self.path("etc/group"))?, id.to_string());
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
    let flags = cpu_field(system, "flags").unwrap_or_default();
    let mut lacks: Vec<&str> = Vec::new();
    if cpu_field(system, "vendor_id").as_deref() != Some("GenuineIntel") {
        lacks.push("Intel's mark (GenuineIntel)");
    }
    lacks.extend(FLAGS.iter().filter(|flag| !has(&flags, flag)));
    (!lacks.is_empty()).then(|| Reason::Cpu(lacks.join(", ")))
}

/// Whether libcrypto_mb can do nothing on this CPU. What is not x86, or does not tell, is
/// left to the library.
pub(super) fn cpu_lacks_ifma(system: &System) -> bool {
    let either = |flags: &String| has(flags, "avx512ifma") || has(flags, "avx_ifma");
    cpu_field(system, "flags").is_some_and(|flags| !either(&flags))
}

fn has(flags: &str, flag: &str) -> bool {
    flags.split_whitespace().any(|one| one == flag)
}

/// Of the first CPU: `flags : fpu vme …`.
fn cpu_field(system: &System, name: &str) -> Option<String> {
    let text = std::fs::read_to_string(system.path("proc/cpuinfo")).ok()?;
    text.lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(key, _)| key.trim() == name)
        .map(|(_, value)| value.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file that this process may use: what refuses it is not its mode.
    #[test]
    fn what_the_mode_allows_something_else_forbids() {
        let root = tempfile::tempdir().expect("a folder");
        let file = root.path().join("node");
        std::fs::write(&file, "").expect("written");
        let system = System::recorded(root.path());
        let barrier = |error| system.barrier(&file, error);
        assert_eq!(barrier(Errno::ACCESS), Barrier::Policy);
        assert_eq!(barrier(Errno::PERM), Barrier::Cgroup);
        let enforce = root.path().join("sys/fs/selinux/enforce");
        std::fs::create_dir_all(enforce.parent().expect("a folder")).expect("made");
        for (said, expected) in [("0\n", Barrier::Policy), ("1\n", Barrier::Selinux)] {
            std::fs::write(&enforce, said).expect("written");
            assert_eq!(barrier(Errno::ACCESS), expected);
        }
    }
}
