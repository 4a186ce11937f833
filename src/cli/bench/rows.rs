//! From samples to a report's rows, and what makes them worthless.

use super::case::Case;
use super::load;
use super::measure::Sample;
use super::report::{Accelerator, Counts, Mark, Row};
use super::server::Operations;
use crate::accelerator::SOFTWARE;

/// Past this part of its CPUs the load, not the server, bounds the rate.
const LOAD_BOUND: f64 = 0.95;

/// Samples of one case with one accelerator.
pub struct Cell {
    pub case: Case,
    /// None: a running gateway.
    pub accelerator: Option<&'static str>,
    /// Whether the accelerator is expected to do something.
    pub expected: Expected,
    pub samples: Vec<Sample>,
}

/// What an accelerator has to do with a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// No accelerator: software, or a running gateway.
    Nothing,
    Offload,
    BelowBreakEven,
    NothingToOffload,
}

impl Row {
    /// None without a sample.
    pub fn of(cell: &Cell) -> Option<Row> {
        let samples = &cell.samples;
        let rates = sorted(samples.iter().map(|sample| sample.rate));
        let (least, most) = (*rates.first()?, *rates.last()?);
        let rate = median(&rates)?;
        let server = || samples.iter().filter_map(|sample| sample.server.as_ref());
        let mut latencies = load::latencies();
        for sample in samples {
            latencies += &sample.latencies;
        }
        let load_busy = samples.iter().map(|one| one.load_busy).sum::<f64>() / samples.len() as f64;
        let operations = server().map(|one| one.operations);
        let operations = operations.reduce(|a, b| Operations {
            offloaded: a.offloaded + b.offloaded,
            software: a.software + b.software,
            redone: a.redone + b.redone,
        });
        let mut row = Row {
            accelerator: cell.accelerator,
            key: cell.case.key,
            tls: cell.case.version,
            group: cell.case.group.clone(),
            resumed: cell.case.resumed,
            in_flight: cell.case.in_flight,
            rounds: samples.len(),
            handshakes: samples.iter().map(|sample| sample.handshakes).sum(),
            handshakes_in_all: samples.iter().map(|one| one.handshakes_in_all).sum(),
            failed: samples.iter().map(|sample| sample.failed).sum(),
            failure: samples.iter().find_map(|one| one.failure.clone()),
            rate,
            rate_least: least,
            rate_most: most,
            spread: (most - least) / rate,
            gain: None,
            cpu_us: median(&sorted(server().map(|one| one.cpu.as_secs_f64() * 1e6))),
            server_busy: median(&sorted(server().map(|one| one.busy))),
            load_busy,
            p50_us: latencies.value_at_quantile(0.5),
            p99_us: latencies.value_at_quantile(0.99),
            p999_us: latencies.value_at_quantile(0.999),
            accelerated: server().map(|one| one.accelerated).sum(),
            operations: operations.map(|one| Counts {
                offloaded: one.offloaded,
                software: one.software,
                redone: one.redone,
            }),
            marks: Vec::new(),
        };
        row.marks = row.marks(cell.expected);
        Some(row)
    }

    fn marks(&self, expected: Expected) -> Vec<Mark> {
        let mut marks = Vec::new();
        if self.offloaded() == 0 {
            marks.extend(match expected {
                Expected::Nothing => None,
                Expected::Offload => Some(Mark::NotOffloaded),
                Expected::BelowBreakEven => Some(Mark::BelowBreakEven),
                Expected::NothingToOffload => Some(Mark::NothingToOffload),
            });
        }
        if self.load_busy > LOAD_BOUND {
            marks.push(Mark::LoadBound);
        }
        if self.failed > 0 {
            marks.push(Mark::Failures);
        }
        marks
    }
}

/// The rows of all cells that have a sample, with what each gains over software.
pub fn rows(cells: &[Cell]) -> Vec<Row> {
    let mut rows: Vec<Row> = cells.iter().filter_map(Row::of).collect();
    let gain = |row: &Row| {
        let software = |other: &&Row| other.accelerator == Some(SOFTWARE) && other.compares(row);
        let software = rows.iter().find(software)?;
        (row.accelerator != Some(SOFTWARE)).then(|| row.rate / software.rate)
    };
    let gains: Vec<Option<f64>> = rows.iter().map(gain).collect();
    for (row, gain) in rows.iter_mut().zip(gains) {
        row.gain = gain;
    }
    rows
}

