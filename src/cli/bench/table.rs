//! The report as text.

use std::fmt::Write;

use super::report::{Mark, Report, Row};

const HEADS: [&str; 13] = [
    "key",
    "TLS",
    "group",
    "in flight",
    "accelerator",
    "handshakes/s",
    "spread",
    "gain",
    "CPU µs",
    "p50 µs",
    "p99 µs",
    "p99.9 µs",
    "offloaded",
];

/// All of it, ending with a newline.
pub fn render(report: &Report) -> String {
    let mut text = head(report);
    let lines: Vec<(Vec<String>, String)> = report
        .rows
        .iter()
        .map(|row| (cells(row), marks(&row.marks)))
        .collect();
    let mut widths: Vec<usize> = HEADS.iter().map(|head| head.chars().count()).collect();
    for (cells, _) in &lines {
        for (width, cell) in widths.iter_mut().zip(cells) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let heads: Vec<String> = HEADS.iter().map(|head| (*head).to_owned()).collect();
    text.push_str(&line(&widths, &heads, ""));
    for (cells, marks) in &lines {
        text.push_str(&line(&widths, cells, marks));
    }
    if lines.is_empty() {
        text.push_str("nothing was measured\n");
    }
    for row in &report.rows {
        if let (Some(failure), 1..) = (&row.failure, row.failed) {
            let who = row.accelerator.unwrap_or("gateway");
            let (failed, handshakes, in_flight) = (row.failed, row.handshakes, row.in_flight);
            let _ = writeln!(
                text,
                "\n{failed} handshakes failed beside {handshakes}, with {who} and {in_flight} in \
                 flight; the first: {failure}"
            );
        }
    }
    for problem in &report.problems {
        let _ = writeln!(text, "\nProblem: {problem}");
    }
    if !report.complete {
        text.push_str("\nNot all was measured.\n");
    }
    text
}

fn head(report: &Report) -> String {
    let (machine, settings) = (&report.machine, &report.settings);
    let mut text = format!(
        "qat-gateway {}, {}, {}\n{}, {} CPUs, Linux {}\n",
        report.version, machine.openssl, report.date, machine.cpu, machine.cpus, machine.kernel
    );
    if let Some(target) = &settings.target {
        let _ = writeln!(text, "load on {target}");
    }
    if settings.debug {
        text.push_str("a debug build: the figures say little\n");
    }
    if settings.share_a_core && settings.target.is_none() {
        text.push_str("server and load share a core, and slow each other down\n");
    }
    for one in &report.accelerators {
        match &one.what {
            Some(what) => {
                let _ = write!(text, "{}: {what}", one.name);
                if let Some(from) = one.break_even {
                    let names = one.algorithms.join(" and ");
                    let _ = write!(text, "; offloads {names} from {from} in flight");
                }
                text.push('\n');
            }
            None => {
                let _ = writeln!(text, "{}: not measured", one.name);
                for reason in &one.reasons {
                    let _ = writeln!(text, "  - {reason}");
                }
            }
        }
    }
    text.push('\n');
    text
}

/// The first columns are words, the others numbers.
fn line(widths: &[usize], cells: &[String], marks: &str) -> String {
    let mut line = String::new();
    for (index, (cell, width)) in cells.iter().zip(widths).enumerate() {
        let room = " ".repeat(width - cell.chars().count());
        let words = matches!(index, 0..=2 | 4);
        match words {
            true => line += &format!("{cell}{room}  "),
            false => line += &format!("{room}{cell}  "),
        }
    }
    format!("{}\n", (line + marks).trim_end())
}

/// A row's, in the order of [`HEADS`].
pub fn cells(row: &Row) -> Vec<String> {
    let none = || "-".to_owned();
    let key = row.key.map_or("-", |key| key.as_str());
    let resumed = if row.resumed { " resumed" } else { "" };
    vec![
        key.to_owned(),
        format!("{}{resumed}", row.tls.as_str()),
        row.group.clone(),
        row.in_flight.to_string(),
        row.accelerator.unwrap_or("-").to_owned(),
        format!("{:.0}", row.rate),
        format!("{:.0} %", row.spread * 100.0),
        row.gain.map_or_else(none, |gain| format!("×{gain:.2}")),
        row.cpu_us.map_or_else(none, |cpu| format!("{cpu:.0}")),
        row.p50_us.to_string(),
        row.p99_us.to_string(),
        row.p999_us.to_string(),
        match &row.operations {
            Some(counts) if counts.all() > 0 => {
                format!("{}/{}", counts.offloaded, counts.all())
            }
            Some(_) => "0".to_owned(),
            None => none(),
        },
    ]
}

/// The names of [`cells`].
pub fn heads() -> &'static [&'static str] {
    &HEADS
}

/// For people.
pub fn marks(marks: &[Mark]) -> String {
    let told: Vec<&str> = marks.iter().map(|mark| mark.told()).collect();
    told.join(", ")
}
