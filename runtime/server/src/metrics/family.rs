//! Counters that are told apart by labels.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use super::{SERIES_MAX, header, line};

/// One counter for each set of label values seen, up to [`SERIES_MAX`] of them.
#[derive(Debug)]
pub(super) struct Family<const N: usize> {
    name: &'static str,
    help: &'static str,
    labels: [&'static str; N],
    series: Mutex<BTreeMap<[Box<str>; N], u64>>,
}

impl<const N: usize> Family<N> {
    /// Nothing was counted.
    pub(super) fn new(name: &'static str, help: &'static str, labels: [&'static str; N]) -> Self {
        Self {
            name,
            help,
            labels,
            series: Mutex::default(),
        }
    }

    /// Counts one.
    pub(super) fn add(&self, values: [&str; N]) {
        let mut series = self.series.lock().unwrap_or_else(PoisonError::into_inner);
        let mut key = values.map(Box::<str>::from);
        // One place is kept for what no longer has one of its own.
        if series.len() >= SERIES_MAX - 1 && !series.contains_key(&key) {
            key = [const { "other" }; N].map(Box::<str>::from);
        }
        *series.entry(key).or_default() += 1;
        assert!(series.len() <= SERIES_MAX, "a family is bounded");
    }

    /// Writes the family.
    pub(super) fn render(&self, out: &mut String) {
        // A copy: whoever counts does not wait for the formatting.
        let series = self
            .series
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        header(out, self.name, "counter", self.help);
        for (values, count) in series {
            let labels: Vec<String> = self
                .labels
                .iter()
                .zip(&values)
                .map(|(label, value)| format!("{label}=\"{}\"", escape(value)))
                .collect();
            line(
                out,
                format_args!("{}{{{}}} {count}", self.name, labels.join(",")),
            );
        }
    }
}

/// Prometheus text format: backslash, quote and line feed are escaped in label values.
fn escape(value: &str) -> String {
    value
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_family_is_bounded_and_loses_no_count() {
        let family = Family::new("x_total", "X.", ["name"]);
        let all = SERIES_MAX + 500;
        for n in 0..all {
            family.add([&format!("n{n}")]);
        }
        family.add(["n3"]);
        let series = family.series.lock().unwrap();
        assert_eq!(series.len(), SERIES_MAX);
        assert_eq!(series.values().sum::<u64>(), all as u64 + 1);
        assert_eq!(series[&["n3".into()]], 2);
        assert_eq!(series[&["other".into()]], 501);
    }

    #[test]
    fn values_cannot_break_the_format() {
        let family = Family::new("x_total", "X.", ["name"]);
        family.add(["a\"} 1\nevil \\"]);
        let mut out = String::new();
        family.render(&mut out);
        assert_eq!(
            out,
            "# HELP x_total X.\n# TYPE x_total counter\nx_total{name=\"a\\\"} 1\\nevil \\\\\"} 1\n"
        );
    }
}
