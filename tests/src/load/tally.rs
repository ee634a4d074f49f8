//! What became of calls and packets.

use std::collections::BTreeMap;

/// Counts since they were last taken.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Tally {
    /// INVITEs sent.
    pub started: u64,
    /// 200s received.
    pub answered: u64,
    /// Calls that went as their script says.
    pub ended: u64,
    /// Calls that did not, by why.
    pub failed: BTreeMap<&'static str, u64>,
    /// From INVITE to 200 of each answered call.
    pub waits_ms: Vec<f64>,
    /// Audio.
    pub packets: Packets,
}

impl Tally {
    /// Calls that did not go as their script says.
    pub fn failures(&self) -> u64 {
        self.failed.values().sum()
    }

    /// Why calls failed, for a person.
    pub fn reasons(&self) -> String {
        let reasons: Vec<String> = self
            .failed
            .iter()
            .map(|(why, count)| format!("{count} × {why}"))
            .collect();
        reasons.join(", ")
    }
}

/// Counts of audio packets.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Packets {
    /// Sent.
    pub sent: u64,
    /// Received in streams that are known.
    pub received: u64,
    /// Of these over 20 ms after they were due by their stream's own clock.
    pub late: u64,
    /// Never received: gaps in sequence numbers.
    pub lost: u64,
}

impl Packets {
    /// Percentage of packets that were late or never came.
    pub fn late_percent(&self) -> f64 {
        let all = (self.received + self.lost).max(1);
        100.0 * (self.late + self.lost) as f64 / all as f64
    }
}
