//! Reasons in their order, each with what mends it.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;

use serde_json::json;

use super::{CARD, FUNCTIONS, Tree, findings, parse};

/// A tree, how the reason begins, what its remedy has.
type Case = (Tree, &'static str, &'static str);

fn faults_of_the_card() -> Vec<Case> {
    let module = |tree: Tree| tree.write("sys/module/qat_4xxx/initstate", "live");
    vec![
        (
            Tree::new().write(&format!("{CARD}/qat/state"), "down"),
            "card 0000:6b:00.0: its state is down, not up",
            "echo up > /sys/bus/pci/devices/0000:6b:00.0/qat/state",
        ),
        (
            Tree::new().write(&format!("{CARD}/qat/cfg_services"), "dc"),
            "card 0000:6b:00.0: its services are dc, without asym",
            "echo 'sym;asym' > /sys/bus/pci/devices/0000:6b:00.0/qat/cfg_services",
        ),
        (
            Tree::new().write(&format!("{CARD}/sriov_numvfs"), "0"),
            "card 0000:6b:00.0: no virtual functions",
            "cat /sys/bus/pci/devices/0000:6b:00.0/sriov_totalvfs > ",
        ),
        (
            Tree::new().without_driver(),
            "card 0000:6b:00.0: no driver",
            "modprobe qat_4xxx",
        ),
        (
            module(Tree::new().without_driver()).write("lib/firmware/qat_4xxx.bin.zst", ""),
            "card 0000:6b:00.0: the driver qat_4xxx finds no firmware: there is no \
             /lib/firmware/qat_4xxx_mmp.bin",
            "modprobe -r qat_4xxx && modprobe qat_4xxx",
        ),
        (
            Tree::new().remove(&format!("{CARD}/iommu_group")),
            "card 0000:6b:00.0: no IOMMU",
            "intel_iommu=on",
        ),
    ]
}

fn faults_after_the_card() -> Vec<Case> {
    let limits = "Limit  Soft Limit  Hard Limit  Units\nMax locked memory  1048576 1048576 bytes\n";
    let function = FUNCTIONS[0];
    vec![
        (
            Tree::new().remove(&format!("{function}/driver")),
            "virtual function 0000:6b:00.1: it is not bound to vfio-pci",
            "echo 0000:6b:00.1 > /sys/bus/pci/drivers_probe",
        ),
        (
            Tree::new().remove("dev/vfio/301"),
            "virtual function 0000:6b:00.1: there is no /dev/vfio/301",
            "--device /dev/vfio/301",
        ),
        (
            Tree::new().write("proc/self/limits", limits),
            "locked memory is limited to 1048576 bytes, and 33554432 are needed",
            "ulimit -l 32768",
        ),
        (
            Tree::new().write("usr/lib64/engines-3/qatengine.so", "\0libcrypto.so.1.1\0"),
            "/usr/lib64/engines-3/qatengine.so is made for libcrypto.so.1.1",
            "ldd /usr/lib64/engines-3/qatengine.so",
        ),
    ]
}

#[test]
fn each_fault_is_told_first_with_what_mends_it() {
    for (tree, reason, remedy) in faults_of_the_card()
        .into_iter()
        .chain(faults_after_the_card())
    {
        let findings = tree.findings();
        let first = &findings[0];
        assert!(first.0.starts_with(reason), "{reason}: {findings:#?}");
        assert!(first.1.contains(remedy), "{remedy}: {findings:#?}");
    }
}

#[test]
fn a_cpu_that_cannot_is_told_before_a_library_is_asked_for() {
    let told = |flags: &str| {
        let tree = Tree::new().write("proc/cpuinfo", &format!("flags : fpu {flags}\n"));
        let reasons = tree.report(&[])["accelerators"][2]["reasons"].clone();
        reasons[0]["what"].as_str().unwrap_or_default().to_owned()
    };
    let words = "neither AVX512-IFMA nor AVX-IFMA";
    assert!(told("avx2 avx512f").contains(words));
    for enough in ["avx512ifma", "avx_ifma"] {
        assert!(!told(enough).contains(words), "{enough}");
    }
}

