//! Who is not listened to: the counts of the signalling's guard, by reason.

use std::sync::atomic::{AtomicU64, Ordering};

use super::gauges::Kind;
use super::{header, line};
use crate::net::faults::Fault;

/// One value; rows of the same name stand together.
#[derive(Clone, Copy, Debug)]
pub(super) struct Labelled {
    name: &'static str,
    kind: Kind,
    help: &'static str,
    /// The value of the label `reason`; empty for none.
    reason: &'static str,
}

const fn row(name: &'static str, kind: Kind, help: &'static str, reason: &'static str) -> Labelled {
    Labelled {
        name,
        kind,
        help,
        reason,
    }
}

const fn dropped(reason: &'static str) -> Labelled {
    let help = "SIP messages and connections that were not listened to.";
    row("jackfield_sip_dropped_total", Kind::Counter, help, reason)
}

const fn bans(reason: &'static str) -> Labelled {
    let help = "Times a source of SIP was banned.";
    row("jackfield_sip_bans_total", Kind::Counter, help, reason)
}

const fn closed(reason: &'static str) -> Labelled {
    let help = "SIP connections that were closed or not taken.";
    row(
        "jackfield_sip_streams_closed_total",
        Kind::Counter,
        help,
        reason,
    )
}

/// In the order of [`values`].
pub(super) const GUARD: [Labelled; 14] = [
    row(
        "jackfield_sip_guard_sources",
        Kind::Gauge,
        "Sources of SIP whose messages are counted.",
        "",
    ),
    row(
        "jackfield_sip_banned",
        Kind::Gauge,
        "Sources of SIP that are banned.",
        "",
    ),
    dropped("denied"),
    dropped("banned"),
    dropped("requests"),
    dropped("registers"),
    dropped("invites"),
    bans("scanner"),
    bans("credentials"),
    bans("malformed"),
    bans("flood"),
    closed("slow"),
    closed("idle"),
    closed("too_many"),
];

/// In the order of [`GUARD`].
pub(super) fn values(counts: &sip::guard::Counts) -> [u64; GUARD.len()] {
    let sip::guard::Counts {
        sources,
        banned,
        dropped_denied,
        dropped_banned,
        dropped_requests,
        dropped_registers,
        dropped_invites,
        bans: [scanner, credentials, malformed, flood],
        streams_slow,
        streams_idle,
        streams_refused,
    } = *counts;
    [
        sources as u64,
        banned as u64,
        dropped_denied,
        dropped_banned,
        dropped_requests,
        dropped_registers,
        dropped_invites,
        scanner,
        credentials,
        malformed,
        flood,
        streams_slow,
        streams_idle,
        streams_refused,
    ]
}

/// Writes all of it.
pub(super) fn render(out: &mut String, values: &[AtomicU64; GUARD.len()]) {
    let mut last = "";
    for (row, value) in GUARD.iter().zip(values) {
        let value = value.load(Ordering::Relaxed);
        if row.name != last {
            header(out, row.name, row.kind.name(), row.help);
            last = row.name;
        }
        if row.reason.is_empty() {
            line(out, format_args!("{} {value}", row.name));
        } else {
            let reason = row.reason;
            line(
                out,
                format_args!("{}{{reason=\"{reason}\"}} {value}", row.name),
            );
        }
    }
}

/// Writes why connections were not taken or given up.
pub(super) fn render_streams(out: &mut String, values: &[AtomicU64; Fault::ALL.len()]) {
    let name = "jackfield_sip_connections_failed_total";
    let help = "SIP connections that were not taken, or were given up, by why.";
    header(out, name, Kind::Counter.name(), help);
    for (fault, value) in Fault::ALL.into_iter().zip(values) {
        let (reason, value) = (fault.name(), value.load(Ordering::Relaxed));
        line(out, format_args!("{name}{{reason=\"{reason}\"}} {value}"));
    }
}

#[cfg(test)]
mod tests {
    use sip::guard::BanReason;

    use super::*;

    #[test]
    fn reasons_have_the_guards_names() {
        let bans = GUARD
            .iter()
            .filter(|row| row.name == "jackfield_sip_bans_total");
        let names: Vec<_> = bans.map(|row| row.reason).collect();
        assert_eq!(names, BanReason::ALL.map(BanReason::name));
    }
}
