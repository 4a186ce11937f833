//! Random damage to the full file: never a panic, and never a gap between what the
//! schema accepts and what serde reads.

use serde_json::{Value, json};

use super::super::tree;
use super::shipped::FULL;
use super::{certs, load_in};

const ROUNDS: usize = 200;

/// What is said when the schema accepts what serde doesn't.
const GAP: &str = "in spite of its schema";

const SCRAPS: [&str; 22] = [
    "",
    "~",
    "[]",
    "{}",
    "- ",
    "0",
    "-1",
    "1e9",
    "1.5",
    "18446744073709551615",
    "true",
    "off",
    "\"\"",
    "\"\\0\"",
    "10s",
    "99999999999999999999h",
    "99999999TiB",
    "*.*",
    "${X}",
    "${",
    "!!int x",
    "[::]:0",
];

#[test]
fn damaged_lines_never_panic() {
    survive(damage);
}

#[test]
fn misplaced_values_never_panic() {
    survive(misplace);
}

fn survive(damage: fn(&mut fastrand::Rng) -> String) {
    let dir = certs::folder();
    let seed = fastrand::u64(..);
    let mut random = fastrand::Rng::with_seed(seed);
    for round in 0..ROUNDS {
        let text = damage(&mut random);
        let result = std::panic::catch_unwind(|| load_in(dir.path(), &text));
        let Ok(result) = result else {
            panic!("seed {seed}, round {round}:\n{text}");
        };
        if let Err(problems) = result {
            let said = problems.to_string();
            assert!(!problems.errors.is_empty());
            // Not "the file can't be read", but the gap.
            assert!(!said.contains(GAP), "seed {seed}: {said}\n{text}");
            let placed = problems.errors.iter().all(|problem| problem.mark.is_some());
            assert!(placed, "seed {seed}: {said}");
        }
    }
}

/// Puts a value where another belongs, anywhere in the file's tree.
fn misplace(random: &mut fastrand::Rng) -> String {
    let Ok((root, _)) = tree::parse(FULL) else {
        panic!("not YAML");
    };
    let mut json = root.to_json();
    for _ in 0..random.usize(1..4) {
        let other = some_value(&json, random).clone();
        let scrap = json!(SCRAPS[random.usize(..SCRAPS.len())]);
        let scalars = [
            json!(null),
            json!(-1),
            json!(1e300),
            json!(u64::MAX),
            json!([]),
            json!({}),
        ];
        let scalar = scalars[random.usize(..scalars.len())].clone();
        let value = [other, scrap, scalar][random.usize(..3)].clone();
        let mut at = &mut json;
        while random.u8(..5) > 0 && below(at) > 0 {
            let step = random.usize(..below(at));
            at = match at {
                Value::Array(items) => &mut items[step],
                Value::Object(map) => map.values_mut().nth(step).unwrap(),
                _ => unreachable!("nothing is below a scalar"),
            };
        }
        *at = value;
    }
    json.to_string()
}

fn some_value<'a>(mut at: &'a Value, random: &mut fastrand::Rng) -> &'a Value {
    while random.u8(..5) > 0 && below(at) > 0 {
        let step = random.usize(..below(at));
        at = match at {
            Value::Array(items) => &items[step],
            Value::Object(map) => map.values().nth(step).unwrap(),
            _ => unreachable!("nothing is below a scalar"),
        };
    }
    at
}

fn below(value: &Value) -> usize {
    match value {
        Value::Array(items) => items.len(),
        Value::Object(map) => map.len(),
        _ => 0,
    }
}

fn damage(random: &mut fastrand::Rng) -> String {
    let mut lines: Vec<String> = FULL
        .lines()
        .filter(|line| !line.trim_start().starts_with('#'))
        .map(str::to_owned)
        .collect();
    for _ in 0..random.usize(1..6) {
        let i = random.usize(..lines.len());
        let line = lines[i].clone();
        match random.u8(..7) {
            0 => drop(lines.remove(i)),
            1 => lines.insert(random.usize(..lines.len()), line),
            2 => lines[i] = format!("  {line}"),
            3 => lines[i] = line.trim_start().to_owned(),
            4 => {
                let cut = random.usize(..=line.chars().count());
                lines[i] = line.chars().take(cut).collect();
            }
            _ => {
                if let Some((key, _)) = line.split_once(": ") {
                    let scrap = SCRAPS[random.usize(..SCRAPS.len())];
                    lines[i] = format!("{key}: {scrap}");
                }
            }
        }
    }
    lines.join("\n")
}
