//! A plot of lines over handshakes in flight, as SVG for a page that names its colours.
//!
//! The page's style sheet has the colours: `.s0`, `.s1`, … for the series, so that they
//! follow its light or dark scheme.

use std::fmt::Write;

const WIDTH: f64 = 520.0;
const HEIGHT: f64 = 280.0;
const LEFT: f64 = 64.0;
const RIGHT: f64 = 16.0;
const TOP: f64 = 34.0;
const BOTTOM: f64 = 42.0;

/// A line.
pub struct Series {
    pub name: String,
    /// The number of its colour.
    pub colour: usize,
    /// Dashed: the second of two lines of one colour.
    pub dashed: bool,
    /// Handshakes in flight, and the value.
    pub points: Vec<(f64, f64)>,
}

/// A plot, both axes of which are labelled.
pub struct Plot<'a> {
    pub title: &'a str,
    pub unit: &'a str,
    /// Values span decades.
    pub logarithmic: bool,
    pub series: Vec<Series>,
    /// A vertical line at so many in flight, with its words.
    pub rule: Option<(f64, String)>,
}

/// From values to the page.
struct Scale {
    low: f64,
    high: f64,
    logarithmic: bool,
}

impl Scale {
    fn of(values: impl Iterator<Item = f64>, logarithmic: bool) -> Scale {
        let (mut low, mut high) = (f64::MAX, 0.0_f64);
        for value in values.filter(|value| *value > 0.0) {
            (low, high) = (low.min(value), high.max(value));
        }
        match logarithmic {
            true => Scale {
                low: 10_f64.powf(low.max(1e-9).log10().floor()).min(1e9),
                high: 10_f64.powf(high.max(1.0).log10().ceil()),
                logarithmic,
            },
            false => Scale {
                low: 0.0,
                high: round_up(high),
                logarithmic,
            },
        }
    }

    /// 0 to 1.
    fn part(&self, value: f64) -> f64 {
        let part = match self.logarithmic {
            true => (value / self.low).log10() / (self.high / self.low).log10().max(1e-9),
            false => value / self.high,
        };
        part.clamp(0.0, 1.0)
    }

    fn ticks(&self) -> Vec<f64> {
        match self.logarithmic {
            true => {
                let mut ticks = vec![self.low];
                while ticks.last().is_some_and(|last| *last < self.high * 0.99) {
                    let last = ticks[ticks.len() - 1];
                    // Within few decades there is room for more.
                    if self.high / self.low < 1e3 {
                        ticks.extend([last * 2.0, last * 5.0]);
                    }
                    ticks.push(last * 10.0);
                }
                ticks
            }
            false => (0..=4).map(|n| self.high * f64::from(n) / 4.0).collect(),
        }
    }
}

/// To the next 1, 2, 4 or 8 of its decade.
fn round_up(value: f64) -> f64 {
    let decade = 10_f64.powf(value.max(1.0).log10().floor());
    let steps = [1.0, 2.0, 4.0, 8.0, 10.0];
    let step = steps.into_iter().find(|step| step * decade >= value);
    step.unwrap_or(10.0) * decade
}

