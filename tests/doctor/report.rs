//! What is reported besides reasons, in its forms; exit codes.

use std::process::Command;

use serde_json::{Value, json};
use support::certificates::{Files, Key};
use support::{Setup, simulated};

use super::{Tree, file, parse, setup};
use crate::EXECUTABLE;

const EXIT_USAGE: i32 = 64;
const EXIT_UNAVAILABLE: i32 = 69;
const EXIT_CONFIG: i32 = 78;

fn setting<'a>(report: &'a Value, name: &str) -> &'a Value {
    let settings = report["settings"].as_array().expect("settings");
    let found = settings.iter().find(|one| one["name"] == name);
    found.unwrap_or_else(|| panic!("no {name}"))
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
        let read = |name| setting(&report, name)["present"].clone();
        assert_eq!(read("net.core.somaxconn"), "128");
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
    let output = Command::new(EXECUTABLE)
        .args(["doctor", "--root", "/no/such/tree"])
        .output()
        .expect("it runs");
    assert_eq!(output.status.code(), Some(EXIT_USAGE));
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(stderr.contains("/no/such/tree/sys"), "{stderr}");
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
        "    accelerable: signature and key exchange (X25519), by every accelerator\n",
        "  edge: ECDSA P-256 for old.example, expired ",
        "\n  qat_engine: cannot be used\n    - ",
        "\n  software: can be used (OpenSSL 3",
        "\nWhat they give\n",
        "  ?       net.core.somaxconn: cannot be read here\n",
    ] {
        assert!(text.contains(words), "no {words:?} in {text}");
    }
    assert!(!text.contains('\u{1b}'), "colours in a pipe: {text}");
}

#[test]
fn what_the_configuration_masks_is_told() {
    let setup = setup()
        .set("/acceleration/offload", json!(["x25519"]))
        .set("/acceleration/qat_engine/hardware_algorithms", "0x1");
    let config = file(&setup);
    let tree = Tree::new();
    let report = tree.report(&["--config", &config]);
    let schema = parse(&tree.run(&["--json-schema"]));
    assert!(jsonschema::is_valid(&schema, &report), "{report:#}");
    let by_offload = ["rsa", "ecdsa"]
        .map(|one| json!({ "algorithm": one, "by": "acceleration.offload ([x25519])" }));
    let by_mask = [("x25519", "0x20"), ("ecdsa", "0x8")].map(|(one, bit)| {
        let by = format!("acceleration.qat_engine.hardware_algorithms (0x1 lacks {bit})");
        json!({ "algorithm": one, "by": by })
    });
    let masked = |at: usize| report["accelerators"][at]["masked"].clone();
    assert_eq!(masked(0), json!([&by_offload[..], &by_mask].concat()));
    assert_eq!(masked(2), json!(by_offload));
    assert_eq!(masked(3), json!([]), "software does it all");
    let text = tree.run(&["--config", &config]).stdout;
    let text = String::from_utf8(text).expect("text");
    let words = "    - rsa: masked by acceleration.offload ([x25519])\n";
    assert!(text.contains(words), "no {words:?} in {text}");
}

/// script(1) gives it a terminal.
#[test]
fn colours_are_for_terminals() {
    let on_terminal = |no_color: &str| {
        let mut command = Command::new("script");
        let output = command
            .args(["-qec", &format!("{EXECUTABLE} doctor"), "/dev/null"])
            .envs([("TERM", "xterm"), ("NO_COLOR", no_color)])
            .output();
        Some(String::from_utf8_lossy(&output.ok()?.stdout).into_owned())
    };
    let (Some(coloured), Some(plain)) = (on_terminal(""), on_terminal("1")) else {
        eprintln!("SKIPPED: script(1) is not installed");
        return;
    };
    assert!(
        coloured.contains("\u{1b}[1mAccelerators\u{1b}[0m"),
        "{coloured}"
    );
    assert!(
        plain.contains("Accelerators") && !plain.contains('\u{1b}'),
        "{plain}"
    );
}

#[test]
fn an_engine_that_works_is_used_and_measured() {
    let tree = Tree::new();
    if !simulated::install(&tree.path("")).expect("a link") {
        eprintln!("SKIPPED: no engines, or the simulated one is not beside the tests");
        return;
    }
    let setup = setup().set(
        "/acceleration",
        json!({
            "prefer": ["qat_engine"], "offload": ["rsa"], "break_even": 3,
            "qat_engine": { "id": "simulated" },
        }),
    );
    let output = tree.run(&["--json", "--config", &file(&setup)]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let report = parse(&output);
    assert_eq!(report["configuration"]["used"], "qat_engine");
    assert_eq!(report["configuration"]["holds"], true);
    let engine = &report["accelerators"][0];
    assert_eq!(engine["usable"], true, "{engine}");
    assert_eq!(engine["offload"]["algorithms"], json!(["rsa"]));
    assert_eq!(engine["offload"]["break_even"], 3);
    assert_eq!(engine["masked"][0]["algorithm"], "x25519");
    assert_eq!(engine["offload"]["measured"][0]["algorithm"], "rsa");
}

/// With libcrypto_mb, which `QAT_GATEWAY_CRYPTO_MB` may name.
#[test]
fn what_an_accelerator_gives_is_measured() {
    let mut setup = setup().set("/acceleration/prefer", json!(["multibuffer"]));
    if let Ok(library) = std::env::var("QAT_GATEWAY_CRYPTO_MB") {
        setup = setup.set("/acceleration/multibuffer/library", library);
    }
    let (tree, config) = (Tree::new(), file(&setup));
    let output = tree.run(&["--json", "--config", &config]);
    let report = parse(&output);
    let multibuffer = &report["accelerators"][2];
    if multibuffer["usable"] == false {
        assert_eq!(output.status.code(), Some(EXIT_UNAVAILABLE));
        eprintln!("SKIPPED: {}", multibuffer["reasons"][0]["what"]);
        return;
    }
    assert_eq!(output.status.code(), Some(0), "{report:#}");
    assert_eq!(report["configuration"]["used"], "multibuffer");
    let offload = &multibuffer["offload"];
    assert!(offload["break_even"].as_u64() >= Some(1), "{offload}");
    for row in offload["measured"].as_array().expect("rows") {
        assert!(row["software"].as_f64() > Some(0.0), "{row}");
        assert!(row["accelerated"].as_f64() > Some(0.0), "{row}");
    }
    let schema = parse(&tree.run(&["--json-schema"]));
    assert!(jsonschema::is_valid(&schema, &report));
    let text = tree.run(&["--config", &config]).stdout;
    let text = String::from_utf8(text).expect("text");
    let words = "prefers multibuffer: uses multibuffer\n";
    assert!(text.contains(words), "no {words:?} in {text}");
    assert!(text.contains("  multibuffer: offloads "), "{text}");
}