/// Claims of acceleration that do not hold.
pub fn problems(rows: &[Row], accelerators: &[Accelerator], complete: bool) -> Vec<String> {
    let mut problems = Vec::new();
    for accelerator in accelerators {
        let name = accelerator.name;
        let its = || rows.iter().filter(|row| row.accelerator == Some(name));
        if accelerator.algorithms.is_empty() || its().next().is_none() {
            continue;
        }
        let idle = its().filter(|row| row.marks.contains(&Mark::NotOffloaded));
        let idle = idle.count();
        if its().all(|row| row.offloaded() == 0) && (complete || idle > 0) {
            problems.push(format!(
                "{name} offloaded nothing at all: its figures are software's (it is used from {} \
                 handshakes in flight on, for {})",
                accelerator.break_even.unwrap_or(1),
                accelerator.algorithms.join(" and "),
            ));
        } else if idle > 0 {
            problems.push(format!("{name} offloaded nothing in {idle} rows"));
        }
    }
    problems
}

fn sorted(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values
}

/// Of sorted values; the upper of two.
fn median(sorted: &[f64]) -> Option<f64> {
    sorted.get(sorted.len() / 2).copied()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::cli::bench::case::{Key, Version};
    use crate::cli::bench::measure::ServerSample;

    fn cell(accelerator: &'static str, expected: Expected, rates: &[(f64, u64)]) -> Cell {
        let sample = |(rate, offloaded): &(f64, u64)| Sample {
            latencies: load::latencies(),
            rate: *rate,
            handshakes: 100,
            handshakes_in_all: 110,
            failed: 0,
            failure: None,
            load_busy: 0.5,
            server: Some(ServerSample {
                cpu: Duration::from_micros(500),
                busy: 1.0,
                accelerated: 100,
                operations: Operations {
                    offloaded: *offloaded,
                    ..Operations::default()
                },
            }),
        };
        Cell {
            case: Case {
                key: Some(Key::Rsa2048),
                version: Version::Tls13,
                group: "X25519".to_owned(),
                resumed: false,
                in_flight: 8,
            },
            accelerator: Some(accelerator),
            expected,
            samples: rates.iter().map(sample).collect(),
        }
    }

    fn accelerators() -> Vec<Accelerator> {
        vec![Accelerator {
            name: "x",
            what: Some("X".to_owned()),
            algorithms: vec!["rsa"],
            break_even: Some(2),
            reasons: Vec::new(),
        }]
    }

    #[test]
    fn rounds_are_summed_up_and_compared_with_software() {
        let software = cell(
            SOFTWARE,
            Expected::Nothing,
            &[(90.0, 0), (100.0, 0), (120.0, 0)],
        );
        let other = cell(
            "x",
            Expected::Offload,
            &[(150.0, 7), (140.0, 7), (160.0, 7)],
        );
        let rows = rows(&[software, other, cell("y", Expected::Offload, &[])]);
        assert_eq!(rows.len(), 2, "what was not measured has no row");
        assert_eq!((rows[0].rate, rows[0].gain), (100.0, None));
        assert!((rows[0].spread - 0.3).abs() < 1e-9);
        assert_eq!((rows[1].gain, rows[1].offloaded()), (Some(1.5), 21));
        assert_eq!(problems(&rows, &accelerators(), true), [""; 0]);
    }

    #[test]
    fn what_did_not_offload_is_a_problem() {
        let told = |expected, rates: &[(f64, u64)], complete| {
            let rows = rows(&[cell("x", expected, rates)]);
            (
                rows[0].marks.clone(),
                problems(&rows, &accelerators(), complete).len(),
            )
        };
        let nothing = &[(100.0, 0)];
        let idle = told(Expected::Offload, nothing, false);
        assert_eq!(idle, (vec![Mark::NotOffloaded], 1));
        let left = (vec![Mark::BelowBreakEven], 1);
        assert_eq!(told(Expected::BelowBreakEven, nothing, true), left);
        // What would have offloaded may be among what is left.
        let left = (vec![Mark::BelowBreakEven], 0);
        assert_eq!(told(Expected::BelowBreakEven, nothing, false), left);
    }
}
