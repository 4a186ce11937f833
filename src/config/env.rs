//! `${NAME}` and `${NAME:-default}` in values, as the shell has them; `$${` stands for
//! a literal `${`.
//!
//! It happens after parsing, so a variable's text can never change the structure of
//! the file. A value that is nothing but one substitution takes the type YAML would
//! give to its text, so that `workers: ${WORKERS:-2}` is a number.

use serde_json::Value;

use super::tree::{Kind, Node, Substituted, retype};

pub(super) type Lookup<'a> = &'a dyn Fn(&str) -> Option<String>;

/// A substitution that can't be made.
pub(super) struct Unset {
    pub(super) what: String,
    pub(super) help: String,
}

/// Substitutes in every value of the tree; calls `failed` for each that can't be.
pub(super) fn substitute(root: &mut Node, env: Lookup<'_>, failed: &mut dyn FnMut(&Node, Unset)) {
    root.walk_mut(&mut |node| {
        let Kind::Scalar(Value::String(text)) = &node.kind else {
            return;
        };
        if !text.contains("${") {
            return;
        }
        match expand(text, env) {
            Ok(expansion) => {
                let value = match (expansion.whole, retype(&expansion.text)) {
                    (true, Some(value)) => value,
                    _ => Value::String(expansion.text.clone()),
                };
                node.substituted = Some(Substituted {
                    source: text.clone(),
                    text: expansion.text,
                });
                node.kind = Kind::Scalar(value);
            }
            Err(unset) => {
                failed(node, unset);
                // Said once: what stands there now is nobody's fault.
                node.stand_in = true;
            }
        }
    });
}

struct Expansion {
    text: String,
    /// Nothing but one substitution.
    whole: bool,
}

fn expand(text: &str, env: Lookup<'_>) -> Result<Expansion, Unset> {
    let mut out = String::new();
    let mut rest = text;
    let mut whole = false;
    while let Some(start) = rest.find("${") {
        if let Some(before) = rest[..start].strip_suffix('$') {
            out.push_str(before);
            out.push_str("${");
            rest = &rest[start + 2..];
            continue;
        }
        out.push_str(&rest[..start]);
        let inner = &rest[start + 2..];
        let Some(end) = inner.find('}') else {
            return Err(Unset {
                what: format!("opens a ${{ that nothing closes: {:?}", &rest[start..]),
                help: "write ${NAME}, ${NAME:-default}, or $${ for a literal ${".to_owned(),
            });
        };
        whole = rest.len() == text.len() && start == 0 && end + 3 == text.len();
        out.push_str(&lookup(&inner[..end], env)?);
        rest = &inner[end + 1..];
    }
    out.push_str(rest);
    Ok(Expansion { text: out, whole })
}

fn lookup(reference: &str, env: Lookup<'_>) -> Result<String, Unset> {
    let (name, default) = match reference.split_once(":-") {
        Some((name, default)) => (name, Some(default)),
        None => (reference, None),
    };
    let valid = name
        .chars()
        .enumerate()
        .all(|(i, c)| c == '_' || c.is_ascii_alphabetic() || (i > 0 && c.is_ascii_digit()));
    if name.is_empty() || !valid {
        return Err(Unset {
            what: format!("refers to {name:?}, which is no environment variable's name"),
            help: "write ${NAME}, ${NAME:-default}, or $${ for a literal ${".to_owned(),
        });
    }
    if default.is_some_and(|default| default.contains("${")) {
        return Err(Unset {
            what: format!("has a variable in the default of {name}"),
            help: "write a default that is plain text, as in ${NAME:-default}".to_owned(),
        });
    }
    match (env(name), default) {
        (Some(value), None) => Ok(value),
        (Some(value), Some(_)) if !value.is_empty() => Ok(value),
        (_, Some(default)) => Ok(default.to_owned()),
        (None, None) => Err(Unset {
            what: format!("needs the environment variable {name}, which is not set"),
            help: format!("set it, or give a default: ${{{name}:-default}}"),
        }),
    }
}
