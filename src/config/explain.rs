//! Says in words for people what the JSON Schema's validator found.

use std::collections::HashSet;

use jsonschema::error::ValidationErrorKind as Kind;
use jsonschema::{ValidationError, Validator};
use serde_json::Value;

use super::problem::{did_you_mean, or_list};

/// One place that doesn't fit the schema.
#[derive(Clone)]
pub(super) struct Finding {
    /// Keys and indices from the root.
    pub(super) at: Vec<String>,
    pub(super) fault: Fault,
    pub(super) what: String,
    pub(super) help: String,
}

#[derive(Clone)]
pub(super) enum Fault {
    /// The mapping has a key that means nothing.
    Unknown {
        key: String,
        /// The known key that was meant, by the looks of it.
        near: Option<String>,
    },
    /// The mapping lacks a key; the schema's example of its value, if it has one.
    Missing { key: String, example: Option<Value> },
    /// The value is out of bounds.
    Wrong,
    /// The value is of the wrong kind altogether.
    WrongType,
}

/// All that doesn't fit.
pub(super) fn findings(validator: &Validator, instance: &Value, schema: &Value) -> Vec<Finding> {
    let mut out = Vec::new();
    for error in validator.iter_errors(instance) {
        explain(&error, schema, &mut out);
    }
    // Of a wrong value the first fault says enough.
    let mut wrong = HashSet::new();
    out.retain(|finding| {
        !matches!(finding.fault, Fault::Wrong | Fault::WrongType)
            || wrong.insert(finding.at.clone())
    });
    out
}

fn explain(error: &ValidationError<'_>, schema: &Value, out: &mut Vec<Finding>) {
    let sub = subschema(error, schema);
    match error.kind() {
        Kind::AnyOf { context } => match meant_branch(error, context) {
            Some(branch) => branch
                .iter()
                .for_each(|nested| explain(nested, schema, out)),
            None => out.push(wrong_type(error, sub, schema)),
        },
        Kind::AdditionalProperties { unexpected } => {
            for key in unexpected {
                out.push(unknown_key(error, key, sub));
            }
        }
        Kind::Required { property } => {
            let key = property.as_str().unwrap_or_default();
            out.push(missing_key(error, key, sub, schema));
        }
        Kind::Type { .. } => out.push(wrong_type(error, sub, schema)),
        Kind::Enum { .. } | Kind::Constant { .. } => out.push(not_allowed(error, sub, schema)),
        Kind::Pattern { .. } => out.push(not_matching(error, sub)),
        Kind::Minimum { limit } => {
            out.push(wrong(
                error,
                "is too small",
                format!("write at least {limit}"),
            ));
        }
        Kind::Maximum { limit } => {
            out.push(wrong(
                error,
                "is too large",
                format!("write at most {limit}"),
            ));
        }
        Kind::MinItems { .. } | Kind::MinLength { .. } => {
            let help = match examples(sub).first() {
                Some(example) => format!("write for example {example}"),
                None => "give at least one".to_owned(),
            };
            out.push(wrong(error, "is empty", help));
        }
        _ => out.push(wrong(error, "doesn't fit", error.to_string())),
    }
}

fn wrong(error: &ValidationError<'_>, what: impl Into<String>, help: impl Into<String>) -> Finding {
    Finding {
        at: segments(error),
        fault: Fault::Wrong,
        what: what.into(),
        help: help.into(),
    }
}

fn wrong_kind(
    error: &ValidationError<'_>,
    what: impl Into<String>,
    help: impl Into<String>,
) -> Finding {
    Finding {
        fault: Fault::WrongType,
        ..wrong(error, what, help)
    }
}