impl Plot<'_> {
    /// The `svg` element.
    pub fn render(&self) -> String {
        let points = || self.series.iter().flat_map(|series| &series.points);
        let mut counts: Vec<f64> = points().map(|point| point.0).collect();
        counts.sort_by(f64::total_cmp);
        counts.dedup();
        let values = Scale::of(points().map(|point| point.1), self.logarithmic);
        let most = counts.last().copied().unwrap_or(1.0);
        let least = counts.first().copied().unwrap_or(1.0);
        // Doublings are equally far apart.
        let span = (most / least).log2().max(1e-9);
        let x = move |count: f64| {
            let part = if most > least {
                (count / least).log2() / span
            } else {
                0.5
            };
            LEFT + 12.0 + part * (WIDTH - LEFT - RIGHT - 24.0)
        };
        let y = |value: f64| HEIGHT - BOTTOM - values.part(value) * (HEIGHT - TOP - BOTTOM);
        let mut svg = format!(
            "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{title}\">\n\
             <text class=\"title\" x=\"{LEFT}\" y=\"18\">{title}</text>\n",
            title = escape(self.title)
        );
        self.axes(&mut svg, &values, &counts, &x, &y);
        if let Some((count, words)) = &self.rule {
            let at = x(*count);
            // Towards the middle, where there is room.
            let (class, begin) = match at > WIDTH / 2.0 {
                true => ("tick end", at - 4.0),
                false => ("tick", at + 4.0),
            };
            let _ = writeln!(
                svg,
                "<line class=\"rule\" x1=\"{at:.1}\" x2=\"{at:.1}\" y1=\"{TOP}\" y2=\"{:.1}\"/>\
                 <text class=\"{class}\" x=\"{begin:.1}\" y=\"{:.1}\">{}</text>",
                HEIGHT - BOTTOM,
                TOP + 10.0,
                escape(words)
            );
        }
        for series in &self.series {
            let place = |point: &(f64, f64)| (x(point.0), y(point.1));
            line(
                &mut svg,
                series,
                series.points.iter().map(place).collect(),
                self.unit,
            );
        }
        svg.push_str("</svg>\n");
        svg
    }

    fn axes(
        &self,
        svg: &mut String,
        values: &Scale,
        counts: &[f64],
        x: &dyn Fn(f64) -> f64,
        y: &dyn Fn(f64) -> f64,
    ) {
        for tick in values.ticks() {
            let at = if values.logarithmic || tick > 0.0 {
                y(tick)
            } else {
                HEIGHT - BOTTOM
            };
            let _ = writeln!(
                svg,
                "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{:.1}\" y1=\"{at:.1}\" y2=\"{at:.1}\"/>\
                 <text class=\"tick end\" x=\"{:.1}\" y=\"{:.1}\">{}</text>",
                WIDTH - RIGHT,
                LEFT - 6.0,
                at + 4.0,
                shown(tick)
            );
        }
        for count in counts {
            let _ = writeln!(
                svg,
                "<text class=\"tick middle\" x=\"{:.1}\" y=\"{:.1}\">{count}</text>",
                x(*count),
                HEIGHT - BOTTOM + 16.0
            );
        }
        let _ = writeln!(
            svg,
            "<text class=\"tick middle\" x=\"{:.1}\" y=\"{:.1}\">handshakes in flight</text>",
            (LEFT + WIDTH - RIGHT) / 2.0,
            HEIGHT - 8.0
        );
    }
}

fn line(svg: &mut String, series: &Series, places: Vec<(f64, f64)>, unit: &str) {
    let (colour, dashed) = (series.colour, if series.dashed { " dashed" } else { "" });
    let path: Vec<String> = places
        .iter()
        .map(|(x, y)| format!("{x:.1},{y:.1}"))
        .collect();
    let _ = writeln!(
        svg,
        "<polyline class=\"line s{colour}{dashed}\" points=\"{}\"/>",
        path.join(" ")
    );
    for ((x, y), (count, value)) in places.iter().zip(&series.points) {
        // Browsers show the title where the pointer is.
        let _ = writeln!(
            svg,
            "<circle class=\"dot s{colour}{dashed}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3.5\">\
             <title>{}, {count} in flight: {value:.0} {unit}</title></circle>",
            escape(&series.name)
        );
    }
}

fn shown(value: f64) -> String {
    match value {
        value if value >= 1e6 => format!("{}M", value / 1e6),
        value if value >= 1e4 => format!("{}k", value / 1e3),
        value => format!("{value}"),
    }
}

/// Text as HTML and SVG want it.
pub fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_point_and_none_can_be_plotted() {
        let plot = |points: &[(f64, f64)], logarithmic| {
            let series = Series {
                name: "a<b".to_owned(),
                colour: 0,
                dashed: false,
                points: points.to_vec(),
            };
            let plot = Plot {
                title: "Rate",
                unit: "a second",
                logarithmic,
                series: vec![series],
                rule: None,
            };
            plot.render()
        };
        for logarithmic in [false, true] {
            for points in [&[][..], &[(4.0, 100.0)], &[(1.0, 1.0), (512.0, 123_456.0)]] {
                let svg = plot(points, logarithmic);
                assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
                assert_eq!(svg.matches("<circle").count(), points.len());
                assert!(!svg.contains("a<b"), "{svg}");
            }
        }
    }

    #[test]
    fn axes_end_at_round_numbers() {
        assert_eq!(round_up(5_230.0), 8_000.0);
        assert_eq!(round_up(1_000.0), 1_000.0);
        assert_eq!(shown(20_000.0), "20k");
    }
}
