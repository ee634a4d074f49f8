//! Counters and gauges, in the text format of Prometheus.
//!
//! Threads that must not wait write atomics: the gauges of the node and of media workers, and the
//! histograms. Families with labels sit behind a lock that is held for one entry or one copy; they
//! change a few times in a call's life.
//!
//! Labels are tenants, plugins, causes and the like, each from a small set; a number, an address
//! or anything else a caller chooses is never one. A family that still grows past [`SERIES_MAX`]
//! counts what is new under `other`.

mod family;
mod gauges;
mod guard;
mod histogram;
mod process;

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};

use node::Notice;
use vocab::flow::Level;
use vocab::hearing::Hearing;

use family::Family;
use gauges::{Kind, MEDIA, NODE, Row};
use guard::GUARD;

use crate::net::faults::Fault;
use histogram::Histogram;

/// Most sets of labels of one family: ten tenants with all causes, or a hundred plugins that fail
/// in all ways, and what one scrape should carry.
pub const SERIES_MAX: usize = 1_000;

/// Most media workers told apart; the configuration allows no more threads.
pub const WORKERS_MAX: usize = 64;

/// From the INVITE to the ACK: a phone answers in a network round trip, a person in seconds.
const ANSWER_S: [f64; 13] = [
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0,
];

/// From a caller that hangs up at once to a conference.
const DURATION_S: [f64; 11] = [
    1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1_800.0, 3_600.0,
];

/// What the server counts. Shared as an `Arc`.
#[derive(Debug)]
pub struct Metrics {
    started: Family<1>,
    ended: Family<2>,
    turned_away: Family<1>,
    faults: Family<3>,
    denied: Family<2>,
    log_lines: Family<2>,
    plugin_live: Family<2>,
    plugin_refused: Family<1>,
    plugin_rolled_back: Family<2>,
    trunk_changes: Family<3>,
    failovers: Family<1>,
    signals: Family<1>,
    answerers: Family<2>,
    speech: Family<2>,
    answered: AtomicU64,
    registrations: AtomicU64,
    auth_failures: AtomicU64,
    not_written: AtomicU64,
    answer: Histogram<{ ANSWER_S.len() }>,
    duration: Histogram<{ DURATION_S.len() }>,
    node: [AtomicU64; NODE.len()],
    media: [Worker; WORKERS_MAX],
    shell: [AtomicU64; gauges::SHELL.len()],
    guard: [AtomicU64; GUARD.len()],
    streams: [AtomicU64; Fault::ALL.len()],
}

/// The counts of one media worker.
#[derive(Debug)]
struct Worker {
    /// Zero until it reports.
    reports: AtomicU64,
    values: [AtomicU64; MEDIA.len()],
}

/// How much waits in the shell itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Shell {
    /// Guests in the pool: running, waiting for their turn, or waiting for an answer.
    pub guests: usize,
    /// Events that wait for the database or are being written.
    pub store_waiting: usize,
    /// Pieces of recordings that were dropped because the disk was too slow.
    pub recordings_dropped: u64,
    /// Recordings that end early because they could not be written.
    pub recordings_cut: u64,
    /// What becomes of recordings.
    pub archive: crate::archive::Counts,
    /// Something cannot be written, and new calls are refused.
    pub disk_failing: bool,
    /// Writes of call events and recordings that failed.
    pub disk_failures: u64,
    /// What is kept of the signalling.
    pub traces: crate::trace::Counts,
    /// Connections of SIP that came to a bad end, in the order of [`Fault::ALL`].
    pub streams: [u64; Fault::ALL.len()],
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            started: Family::new(
                "jackfield_calls_started_total",
                "Calls that were taken in.",
                ["tenant"],
            ),
            ended: Family::new(
                "jackfield_calls_total",
                "Calls that are over, by why they ended.",
                ["tenant", "cause"],
            ),
            turned_away: Family::new(
                "jackfield_calls_turned_away_total",
                "Calls that were turned away before they began.",
                ["refusal"],
            ),
            faults: Family::new(
                "jackfield_plugin_faults_total",
                "Runs of plugins that ended in a fault.",
                ["plugin", "version", "kind"],
            ),
            denied: Family::new(
                "jackfield_plugin_denied_total",
                "Wishes of plugins for what they were not granted.",
                ["plugin", "capability"],
            ),
            log_lines: Family::new(
                "jackfield_plugin_log_lines_total",
                "Lines that plugins logged.",
                ["plugin", "level"],
            ),
            plugin_live: Family::new(
                "jackfield_plugin_installs_total",
                "Times a version of a plugin began to take new calls.",
                ["plugin", "version"],
            ),
            plugin_refused: Family::new(
                "jackfield_plugin_refused_total",
                "Versions of plugins that were not taken.",
                ["plugin"],
            ),
            trunk_changes: Family::new(
                "jackfield_trunk_changes_total",
                "Times a trunk came up or went down.",
                ["tenant", "trunk", "state"],
            ),
            failovers: Family::new(
                "jackfield_trunk_failovers_total",
                "Calls that a trunk did not take and that went on to another.",
                ["trunk"],
            ),
            signals: Family::new(
                "jackfield_signals_total",
                "Signals of the network that were heard of legs.",
                ["signal"],
            ),
            answerers: Family::new(
                "jackfield_answerers_total",
                "Who answered calls of which that was to be found out, and why.",
                ["answerer", "cause"],
            ),
            speech: Family::new(
                "jackfield_speech_total",
                "Texts that were to be spoken and were not known yet, by who was asked and what came of it.",
                ["engine", "result"],
            ),
            plugin_rolled_back: Family::new(
                "jackfield_plugin_rolled_back_total",
                "Versions of plugins that were taken back after too many faults.",
                ["plugin", "version"],
            ),
            answered: AtomicU64::new(0),
            registrations: AtomicU64::new(0),
            auth_failures: AtomicU64::new(0),
            not_written: AtomicU64::new(0),
            answer: Histogram::new(
                "jackfield_answer_seconds",
                "From the INVITE to the ACK of answered calls.",
                ANSWER_S,
            ),
            duration: Histogram::new(
                "jackfield_call_duration_seconds",
                "From start to end of calls, answered or not.",
                DURATION_S,
            ),
            node: [const { AtomicU64::new(0) }; NODE.len()],
            media: [const {
                Worker {
                    reports: AtomicU64::new(0),
                    values: [const { AtomicU64::new(0) }; MEDIA.len()],
                }
            }; WORKERS_MAX],
            shell: [const { AtomicU64::new(0) }; gauges::SHELL.len()],
            guard: [const { AtomicU64::new(0) }; GUARD.len()],
            streams: [const { AtomicU64::new(0) }; Fault::ALL.len()],
        }
    }
}

