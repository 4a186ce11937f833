//! The source held against its own rules: the layer table of `src/lib.rs`, lengths,
//! and where `unsafe` may stand.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

const MOST_LINES: usize = 500;
const MOST_FUNCTION_LINES: usize = 70;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every Rust file below a folder of the repository, with its text.
fn sources(folder: &str) -> Vec<(PathBuf, String)> {
    let mut folders = vec![root().join(folder)];
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs::read_dir(&folder) else {
            continue;
        };
        for entry in entries {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                if path.file_name().is_some_and(|name| name != "target") {
                    folders.push(path);
                }
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).expect("text");
                let name = path.strip_prefix(root()).expect("below the root");
                files.push((name.to_owned(), text));
            }
        }
    }
    files.sort();
    files
}

fn all_sources() -> Vec<(PathBuf, String)> {
    ["src", "qat-sys", "tests", "benches"]
        .into_iter()
        .flat_map(sources)
        .collect()
}

/// Module to row, from the table in the documentation of `src/lib.rs`.
fn layers() -> BTreeMap<String, u32> {
    let text = fs::read_to_string(root().join("src/lib.rs")).expect("lib.rs");
    let mut layers = BTreeMap::new();
    for line in text.lines() {
        let Some(row) = line.strip_prefix("//! | ") else {
            continue;
        };
        let Some((row, modules)) = row.trim_end_matches(" |").split_once(" | ") else {
            continue;
        };
        let Ok(row) = row.parse::<u32>() else {
            continue;
        };
        for module in modules.split(", ") {
            layers.insert(module.trim_matches('`').to_owned(), row);
        }
    }
    layers
}

/// The module of the table that a file of `src` belongs to.
fn module_of(file: &Path) -> String {
    let inner = file.strip_prefix("src").expect("below src");
    let first = inner.components().next().expect("a name");
    let first = first.as_os_str().to_string_lossy();
    first.trim_end_matches(".rs").to_owned()
}

/// A file without comments and string contents, line by line: what is left is code.
fn code(text: &str) -> Vec<String> {
    text.lines()
        .map(|line| {
            let mut code = String::new();
            let (mut quoted, mut escaped) = (false, false);
            for (at, c) in line.char_indices() {
                match c {
                    _ if escaped => escaped = false,
                    '\\' if quoted => escaped = true,
                    '"' => quoted = !quoted,
                    '/' if !quoted && line[at..].starts_with("//") => break,
                    _ if !quoted => code.push(c),
                    _ => {}
                }
            }
            code
        })
        .collect()
}

/// The modules that code names by `crate::`, also in `use crate::{a, b::c}`.
fn named(code: &str) -> Vec<String> {
    let mut names = Vec::new();
    for (at, found) in code.match_indices("crate::") {
        let before = code[..at].chars().next_back();
        if before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':') {
            continue;
        }
        let rest = &code[at + found.len()..];
        match rest.strip_prefix('{') {
            Some(group) => names.extend(group_heads(group)),
            None => names.push(identifier(rest)),
        }
    }
    names.retain(|name| !name.is_empty());
    names
}

/// The modules that code may reach past the crate's root by `super::` alone.
fn climbed(code: &str, depth: usize) -> Vec<String> {
    let mut names = Vec::new();
    let mut rest = code;
    while let Some(at) = rest.find("super::") {
        rest = &rest[at..];
        let mut steps = 0;
        while let Some(after) = rest.strip_prefix("super::") {
            (rest, steps) = (after, steps + 1);
        }
        if steps >= depth {
            names.push(identifier(rest));
        }
    }
    names
}

/// The first names of a group's members: `a` and `b` of `a, b::{c, d}}`.
fn group_heads(group: &str) -> Vec<String> {
    let (mut heads, mut depth, mut fresh) = (Vec::new(), 0, true);
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => fresh = true,
            c if c.is_whitespace() => {}
            _ if fresh && depth == 0 => {
                heads.push(identifier(&group[at..]));
                fresh = false;
            }
            _ => {}
        }
    }
    heads
}

fn identifier(text: &str) -> String {
    text.chars()
        .take_while(|c| c.is_alphanumeric() || *c == '_')
        .collect()
}

