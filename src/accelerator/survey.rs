//! Every accelerator there is, asked for or not, and what else bears on them.

use std::fs;

use rustix::fs::{Access, access};

use super::cards::cards;
use super::system::{System, read};
use super::{AcceleratorName, Probe, Reason, registry};

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
pub type Surveyed = (&'static str, Result<Probe, Vec<Reason>>);

/// Probes all of the registry, in its order. Libraries are this machine's, whatever
/// `system` is.
pub fn survey(system: &System) -> Vec<Surveyed> {
    let probe = |one: Box<dyn super::Accelerator>| {
        let mut found = one.probe(system);
        if let Err(reasons) = &mut found {
            add_libcrypto(system, one.name(), reasons);
            // The one that nobody can mend comes last.
            reasons.sort_by_key(|reason| matches!(reason, Reason::Cpu(_)));
        }
        (one.name(), found)
    };
    registry().into_iter().map(probe).collect()
}

/// A library of another OpenSSL is why loading fails, so it stands before that.
fn add_libcrypto(system: &System, name: &str, reasons: &mut Vec<Reason>) {
    let file = match name {
        _ if name == AcceleratorName::QatEngine.as_str() => "engines-3/qatengine.so",
        _ if name == AcceleratorName::QatProvider.as_str() => "ossl-modules/qatprovider.so",
        _ => return,
    };
    let failed = |reason: &Reason| {
        matches!(
            reason,
            Reason::EngineNotLoaded { .. }
                | Reason::EngineNotStarted { .. }
                | Reason::ProviderNotLoaded { .. }
        )
    };
    if let Some(at) = reasons.iter().position(failed) {
        reasons.splice(at..at, other_libcrypto(system, file));
    }
}

/// The name of the libcrypto it was linked with stands in a library as plain text.
fn other_libcrypto(system: &System, file: &str) -> Option<Reason> {
    let files = LIBRARIES.iter().map(|folder| format!("{folder}/{file}"));
    let (file, bytes) = files.into_iter().find_map(|file| {
        let bytes = fs::read(system.path(&file)).ok()?;
        Some((format!("/{file}"), bytes))
    })?;
    let name = b"libcrypto.so.";
    let at = bytes.windows(name.len()).position(|part| part == name)?;
    let version = bytes[at + name.len()..].iter();
    let version = version.take_while(|byte| byte.is_ascii_digit() || **byte == b'.');
    let linked: String = version.map(|byte| char::from(*byte)).collect();
    let ours = openssl::version::version();
    let ours = ours.split([' ', '.']).nth(1).unwrap_or_default().to_owned();
    (!linked.is_empty() && linked != ours).then_some(Reason::OtherLibcrypto { file, linked, ours })
}

/// What does not keep a card from working, and is good to know.
pub struct Hint {
    pub what: String,
    /// A line for a root shell.
    pub remedy: String,
}

/// How cards are shared, and where their memory comes from.
pub fn hints(system: &System) -> Vec<Hint> {
    let mut hints = Vec::new();
    let usable = cards(system).usable;
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
