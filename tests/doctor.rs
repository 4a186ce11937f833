//! `doctor`: reasons in their order with what mends them, settings, exit codes, forms.
//!
//! Every tree is `fixtures/sysfs/ready`, a card that works, with one thing changed.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Output};

use serde_json::{Value, json};
use support::Setup;
use support::certificates::{Files, Key};
use tempfile::TempDir;

use crate::EXECUTABLE;

const CARD: &str = "sys/bus/pci/devices/0000:6b:00.0";
const FUNCTIONS: [&str; 2] = [
    "sys/bus/pci/devices/0000:6b:00.1",
    "sys/bus/pci/devices/0000:6b:00.2",
];
const EXIT_UNAVAILABLE: i32 = 69;
const EXIT_CONFIG: i32 = 78;

/// A copy of the tree with a working card.
struct Tree(TempDir);

impl Tree {
    fn new() -> Tree {
        let folder = tempfile::tempdir().expect("a folder");
        let ready = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/sysfs/ready/.");
        let copied = Command::new("cp")
            .args(["-a", ready])
            .arg(folder.path())
            .status();
        assert!(copied.expect("cp runs").success());
        Tree(folder)
    }

    fn path(&self, path: &str) -> PathBuf {
        self.0.path().join(path)
    }

    fn write(self, path: &str, text: &str) -> Tree {
        let file = self.path(path);
        fs::create_dir_all(file.parent().expect("a folder")).expect("made");
        fs::write(file, text).expect("written");
        self
    }

    fn remove(self, path: &str) -> Tree {
        let file = self.path(path);
        match file.is_dir() && !file.is_symlink() {
            true => fs::remove_dir_all(file),
            false => fs::remove_file(file),
        }
        .expect("removed");
        self
    }

    /// Without a driver the card has no functions either.
    fn without_driver(self) -> Tree {
        let tree = self.remove(&format!("{CARD}/driver"));
        FUNCTIONS.iter().fold(tree, |tree, one| tree.remove(one))
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(EXECUTABLE);
        command
            .arg("doctor")
            .args(arguments)
            .arg("--root")
            .arg(self.0.path());
        // No module but OpenSSL's own is found.
        command
            .env("OPENSSL_MODULES", self.0.path())
            .env("OPENSSL_ENGINES", self.0.path());
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().expect("it runs")
    }

    fn report(&self, arguments: &[&str]) -> Value {
        let arguments = [&["--json"], arguments].concat();
        parse(&self.run(&arguments))
    }

    /// What is wrong with qat_engine and how to mend it.
    fn findings(&self) -> Vec<(String, String)> {
        findings(&self.report(&[]))
    }
}

fn parse(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

fn findings(report: &Value) -> Vec<(String, String)> {
    let engine = &report["accelerators"][0];
    assert_eq!(engine["name"], "qat_engine");
    let reasons = engine["reasons"].as_array().expect("reasons").iter();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    reasons
        .map(|one| (text(&one["what"]), text(&one["remedy"])))
        .collect()
}

fn setting<'a>(report: &'a Value, name: &str) -> &'a Value {
    let settings = report["settings"].as_array().expect("settings");
    let found = settings.iter().find(|one| one["name"] == name);
    found.unwrap_or_else(|| panic!("no {name}"))
}

/// A configuration's file; nothing listens or connects.
fn setup() -> Setup {
    Setup::new(EXECUTABLE, "127.0.0.1:8001".parse().expect("an address"))
}

fn file(setup: &Setup) -> String {
    setup.write().display().to_string()
}

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
    let owner = std::os::unix::fs::MetadataExt::gid(&fs::metadata(&node).expect("there"));
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
        (
            0o000,
            "its group has none either",
            "chgrp qat /dev/vfio/301",
        ),
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

#[test]
fn its_json_is_what_its_schema_says() {
    let tree = Tree::new().write("proc/sys/net/core/somaxconn", "128\n");
    let schema = parse(&tree.run(&["--json-schema"]));
    let validator = jsonschema::validator_for(&schema).expect("a schema");
    let setup = setup();
    let config = file(&setup);
    for arguments in [&[][..], &["--config", &config]] {
        let report = tree.report(arguments);
        let errors: Vec<String> = validator
            .iter_errors(&report)
            .map(|error| error.to_string())
            .collect();
        assert!(errors.is_empty(), "{errors:#?}");
    }
    assert!(!validator.is_valid(&json!({ "version": 1 })));
}

#[test]
fn what_the_kernel_should_change_is_a_file_for_sysctl() {
    let tree = Tree::new()
        .write("proc/sys/net/core/somaxconn", "128\n")
        .write("proc/sys/net/ipv4/tcp_max_syn_backlog", "4096\n")
        .write("proc/sys/net/ipv4/tcp_rmem", "4096\t131072\t6291456\n")
        .write("proc/sys/net/ipv4/tcp_wmem", "4096\t16384\t262144\n")
        .write(
            "proc/sys/net/ipv4/tcp_available_congestion_control",
            "reno bbr cubic\n",
        )
        .write("proc/sys/net/ipv4/tcp_congestion_control", "cubic\n")
        .write("proc/sys/net/ipv4/ip_local_port_range", "60000\t60999\n");
    let setup = setup()
        .set("/workers", 4)
        .cluster("/pool/max_connections", 300);
    let output = tree.run(&["--sysctl", "--config", &file(&setup)]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let text = String::from_utf8(output.stdout).expect("text");
    let lines: Vec<&str> = text.lines().collect();
    let mut found = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        assert!(lines[at - 1].starts_with("# It is "), "{text}");
        found.push(line.split_once(" = ").expect("KEY = VALUE"));
    }
    assert_eq!(
        found,
        [
            ("net.core.somaxconn", "1024"),
            ("net.ipv4.tcp_wmem", "4096 16384 4194304"),
            ("net.ipv4.tcp_congestion_control", "bbr"),
            ("net.ipv4.ip_local_port_range", "10240 65535"),
        ]
    );
}

