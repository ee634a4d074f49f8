//! Times, counted in buckets.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::{header, line};

/// A histogram with `N` upper bounds in seconds, and all that is above.
#[derive(Debug)]
pub(super) struct Histogram<const N: usize> {
    name: &'static str,
    help: &'static str,
    bounds_s: [f64; N],
    /// How many fell between the bound before and this one.
    buckets: [AtomicU64; N],
    above: AtomicU64,
    sum_us: AtomicU64,
}

impl<const N: usize> Histogram<N> {
    /// Nothing was observed.
    ///
    /// # Panics
    /// If the bounds do not grow.
    pub(super) fn new(name: &'static str, help: &'static str, bounds_s: [f64; N]) -> Self {
        assert!(bounds_s.is_sorted_by(|a, b| a < b), "bounds grow");
        Self {
            name,
            help,
            bounds_s,
            buckets: [const { AtomicU64::new(0) }; N],
            above: AtomicU64::new(0),
            sum_us: AtomicU64::new(0),
        }
    }

    /// Counts one.
    pub(super) fn observe(&self, time: Duration) {
        let seconds = time.as_secs_f64();
        let at = self.bounds_s.partition_point(|bound| *bound < seconds);
        self.buckets
            .get(at)
            .unwrap_or(&self.above)
            .fetch_add(1, Ordering::Relaxed);
        let us = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        self.sum_us.fetch_add(us, Ordering::Relaxed);
    }

    /// Writes the histogram; buckets are cumulative there.
    pub(super) fn render(&self, out: &mut String) {
        let name = self.name;
        header(out, name, "histogram", self.help);
        let mut total = 0;
        for (bound, bucket) in self.bounds_s.iter().zip(&self.buckets) {
            total += bucket.load(Ordering::Relaxed);
            line(out, format_args!("{name}_bucket{{le=\"{bound}\"}} {total}"));
        }
        total += self.above.load(Ordering::Relaxed);
        let sum = Duration::from_micros(self.sum_us.load(Ordering::Relaxed));
        line(out, format_args!("{name}_bucket{{le=\"+Inf\"}} {total}"));
        line(out, format_args!("{name}_sum {}", sum.as_secs_f64()));
        line(out, format_args!("{name}_count {total}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_on_a_bound_is_below_it() {
        let histogram = Histogram::new("x", "X.", [0.5, 1.0]);
        for ms in [0, 500, 501, 1_000, 9_000] {
            histogram.observe(Duration::from_millis(ms));
        }
        let mut out = String::new();
        histogram.render(&mut out);
        let values: Vec<&str> = out.lines().skip(2).collect();
        assert_eq!(
            values,
            [
                "x_bucket{le=\"0.5\"} 2",
                "x_bucket{le=\"1\"} 4",
                "x_bucket{le=\"+Inf\"} 5",
                "x_sum 11.001",
                "x_count 5",
            ]
        );
    }
}