#[test]
fn a_card_that_works_leaves_the_library() {
    let tree = Tree::new();
    let findings = tree.findings();
    assert_eq!(findings.len(), 1, "{findings:#?}");
    assert!(findings[0].0.contains("engine"), "{findings:#?}");
    let hint = |tree: &Tree| tree.report(&[])["hints"].clone();
    let told = hint(&tree)[0]["what"].to_string();
    assert!(told.contains("qatmgr does not run"), "{told}");
    let tree = tree.write("run/qat/qatmgr.sock", "");
    assert_eq!(hint(&tree), json!([]));
    let tree = tree
        .write("sys/module/usdm_drv/parameters/max_huge_pages", "50")
        .write("proc/meminfo", "HugePages_Total:  10\nHugePages_Free:  7\n");
    assert_eq!(hint(&tree)[0]["remedy"], "sysctl vm.nr_hugepages=50");
}

#[test]
fn what_selinux_means_for_cards_is_told_where_there_are_some() {
    let told = |tree: &Tree| {
        let hints = tree.report(&[])["hints"].clone();
        let hints = hints.as_array().expect("hints").clone();
        hints.iter().any(|one| {
            one["what"]
                .as_str()
                .unwrap_or("")
                .contains("SELinux is enforcing")
        })
    };
    let tree = Tree::new();
    assert!(!told(&tree));
    let tree = tree.write("sys/fs/selinux/enforce", "0");
    assert!(!told(&tree), "permissive: it forbids nothing");
    let tree = tree.write("sys/fs/selinux/enforce", "1");
    assert!(told(&tree));
    let tree = tree.remove("sys/bus/pci/devices");
    assert!(!told(&tree), "no card");
}

#[test]
fn several_faults_are_told_in_the_order_in_which_to_deal_with_them() {
    let tree = Tree::new()
        .remove(&format!("{CARD}/iommu_group"))
        .write(&format!("{CARD}/qat/state"), "down")
        .write(&format!("{CARD}/qat/cfg_services"), "dc")
        .remove("dev/vfio/301")
        .write("usr/lib/engines-3/qatengine.so", "\0libcrypto.so.1.1\0")
        .write(
            "proc/cpuinfo",
            "vendor_id : AuthenticAMD\nflags : avx512f\n",
        );
    let told: Vec<String> = tree.findings().into_iter().map(|(what, _)| what).collect();
    let order = [
        "no IOMMU",
        "its state is down",
        "its services are dc",
        "there is no /dev/vfio/301",
        "libcrypto.so.1.1",
        "engine",
        "this CPU",
    ];
    assert_eq!(told.len(), order.len(), "{told:#?}");
    for (told, words) in told.iter().zip(order) {
        assert!(told.contains(words), "no {words:?} in {told}");
    }
}

#[test]
fn who_may_not_use_a_function_is_told_whose_group_may() {
    let tree = Tree::new();
    let node = tree.path("dev/vfio/301");
    let owner = fs::metadata(&node).expect("there").gid();
    let tree = tree.write(
        "etc/group",
        &format!("root:x:4711:\nqat:x:{owner}:somebody\n"),
    );
    let mode = |path: &PathBuf, mode| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("set");
    };
    mode(&tree.path(""), 0o755);
    let findings_as_nobody = || {
        let output = tree.command(&["--json"]).uid(65534).gid(65534).output();
        Some(findings(&parse(&output.ok()?)))
    };
    for (bits, reason, remedy) in [
        (
            0o060,
            "the user is not in its group, qat",
            "usermod -aG qat",
        ),
        (0o000, "its mode forbids it", "chgrp qat /dev/vfio/301"),
    ] {
        mode(&node, bits);
        let Some(findings) = findings_as_nobody() else {
            eprintln!("SKIPPED: only root can become another user, who can run the binary");
            return;
        };
        let (told, mended) = &findings[0];
        assert!(told.contains("no right to use /dev/vfio/301"), "{told}");
        assert!(
            told.contains(reason) && mended.contains(remedy),
            "{findings:#?}"
        );
    }
}
