//! QAT cards, as the kernel shows them in sysfs; nothing is opened or changed.
//!
//! A card's work is done by its virtual functions, which a library drives from user
//! space over vfio. In a virtual machine there are only such functions.

use std::fs;

use rustix::fs::{Access, access};

use super::Reason;
use super::system::{System, cpu_lacks, link_name, read};

const INTEL: &str = "0x8086";

/// Models by PCI device numbers, from the kernel's drivers (drivers/crypto/intel/qat).
struct Model {
    physical: &'static str,
    virtual_: &'static str,
    module: &'static str,
    /// Of its two firmware files the one whose name has no suffix (`_mmp`).
    firmware: &'static str,
}

const fn model(
    physical: &'static str,
    virtual_: &'static str,
    module: &'static str,
    firmware: &'static str,
) -> Model {
    Model {
        physical,
        virtual_,
        module,
        firmware,
    }
}

const MODELS: &[Model] = &[
    model("0x4940", "0x4941", "qat_4xxx", "qat_4xxx"),
    model("0x4942", "0x4943", "qat_4xxx", "qat_4xxx"),
    model("0x4944", "0x4945", "qat_4xxx", "qat_402xx"),
    model("0x4946", "0x4947", "qat_420xx", "qat_420xx"),
    model("0x4948", "0x4949", "qat_6xxx", "qat_6xxx"),
    model("0x37c8", "0x37c9", "qat_c62x", "qat_c62x"),
    model("0x19e2", "0x19e3", "qat_c3xxx", "qat_c3xxx"),
    model("0x0435", "0x0443", "qat_dh895xcc", "qat_895xcc"),
    model("0x6f54", "0x6f55", "qat_d15xx", "qat_d15xx"),
];

/// Bytes that each virtual function has locked for DMA.
const MEMLOCK: u64 = 16 << 20;

/// What was found of cards.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Cards {
    /// Virtual functions that this process may use, by PCI address.
    pub usable: Vec<String>,
    /// What is wrong, with whatever is.
    pub reasons: Vec<Reason>,
}

/// Looks at every card. Kinds of reasons come in the order in which an administrator
/// meets them: device, driver, firmware, IOMMU, SR-IOV, state, services, vfio, rights, memory.
pub fn cards(system: &System) -> Cards {
    let mut found = Cards::default();
    let (physical, functions) = devices(system);
    if physical.is_empty() && functions.is_empty() {
        found.reasons.push(Reason::NoCard);
        return found;
    }
    let mut broken = Vec::new();
    for (card, model) in &physical {
        let reasons = card_reasons(system, card, model);
        if !reasons.is_empty() {
            broken.push(card.clone());
        }
        found.reasons.extend(reasons);
    }
    for function in &functions {
        let card = link_name(device(system, function).join("physfn"));
        match function_reason(system, function) {
            Some(reason) => found.reasons.push(reason),
            // Good in itself, but of a card that is not.
            None if card.is_some_and(|card| broken.contains(&card)) => {}
            None => found.usable.push(function.clone()),
        }
    }
    let needed = MEMLOCK * found.usable.len() as u64;
    if let Some(limit) = system.memlock.filter(|limit| *limit < needed) {
        found.reasons.push(Reason::Memlock { limit, needed });
        let affordable = usize::try_from(limit / MEMLOCK).unwrap_or(usize::MAX);
        found.usable.truncate(affordable);
    }
    found
}

fn device(system: &System, address: &str) -> std::path::PathBuf {
    system.path("sys/bus/pci/devices").join(address)
}

