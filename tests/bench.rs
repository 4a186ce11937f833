//! `bench handshake`, run as users run it.

use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use support::process::Process;
use support::{PATIENCE, Setup, eventually, simulated};

use crate::{EXECUTABLE, h2_backend, setup};

const EXIT_FAILURE: i32 = 1;
const EXIT_USAGE: i32 = 64;
const EXIT_UNAVAILABLE: i32 = 69;
const EXIT_OS: i32 = 71;
const EXIT_INTERRUPTED: i32 = 130;

/// One short measurement of a key that is quick to make.
const SHORT: [&str; 8] = [
    "--duration",
    "400ms",
    "--rounds",
    "1",
    "--in-flight",
    "4",
    "--key",
    "p256",
];

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(EXECUTABLE);
    command.args(["bench", "handshake"]).args(arguments);
    command
}

fn run(arguments: &[&str]) -> Output {
    command(arguments).output().expect("it runs")
}

fn parse(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn assert_schema(report: &Value) {
    let schema = parse(&run(&["--json-schema"]));
    let validator = jsonschema::validator_for(&schema).expect("a schema");
    let errors: Vec<String> = validator
        .iter_errors(report)
        .map(|error| error.to_string())
        .collect();
    assert!(errors.is_empty(), "{errors:#?} in {report:#}");
}

fn rows(report: &Value) -> &Vec<Value> {
    report["rows"].as_array().expect("rows")
}

/// A configuration in which only this is said of acceleration.
fn configured(acceleration: Value) -> Setup {
    let setup = Setup::new(EXECUTABLE, "127.0.0.1:8001".parse().expect("an address"));
    setup.set("/acceleration", acceleration)
}

fn path(path: &Path) -> &str {
    path.to_str().expect("a path in UTF-8")
}

#[test]
fn json_tells_what_was_measured() {
    let output = run(&[
        &SHORT[..],
        &["--tls", "1.2,1.3", "--resumed", "--json", "-"],
    ]
    .concat());
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let report = parse(&output);
    assert_schema(&report);
    assert_eq!(report["complete"], true);
    assert_eq!(report["accelerators"][0]["name"], "software");
    assert!(!report["machine"]["cpu"].as_str().unwrap_or("").is_empty());
    let software: Vec<&Value> = rows(&report)
        .iter()
        .filter(|row| row["accelerator"] == "software")
        .collect();
    assert_eq!(software.len(), 4, "two versions, full and resumed");
    for row in software {
        assert_eq!(row["key"], "p256");
        assert_eq!(row["in_flight"], 4);
        assert_eq!(row["failed"], 0, "{row}");
        assert_eq!(row["operations"]["offloaded"], 0);
        assert!(row["handshakes"].as_u64() > Some(0), "{row}");
        assert!(row["handshakes_in_all"].as_u64() >= row["handshakes"].as_u64());
        assert!(row["cpu_us"].as_f64() > Some(0.0), "{row}");
        let [p50, p99, p999] = ["p50_us", "p99_us", "p999_us"].map(|key| row[key].as_u64());
        assert!(Some(0) < p50 && p50 <= p99 && p99 <= p999, "{row}");
    }
}

#[test]
fn resumed_handshakes_can_be_measured_alone() {
    let output = run(&[&SHORT[..], &["--resumed=only", "--json", "-"]].concat());
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let report = parse(&output);
    let resumed = rows(&report).iter().map(|row| row["resumed"] == true);
    assert!(resumed.clone().all(|resumed| resumed), "{report:#}");
    assert!(resumed.count() > 0);
}

#[test]
fn interrupted_it_reports_what_is_done() {
    // A slow machine has nothing done so early.
    let mut times = [500, 2_000, 8_000, 20_000].into_iter();
    let some = times.any(|time| interrupted_after(Duration::from_millis(time)) > 0);
    assert!(some, "not one row");
}

/// How many rows the report of an interrupted run has.
fn interrupted_after(time: Duration) -> usize {
    let folder = tempfile::tempdir().expect("a folder");
    let (json, page) = (folder.path().join("b.json"), folder.path().join("b.html"));
    let mut command = command(&["--duration", "100ms", "--rounds", "1000", "--key", "p256"]);
    command.args(["--in-flight", "4", "--json", path(&json), "--report"]);
    let child = command.arg(&page).stdout(Stdio::piped()).spawn();
    let mut process = Process(child.expect("it runs"));
    load_begins(&process);
    std::thread::sleep(time);
    process.interrupt();
    let status = process.wait(PATIENCE);
    assert_eq!(status.code(), Some(EXIT_INTERRUPTED));
    let text = std::fs::read_to_string(&json).expect("a report");
    let report: Value = serde_json::from_str(&text).expect("JSON");
    assert_schema(&report);
    assert_eq!(report["complete"], false);
    for row in rows(&report) {
        assert!(
            (1..1000).contains(&row["rounds"].as_u64().unwrap_or(0)),
            "{row}"
        );
        assert!(row["handshakes"].as_u64() > Some(0), "{row}");
    }
    let page = std::fs::read_to_string(&page).expect("a page");
    assert!(page.contains("Not all was measured."));
    let mut table = String::new();
    let stdout = process.0.stdout.as_mut().expect("a pipe");
    stdout.read_to_string(&mut table).expect("text");
    assert!(table.ends_with("\nNot all was measured.\n"), "{table}");
    rows(&report).len()
}

/// Its server and load run once the first measurement begins.
fn load_begins(process: &Process) {
    let load = || threads(&process.0).contains(&"load".to_owned());
    eventually("threads of the load", || load().then_some(()));
}

fn threads(child: &Child) -> Vec<String> {
    let tasks = std::fs::read_dir(format!("/proc/{}/task", child.id()));
    let tasks = tasks.into_iter().flatten().flatten();
    let name = |task: std::fs::DirEntry| std::fs::read_to_string(task.path().join("comm")).ok();
    tasks
        .filter_map(name)
        .map(|name| name.trim().to_owned())
        .collect()
}

#[test]
fn what_cannot_be_used_is_not_measured() {
    let output = run(&[&SHORT[..], &["--accelerator", "qat_provider"]].concat());
    assert_eq!(output.status.code(), Some(EXIT_UNAVAILABLE), "{output:?}");
    let told = stderr(&output);
    let words = "bench: what --accelerator names cannot be used\nqat_provider: not used\n  - ";
    assert!(told.starts_with(words), "{told}");
    assert!(output.stdout.is_empty());
}

/// An engine that works, which the configuration keeps from being used.
#[test]
fn an_accelerator_that_does_nothing_fails() {
    let setup = configured(json!({
        "offload": ["rsa", "x25519"], "break_even": 1000,
        "qat_engine": { "id": "simulated" },
    }));
    let Some(report) = with_engine(&setup, Some(EXIT_FAILURE)) else {
        return;
    };
    let row = row(&report);
    assert_eq!(row["operations"]["offloaded"], 0, "{row}");
    assert_eq!(row["marks"][0], "below_break_even", "{row}");
    let problem = report["problems"][0].as_str().unwrap_or_default();
    assert!(
        problem.starts_with("qat_engine offloaded nothing at all"),
        "{report:#}"
    );
}

/// It passes its test at the start, and declines everything from the first case on.
#[test]
fn an_accelerator_that_stops_working_fails() {
    let setup = configured(json!({
        "offload": ["rsa", "x25519"], "break_even": 1,
        "qat_engine": { "id": "simulated" },
    }));
    if !simulated::install(setup.folder()).expect("a link") {
        eprintln!("SKIPPED: no engines, or the simulated one is not beside the tests");
        return;
    }
    let [script, report] = ["script", "report.json"].map(|name| setup.folder().join(name));
    let mut command = command(&["--accelerator", "qat_engine", "--key", "p256"]);
    command
        .args(["--in-flight", "4,8", "--duration", "1s", "--rounds", "1"])
        .args(["--config", path(&setup.write()), "--json", path(&report)])
        .env("OPENSSL_ENGINES", setup.folder())
        .env(simulated::SCRIPT_FILE, &script)
        .stdout(Stdio::null());
    let mut process = Process(command.spawn().expect("it runs"));
    load_begins(&process);
    let unseen = setup.folder().join("unseen");
    std::fs::write(&unseen, "*=declined").expect("written");
    std::fs::rename(&unseen, &script).expect("renamed");
    eventually("obedience", || (!script.exists()).then_some(()));
    assert_eq!(process.wait(PATIENCE).code(), Some(EXIT_FAILURE));
    let text = std::fs::read_to_string(&report).expect("a report");
    let report: Value = serde_json::from_str(&text).expect("JSON");
    let row = rows(&report).last().expect("rows");
    assert_eq!(row["accelerator"], "qat_engine");
    assert_eq!(row["marks"][0], "not_offloaded", "{row}");
    assert!(
        row["handshakes"].as_u64() > Some(0) && row["failed"] == 0,
        "{row}"
    );
    let problem = report["problems"][0].as_str().unwrap_or_default();
    assert!(
        problem.starts_with("qat_engine offloaded nothing"),
        "{report:#}"
    );
}

#[test]
fn offloaded_operations_are_counted() {
    let setup = configured(json!({
        "offload": ["rsa", "x25519"], "break_even": 1,
        "qat_engine": { "id": "simulated" },
    }));
    let Some(report) = with_engine(&setup, Some(0)) else {
        return;
    };
    let row = row(&report);
    let offloaded = row["operations"]["offloaded"].as_u64();
    assert!(offloaded >= row["handshakes"].as_u64(), "{row}");
    assert_eq!(row["accelerated"], row["handshakes"], "{row}");
    assert!(row["gain"].as_f64() > Some(0.0), "{row}");
}

/// The report of a short run with the simulated engine, which must end so.
fn with_engine(setup: &Setup, code: Option<i32>) -> Option<Value> {
    if !simulated::install(setup.folder()).expect("a link") {
        eprintln!("SKIPPED: no engines, or the simulated one is not beside the tests");
        return None;
    }
    let config = setup.write();
    let extra = ["--accelerator", "qat_engine", "--json", "-", "--config"];
    let output = command(&[&SHORT[..], &extra].concat())
        .arg(config)
        .env("OPENSSL_ENGINES", setup.folder())
        .output()
        .expect("it runs");
    assert_eq!(output.status.code(), code, "{output:?}");
    let report = parse(&output);
    assert_schema(&report);
    Some(report)
}

fn row(report: &Value) -> &Value {
    let mut rows = rows(report).iter();
    let row = rows.find(|row| row["accelerator"] == "qat_engine");
    row.expect("a row of the engine")
}

/// With libcrypto_mb, which `QAT_GATEWAY_CRYPTO_MB` may name.
#[test]
fn multibuffer_is_measured_beside_software() {
    let mut acceleration = json!({ "offload": ["rsa", "x25519"], "break_even": 1 });
    if let Ok(library) = std::env::var("QAT_GATEWAY_CRYPTO_MB") {
        acceleration["multibuffer"]["library"] = library.into();
    }
    let setup = configured(acceleration);
    let config = setup.write();
    let extra = ["--accelerator", "multibuffer", "--json", "-", "--config"];
    let mut arguments = [&SHORT[..], &extra, &[path(&config)]].concat();
    arguments[5] = "32";
    let output = run(&arguments);
    if output.status.code() == Some(EXIT_UNAVAILABLE) {
        eprintln!("SKIPPED: {}", stderr(&output));
        return;
    }
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let report = parse(&output);
    let mut rows = rows(&report).iter();
    let row = rows
        .find(|row| row["accelerator"] == "multibuffer")
        .expect("a row");
    assert!(row["operations"]["offloaded"].as_u64() > Some(0), "{row}");
}

#[test]
fn the_page_stands_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let page = folder.path().join("report.html");
    let output = run(&[&SHORT[..], &["--in-flight", "1,4", "--report", path(&page)]].concat());
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let page = std::fs::read_to_string(page).expect("a page");
    assert_eq!(well_formed(&page), Ok(()));
    for foreign in [
        "http:", "https:", "src=", "href=", "url(", "@import", "<script",
    ] {
        assert!(!page.contains(foreign), "{foreign} in {page}");
    }
    for words in ["<svg ", "prefers-color-scheme:dark", "OpenSSL 3", "CPUs"] {
        assert!(page.contains(words), "no {words} in {page}");
    }
}

