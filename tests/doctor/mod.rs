//! `doctor`, run as users run it, on trees of /sys, /proc and /dev.
//!
//! Every tree is `fixtures/sysfs/ready`, a card that works, with one thing changed.

mod faults;
mod report;

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

use serde_json::Value;
use support::Setup;
use tempfile::TempDir;

use crate::EXECUTABLE;

const CARD: &str = "sys/bus/pci/devices/0000:6b:00.0";
const FUNCTIONS: [&str; 2] = [
    "sys/bus/pci/devices/0000:6b:00.1",
    "sys/bus/pci/devices/0000:6b:00.2",
];

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

/// A configuration's file; nothing listens or connects.
fn setup() -> Setup {
    Setup::new(EXECUTABLE, "127.0.0.1:8001".parse().expect("an address"))
}

fn file(setup: &Setup) -> String {
    setup.write().display().to_string()
}
