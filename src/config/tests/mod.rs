//! Tests of whole files: what is accepted, what is said about the rest.

mod certs;
mod files;
mod golden;
mod mutation;
mod repair;
mod routes;
mod schema;
mod settings;
mod shipped;
mod substitution;
mod table;

use std::path::Path;

use serde_json::{Value, json};

use super::{Loaded, Problems, load_str};

/// Loads a text as `test.yaml`, without any environment.
fn load_in(base: &Path, text: &str) -> Result<Loaded, Problems> {
    load_str("test.yaml", text, base, &|_| None)
}

/// The lines said about a text, errors and warnings by line.
fn said(base: &Path, text: &str) -> Vec<String> {
    match load_in(base, text) {
        Ok(loaded) => loaded.warnings.iter().map(|w| w.to_string()).collect(),
        Err(problems) => problems.to_string().lines().map(str::to_owned).collect(),
    }
}

/// A configuration without files and without problems, to be changed by a test.
fn base() -> Value {
    json!({
        "listeners": [{
            "name": "edge",
            "address": "127.0.0.1:8443",
            "routes": [{ "match": { "path_prefix": "/" }, "cluster": "backend" }],
        }],
        "clusters": [{ "name": "backend", "endpoints": ["127.0.0.1:8001"] }],
    })
}

/// Sets the value at a path such as `listeners[0].http.upgrade`, making what is missing
/// on the way.
fn set(root: &mut Value, path: &str, value: Value) {
    let path = path.replace('[', ".[");
    let mut node = root;
    for segment in path.split('.') {
        node = match segment
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'))
        {
            Some(index) => {
                let index: usize = index.parse().unwrap();
                if !node.is_array() {
                    *node = json!([]);
                }
                let items = node.as_array_mut().unwrap();
                while items.len() <= index {
                    items.push(Value::Null);
                }
                &mut items[index]
            }
            None => {
                if !node.is_object() {
                    *node = json!({});
                }
                &mut node[segment]
            }
        };
    }
    *node = value;
}