#[test]
fn limits_are_held_against_the_configuration() {
    let limits = "Max open files  1024  20000  files\n";
    let base = || {
        Tree::new()
            .write("proc/self/limits", limits)
            .write("proc/self/status", "Cpus_allowed_list:\t0-2,5\n")
            .write(
                "sys/kernel/mm/transparent_hugepage/enabled",
                "[always] madvise never\n",
            )
    };
    let version_2 = base()
        .write("proc/self/cgroup", "0::/pods/one\n")
        .write("sys/fs/cgroup/pods/one/cpu.max", "max 100000\n")
        .write("sys/fs/cgroup/pods/cpu.max", "150000 100000\n");
    let version_1 = base()
        .write("proc/self/cgroup", "4:cpu,cpuacct:/pods\n0::/\n")
        .write("sys/fs/cgroup/cpu/pods/cpu.cfs_quota_us", "150000\n")
        .write("sys/fs/cgroup/cpu/pods/cpu.cfs_period_us", "100000\n");
    let setup = setup().set("/workers", 4);
    let config = file(&setup);
    let name = "CPUs and workers";
    for tree in [version_2, version_1] {
        let report = tree.report(&["--config", &config]);
        let processors = setting(&report, name);
        assert_eq!(processors["present"], "4 workers, 4 CPUs, a quota of 1.50");
        assert_eq!(processors["advised"], "2 workers");
        // 20000 clients, 400 connections to the backend, some of its own.
        let files = setting(&report, "open files (hard limit)");
        assert_eq!(
            (&files["present"], &files["advised"]),
            (&json!("20000"), &json!("32768"))
        );
        assert_eq!(
            setting(&report, "transparent huge pages")["advised"],
            "madvise"
        );
    }
    let report = base().report(&["--config", &config]);
    assert_eq!(
        setting(&report, name)["present"],
        "4 workers, 4 CPUs, no quota"
    );
    assert_eq!(setting(&report, name)["advised"], Value::Null);
    assert_eq!(
        setting(&report, "net.core.somaxconn")["present"],
        Value::Null
    );
}

#[test]
fn its_exit_code_says_whether_the_preference_holds() {
    let tree = Tree::new();
    let ends = |setup: &Setup, code: i32, words: &str| {
        let output = tree.run(&["--config", &file(setup)]);
        let (stdout, stderr) = (&output.stdout, &output.stderr);
        let told = String::from_utf8_lossy(&[&stdout[..], stderr].concat()).into_owned();
        assert_eq!(output.status.code(), Some(code), "{told}");
        assert!(told.contains(words), "no {words:?} in {told}");
    };
    ends(&setup(), 0, "no accelerator is preferred");
    let prefers = || setup().set("/acceleration/prefer", json!(["qat_provider"]));
    let words = "prefers qat_provider: none can be used, software is";
    ends(&prefers(), EXIT_UNAVAILABLE, words);
    let words = "requires qat_provider: none can be used, and the gateway does not start";
    let requires = prefers().set("/acceleration/require", true);
    ends(&requires, EXIT_UNAVAILABLE, words);
    ends(&setup().set("/workers", 0), EXIT_CONFIG, "workers");
    let output = tree.run(&["--config", "/no/such/file"]);
    assert_eq!(output.status.code(), Some(EXIT_CONFIG));
    assert_eq!(tree.run(&[]).status.code(), Some(0));
}

#[test]
fn certificates_are_told_with_their_keys_and_their_age() {
    let setup = setup();
    let (folder, authority) = (setup.folder().to_owned(), setup.authority().clone());
    let rsa = authority
        .server(Key::Rsa2048, &["rsa.example"])
        .write(&folder, "rsa");
    let old = authority
        .expired_server(Key::P256, &["old.example"])
        .write(&folder, "old");
    let files: Vec<Value> = [rsa, old].iter().map(Files::json).collect();
    let setup = setup.listener("/tls/certificates", files);
    let config = file(&setup);
    let tree = Tree::new();
    let report = tree.report(&["--config", &config]);
    let certificates = &report["configuration"]["certificates"];
    assert_eq!(certificates[0]["names"], json!(["rsa.example"]));
    assert_eq!(certificates[0]["accelerable"], "yes");
    assert!(certificates[0]["expires_in_days"].as_i64() >= Some(0));
    assert_eq!(certificates[1]["accelerable"], "partly");
    let text = tree.run(&["--config", &config]).stdout;
    let text = String::from_utf8(text).expect("text");
    for words in [
        "  edge: RSA 2048 for rsa.example, expires in ",
        "    accelerable: signature and key exchange (X25519), by qat_engine and multibuffer\n",
        "  edge: ECDSA P-256 for old.example, expired ",
        "\n  qat_engine: cannot be used\n    - ",
        "\n  software: can be used (OpenSSL 3",
        "\nWhat they give\n  not measured\n",
        "  ?       net.core.somaxconn: cannot be read here\n",
    ] {
        assert!(text.contains(words), "no {words:?} in {text}");
    }
    assert!(!text.contains('\u{1b}'), "colours in a pipe: {text}");
}
