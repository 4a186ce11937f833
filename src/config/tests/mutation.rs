//! Random damage to the full file: never a panic, and never a gap between what the
//! schema accepts and what serde reads.

use super::shipped::FULL;
use super::{certs, load_in};

const ROUNDS: usize = 400;

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
fn damaged_files_never_panic() {
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
            assert!(
                !said.contains(": can't be read: "),
                "seed {seed}: {said}\n{text}"
            );
            let placed = problems.errors.iter().all(|problem| problem.mark.is_some());
            assert!(placed, "seed {seed}: {said}");
        }
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
