//! A scrape of `/metrics`.

/// Prometheus' text exposition format, as far as tests ask for it.
pub struct Metrics(String);

impl Metrics {
    pub(super) fn new(text: String) -> Metrics {
        Metrics(text)
    }

    pub fn text(&self) -> &str {
        &self.0
    }

    /// The sum of the samples of that name that have these labels; 0 if there are none.
    pub fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        self.samples(name)
            .filter(|(found, _)| {
                labels
                    .iter()
                    .all(|(label, value)| found.contains(&format!("{label}=\"{value}\"")))
            })
            .map(|(_, value)| value)
            .sum()
    }

    /// Whether there is a sample of that name.
    pub fn has(&self, name: &str) -> bool {
        self.samples(name).next().is_some()
    }

    fn samples<'a>(&'a self, name: &'a str) -> impl Iterator<Item = (&'a str, f64)> {
        self.0.lines().filter_map(move |line| {
            let rest = line.strip_prefix(name)?;
            let (labels, value) = match rest.strip_prefix('{') {
                Some(rest) => rest.rsplit_once("} ")?,
                None => ("", rest.strip_prefix(' ')?),
            };
            Some((labels, value.parse().ok()?))
        })
    }
}