/// Cards with their models, and virtual functions, each in the order of addresses.
fn devices(system: &System) -> (Vec<(String, &'static Model)>, Vec<String>) {
    let (mut physical, mut functions) = (Vec::new(), Vec::new());
    let entries = fs::read_dir(system.path("sys/bus/pci/devices"));
    for entry in entries.into_iter().flatten().flatten() {
        if read(entry.path().join("vendor")).as_deref() != Some(INTEL) {
            continue;
        }
        let number = read(entry.path().join("device")).unwrap_or_default();
        let address = entry.file_name().to_string_lossy().into_owned();
        if let Some(model) = MODELS.iter().find(|model| model.physical == number) {
            physical.push((address, model));
        } else if MODELS.iter().any(|model| model.virtual_ == number) {
            functions.push(address);
        }
    }
    physical.sort_by(|(a, _), (b, _)| a.cmp(b));
    functions.sort();
    (physical, functions)
}

fn card_reasons(system: &System, card: &str, model: &Model) -> Vec<Reason> {
    let path = device(system, card);
    let (card, module) = (card.to_owned(), model.module);
    // The rest is shown by the driver.
    if link_name(path.join("driver")).is_none() {
        let loaded = system.path("sys/module").join(module).exists();
        return vec![match missing_firmware(system, model) {
            _ if !loaded => Reason::NoDriver { card, module },
            Some(file) => Reason::NoFirmware { card, module, file },
            None => Reason::DriverFailed { card, module },
        }];
    }
    let mut reasons = Vec::new();
    let count = |file| read(path.join(file)).and_then(|text| text.parse::<u32>().ok());
    if link_name(path.join("iommu_group")).is_none() {
        reasons.push(Reason::NoIommu { card: card.clone() });
    }
    if count("sriov_totalvfs").unwrap_or(0) == 0 {
        reasons.push(Reason::NoSriov { card: card.clone() });
    } else if count("sriov_numvfs").unwrap_or(0) == 0 {
        reasons.push(Reason::NoVirtualFunctions { card: card.clone() });
    }
    // Drivers from outside the kernel's tree show neither.
    if let Some(state) = read(path.join("qat/state")).filter(|state| state != "up") {
        let card = card.clone();
        reasons.push(Reason::NotUp { card, state });
    }
    if let Some(services) = read(path.join("qat/cfg_services"))
        && !services.split(';').any(|service| service == "asym")
    {
        reasons.push(Reason::NoAsym { card, services });
    }
    reasons
}

/// The first firmware file that is not there, packed or not. None also where there is no
/// firmware at all, as in a container: the host's files do not show.
fn missing_firmware(system: &System, model: &Model) -> Option<String> {
    let folder = system.path("lib/firmware");
    let there = |name: &str| {
        let names = ["", ".xz", ".zst"].map(|packed| format!("{name}{packed}"));
        let mut paths = names.iter().map(|name| folder.join(name));
        paths.any(|path| path.exists())
    };
    let mut files = ["", "_mmp"]
        .map(|suffix| format!("{}{suffix}.bin", model.firmware))
        .into_iter();
    files.find(|file| folder.exists() && !there(file))
}

fn function_reason(system: &System, function: &str) -> Option<Reason> {
    let path = device(system, function);
    let driver = link_name(path.join("driver")).unwrap_or_else(|| "nothing".to_owned());
    let function = function.to_owned();
    if driver != "vfio-pci" {
        return Some(Reason::NotVfio { function, driver });
    }
    let group = link_name(path.join("iommu_group"));
    let node = format!("dev/vfio/{}", group.as_deref().unwrap_or("?"));
    let (path, node) = (system.path(&node), format!("/{node}"));
    match access(&path, Access::READ_OK | Access::WRITE_OK) {
        Ok(()) => None,
        Err(rustix::io::Errno::NOENT) => Some(Reason::NoNode { function, node }),
        Err(error) => Some(Reason::NoAccess {
            function,
            node,
            barrier: system.barrier(&path, error),
        }),
    }
}

/// What Intel's engine and provider work on: cards, or a CPU. Either is enough; what keeps
/// the other from working is told all the same. `intels`: it is one of these two, and not
/// another by its name, of which nothing is known.
pub(super) fn hardware(intels: bool, system: &System) -> (bool, Vec<Reason>) {
    let mut reasons = Vec::new();
    let mut usable = true;
    if intels {
        let cards = cards(system);
        let cpu = cpu_lacks(system);
        usable = !cards.usable.is_empty() || cpu.is_none();
        reasons.extend(cards.reasons);
        reasons.extend(cpu);
    }
    if !qat_sys::job::is_capable() {
        reasons.push(Reason::NoAsyncJobs);
        usable = false;
    }
    (usable, reasons)
}