/// Of several alternatives the one whose type the value has: its problems are meant.
fn meant_branch<'a>(
    error: &ValidationError<'_>,
    context: &'a [Vec<ValidationError<'static>>],
) -> Option<&'a Vec<ValidationError<'static>>> {
    let here = error.instance_path().as_str();
    context.iter().find(|branch| {
        !branch.is_empty()
            && !branch.iter().any(|nested| {
                nested.instance_path().as_str() == here
                    && matches!(
                        nested.kind(),
                        Kind::Type { .. }
                            | Kind::Constant { .. }
                            | Kind::Enum { .. }
                            | Kind::AnyOf { .. }
                    )
            })
    })
}

fn unknown_key(error: &ValidationError<'_>, key: &str, sub: &Value) -> Finding {
    let known: Vec<&str> = match &sub["properties"] {
        Value::Object(properties) => properties.keys().map(String::as_str).collect(),
        _ => Vec::new(),
    };
    let near = did_you_mean(key, known.iter().copied());
    let help = match near {
        _ if key.contains("${") => "variables stand for values, never for keys".to_owned(),
        Some(near) => format!("did you mean {near}?"),
        None => format!("the keys here are {}", known.join(", ")),
    };
    Finding {
        at: segments(error),
        fault: Fault::Unknown {
            key: key.to_owned(),
            near: near.map(str::to_owned),
        },
        what: "this key is unknown".to_owned(),
        help,
    }
}

fn missing_key(error: &ValidationError<'_>, key: &str, sub: &Value, schema: &Value) -> Finding {
    let property = resolve(&sub["properties"][key], schema);
    let example = property["examples"].get(0).cloned();
    let help = match &example {
        Some(example) => format!("add it, for example {key}: {}", bare(example)),
        None => format!(
            "add it: {}",
            property["description"].as_str().unwrap_or(key)
        ),
    };
    Finding {
        at: segments(error),
        fault: Fault::Missing {
            key: key.to_owned(),
            example,
        },
        what: format!("the key {key} is missing"),
        help,
    }
}

fn wrong_type(error: &ValidationError<'_>, sub: &Value, schema: &Value) -> Finding {
    let instance = error.instance().as_ref();
    let words = allowed_words(sub, schema);
    if instance.is_string() && !words.is_empty() && wants_only_words_or_map(sub, schema) {
        return not_allowed(error, sub, schema);
    }
    let is = type_name(instance);
    if sub["title"] == "duration" && instance.is_number() {
        let help = format!("write {instance}s, or another unit: ms, s, m, h, d");
        return wrong_kind(error, "has no unit", help);
    }
    if words.contains(&bare(instance)) {
        return wrong_kind(error, format!("is {is}, not text"), quoted(instance));
    }
    let scalar = instance.is_number() || instance.is_boolean();
    if scalar && sub["type"] == "string" && words.is_empty() && examples(sub).is_empty() {
        return wrong_kind(error, format!("is {is}, not text"), quoted(instance));
    }
    wrong_kind(
        error,
        format!("is {is}"),
        format!("write {}", expected(sub, schema)),
    )
}

fn wants_only_words_or_map(sub: &Value, schema: &Value) -> bool {
    branches(sub, schema)
        .iter()
        .all(|branch| branch["type"] != "string" || branch["enum"].is_array())
}

fn quoted(instance: &Value) -> String {
    format!("write it in quotes: \"{}\"", bare(instance))
}

fn not_allowed(error: &ValidationError<'_>, sub: &Value, schema: &Value) -> Finding {
    let words = allowed_words(sub, schema);
    let near = error
        .instance()
        .as_str()
        .and_then(|word| did_you_mean(word, words.iter().map(String::as_str)));
    let all = expected(sub, schema);
    let help = match near {
        Some(near) if words.len() > 1 => format!("did you mean {near}? write {all}"),
        _ => format!("write {all}"),
    };
    wrong_kind(error, "is not allowed here", help)
}

fn not_matching(error: &ValidationError<'_>, sub: &Value) -> Finding {
    let title = sub["title"].as_str().unwrap_or("value of this kind");
    let what = match title {
        "duration" | "size" => format!("is not a {title}"),
        _ => "is not allowed here".to_owned(),
    };
    wrong_kind(error, what, format!("write {}", described(sub)))
}

