//! The JSON Schema itself.

use serde_json::Value;

use super::super::{schema, tree};

/// Every key of the schema: lists as `[]`, free names as `*`
/// (`listeners[].routes[].match.headers.*.prefix`).
pub(super) fn keys() -> Vec<String> {
    let schema = schema();
    let mut out = Vec::new();
    walk(&schema, &schema, "", &mut out);
    out.sort();
    out.dedup();
    out
}

fn walk(sub: &Value, schema: &Value, path: &str, out: &mut Vec<String>) {
    if let Some(reference) = sub["$ref"].as_str() {
        let target = schema.pointer(reference.trim_start_matches('#')).unwrap();
        return walk(target, schema, path, out);
    }
    for branch in sub["anyOf"].as_array().into_iter().flatten() {
        walk(branch, schema, path, out);
    }
    if sub["items"].is_object() {
        walk(&sub["items"], schema, &format!("{path}[]"), out);
    }
    if sub["additionalProperties"].is_object() {
        walk(
            &sub["additionalProperties"],
            schema,
            &format!("{path}.*"),
            out,
        );
    }
    for (key, property) in sub["properties"].as_object().into_iter().flatten() {
        let path = match path {
            "" => key.clone(),
            _ => format!("{path}.{key}"),
        };
        out.push(path.clone());
        walk(property, schema, &path, out);
    }
}

#[test]
fn is_valid_draft_2020_12() {
    let schema = schema();
    assert_eq!(
        schema["$schema"],
        "https://json-schema.org/draft/2020-12/schema"
    );
    assert!(jsonschema::meta::is_valid(&schema));
    jsonschema::draft202012::new(&schema).unwrap();
}

#[test]
fn describes_every_key_and_forbids_others() {
    let schema = schema();
    let mut objects = vec![&schema];
    objects.extend(schema["$defs"].as_object().unwrap().values());
    for object in objects {
        let Some(properties) = object["properties"].as_object() else {
            continue;
        };
        assert_eq!(object["additionalProperties"], false, "{object:#}");
        for (key, property) in properties {
            let text = property["description"].as_str();
            assert!(
                text.is_some_and(|t| !t.contains('\n')),
                "{key} in {object:#}"
            );
        }
    }
}

/// The examples stand in for what is missing, and are shown to people: they must fit.
#[test]
fn gives_examples_and_defaults_that_fit() {
    let schema = schema();
    let mut all = Vec::new();
    collect(&schema, &mut all);
    assert!(all.len() > 100);
    for (sub, value) in all {
        let mut alone = sub.clone();
        alone["$defs"] = schema["$defs"].clone();
        let validator = jsonschema::draft202012::new(&alone).unwrap();
        assert!(validator.is_valid(&value), "{value} in {sub:#}");
    }
}

fn collect(sub: &Value, out: &mut Vec<(Value, Value)>) {
    if let Some(examples) = sub["examples"].as_array() {
        out.extend(
            examples
                .iter()
                .map(|example| (sub.clone(), example.clone())),
        );
    }
    if !sub["default"].is_null() {
        out.push((sub.clone(), sub["default"].clone()));
    }
    match sub {
        Value::Object(map) => map
            .iter()
            .filter(|(key, _)| *key != "examples" && *key != "default")
            .for_each(|(_, value)| collect(value, out)),
        Value::Array(items) => items.iter().for_each(|item| collect(item, out)),
        _ => {}
    }
}

#[test]
fn accepts_the_shipped_files() {
    let validator = jsonschema::draft202012::new(&schema()).unwrap();
    for text in [super::shipped::FULL, super::shipped::MINIMAL] {
        let Ok((root, _)) = tree::parse(text) else {
            panic!("not YAML");
        };
        validator.validate(&root.to_json()).unwrap();
    }
}
