//! The report as one page that needs nothing else: no network, no script.

use std::fmt::Write;

use super::report::{Mark, Report, Row};
use super::svg::{Plot, Series, escape};
use super::table;
use crate::accelerator::SOFTWARE;

const STYLE: &str = "\
:root{color-scheme:light dark;--fg:#1c2127;--dim:#5c6670;--bg:#fff;--edge:#d9dee3;\
--c0:#5c6670;--c1:#0b6bcb;--c2:#c4481b;--c3:#2e7d32}\n\
@media(prefers-color-scheme:dark){:root{--fg:#e4e8ec;--dim:#98a3ad;--bg:#15191d;\
--edge:#323a41;--c0:#a4aeb8;--c1:#5eb0ff;--c2:#ff9466;--c3:#7fd184}}\n\
body{font:15px/1.5 system-ui,sans-serif;color:var(--fg);background:var(--bg);\
max-width:70rem;margin:2rem auto;padding:0 1rem}\n\
h1{font-size:1.5rem}h2{font-size:1.15rem;margin-top:2.2rem}\n\
.facts{color:var(--dim)}.problem{border-left:4px solid var(--c2);padding-left:.8rem}\n\
.plots{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(24rem,100%),1fr));gap:1rem}\n\
.wide{overflow-x:auto;margin-top:1rem}table{border-collapse:collapse;font-variant-numeric:tabular-nums}\n\
th,td{padding:.25rem .6rem;text-align:right;border-bottom:1px solid var(--edge);white-space:nowrap}\n\
th{color:var(--dim);font-weight:600}.legend{color:var(--dim)}\n\
svg{width:100%;height:auto}svg text{fill:var(--fg);font-size:12px}svg .title{font-weight:600;font-size:13px}\n\
svg .tick{fill:var(--dim);font-size:11px}.end{text-anchor:end}.middle{text-anchor:middle}\n\
.grid{stroke:var(--edge)}.rule{stroke:var(--dim);stroke-dasharray:2 4}\n\
.line{fill:none;stroke-width:2}.line.dashed{stroke-dasharray:6 4}\n\
.s0{stroke:var(--c0)}.s1{stroke:var(--c1)}.s2{stroke:var(--c2)}.s3{stroke:var(--c3)}\n\
summary,details li{color:var(--dim)}details{display:inline-block;vertical-align:top}\n\
.dot.s0{fill:var(--c0)}.dot.s1{fill:var(--c1)}.dot.s2{fill:var(--c2)}.dot.s3{fill:var(--c3)}\n\
.dot.dashed{fill:var(--bg);stroke-width:2}\n\
.swatch{display:inline-block;width:.8em;height:.8em;border-radius:2px;margin:0 .3em 0 1em}\n\
.swatch.s0{background:var(--c0)}.swatch.s1{background:var(--c1)}\
.swatch.s2{background:var(--c2)}.swatch.s3{background:var(--c3)}\n";

/// Columns of the table that a section's title has already: key, version and group.
const TITLED: usize = 3;

/// The whole page.
pub fn render(report: &Report) -> String {
    let mut page = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n\
         <title>qat-gateway: TLS handshakes</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n\
         <h1>TLS handshakes</h1>\n"
    );
    facts(&mut page, report);
    for problem in &report.problems {
        let _ = writeln!(page, "<p class=\"problem\">{}</p>", escape(problem));
    }
    if !report.complete {
        page.push_str("<p class=\"problem\">Not all was measured.</p>\n");
    }
    let names = names(report);
    let mut seen: Vec<&Row> = Vec::new();
    for row in &report.rows {
        if !seen.iter().any(|other| other.of_series(row)) {
            seen.push(row);
            let of_series: Vec<&Row> = report
                .rows
                .iter()
                .filter(|one| one.of_series(row))
                .collect();
            section(&mut page, &of_series, &names);
        }
    }
    page.push_str("</body>\n</html>\n");
    page
}

fn facts(page: &mut String, report: &Report) {
    let (machine, settings) = (&report.machine, &report.settings);
    let _ = writeln!(
        page,
        "<p class=\"facts\">{}, {} CPUs · Linux {} · {} · qat-gateway {}{} · {} · {} × {} s · load \
         threads: {}{}{}</p>",
        escape(&machine.cpu),
        machine.cpus,
        escape(&machine.kernel),
        escape(machine.openssl),
        report.version,
        if settings.debug {
            " (a debug build: the figures say little)"
        } else {
            ""
        },
        escape(&report.date),
        settings.rounds,
        settings.seconds,
        settings.load_threads,
        if settings.share_a_core {
            " on the server's core"
        } else {
            ""
        },
        settings
            .target
            .as_ref()
            .map_or_else(String::new, |target| format!(
                " · load on {}",
                escape(target)
            )),
    );
    page.push_str("<ul>\n");
    for one in &report.accelerators {
        let what = match (&one.what, one.break_even) {
            (Some(what), Some(from)) => {
                let names = one.algorithms.join(" and ");
                escape(&format!(
                    "{what}; offloads {names} from {from} handshakes in flight on"
                ))
            }
            (Some(what), None) => escape(what),
            (None, _) => {
                let item = |reason: &String| format!("<li>{}</li>", escape(reason));
                let reasons: String = one.reasons.iter().map(item).collect();
                format!("<details><summary>not measured</summary><ul>{reasons}</ul></details>")
            }
        };
        let _ = writeln!(page, "<li><b>{}</b>: {what}</li>", one.name);
    }
    page.push_str("</ul>\n");
}