/// What a schema wants, in words: `a number with a unit, such as 250ms or 10s`.
fn expected(sub: &Value, schema: &Value) -> String {
    let branches: Vec<String> = branches(sub, schema)
        .into_iter()
        .filter(|branch| branch["type"] != "null")
        .map(described)
        .collect();
    or_list(&branches)
}

fn described(sub: &Value) -> String {
    let such = examples(sub);
    match (sub["title"].as_str(), &sub["enum"]) {
        (Some("duration" | "size"), _) => {
            format!("a number with a unit, such as {}", or_list(&such))
        }
        (Some(title), _) if !such.is_empty() => format!("a {title}, such as {}", or_list(&such)),
        (_, Value::Array(words)) => or_list(&words.iter().map(bare).collect::<Vec<_>>()),
        _ => {
            let kinds = match &sub["type"] {
                Value::Array(kinds) => kinds.clone(),
                kind => vec![kind.clone()],
            };
            let kinds: Vec<String> = kinds
                .iter()
                .filter_map(|kind| kind_name(kind.as_str()?, sub))
                .collect();
            match such.as_slice() {
                [] => or_list(&kinds),
                such => format!("{}, such as {}", or_list(&kinds), or_list(such)),
            }
        }
    }
}

fn kind_name(kind: &str, sub: &Value) -> Option<String> {
    let name = match kind {
        "string" => "text",
        "integer" if sub["minimum"] == 1 => "a whole number from 1",
        "integer" => "a whole number",
        "number" => "a number",
        "boolean" => "true or false",
        "array" => "a list",
        "object" => match &sub["properties"] {
            Value::Object(properties) => {
                let keys: Vec<&str> = properties.keys().map(String::as_str).collect();
                return Some(format!("a mapping with keys such as {}", keys.join(", ")));
            }
            _ => "a mapping of names to values",
        },
        _ => return None,
    };
    Some(name.to_owned())
}

fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "empty",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "a mapping",
    }
}

/// Every alternative of a schema, references followed.
fn branches<'a>(sub: &'a Value, schema: &'a Value) -> Vec<&'a Value> {
    match &sub["anyOf"] {
        Value::Array(all) => all
            .iter()
            .flat_map(|branch| branches(resolve(branch, schema), schema))
            .collect(),
        _ => vec![sub],
    }
}

fn allowed_words(sub: &Value, schema: &Value) -> Vec<String> {
    branches(sub, schema)
        .iter()
        .filter_map(|branch| branch["enum"].as_array())
        .flatten()
        .map(bare)
        .collect()
}

fn examples(sub: &Value) -> Vec<String> {
    match &sub["examples"] {
        Value::Array(all) => all.iter().map(bare).collect(),
        _ => Vec::new(),
    }
}

/// As YAML writes it, without quotes where it needs none.
fn bare(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// The schema that holds the keyword which failed.
fn subschema<'a>(error: &ValidationError<'_>, schema: &'a Value) -> &'a Value {
    let keyword = error.schema_path().as_str();
    let parent = keyword.rfind('/').map_or("", |end| &keyword[..end]);
    resolve(schema.pointer(parent).unwrap_or(schema), schema)
}

fn resolve<'a>(sub: &'a Value, schema: &'a Value) -> &'a Value {
    // An example beside a reference is nearer to the point than the target's.
    match sub["$ref"].as_str() {
        Some(reference) if sub["examples"].is_null() => schema
            .pointer(reference.trim_start_matches('#'))
            .unwrap_or(sub),
        _ => sub,
    }
}

fn segments(error: &ValidationError<'_>) -> Vec<String> {
    error
        .instance_path()
        .as_str()
        .split('/')
        .skip(1)
        .map(|segment| segment.replace("~1", "/").replace("~0", "~"))
        .collect()
}