impl Metrics {
    /// Counts a notice of the node.
    pub fn notice(&self, notice: &Notice) {
        match notice {
            Notice::Started { tenant, .. } => self.started.add([tenant.as_str()]),
            Notice::Answered { after, .. } => {
                add(&self.answered);
                self.answer.observe(*after);
            }
            Notice::Ended {
                tenant,
                cause,
                duration,
                ..
            } => {
                self.ended.add([tenant.as_str(), cause.name()]);
                self.duration.observe(*duration);
            }
            Notice::TurnedAway { refusal, .. } => self.turned_away.add([refusal.name()]),
            Notice::Fault { fault, .. } => {
                let plugin = &fault.plugin;
                self.faults
                    .add([&plugin.name, &plugin.version, fault.kind.name()]);
            }
            Notice::Denied {
                plugin, capability, ..
            } => {
                self.denied.add([&plugin.name, capability]);
            }
            Notice::PluginLog { plugin, level, .. } => {
                self.log_lines.add([&plugin.name, level_name(*level)]);
            }
            Notice::PluginLive { plugin } => {
                self.plugin_live.add([&plugin.name, &plugin.version]);
            }
            Notice::PluginRefused { plugin, .. } => self.plugin_refused.add([&plugin.name]),
            Notice::PluginRolledBack { from, .. } => {
                self.plugin_rolled_back.add([&from.name, &from.version]);
            }
            Notice::Registered { .. } => add(&self.registrations),
            Notice::AuthFailed { .. } => add(&self.auth_failures),
            Notice::NotWritten { .. } => add(&self.not_written),
            Notice::Dialog { .. }
            | Notice::Talking { .. }
            | Notice::Speaker { .. }
            | Notice::PluginFailing { .. }
            | Notice::Banned { .. }
            | Notice::PluginDrained { .. }
            | Notice::PluginFreed { .. }
            | Notice::Unregistered { .. } => {}
            Notice::Trunk {
                tenant,
                trunk,
                state,
            } => self
                .trunk_changes
                .add([tenant.as_str(), trunk, state.name()]),
            Notice::Failover { from, .. } => self.failovers.add([from]),
            Notice::Heard { hearing, .. } => match hearing {
                Hearing::Signal(heard) => self.signals.add([heard.signal.name()]),
                Hearing::Answerer(who) => self.answerers.add([who.answerer.name(), &who.cause]),
                Hearing::MessageEnded(_) => {}
            },
        }
    }

    /// Counts a text that was spoken, or was not. Never waits.
    pub fn spoken(&self, engine: &str, result: &str) {
        self.speech.add([engine, result]);
    }

    /// Sets the gauges of the node. Never waits.
    pub fn counts(&self, counts: &node::Counts) {
        set(&self.node, gauges::node_values(counts));
        set(&self.guard, guard::values(&counts.sip.guard));
    }

