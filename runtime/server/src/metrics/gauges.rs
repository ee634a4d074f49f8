//! How much of everything is alive: names beside the counts they come from.

use super::Shell;

/// What a value is.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    /// It goes up and down.
    Gauge,
    /// It only grows.
    Counter,
}

impl Kind {
    /// As Prometheus calls it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Gauge => "gauge",
            Self::Counter => "counter",
        }
    }
}

/// One value without labels, or with the worker's only.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) help: &'static str,
}

const fn gauge(name: &'static str, help: &'static str) -> Row {
    Row {
        name,
        kind: Kind::Gauge,
        help,
    }
}

const fn counter(name: &'static str, help: &'static str) -> Row {
    Row {
        name,
        kind: Kind::Counter,
        help,
    }
}

/// Of the node; in the order of [`node_values`].
pub(super) const NODE: [Row; 26] = [
    gauge("jackfield_calls", "Calls that are up or being set up."),
    gauge("jackfield_flows", "Runs of plugins."),
    gauge("jackfield_deadlines", "Deadlines of calls."),
    gauge(
        "jackfield_unwritten",
        "Batches of call events that are not on disk yet.",
    ),
    gauge("jackfield_speeches", "Pieces of speech being made."),
    gauge("jackfield_legs", "Legs in any state."),
    gauge("jackfield_engine_dialogs", "Dialogs the engine follows."),
    gauge(
        "jackfield_media_sessions_held",
        "Media sessions the engine holds.",
    ),
    gauge("jackfield_leg_timers", "Timers of legs."),
    gauge("jackfield_rtp_ports_free", "RTP ports no session uses."),
    gauge("jackfield_rtp_ports", "RTP ports of all media workers."),
    counter(
        "jackfield_engine_panics_total",
        "Steps that panicked; each dropped one leg: a bug.",
    ),
    gauge(
        "jackfield_sip_dialogs",
        "SIP dialogs, those being set up or ended included.",
    ),
    gauge(
        "jackfield_sip_client_invites",
        "INVITE transactions of ours.",
    ),
    gauge(
        "jackfield_sip_client_transactions",
        "Other transactions of ours.",
    ),
    gauge(
        "jackfield_sip_server_invites",
        "INVITE transactions of others.",
    ),
    gauge(
        "jackfield_sip_server_transactions",
        "Other transactions of others.",
    ),
    gauge(
        "jackfield_sip_requests",
        "Requests outside dialogs that wait for their answer.",
    ),
    gauge("jackfield_sip_streams", "SIP connections over TCP."),
    gauge("jackfield_sip_contacts", "Registered contacts."),
    counter(
        "jackfield_sip_malformed_total",
        "Messages that were no SIP or broke its rules.",
    ),
    counter(
        "jackfield_sip_retransmits_total",
        "Messages sent again, and messages that came again.",
    ),
    counter("jackfield_sip_overloads_total", "Requests answered 503."),
    counter(
        "jackfield_sip_auth_failures_total",
        "SIP requests with wrong credentials.",
    ),
    counter(
        "jackfield_sip_strays_total",
        "Well-formed messages that belonged to nothing.",
    ),
    gauge("jackfield_sip_transactions", "All SIP transactions."),
];

/// In the order of [`NODE`].
pub(super) fn node_values(counts: &node::Counts) -> [u64; NODE.len()] {
    let node::Counts {
        calls,
        flows,
        deadlines,
        unwritten,
        speeches,
        engine,
        sip,
    } = *counts;
    let transactions = sip.client_invites + sip.clients + sip.server_invites + sip.servers;
    [
        calls as u64,
        flows as u64,
        deadlines as u64,
        unwritten as u64,
        speeches as u64,
        engine.legs as u64,
        engine.dialogs as u64,
        engine.sessions as u64,
        engine.timers as u64,
        engine.ports_free as u64,
        engine.ports_total as u64,
        engine.panics,
        sip.dialogs as u64,
        sip.client_invites as u64,
        sip.clients as u64,
        sip.server_invites as u64,
        sip.servers as u64,
        sip.requests as u64,
        sip.streams as u64,
        sip.contacts as u64,
        sip.malformed,
        sip.retransmits,
        sip.overloads,
        sip.auth_failures,
        sip.strays,
        transactions as u64,
    ]
}