/// The accelerators that have rows: their places are their colours.
fn names(report: &Report) -> Vec<&'static str> {
    let mut names = Vec::new();
    for row in &report.rows {
        let name = row.accelerator.unwrap_or("gateway");
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

/// Plots and table of what differs in accelerator and handshakes in flight alone.
fn section(page: &mut String, rows: &[&Row], names: &[&'static str]) {
    let Some(first) = rows.first() else {
        return;
    };
    let key = first
        .key
        .map_or(String::new(), |key| format!("{}, ", key.as_str()));
    let resumed = if first.resumed { ", resumed" } else { "" };
    let title = format!("{key}TLS {}, {}{resumed}", first.tls.as_str(), first.group);
    let _ = writeln!(page, "<h2>{}</h2>\n<p class=\"legend\">", escape(&title));
    for (colour, name) in names.iter().enumerate() {
        let _ = writeln!(page, "<span class=\"swatch s{}\"></span>{name}", colour % 4);
    }
    page.push_str("</p>\n");
    let found = crossing(rows);
    for (name, from) in &found {
        let words = match from {
            Some(count) => format!("{name} beats software from {count} in flight on, as measured."),
            None => format!("{name} never beats software here."),
        };
        let _ = writeln!(page, "<p>{words}</p>");
    }
    let rule = found.iter().find_map(|(name, from)| Some((name, (*from)?)));
    let rule = rule.map(|(name, count)| (count as f64, format!("break-even of {name}")));
    page.push_str("<div class=\"plots\">\n");
    let rate = series(rows, names, "", false, &|row| row.rate);
    page.push_str(
        &Plot {
            title: "Handshakes per second",
            unit: "a second",
            logarithmic: false,
            series: rate,
            rule,
        }
        .render(),
    );
    let mut latency = series(rows, names, " p50", false, &|row| row.p50_us as f64);
    latency.extend(series(rows, names, " p99", true, &|row| row.p99_us as f64));
    page.push_str(
        &Plot {
            title: "Latency, µs: median, and p99 (dashed, hollow)",
            unit: "µs",
            logarithmic: true,
            series: latency,
            rule: None,
        }
        .render(),
    );
    if rows.iter().any(|row| row.cpu_us.is_some()) {
        let cpu = series(rows, names, "", false, &|row| row.cpu_us.unwrap_or(0.0));
        page.push_str(
            &Plot {
                title: "CPU of a handshake, µs",
                unit: "µs",
                logarithmic: false,
                series: cpu,
                rule: None,
            }
            .render(),
        );
    }
    page.push_str("</div>\n");
    rows_table(page, rows);
}

/// The least number in flight from which an accelerator that was used is quicker than
/// software, at that number and all higher ones that were measured.
fn crossing(rows: &[&Row]) -> Vec<(&'static str, Option<usize>)> {
    let mut found: Vec<(&'static str, Option<usize>)> = Vec::new();
    let mut rows = rows.to_vec();
    rows.retain(|row| !row.marks.contains(&Mark::NothingToOffload));
    rows.sort_by_key(|row| row.in_flight);
    for row in rows {
        let Some(name) = row.accelerator.filter(|name| *name != SOFTWARE) else {
            continue;
        };
        let gains = row.offloaded() > 0 && row.gain.is_some_and(|gain| gain > 1.0);
        match found.iter_mut().find(|(other, _)| *other == name) {
            Some((_, from)) if gains => *from = from.or(Some(row.in_flight)),
            Some((_, from)) => *from = None,
            None => found.push((name, gains.then_some(row.in_flight))),
        }
    }
    found
}

fn series(
    rows: &[&Row],
    names: &[&'static str],
    suffix: &str,
    dashed: bool,
    value: &dyn Fn(&Row) -> f64,
) -> Vec<Series> {
    let of = |(colour, name): (usize, &&'static str)| {
        let its = rows
            .iter()
            .filter(|row| row.accelerator.unwrap_or("gateway") == *name);
        let mut points: Vec<(f64, f64)> =
            its.map(|row| (row.in_flight as f64, value(row))).collect();
        points.sort_by(|a, b| a.0.total_cmp(&b.0));
        Series {
            name: format!("{name}{suffix}"),
            colour: colour % 4,
            dashed,
            points,
        }
    };
    names.iter().enumerate().map(of).collect()
}

fn rows_table(page: &mut String, rows: &[&Row]) {
    page.push_str("<div class=\"wide\"><table>\n<tr>");
    for head in &table::heads()[TITLED..] {
        let _ = write!(page, "<th>{head}</th>");
    }
    page.push_str("<th></th></tr>\n");
    for row in rows {
        page.push_str("<tr>");
        for cell in &table::cells(row)[TITLED..] {
            let _ = write!(page, "<td>{}</td>", escape(cell));
        }
        let bad = row.marks.contains(&Mark::NotOffloaded);
        let class = if bad { " class=\"problem\"" } else { "" };
        let _ = writeln!(page, "<td{class}>{}</td></tr>", table::marks(&row.marks));
    }
    page.push_str("</table></div>\n");
}