/// Every element is closed in its turn, as XML wants it.
fn well_formed(page: &str) -> Result<(), String> {
    let mut open: Vec<&str> = Vec::new();
    let mut rest = page.strip_prefix("<!DOCTYPE html>").ok_or("no DOCTYPE")?;
    while let Some(at) = rest.find('<') {
        let end = at + rest[at..].find('>').ok_or("an open tag at the end")?;
        let tag = &rest[at + 1..end];
        rest = &rest[end + 1..];
        match tag.strip_prefix('/') {
            Some(name) if open.last() == Some(&name) => drop(open.pop()),
            Some(name) => return Err(format!("</{name}> within {open:?}")),
            None if tag.ends_with('/') => {}
            None => open.push(tag.split_whitespace().next().ok_or("an empty tag")?),
        }
    }
    match open.as_slice() {
        [] => Ok(()),
        open => Err(format!("left open: {open:?}")),
    }
}

#[test]
fn a_running_gateway_is_loaded() {
    let backend = h2_backend();
    let gateway = setup(&backend).start();
    let address = gateway.address().to_string();
    let arguments = [
        "--connect",
        &address,
        "--sni",
        "localhost",
        "--duration",
        "300ms",
    ];
    let more = [
        "--rounds",
        "1",
        "--in-flight",
        "4",
        "--resumed",
        "--json",
        "-",
    ];
    let output = run(&[&arguments[..], &more].concat());
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let report = parse(&output);
    assert_schema(&report);
    assert_eq!(report["settings"]["target"], address.as_str());
    let rows = rows(&report);
    assert_eq!(rows.len(), 2, "{report:#}");
    let mut measured = 0.0;
    for row in rows {
        assert_eq!(row["accelerator"], Value::Null);
        assert_eq!(row["failed"], 0, "{row}");
        measured += row["handshakes"].as_f64().unwrap_or_default();
    }
    assert!(measured > 0.0);
    let counted = gateway
        .metrics()
        .sum("gateway_tls_handshakes_total", &[("outcome", "completed")]);
    assert!(counted >= measured, "{counted} of {measured}");
}