#[test]
fn modules_import_from_rows_below_their_own() {
    let layers = layers();
    let mut problems = Vec::new();
    for (file, text) in sources("src") {
        let module = module_of(&file);
        if module == "lib" {
            continue;
        }
        let Some(row) = layers.get(&module) else {
            problems.push(format!("{}: not in the table", file.display()));
            continue;
        };
        let code = code(&text).join("\n");
        let depth = file.components().count() - 1 - usize::from(file.ends_with("mod.rs"));
        let climbed = climbed(&code, depth).into_iter();
        let climbed = climbed.filter(|name| layers.contains_key(name));
        for name in named(&code).into_iter().chain(climbed) {
            match layers.get(&name) {
                _ if name == module => {}
                Some(below) if below < row => {}
                Some(other) => problems.push(format!(
                    "{}: row {row} imports {name} of row {other}",
                    file.display()
                )),
                None => problems.push(format!("{}: {name} is no module", file.display())),
            }
        }
    }
    assert!(problems.is_empty(), "{problems:#?}");
}

#[test]
fn the_table_has_every_module() {
    let layers = layers();
    let lib = fs::read_to_string(root().join("src/lib.rs")).expect("lib.rs");
    let declared: Vec<&str> = lib
        .lines()
        .filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';'))
        .collect();
    assert!(declared.len() > 10, "{declared:?}");
    for module in declared {
        assert!(layers.contains_key(module), "{module} is in no row");
    }
}

#[test]
fn files_are_short() {
    let long: Vec<_> = all_sources()
        .into_iter()
        .map(|(file, text)| (file, text.lines().count()))
        .filter(|(_, lines)| *lines > MOST_LINES)
        .collect();
    assert!(long.is_empty(), "over {MOST_LINES} lines: {long:#?}");
}

/// As rustfmt lays them out: a function ends at the brace in its own column.
#[test]
fn functions_are_short() {
    let mut long = Vec::new();
    for (file, text) in all_sources() {
        let mut open: Vec<(usize, usize, String)> = Vec::new();
        for (number, line) in text.lines().enumerate() {
            let indent = line.len() - line.trim_start().len();
            let words = line.trim_start();
            if let Some(name) = function_name(words) {
                open.push((indent, number, name));
            }
            let last = open.last().is_some_and(|(column, ..)| *column == indent);
            if last && (words == "}" || (words.ends_with(';') && function_name(words).is_some())) {
                let (_, begin, name) = open.pop().unwrap_or_default();
                if number - begin >= MOST_FUNCTION_LINES {
                    long.push(format!(
                        "{}: {name}: {}",
                        file.display(),
                        number - begin + 1
                    ));
                }
            }
        }
    }
    assert!(
        long.is_empty(),
        "{MOST_FUNCTION_LINES} lines or more: {long:#?}"
    );
}

fn function_name(line: &str) -> Option<String> {
    let qualifiers = ["pub ", "const ", "async ", "unsafe ", "extern \"C\" "];
    let mut rest = line;
    loop {
        let before = rest;
        for qualifier in qualifiers {
            rest = rest.strip_prefix(qualifier).unwrap_or(rest);
        }
        if let Some((_, inner)) = rest
            .strip_prefix("pub(")
            .and_then(|rest| rest.split_once(") "))
        {
            rest = inner;
        }
        if before == rest {
            break;
        }
    }
    // A one-liner opens no block.
    let name = rest.strip_prefix("fn ").map(identifier)?;
    (!line.ends_with('}')).then_some(name)
}

#[test]
fn unsafe_code_is_at_the_c_boundary_alone() {
    let mut found = Vec::new();
    for (file, text) in all_sources() {
        // The tests' ENGINE and provider are C's by their nature, too.
        let boundaries = [
            "qat-sys",
            "tests/support/engine/src/engine",
            "tests/support/engine/src/provider",
        ];
        if boundaries.iter().any(|folder| file.starts_with(folder)) {
            continue;
        }
        for (number, line) in code(&text).iter().enumerate() {
            let mut words = line.split(|c: char| !c.is_alphanumeric() && c != '_');
            if words.any(|word| word == "unsafe") {
                found.push(format!("{}:{}", file.display(), number + 1));
            }
        }
    }
    assert!(found.is_empty(), "unsafe outside qat-sys: {found:#?}");
}

#[test]
fn the_checks_see_what_they_look_for() {
    let text = "use crate::{tls, upstream::{Pool, x}};\nfn f() { crate::route::g(); } // crate::no\n\
                let s = \"crate::no unsafe\"; use super::crate_name; $crate::http::x";
    let mut names = named(&code(text).join("\n"));
    names.sort();
    assert_eq!(names, ["http", "route", "tls", "upstream"]);
    for line in [
        "pub(super) async fn f(",
        "fn f() {",
        "pub const unsafe fn f()",
    ] {
        assert_eq!(function_name(line).as_deref(), Some("f"), "{line}");
    }
    assert_eq!(function_name("fn f() {}"), None);
    assert!(layers().len() > 10);
}
