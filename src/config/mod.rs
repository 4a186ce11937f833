//! The YAML file: raw values in, checked parameters out.
//!
//! ```text
//! text ─parse→ tree with lines ─substitute ${NAME}→ ─hold against the schema→
//!      ─serde→ raw values ─resolve→ parameters
//! ```
//!
//! No step stops at its first problem. What one step finds wrong it takes out of the
//! tree, so that the next still checks the rest: one run reports everything.
//! `raw` is the one source of truth: serde reads it, and the JSON Schema that editors
//! and the structural check use is generated from it.

mod env;
mod explain;
mod params;
mod problem;
mod raw;
mod report;
mod resolve;
mod structure;
#[cfg(test)]
mod tests;
mod tree;

use std::path::{Path, PathBuf};

pub use params::{DrainParams, GatewayParams, ReloadParams};
pub use problem::{Mark, Problem, Problems, Severity};

use report::{At, Report};
use tree::{Kind, Node};

/// A configuration without problems.
#[derive(Clone)]
pub struct Loaded {
    pub params: GatewayParams,
    /// What hardly does what was meant, by line.
    pub warnings: Vec<Problem>,
    /// The files it names, which have been read as well.
    pub files: Vec<PathBuf>,
}

/// Reads and checks a configuration file, and the files it names. Relative paths in it
/// start at its own folder. `env` looks up the variables of `${NAME}`.
pub fn load(path: &Path, env: &dyn Fn(&str) -> Option<String>) -> Result<Loaded, Problems> {
    let name = path.display().to_string();
    // The folder of `edge.yaml` alone is the working directory.
    let base = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    let (what, help) = match std::fs::read(path).map(String::from_utf8) {
        Ok(Ok(text)) => return load_str(&name, &text, base, env),
        Ok(Err(_)) => ("is not UTF-8 text".to_owned(), Some("save it as UTF-8")),
        Err(error) => (format!("can't be read: {error}"), None),
    };
    let report = Report::new(&name, base.to_owned());
    let help = help.map(str::to_owned);
    report.push(None, "", format_args!("the file {what}"), help);
    match report.finish() {
        Err(problems) => Err(problems),
        Ok(_) => unreachable!("a problem was just reported"),
    }
}

/// Checks a configuration that is already in memory; `name` stands for the file in
/// messages, relative paths start at `base`.
pub fn load_str(
    name: &str,
    text: &str,
    base: &Path,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<Loaded, Problems> {
    let mut report = Report::new(name, base.to_owned());
    let params = read(text, env, &mut report);
    let files = report.files.take().into_iter().collect();
    let warnings = report.finish()?;
    match params {
        Some(params) => Ok(Loaded {
            params,
            warnings,
            files,
        }),
        None => unreachable!("no parameters without a problem"),
    }
}

/// The JSON Schema of the file (draft 2020-12), for editors.
pub fn schema() -> serde_json::Value {
    raw::schema()
}

fn read(
    text: &str,
    env: &dyn Fn(&str) -> Option<String>,
    report: &mut Report,
) -> Option<GatewayParams> {
    let (mut root, duplicates) = match tree::parse(text) {
        Ok(parsed) => parsed,
        Err(malformed) => {
            let what = format!("this is not YAML: {}", malformed.what);
            let help = malformed.help.map(str::to_owned);
            report.push(malformed.mark, "", what, help);
            return None;
        }
    };
    for duplicate in duplicates {
        let what = format!(
            "this key stands here again, after line {}",
            duplicate.first.line
        );
        let help = Some("keep one of the two".to_owned());
        report.push(duplicate.mark, &duplicate.path, what, help);
    }
    env::substitute(&mut root, env, &mut |node, unset| {
        report.push_at(node, unset.what, Some(unset.help));
    });
    report.cluster_names = cluster_names(&root);
    if !structure::check(&mut root, report) {
        return None;
    }
    let source = root.to_json();
    match serde_json::from_value(source.clone()) {
        Ok(raw) => Some(resolve::config(&At::root(report, &root), raw, source)),
        // The schema is made from what serde reads, so this is a gap between the two.
        Err(error) => {
            let what = format!("can't be read in spite of its schema: {error}");
            report.push(root.mark, "", what, None);
            None
        }
    }
}

/// All names of clusters, whatever else is wrong with them.
fn cluster_names(root: &Node) -> Vec<String> {
    let Some(Kind::List(clusters)) = root.child("clusters").map(|node| &node.kind) else {
        return Vec::new();
    };
    clusters
        .iter()
        .filter_map(|cluster| cluster.child("name")?.to_json().as_str().map(str::to_owned))
        .collect()
}