#[test]
fn a_report_that_cannot_be_written_is_known_before_all_is_measured() {
    let output = run(&["--duration", "10m", "--report", "/no/such/folder/b.html"]);
    assert_eq!(output.status.code(), Some(EXIT_OS), "{output:?}");
    assert!(
        stderr(&output).contains("/no/such/folder/b.html"),
        "{output:?}"
    );
}

/// With room for a few connections, and so many clients that most have none at any time.
#[test]
fn why_handshakes_failed_is_told() {
    let command = format!(
        "ulimit -n 64; exec {EXECUTABLE} bench handshake --key p256 --in-flight 512 \
         --rounds 1 --duration 1s"
    );
    let output = Command::new("sh").args(["-c", &command]).output();
    let output = output.expect("it runs");
    let told = String::from_utf8_lossy(&output.stdout).into_owned() + &stderr(&output);
    assert!(told.contains("Too many open files"), "{told}");
}

/// In TLS 1.2 its clients offer the curves of certificates too, which a server may take for
/// the key exchange.
#[test]
fn another_key_exchange_than_asked_for_is_not_measured() {
    let backend = h2_backend();
    let gateway = setup(&backend).listener("/tls/groups", ["P-256"]).start();
    let address = gateway.address().to_string();
    let connect = |group: &str| {
        let arguments = ["--connect", &address, "--sni", "localhost", "--tls", "1.2"];
        let more = ["--in-flight", "1", "--rounds", "1", "--duration", "100ms"];
        run(&[&arguments[..], &more, &["--group", group]].concat())
    };
    let output = connect("X25519");
    assert_eq!(output.status.code(), Some(EXIT_FAILURE), "{output:?}");
    let told = stderr(&output);
    assert!(
        told.contains("the server chose another key exchange"),
        "{told}"
    );
    assert_eq!(connect("P-256").status.code(), Some(0));
}

#[test]
fn others_servers_are_not_loaded() {
    let output = run(&["--connect", "192.0.2.1:443"]);
    assert_eq!(output.status.code(), Some(EXIT_USAGE), "{output:?}");
    assert!(stderr(&output).contains("--the-owner-agrees"), "{output:?}");
    for wrong in [
        &["--connect", "127.0.0.1"][..],
        &["--connect", "localhost:0"],
        &["--in-flight", "513"],
        &["--group", "no-such-group"],
        &["--duration", "1ms"],
        &["--connect", "127.0.0.1:1", "--key", "p256"],
    ] {
        assert_eq!(run(wrong).status.code(), Some(EXIT_USAGE), "{wrong:?}");
    }
}
