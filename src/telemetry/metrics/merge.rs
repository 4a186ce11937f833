//! Sums the shards' samples.

use std::collections::{BTreeMap, HashMap};

use prometheus::proto::{Bucket, Counter, Gauge, Histogram, Metric, MetricFamily, MetricType};

struct Sum {
    family: MetricFamily,
    /// Where the sample with these labels is.
    index: HashMap<String, usize>,
}

/// One family for each name, one sample for each set of labels; ordered by name and,
/// within a family, as first seen.
pub(super) fn merge(gathered: impl Iterator<Item = Vec<MetricFamily>>) -> Vec<MetricFamily> {
    let mut sums: BTreeMap<String, Sum> = BTreeMap::new();
    for mut family in gathered.flatten() {
        let samples = family.take_metric();
        let sum = sums.entry(family.name().to_owned()).or_insert_with(|| Sum {
            family,
            index: HashMap::new(),
        });
        for sample in samples {
            add(sum, sample);
        }
    }
    sums.into_values().map(|sum| sum.family).collect()
}

fn add(sum: &mut Sum, sample: Metric) {
    let kind = sum.family.get_field_type();
    let samples = sum.family.mut_metric();
    let next = samples.len();
    let at = *sum.index.entry(key(&sample)).or_insert(next);
    match samples.get_mut(at) {
        None => samples.push(sample),
        Some(first) => combine(kind, first, &sample),
    }
}

fn combine(kind: MetricType, first: &mut Metric, other: &Metric) {
    match kind {
        MetricType::COUNTER => {
            let mut counter = Counter::default();
            let both = first.get_counter().get_value() + other.get_counter().get_value();
            counter.set_value(both);
            first.set_counter(counter);
        }
        MetricType::GAUGE => {
            let mut gauge = Gauge::default();
            gauge.set_value(first.get_gauge().get_value() + other.get_gauge().get_value());
            first.set_gauge(gauge);
        }
        MetricType::HISTOGRAM => {
            let both = histograms(first.get_histogram(), other.get_histogram());
            first.set_histogram(both);
        }
        // No family is of these kinds.
        MetricType::SUMMARY | MetricType::UNTYPED => {}
    }
}

/// Both have the same buckets: a family's are constant.
fn histograms(a: &Histogram, b: &Histogram) -> Histogram {
    let pairs = a.get_bucket().iter().zip(b.get_bucket());
    let buckets = pairs.map(|(a, b)| {
        let mut bucket = Bucket::default();
        bucket.set_upper_bound(a.upper_bound());
        bucket.set_cumulative_count(a.cumulative_count() + b.cumulative_count());
        bucket
    });
    let mut sum = Histogram::default();
    sum.set_bucket(buckets.collect());
    sum.set_sample_count(a.get_sample_count() + b.get_sample_count());
    sum.set_sample_sum(a.get_sample_sum() + b.get_sample_sum());
    sum
}

/// Label values; the names are the family's own and always in the same order.
fn key(sample: &Metric) -> String {
    let mut key = String::new();
    for label in sample.get_label() {
        key.push_str(label.value());
        key.push('\0');
    }
    key
}
