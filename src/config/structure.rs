//! Holds the tree against the JSON Schema: every unknown key, missing key, wrong type
//! and value out of bounds, all at once.
//!
//! What is wrong is then taken out of the tree, and what is required but missing is
//! stood in for, until the rest fits the schema: so the meaning of that rest is checked
//! in the same run.

use std::sync::LazyLock;

use jsonschema::Validator;
use serde_json::Value;

use super::explain::{Fault, Finding, findings};
use super::problem::Mark;
use super::report::Report;
use super::tree::{Kind, Node, join_key};

/// More rounds of repair than any real file needs; past it the meaning is not checked.
const MOST_REPAIRS: usize = 1000;

static SCHEMA: LazyLock<(Value, Validator)> = LazyLock::new(|| {
    let schema = super::schema();
    match jsonschema::draft202012::new(&schema) {
        Ok(validator) => (schema, validator),
        Err(error) => unreachable!("the schema is checked by the tests: {error}"),
    }
});

/// Reports all that doesn't fit the schema. What remains of the tree fits it; false if
/// nothing does.
pub(super) fn check(root: &mut Node, report: &mut Report) -> bool {
    let (schema, validator) = &*SCHEMA;
    if matches!(root.kind, Kind::Scalar(Value::Null)) {
        let help = "write at least listeners and clusters".to_owned();
        let top = Mark { line: 1, column: 1 };
        report.push(top, "", "the file is empty", Some(help));
        return false;
    }
    settle_types(root, validator, schema);
    let mut unknown = Vec::new();
    // Unknown keys come first: then a key without a value can count as absent.
    for finding in findings(validator, &root.to_json(), schema) {
        if let Fault::Unknown { key, .. } = &finding.fault {
            tell(root, &finding, report);
            unknown.push(finding.clone());
            remove_key(root, &finding.at, key, report);
        }
    }
    root.walk_mut(&mut drop_empty);
    let first = findings(validator, &root.to_json(), schema);
    for finding in first.iter().filter(|f| !misspelt(f, &unknown)) {
        tell(root, finding, report);
    }
    repair(root, first, validator, schema, report)
}

/// A key that is missing because it was misspelt has been spoken of.
fn misspelt(finding: &Finding, unknown: &[Finding]) -> bool {
    let Fault::Missing { key, .. } = &finding.fault else {
        return false;
    };
    unknown.iter().any(|other| {
        other.at == finding.at
            && matches!(&other.fault, Fault::Unknown { near: Some(near), .. } if near == key)
    })
}

fn repair(
    root: &mut Node,
    mut wrong: Vec<Finding>,
    validator: &Validator,
    schema: &Value,
    report: &mut Report,
) -> bool {
    for _ in 0..MOST_REPAIRS {
        // One at a time: taking out one may move or settle the others.
        let Some(finding) = wrong.into_iter().next() else {
            return true;
        };
        if !mend(root, &finding, report) {
            return false;
        }
        wrong = findings(validator, &root.to_json(), schema);
    }
    false
}

/// Takes out what is wrong, or stands in for what is missing. False: nothing is left.
fn mend(root: &mut Node, finding: &Finding, report: &mut Report) -> bool {
    let Finding { at, fault, .. } = finding;
    match fault {
        Fault::Unknown { key, .. } => remove_key(root, at, key, report),
        Fault::Missing {
            key,
            example: Some(example),
        } => {
            let Some(node) = root.get_mut(at) else {
                return false;
            };
            let (mark, path) = (node.mark, join_key(&node.path, key));
            if let Kind::Map(entries) = &mut node.kind {
                entries.push(super::tree::Entry {
                    key: key.clone(),
                    mark,
                    node: Node::stand_in(example, mark, path),
                });
                return true;
            }
            false
        }
        Fault::Missing { example: None, .. } | Fault::Wrong | Fault::WrongType => {
            match at.split_last() {
                Some((last, parent)) => remove_key(root, parent, last, report),
                None => false,
            }
        }
    }
}

fn remove_key(root: &mut Node, parent: &[String], key: &str, report: &mut Report) -> bool {
    let Some(node) = root.get_mut(parent) else {
        return false;
    };
    let removed = match &mut node.kind {
        Kind::Map(entries) => entries
            .iter()
            .position(|entry| entry.key == key)
            .map(|index| entries.remove(index).node),
        Kind::List(items) => match key.parse::<usize>() {
            Ok(index) if index < items.len() => Some(items.remove(index)),
            _ => None,
        },
        Kind::Scalar(_) => None,
    };
    match removed {
        Some(node) => {
            report.removed.push(node.path);
            true
        }
        None => false,
    }
}

/// Keys without a value are as good as absent.
fn drop_empty(node: &mut Node) {
    if let Kind::Map(entries) = &mut node.kind {
        entries.retain(|entry| !matches!(entry.node.kind, Kind::Scalar(Value::Null)));
    }
}

/// A substituted text that looks like a number stays text where only text fits.
fn settle_types(root: &mut Node, validator: &Validator, schema: &Value) {
    for finding in findings(validator, &root.to_json(), schema) {
        if let (Fault::WrongType, Some(node)) = (&finding.fault, root.get_mut(&finding.at))
            && let Some(substituted) = &node.substituted
        {
            node.kind = Kind::Scalar(Value::String(substituted.text.clone()));
        }
    }
}

fn tell(root: &Node, finding: &Finding, report: &Report) {
    let Some(node) = root.get(&finding.at) else {
        return;
    };
    let help = Some(finding.help.clone()).filter(|help| !help.is_empty());
    match &finding.fault {
        _ if node.stand_in => {}
        Fault::Unknown { key, .. } => {
            let mark = node.entry(key).map_or(node.mark, |entry| entry.mark);
            report.push(mark, &join_key(&node.path, key), &finding.what, help);
        }
        Fault::Missing { .. } => report.push(node.mark, &node.path, &finding.what, help),
        Fault::Wrong | Fault::WrongType => report.push_at(node, &finding.what, help),
    }
}
