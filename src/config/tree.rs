//! The file as a tree in which every key and value knows its line and column.
//!
//! The later steps take wrong parts out of the tree so that the rest can still be
//! checked; a node therefore remembers the path it had in the file.

use std::fmt;

use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::Value;
use serde_yaml::Spanned;

use super::problem::Mark;

#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) mark: Mark,
    /// As the file has it, even after neighbours were taken out.
    pub(super) path: String,
    pub(super) kind: Kind,
    /// Of a scalar that had `${NAME}` in it.
    pub(super) substituted: Option<Substituted>,
    /// Not in the file: stands in for a required value that is missing or wrong, so
    /// that what surrounds it can be checked. Nothing is reported about it.
    pub(super) stand_in: bool,
}

#[derive(Clone, Debug)]
pub(super) struct Substituted {
    /// As the file has it.
    pub(super) source: String,
    pub(super) text: String,
}

#[derive(Clone, Debug)]
pub(super) enum Kind {
    Scalar(Value),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) mark: Mark,
    pub(super) node: Node,
}

/// A key that stands twice in one mapping.
pub(super) struct Duplicate {
    pub(super) path: String,
    pub(super) mark: Mark,
    pub(super) first: Mark,
}

/// A file that is no YAML.
pub(super) struct Malformed {
    pub(super) mark: Option<Mark>,
    pub(super) what: String,
    pub(super) help: Option<&'static str>,
}

/// Reads YAML; of keys that stand twice the first is kept.
pub(super) fn parse(text: &str) -> Result<(Node, Vec<Duplicate>), Malformed> {
    let options = serde_yaml::options! {
        duplicate_keys: serde_yaml::DuplicateKeyPolicy::PassThrough,
        // YAML 1.2's booleans: `off` is a word here.
        strict_booleans: true,
        reject_unsupported_tags: true,
        with_snippet: false,
    };
    let raw: Spanned<RawKind> =
        serde_yaml::from_str_with_options(text, options).map_err(|error| malformed(&error))?;
    let mut duplicates = Vec::new();
    let mark = mark_of(&raw).unwrap_or(Mark { line: 1, column: 1 });
    let root = place(raw.value, mark, String::new(), &mut duplicates);
    Ok((root, duplicates))
}

/// The type YAML gives to a word standing alone, if that is a number or a boolean.
pub(super) fn retype(text: &str) -> Option<Value> {
    if text.is_empty() || text.contains(|c: char| c.is_whitespace() || c == '#') {
        return None;
    }
    match parse(text).ok()?.0.kind {
        Kind::Scalar(value @ (Value::Bool(_) | Value::Number(_))) => Some(value),
        _ => None,
    }
}

fn malformed(error: &serde_yaml::Error) -> Malformed {
    let mark = error.location().map(|at| Mark {
        line: at.line(),
        column: at.column(),
    });
    let text = error.render_with_options(serde_yaml::render_options! {
        formatter: &serde_yaml::UserMessageFormatter,
        snippets: serde_yaml::SnippetMode::Off,
    });
    let first = text.lines().next().unwrap_or_default();
    // The place is said in front of the message already.
    let what = first
        .split_once(" at line ")
        .map_or(first, |(what, _)| what);
    let help = match what {
        _ if what.contains("a tab") || what.contains("tabs ") => Some("indent with spaces"),
        _ if what.contains("multiple found") => Some("leave out --- and what follows it"),
        _ => None,
    };
    Malformed {
        mark,
        what: what.to_owned(),
        help,
    }
}

impl Node {
    /// A value that is not in the file; see `stand_in`.
    pub(super) fn stand_in(value: &Value, mark: Mark, path: String) -> Node {
        let kind = match value {
            Value::Array(items) => Kind::List(
                items
                    .iter()
                    .enumerate()
                    .map(|(i, item)| Node::stand_in(item, mark, format!("{path}[{i}]")))
                    .collect(),
            ),
            Value::Object(map) => Kind::Map(
                map.iter()
                    .map(|(key, value)| Entry {
                        key: key.clone(),
                        mark,
                        node: Node::stand_in(value, mark, join_key(&path, key)),
                    })
                    .collect(),
            ),
            scalar => Kind::Scalar(scalar.clone()),
        };
        Node {
            mark,
            path,
            kind,
            substituted: None,
            stand_in: true,
        }
    }

    pub(super) fn to_json(&self) -> Value {
        match &self.kind {
            Kind::Scalar(value) => value.clone(),
            Kind::List(items) => items.iter().map(Node::to_json).collect(),
            Kind::Map(entries) => Value::Object(
                entries
                    .iter()
                    .map(|entry| (entry.key.clone(), entry.node.to_json()))
                    .collect(),
            ),
        }
    }

    pub(super) fn entry(&self, key: &str) -> Option<&Entry> {
        match &self.kind {
            Kind::Map(entries) => entries.iter().find(|entry| entry.key == key),
            _ => None,
        }
    }

    pub(super) fn child(&self, segment: &str) -> Option<&Node> {
        match &self.kind {
            Kind::Map(_) => self.entry(segment).map(|entry| &entry.node),
            Kind::List(items) => items.get(segment.parse::<usize>().ok()?),
            Kind::Scalar(_) => None,
        }
    }

    pub(super) fn child_mut(&mut self, segment: &str) -> Option<&mut Node> {
        match &mut self.kind {
            Kind::Map(entries) => entries
                .iter_mut()
                .find(|entry| entry.key == segment)
                .map(|entry| &mut entry.node),
            Kind::List(items) => items.get_mut(segment.parse::<usize>().ok()?),
            Kind::Scalar(_) => None,
        }
    }

