//! Every accelerator there is, asked for or not, and what else bears on them.

use std::fs;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, access};

use super::cards::cards;
use super::masks::masked;
use super::system::{System, read};
use super::{
    AccelerationParams, AcceleratorName, Active, Masked, Reason, SOFTWARE, activate, registry,
};

/// Below which distributions keep OpenSSL's modules.
const LIBRARIES: &[&str] = &[
    "usr/lib/x86_64-linux-gnu",
    "usr/lib64",
    "usr/lib",
    "usr/local/lib/x86_64-linux-gnu",
    "usr/local/lib64",
    "usr/local/lib",
];

/// Where the service that shares virtual functions between processes listens.
const QATMGR: &str = "run/qat/qatmgr.sock";

/// An accelerator, and whether it can be used or why not.
pub struct Surveyed {
    pub name: &'static str,
    pub found: Result<Usable, Vec<Reason>>,
    /// What the configuration keeps it from doing.
    pub masked: Vec<Masked>,
}

/// An accelerator that has passed its test.
pub struct Usable {
    /// Its own name and version.
    pub what: String,
    /// What it does, and how quickly; None: software.
    pub active: Option<Active>,
}

/// Looks at all of the registry, in its order: loads, tests and calibrates what can be
/// used, as [`select`](super::select) does, once in a process and on a thread that does
/// not end. Libraries are this machine's, whatever `system` is.
pub fn survey(params: &AccelerationParams, system: &System) -> Vec<Surveyed> {
    let look = |one: Box<dyn super::Accelerator>| {
        let (name, found) = (one.name(), activate(&*one, params, system));
        Surveyed {
            name,
            found: found.map_err(|reasons| completed(reasons, params, name, system)),
            masked: match name {
                SOFTWARE => Vec::new(),
                name => masked(params, name),
            },
        }
    };
    registry(params).into_iter().map(look).collect()
}

/// A library of another OpenSSL is why loading fails, so it stands before that. The CPU,
/// which nobody can mend, comes last.
fn completed(
    mut reasons: Vec<Reason>,
    params: &AccelerationParams,
    name: &str,
    system: &System,
) -> Vec<Reason> {
    let failed = |reason: &Reason| {
        matches!(
            reason,
            Reason::EngineNotLoaded { .. }
                | Reason::EngineNotStarted { .. }
                | Reason::ProviderNotLoaded { .. }
        )
    };
    if let Some(at) = reasons.iter().position(failed) {
        let mut files = files(params, name).into_iter();
        let file = files.find(|file| system.path(file).exists());
        let other = file.and_then(|file| other_libcrypto(system, &file));
        reasons.splice(at..at, other);
    }
    reasons.sort_by_key(|reason| matches!(reason, Reason::Cpu(_)));
    reasons
}

/// Where the library of an engine or provider may be, below the root.
fn files(params: &AccelerationParams, name: &str) -> Vec<PathBuf> {
    let (engine, provider) = (&params.engine, &params.provider);
    let (named, file) = match name {
        _ if name == AcceleratorName::QatEngine.as_str() => {
            let file = format!("engines-3/{}.so", engine.id);
            (engine.library.clone(), file)
        }
        _ if name == AcceleratorName::QatProvider.as_str() => {
            let module = format!("{}.so", provider.name);
            let named = provider.folder.as_ref();
            let named = named.map(|folder| folder.join(&module));
            (named, format!("ossl-modules/{module}"))
        }
        _ => return Vec::new(),
    };
    let usual = || LIBRARIES.iter().map(|folder| Path::new(folder).join(&file));
    named.map_or_else(|| usual().collect(), |named| vec![named])
}

/// The name of the libcrypto it was linked with stands in a library as plain text.
fn other_libcrypto(system: &System, file: &Path) -> Option<Reason> {
    let bytes = fs::read(system.path(file)).ok()?;
    let name = b"libcrypto.so.";
    let at = bytes.windows(name.len()).position(|part| part == name)?;
    let version = bytes[at + name.len()..].iter();
    let version = version.take_while(|byte| byte.is_ascii_digit() || **byte == b'.');
    let linked: String = version.map(|byte| char::from(*byte)).collect();
    let ours = openssl::version::version();
    let ours = ours.split([' ', '.']).nth(1).unwrap_or_default().to_owned();
    (!linked.is_empty() && linked != ours).then(|| Reason::OtherLibcrypto {
        file: Path::new("/").join(file).display().to_string(),
        linked,
        ours,
    })
}

/// What does not keep a card from working, and is good to know.
pub struct Hint {
    pub what: String,
    /// A line for a root shell.
    pub remedy: String,
}

/// How cards are shared, who else may use them, and where their memory comes from.
pub fn hints(system: &System) -> Vec<Hint> {
    let mut hints = Vec::new();
    let cards = cards(system);
    if system.selinux_enforces() && !cards.reasons.contains(&Reason::NoCard) {
        hints.push(Hint {
            what: "SELinux is enforcing: what you may open of /dev/vfio and /dev/qat_*, a \
                   service or a container, in a domain of its own, may not; it would fail with \
                   \"Permission denied\" whatever the files' modes"
                .to_owned(),
            remedy: "ausearch -m avc -ts recent | grep -E 'vfio|qat'  # containers: setsebool -P \
                     container_use_devices on"
                .to_owned(),
        });
    }
    let usable = cards.usable;
    if !usable.is_empty() && access(system.path(QATMGR), Access::EXISTS).is_err() {
        hints.push(Hint {
            what: format!(
                "qatmgr does not run (no /{QATMGR}): the first process takes up to 6 of the \
                 card's virtual functions ({}) for itself, unless QAT_POLICY says otherwise",
                usable.len()
            ),
            remedy: "systemctl enable --now qat".to_owned(),
        });
    }
    // Only the drivers from outside the kernel's tree take memory from huge pages.
    let wanted = read(system.path("sys/module/usdm_drv/parameters/max_huge_pages"));
    let wanted = wanted
        .and_then(|text| text.parse::<u64>().ok())
        .unwrap_or(0);
    let free = meminfo(system, "HugePages_Free").unwrap_or(0);
    if wanted > free {
        hints.push(Hint {
            what: format!("the driver usdm_drv wants {wanted} huge pages, and {free} are free"),
            remedy: format!("sysctl vm.nr_hugepages={wanted}"),
        });
    }
    hints
}

fn meminfo(system: &System, key: &str) -> Option<u64> {
    let text = read(system.path("proc/meminfo"))?;
    let line = text.lines().find_map(|line| line.strip_prefix(key))?;
    line.trim_start_matches(':')
        .split_whitespace()
        .next()?
        .parse()
        .ok()
}