    /// Sets the counts of a media worker, and whether it has no time for more calls. Never waits.
    ///
    /// Workers from [`WORKERS_MAX`] on are left out.
    pub fn media(&self, worker: u16, counts: &media::Counts, full: bool) {
        debug_assert!(
            usize::from(worker) < WORKERS_MAX,
            "the configuration allows no more"
        );
        if let Some(worker) = self.media.get(usize::from(worker)) {
            set(&worker.values, gauges::media_values(counts, full));
            add(&worker.reports);
        }
    }

    /// Sets the gauges of the shell. Never waits.
    pub fn shell(&self, shell: Shell) {
        set(&self.streams, shell.streams);
        set(&self.shell, gauges::shell_values(shell));
    }

    /// All of it in the text format of Prometheus (version 0.0.4).
    ///
    /// Reads `/proc`: with some ten thousand open sockets this takes milliseconds.
    pub fn render(&self) -> String {
        let mut text = self.own();
        let version = env!("CARGO_PKG_VERSION");
        header(
            &mut text,
            "jackfield_build_info",
            "gauge",
            "The version, always 1.",
        );
        line(
            &mut text,
            format_args!("jackfield_build_info{{version=\"{version}\"}} 1"),
        );
        process::render(&mut text);
        text
    }

    /// Everything that does not depend on the machine.
    fn own(&self) -> String {
        let mut text = String::with_capacity(16 << 10);
        let out = &mut text;
        self.started.render(out);
        single(
            out,
            "jackfield_calls_answered_total",
            "Calls that were answered.",
            &self.answered,
        );
        self.ended.render(out);
        self.turned_away.render(out);
        self.answer.render(out);
        self.duration.render(out);
        self.faults.render(out);
        self.denied.render(out);
        self.log_lines.render(out);
        self.plugin_live.render(out);
        self.plugin_refused.render(out);
        self.plugin_rolled_back.render(out);
        self.trunk_changes.render(out);
        self.failovers.render(out);
        self.signals.render(out);
        self.answerers.render(out);
        self.speech.render(out);
        let help = "Times a phone registered or refreshed its registration.";
        single(
            out,
            "jackfield_registrations_total",
            help,
            &self.registrations,
        );
        let help = "Requests with wrong credentials.";
        single(
            out,
            "jackfield_auth_failures_total",
            help,
            &self.auth_failures,
        );
        let help = "Batches of call events that could not be written.";
        single(out, "jackfield_not_written_total", help, &self.not_written);
        rows(out, &NODE, &self.node);
        guard::render(out, &self.guard);
        guard::render_streams(out, &self.streams);
        rows(out, &gauges::SHELL, &self.shell);
        self.render_media(out);
        text
    }

    fn render_media(&self, out: &mut String) {
        for (index, row) in MEDIA.iter().enumerate() {
            header(out, row.name, row.kind.name(), row.help);
            for (number, worker) in self.media.iter().enumerate() {
                if worker.reports.load(Ordering::Relaxed) > 0 {
                    let value = worker.values[index].load(Ordering::Relaxed);
                    line(
                        out,
                        format_args!("{}{{worker=\"{number}\"}} {value}", row.name),
                    );
                }
            }
        }
    }
}

fn add(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

fn set<const N: usize>(gauges: &[AtomicU64; N], values: [u64; N]) {
    for (gauge, value) in gauges.iter().zip(values) {
        gauge.store(value, Ordering::Relaxed);
    }
}

fn rows<const N: usize>(out: &mut String, rows: &[Row; N], values: &[AtomicU64; N]) {
    for (row, value) in rows.iter().zip(values) {
        header(out, row.name, row.kind.name(), row.help);
        line(
            out,
            format_args!("{} {}", row.name, value.load(Ordering::Relaxed)),
        );
    }
}

fn single(out: &mut String, name: &str, help: &str, value: &AtomicU64) {
    header(out, name, Kind::Counter.name(), help);
    line(
        out,
        format_args!("{name} {}", value.load(Ordering::Relaxed)),
    );
}

/// What is said about a family before its values.
fn header(out: &mut String, name: &str, kind: &str, help: &str) {
    line(out, format_args!("# HELP {name} {help}"));
    line(out, format_args!("# TYPE {name} {kind}"));
}

fn line(out: &mut String, what: std::fmt::Arguments<'_>) {
    writeln!(out, "{what}").expect("a string takes everything");
}

/// Stable lower-case name.
fn level_name(level: Level) -> &'static str {
    match level {
        Level::Trace => "trace",
        Level::Debug => "debug",
        Level::Info => "info",
        Level::Warn => "warn",
        Level::Error => "error",
    }
}

#[cfg(test)]
mod tests;