    pub(super) fn get(&self, segments: &[String]) -> Option<&Node> {
        segments
            .iter()
            .try_fold(self, |node, segment| node.child(segment))
    }

    pub(super) fn get_mut(&mut self, segments: &[String]) -> Option<&mut Node> {
        segments
            .iter()
            .try_fold(self, |node, segment| node.child_mut(segment))
    }

    /// Every node, parents first.
    pub(super) fn walk_mut(&mut self, visit: &mut dyn FnMut(&mut Node)) {
        visit(self);
        match &mut self.kind {
            Kind::Scalar(_) => {}
            Kind::List(items) => items.iter_mut().for_each(|item| item.walk_mut(visit)),
            Kind::Map(entries) => entries
                .iter_mut()
                .for_each(|entry| entry.node.walk_mut(visit)),
        }
    }

    /// What the file says here, short enough for a line.
    pub(super) fn shown(&self) -> String {
        const LONGEST: usize = 80;
        let text = self.to_json().to_string();
        match text.char_indices().nth(LONGEST) {
            Some((end, _)) => format!("{}...", &text[..end]),
            None => text,
        }
    }
}

/// `path.key`, or `path["key"]` where the key has other than word characters.
pub(super) fn join_key(path: &str, key: &str) -> String {
    let plain = !key.is_empty()
        && key
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "_-".contains(c));
    match (path.is_empty(), plain) {
        (true, true) => key.to_owned(),
        (false, true) => format!("{path}.{key}"),
        (_, false) => format!("{path}[{key:?}]"),
    }
}

fn mark_of<T>(spanned: &Spanned<T>) -> Option<Mark> {
    let at = spanned.referenced;
    (at.line() > 0).then(|| Mark {
        line: at.line(),
        column: at.column(),
    })
}

fn place(raw: RawKind, mark: Mark, path: String, duplicates: &mut Vec<Duplicate>) -> Node {
    let kind = match raw {
        RawKind::Scalar(value) => Kind::Scalar(value),
        RawKind::List(items) => Kind::List(
            items
                .into_iter()
                .enumerate()
                .map(|(i, item)| {
                    let mark = mark_of(&item).unwrap_or(mark);
                    place(item.value, mark, format!("{path}[{i}]"), duplicates)
                })
                .collect(),
        ),
        RawKind::Map(pairs) => Kind::Map(place_entries(pairs, mark, &path, duplicates)),
    };
    Node {
        mark,
        path,
        kind,
        substituted: None,
        stand_in: false,
    }
}

fn place_entries(
    pairs: Vec<(Spanned<String>, Spanned<RawKind>)>,
    mark: Mark,
    path: &str,
    duplicates: &mut Vec<Duplicate>,
) -> Vec<Entry> {
    let mut entries: Vec<Entry> = Vec::with_capacity(pairs.len());
    for (key, value) in pairs {
        let key_mark = mark_of(&key).unwrap_or(mark);
        let path = join_key(path, &key.value);
        if let Some(first) = entries.iter().find(|entry| entry.key == key.value) {
            duplicates.push(Duplicate {
                path,
                mark: key_mark,
                first: first.mark,
            });
            continue;
        }
        // A value that isn't there has no place of its own.
        let value_mark = match &value.value {
            RawKind::Scalar(Value::Null) => key_mark,
            _ => mark_of(&value).unwrap_or(key_mark),
        };
        entries.push(Entry {
            key: key.value,
            mark: key_mark,
            node: place(value.value, value_mark, path, duplicates),
        });
    }
    entries
}

enum RawKind {
    Scalar(Value),
    List(Vec<Spanned<RawKind>>),
    Map(Vec<(Spanned<String>, Spanned<RawKind>)>),
}

impl<'de> Deserialize<'de> for RawKind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RawVisitor)
    }
}

struct RawVisitor;

/// 2^53: the first whole number whose successor a double can't hold.
const MOST_EXACT: f64 = 9_007_199_254_740_992.0;

impl<'de> Visitor<'de> for RawVisitor {
    type Value = RawKind;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E: de::Error>(self) -> Result<RawKind, E> {
        Ok(RawKind::Scalar(Value::Null))
    }

    fn visit_none<E: de::Error>(self) -> Result<RawKind, E> {
        Ok(RawKind::Scalar(Value::Null))
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<RawKind, D::Error> {
        RawKind::deserialize(deserializer)
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<RawKind, E> {
        Ok(RawKind::Scalar(value.into()))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<RawKind, E> {
        Ok(RawKind::Scalar(value.into()))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<RawKind, E> {
        Ok(RawKind::Scalar(value.into()))
    }

    fn visit_i128<E: de::Error>(self, value: i128) -> Result<RawKind, E> {
        Ok(RawKind::Scalar((value as f64).into()))
    }

    fn visit_u128<E: de::Error>(self, value: u128) -> Result<RawKind, E> {
        Ok(RawKind::Scalar((value as f64).into()))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<RawKind, E> {
        // 2.0 and 1e3 are whole numbers to a JSON Schema.
        Ok(RawKind::Scalar(match value {
            _ if value.fract() == 0.0 && value.abs() < MOST_EXACT => (value as i64).into(),
            _ => value.into(),
        }))
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<RawKind, E> {
        Ok(RawKind::Scalar(value.into()))
    }

    fn visit_string<E: de::Error>(self, value: String) -> Result<RawKind, E> {
        Ok(RawKind::Scalar(value.into()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<RawKind, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        Ok(RawKind::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<RawKind, A::Error> {
        let mut pairs = Vec::new();
        while let Some(pair) = map.next_entry()? {
            pairs.push(pair);
        }
        Ok(RawKind::Map(pairs))
    }
}