/// Of each media worker; in the order of [`media_values`].
pub(super) const MEDIA: [Row; 12] = [
    gauge("jackfield_media_sessions", "Media sessions."),
    counter("jackfield_media_packets_in_total", "RTP packets received."),
    counter("jackfield_media_packets_out_total", "RTP packets sent."),
    counter(
        "jackfield_media_packets_dropped_total",
        "RTP packets not used.",
    ),
    counter(
        "jackfield_media_packets_late_total",
        "RTP packets sent over 20 ms after they were due.",
    ),
    counter(
        "jackfield_media_ticks_late_total",
        "Ticks done over 20 ms after they were due.",
    ),
    counter(
        "jackfield_media_ticks_skipped_total",
        "Ticks left out because it was too late for them.",
    ),
    counter(
        "jackfield_media_failed_total",
        "Sessions closed because a step panicked: a bug.",
    ),
    counter(
        "jackfield_media_refused_total",
        "Commands and packets that no session took.",
    ),
    counter(
        "jackfield_media_unauthentic_total",
        "Packets dropped because they are not secured as agreed, or were sent again.",
    ),
    counter(
        "jackfield_media_strangers_total",
        "Datagrams to the port of browsers from whom nobody knows, or that are of no use.",
    ),
    gauge(
        "jackfield_media_full",
        "1 while the thread has no time for more calls, and new ones are refused.",
    ),
];

/// In the order of [`MEDIA`].
pub(super) fn media_values(counts: &media::Counts, full: bool) -> [u64; MEDIA.len()] {
    let media::Counts {
        sessions,
        packets_in,
        packets_out,
        dropped,
        late_packets,
        late_ticks,
        skipped_ticks,
        failed,
        refused,
        unauthentic,
        strangers,
    } = *counts;
    [
        sessions as u64,
        packets_in,
        packets_out,
        dropped,
        late_packets,
        late_ticks,
        skipped_ticks,
        failed,
        refused,
        unauthentic,
        strangers,
        u64::from(full),
    ]
}

/// Of the shell; in the order of [`shell_values`].
pub(super) const SHELL: [Row; 16] = [
    gauge("jackfield_guests", "Guests in the pool."),
    gauge(
        "jackfield_store_waiting",
        "Call events that wait for the database.",
    ),
    counter(
        "jackfield_recordings_dropped_total",
        "Pieces of recordings the disk was too slow for.",
    ),
    counter(
        "jackfield_recordings_cut_total",
        "Recordings that end early because they could not be written.",
    ),
    counter(
        "jackfield_recordings_finished_total",
        "Recordings that were entered in the index.",
    ),
    counter(
        "jackfield_recordings_unfinished_total",
        "Tries to hash, code or encrypt a recording that failed, and are repeated.",
    ),
    counter(
        "jackfield_recordings_gaps_total",
        "Recordings that miss more than 200 ms of audio.",
    ),
    gauge(
        "jackfield_recordings_waiting",
        "Recordings that wait for the object store.",
    ),
    counter(
        "jackfield_recordings_upload_failures_total",
        "Uploads of recordings that failed, and are repeated.",
    ),
    gauge(
        "jackfield_recordings_store_away",
        "1 while the object store takes no recordings.",
    ),
    gauge(
        "jackfield_disk_failing",
        "1 while call events or recordings cannot be written and new calls get 503.",
    ),
    counter(
        "jackfield_disk_failures_total",
        "Writes of call events and recordings that failed.",
    ),
    gauge(
        "jackfield_trace_bytes",
        "Memory of the signalling kept of live calls.",
    ),
    counter(
        "jackfield_trace_messages_left_out_total",
        "SIP messages that no trace has, because there were too many.",
    ),
    counter(
        "jackfield_traces_not_kept_total",
        "Calls whose signalling was not written when they were over.",
    ),
    counter(
        "jackfield_hep_not_sent_total",
        "SIP messages that the HEP collector was not sent.",
    ),
];

/// In the order of [`SHELL`].
pub(super) fn shell_values(shell: Shell) -> [u64; SHELL.len()] {
    [
        shell.guests as u64,
        shell.store_waiting as u64,
        shell.recordings_dropped,
        shell.recordings_cut,
        shell.archive.finished,
        shell.archive.unfinished,
        shell.archive.gaps,
        shell.archive.waiting,
        shell.archive.failed,
        u64::from(shell.archive.away),
        u64::from(shell.disk_failing),
        shell.disk_failures,
        shell.traces.bytes,
        shell.traces.left_out,
        shell.traces.not_kept,
        shell.traces.not_exported,
    ]
}
