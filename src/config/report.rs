//! Collects the problems of one file, and the places they are reported at.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fmt::Display;
use std::path::PathBuf;
use std::sync::Arc;

use super::problem::{Mark, Problem, Problems, Severity};
use super::tree::{Kind, Node, join_key};

/// What is known about one file while it is checked.
pub(super) struct Report {
    file: Arc<str>,
    /// Relative paths in the file start here.
    pub(super) base: PathBuf,
    /// The clusters the file names, those included whose other settings are wrong.
    pub(super) cluster_names: Vec<String>,
    /// Paths of what was taken out of the tree, since it is wrong.
    pub(super) removed: Vec<String>,
    /// Files that were read beside it.
    pub(super) files: RefCell<BTreeSet<PathBuf>>,
    found: RefCell<Vec<Problem>>,
}

impl Report {
    pub(super) fn new(file: &str, base: PathBuf) -> Self {
        Report {
            file: file.into(),
            base,
            cluster_names: Vec::new(),
            removed: Vec::new(),
            files: RefCell::default(),
            found: RefCell::default(),
        }
    }

    pub(super) fn push(
        &self,
        mark: impl Into<Option<Mark>>,
        path: &str,
        what: impl Display,
        help: Option<String>,
    ) {
        self.add(Severity::Error, mark.into(), path, None, what, help);
    }

    pub(super) fn push_at(&self, node: &Node, what: impl Display, help: Option<String>) {
        self.add_at(Severity::Error, node, what, help);
    }

    fn add_at(&self, severity: Severity, node: &Node, what: impl Display, help: Option<String>) {
        if node.stand_in {
            return;
        }
        let value = match node.kind {
            Kind::Scalar(_) => Some(match &node.substituted {
                Some(substituted) => format!("{} (from {})", node.shown(), substituted.source),
                None => node.shown(),
            }),
            _ => None,
        };
        self.add(severity, Some(node.mark), &node.path, value, what, help);
    }

    fn add(
        &self,
        severity: Severity,
        mark: Option<Mark>,
        path: &str,
        value: Option<String>,
        what: impl Display,
        help: Option<String>,
    ) {
        let problem = Problem {
            severity,
            file: self.file.clone(),
            mark,
            path: path.to_owned(),
            value,
            what: what.to_string(),
            help,
        };
        let mut found = self.found.borrow_mut();
        if !found.contains(&problem) {
            found.push(problem);
        }
    }

    /// The warnings, if nothing is wrong; everything otherwise.
    pub(super) fn finish(self) -> Result<Vec<Problem>, Problems> {
        let mut all = self.found.into_inner();
        all.sort_by_key(|problem| problem.mark);
        let (errors, warnings): (Vec<_>, Vec<_>) = all
            .into_iter()
            .partition(|problem| problem.severity == Severity::Error);
        match errors.is_empty() {
            true => Ok(warnings),
            false => Err(Problems { errors, warnings }),
        }
    }
}

/// A place in the file, whether or not something is written there.
#[derive(Clone)]
pub(super) struct At<'t> {
    pub(super) report: &'t Report,
    /// None: not in the file; a default holds.
    node: Option<&'t Node>,
    /// The nearest place that is in the file.
    mark: Mark,
    path: String,
    /// At or below something that is only a stand-in.
    stand_in: bool,
}

impl<'t> At<'t> {
    pub(super) fn root(report: &'t Report, root: &'t Node) -> Self {
        At {
            report,
            node: Some(root),
            mark: root.mark,
            path: String::new(),
            stand_in: false,
        }
    }

    pub(super) fn key(&self, key: &str) -> At<'t> {
        self.step(key, join_key(&self.path, key))
    }

    pub(super) fn item(&self, index: usize) -> At<'t> {
        self.step(&index.to_string(), format!("{}[{index}]", self.path))
    }

    /// The key itself instead of its value.
    pub(super) fn name_of(&self, key: &str) -> At<'t> {
        let mut at = self.key(key);
        at.mark = self
            .node
            .and_then(|node| node.entry(key))
            .map_or(at.mark, |entry| entry.mark);
        at.node = None;
        at
    }

    fn step(&self, segment: &str, path: String) -> At<'t> {
        let node = self.node.and_then(|node| node.child(segment));
        At {
            report: self.report,
            node,
            mark: node.map_or(self.mark, |node| node.mark),
            path: node.map_or(path, |node| node.path.clone()),
            stand_in: self.stand_in || node.is_some_and(|node| node.stand_in),
        }
    }

    /// Written in the file, not a default.
    pub(super) fn given(&self) -> bool {
        self.node.is_some()
    }

    pub(super) fn is_stand_in(&self) -> bool {
        self.stand_in
    }

    /// Nothing at or below this place was taken out: what is absent here is absent in
    /// the file.
    pub(super) fn whole(&self) -> bool {
        !self.report.removed.iter().any(|path| {
            path.strip_prefix(self.path.as_str()).is_some_and(|rest| {
                self.path.is_empty() || rest.is_empty() || rest.starts_with(['.', '['])
            })
        })
    }

    pub(super) fn path(&self) -> &str {
        &self.path
    }

    pub(super) fn line(&self) -> u64 {
        self.mark.line
    }

    pub(super) fn error(&self, what: impl Display, help: impl Display) {
        self.add(Severity::Error, what, help);
    }

    pub(super) fn warn(&self, what: impl Display, help: impl Display) {
        self.add(Severity::Warning, what, help);
    }

    fn add(&self, severity: Severity, what: impl Display, help: impl Display) {
        let help = Some(help.to_string()).filter(|help| !help.is_empty());
        match self.node {
            _ if self.stand_in => {}
            Some(node) => self.report.add_at(severity, node, what, help),
            None => {
                let mark = Some(self.mark);
                self.report
                    .add(severity, mark, &self.path, None, what, help);
            }
        }
    }
}
