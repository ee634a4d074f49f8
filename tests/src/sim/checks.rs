//! The promises of the node, looked at after every step.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use media::RecordingOutput;
use node::{Node, Notice};
use vocab::call::Side;
use vocab::flow::PluginRef;
use vocab::record::{CallEvent, CallEventKind, Step};
use vocab::recording::{SegmentEnd, SegmentStart};
use vocab::{CallId, Direction, Mono, RecordingId, SecretToken, SessionId, Wall};

use super::disk::Disk;
use super::scenario::{Reload, Scenario};
use super::wire::Seen;
use super::{ear, house};

/// What may be missing of a recording, or be too much of it.
const GAP_MAX: Duration = Duration::from_millis(200);

/// Longest pause in what a caller is sent.
const PAUSE_MAX: Duration = Duration::from_millis(40);

/// The same while two parties talk and their packets are passed on as they come: the worker fills
/// in silence after 200 ms.
const PAUSE_BRIDGED: Duration = Duration::from_millis(240);

/// Longest life of a leg whose call is over: the worker has to close its media.
const LEG_AFTER_CALL: Duration = Duration::from_secs(3);

/// In the ids of damaged messages, and in no others: ours are digits and small letters.
pub(super) const GARBLED: char = 'Z';

/// Peaks above this are sound, and not the noise of G.711.
const LOUD: u16 = 330;

/// A phone's call that is over.
#[derive(Debug)]
pub(super) struct HangUp<'a> {
    /// `None` if the phone was called.
    pub(super) sip_call_id: Option<&'a str>,
    /// Seen from the phone.
    pub(super) by: Side,
    /// How long it was up, if it was.
    pub(super) up: Option<Duration>,
    /// Nothing was lost on the way.
    pub(super) good_line: bool,
    pub(super) heard: &'a [i16],
}

/// What was seen so far.
#[derive(Debug)]
pub(super) struct Checks {
    /// Private values: they appear in no notice.
    planted: Vec<String>,
    calls: BTreeMap<CallId, Seen1>,
    by_sip: BTreeMap<String, CallId>,
    /// Final answer of each INVITE that reached the node, by `Call-ID`, `CSeq` and branch.
    invites: BTreeMap<(String, String, String), Option<u16>>,
    /// Calls whose INVITE was accepted with a 200.
    accepted: BTreeSet<String>,
    /// `Call-ID`s of the node's own INVITEs.
    outbound: BTreeSet<String>,
    /// New ones in this step, and calls out that were noted in it.
    step_outbound: usize,
    step_dialed: usize,
    sessions: BTreeMap<SessionId, Sending>,
    recordings: BTreeMap<RecordingId, bool>,
    recordings_noted: BTreeSet<RecordingId>,
    secrets: BTreeSet<SecretToken>,
    /// Segments that were announced, and their channels.
    segments: BTreeMap<RecordingId, u16>,
    /// Which began when, and which ended because their leg went elsewhere.
    began: BTreeMap<Wall, Vec<RecordingId>>,
    moved: Vec<(RecordingId, Wall)>,
    /// How long those lasted, as the node says.
    lasted: BTreeMap<RecordingId, Duration>,
    /// What came of each recording so far.
    tapes: BTreeMap<RecordingId, Tape>,
    /// What is kept of those that were cut, as the node was told.
    cut: BTreeMap<RecordingId, Duration>,
    without_calls_since: Option<Mono>,
    hello_removed: bool,
    legs_max: usize,
    sights: BTreeMap<String, usize>,
}

/// What is known of one call.
#[derive(Debug, Default)]
struct Seen1 {
    route: String,
    authenticated: bool,
    /// It came by a trunk.
    carried: bool,
    answered: bool,
    fault: bool,
    /// An operator has ended it, or asked something of it.
    operator: bool,
    over: bool,
    /// It is recorded, and these segments of its legs go on.
    taped: bool,
    taping: BTreeMap<u16, RecordingId>,
    /// Nothing is recorded for now, as somebody presses keys in secret.
    secured: bool,
    /// Who does so beside others.
    pressing: Option<u16>,
    /// When that was over, if nothing has been recorded since.
    pressed: Option<Wall>,
}

/// What a worker has handed over of a recording.
#[derive(Clone, Copy, Default, Debug)]
struct Tape {
    channels: u16,
    samples: usize,
    /// When it began, and its end by the clock.
    from: Mono,
    to: Mono,
}

/// What a media session sends.
#[derive(Clone, Copy, Debug)]
struct Sending {
    /// Since when it must send; `None` before it is configured, and while the far end is not to
    /// be sent anything.
    last: Option<Mono>,
    bridged: bool,
}

impl Checks {
    pub(super) fn new(scenario: &Scenario) -> Self {
        let mut planted = vec!["718293".to_owned()];
        for phone in &scenario.phones {
            if phone.user.len() > 6 {
                planted.push(phone.user.clone());
            }
            planted.extend(phone.account.clone());
        }
        planted.push("+862155500000".to_owned());
        Self {
            planted,
            calls: BTreeMap::new(),
            by_sip: BTreeMap::new(),
            invites: BTreeMap::new(),
            accepted: BTreeSet::new(),
            outbound: BTreeSet::new(),
            step_outbound: 0,
            step_dialed: 0,
            sessions: BTreeMap::new(),
            recordings: BTreeMap::new(),
            secrets: BTreeSet::new(),
            recordings_noted: BTreeSet::new(),
            segments: BTreeMap::new(),
            began: BTreeMap::new(),
            moved: Vec::new(),
            lasted: BTreeMap::new(),
            tapes: BTreeMap::new(),
            cut: BTreeMap::new(),
            without_calls_since: None,
            hello_removed: false,
            legs_max: usize::from(scenario.workers) * usize::from(scenario.ports)
                + scenario.phones.len(),
            sights: BTreeMap::new(),
        }
    }

    /// What was seen, and how often.
    pub(super) fn sights(&self) -> &BTreeMap<String, usize> {
        &self.sights
    }

    pub(super) fn saw(&mut self, what: String) {
        *self.sights.entry(what).or_default() += 1;
    }

    /// A message reached the node.
    pub(super) fn message_in(&mut self, bytes: &[u8]) {
        let Some(seen) = Seen::read(bytes) else {
            return;
        };
        self.saw(match seen.status {
            Some(status) => format!("got {status} {}", seen.method),
            None => format!("got {}", seen.method),
        });
        if seen.status.is_none() && seen.method == "INVITE" {
            self.invites
                .entry((seen.call_id, seen.cseq, seen.branch))
                .or_insert(None);
        }
    }

    /// A damaged message reaches the node.
    pub(super) fn garbled(&mut self) {
        self.saw("got garbled".to_owned());
    }

    /// A message leaves the node.
    pub(super) fn message_out(&mut self, bytes: &[u8], on_disk: impl Fn(&str) -> bool) {
        // A damaged request may have had no `Call-ID`; then its refusal has none either.
        let Some(seen) = Seen::read(bytes) else {
            return;
        };
        self.saw(match seen.status {
            Some(status) => format!("sent {status} {}", seen.method),
            None => format!("sent {}", seen.method),
        });
        match seen.status {
            None if seen.method == "INVITE" && !seen.in_dialog => {
                self.step_outbound += usize::from(self.outbound.insert(seen.call_id));
            }
            // What a damaged message is answered is the parser's matter.
            Some(_) if seen.call_id.starts_with(GARBLED) || seen.branch.contains(GARBLED) => {}
            Some(status) if seen.method == "INVITE" && status >= 200 => {
                let key = (seen.call_id.clone(), seen.cseq, seen.branch);
                let answer = self.invites.get_mut(&key);
                let answer = answer.unwrap_or_else(|| panic!("{key:?} is answered unasked"));
                let before = *answer.get_or_insert(status);
                assert_eq!(before, status, "{key:?} gets one final answer");
                if status == 200 && !self.outbound.contains(&seen.call_id) {
                    let call_id = seen.call_id;
                    assert!(
                        on_disk(&call_id),
                        "a call is on disk before its 200: {call_id}"
                    );
                    self.accepted.insert(call_id);
                }
            }
            Some(202) if seen.method == "REFER" => self.saw("phone is told 202".to_owned()),
            Some(300..) if seen.method == "REFER" => self.saw("phone is refused".to_owned()),
            Some(_) | None => {}
        }
    }

    /// An event goes to the store.
    pub(super) fn persist(&mut self, event: &CallEvent) {
        let call = self.calls.entry(event.call).or_default();
        assert!(
            !call.over,
            "nothing happens to {} after its end: {:?}",
            event.call, event.kind
        );
        match &event.kind {
            CallEventKind::Started {
                user,
                sip_call_id,
                direction,
                trunk,
                ..
            } => {
                call.authenticated = user.is_some();
                call.carried = trunk.is_some();
                // A call of ours begins with one out.
                let ours = *direction == Direction::Outbound;
                self.step_dialed += usize::from(ours);
                call.operator |= ours;
                self.by_sip.insert(sip_call_id.clone(), event.call);
            }
            CallEventKind::Answered => call.answered = true,
            CallEventKind::Dialed { trunk, .. } => {
                let proven = call.authenticated || call.operator;
                let house = trunk.is_none();
                assert!(
                    proven || call.carried && house,
                    "a stranger's call causes no call out, and a carrier's none outside"
                );
                self.step_dialed += 1;
            }
            CallEventKind::RecordingStarted { recording } => {
                call.taped = true;
                self.recordings_noted.insert(*recording);
            }
            CallEventKind::SegmentStarted { recording, leg, .. } => {
                let pressing = call.pressing;
                assert_eq!(pressing, None, "nothing is recorded of keys in secret");
                call.secured = false;
                call.pressed = None;
                self.began.entry(event.at).or_default().push(*recording);
                let before = call.taping.insert(*leg, *recording);
                assert_eq!(before, None, "a leg has one segment at a time");
                self.recordings_noted.insert(*recording);
            }
            CallEventKind::SegmentEnded {
                recording,
                end,
                length,
            } => {
                self.lasted.insert(*recording, *length);
                if *end == SegmentEnd::Moved {
                    self.moved.push((*recording, event.at));
                }
                let legs = call.taping.len();
                call.taping.retain(|_, open| open != recording);
                assert_eq!(call.taping.len() + 1, legs, "{recording} went on");
                assert!(
                    matches!(
                        end,
                        SegmentEnd::Gone | SegmentEnd::Moved | SegmentEnd::Secured
                    ),
                    "nobody pauses here: {end:?}"
                );
                call.secured |= *end == SegmentEnd::Secured;
            }
            CallEventKind::Bridged { a, b } => {
                for leg in [a, b] {
                    let kept = !call.taped || call.secured || call.taping.contains_key(leg);
                    assert!(
                        kept,
                        "leg {leg} of {} talks and is not recorded",
                        event.call
                    );
                }
            }
            CallEventKind::RecordingPaused { .. }
            | CallEventKind::RecordingResumed { .. }
            | CallEventKind::RecordingStopped { .. } => panic!("nobody pauses here"),
            CallEventKind::SecretStarted { leg } => {
                let before = call.pressing.replace(*leg);
                assert_eq!(before, None, "one at a time presses in secret");
                call.secured = true;
            }
            CallEventKind::SecretEnded {
                leg, token, digits, ..
            } => {
                assert_eq!(call.pressing.take(), Some(*leg), "who began ends it");
                call.pressed = call.taped.then_some(event.at);
                assert_eq!(token.is_some(), *digits > 0);
                let kept = token.is_none_or(|token| self.secrets.contains(&token));
                assert!(kept, "what is told of is in the vault");
            }
            CallEventKind::Consent { .. } => panic!("nobody is asked here"),
            CallEventKind::MessageLeft {
                recording, length, ..
            } => {
                let kept = self.cut.get(recording).unwrap_or(length);
                let kept = !kept.is_zero() && length <= kept;
                assert!(kept, "{length:?} of message {recording} are claimed");
                self.recordings_noted.insert(*recording);
            }
            CallEventKind::RecordingCut { recording, length } => {
                let told = self.cut.get(recording);
                assert_eq!(told, Some(length), "{recording} is cut as it was told");
            }
            CallEventKind::Ended { .. } => {
                assert!(call.taping.is_empty(), "{}: segments go on", event.call);
                assert_eq!(call.pressing, None, "{}: keys are waited for", event.call);
                let unrecorded = call.pressed.map_or(0, |at| event.at.0 - at.0);
                assert!(
                    unrecorded <= 1_000_000,
                    "{}: not recorded for {unrecorded} µs after keys in secret",
                    event.call
                );
                call.over = true;
            }
            CallEventKind::FlowStarted { .. }
            | CallEventKind::FlowAsked { .. }
            | CallEventKind::Gathered { .. }
            | CallEventKind::FlowEnded { .. }
            | CallEventKind::FlowFault { .. }
            | CallEventKind::Fallback { .. }
            | CallEventKind::DialEnded { .. }
            | CallEventKind::Interaction { .. }
            | CallEventKind::Unbridged { .. }
            | CallEventKind::Media { .. }
            | CallEventKind::Heard { .. }
            | CallEventKind::AttrSet { .. } => {}
            CallEventKind::Step { step, leg, .. } => {
                let silent = call.taped && !call.secured && !call.taping.contains_key(leg);
                let joined = *step == Step::Joined;
                assert!(
                    !(joined && silent),
                    "leg {leg} of {} is not recorded",
                    event.call
                );
                self.saw(format!("step {}", step.name()));
            }
        }
    }

    pub(super) fn notice(&mut self, notice: &Notice) {
        let text = format!("{notice:?}");
        for private in &self.planted {
            assert!(!text.contains(private), "a private value is in {text}");
        }
        let name = text.split([' ', '{']).next().unwrap_or_default();
        self.saw(format!("notice {name}"));
        match notice {
            Notice::Started { call, route, .. } => {
                self.calls.entry(*call).or_default().route.clone_from(route);
            }
            Notice::Fault { call, fault, .. } => {
                let call = self
                    .calls
                    .get_mut(call)
                    .expect("a call starts before it breaks");
                let missing = self.hello_removed && call.route == "1010";
                // A menu with speech breaks where there is no voice.
                let mute = fault.detail.contains("unavailable");
                // An operator may have sent it to any route.
                let own = house::may_fault(&call.route) || missing || mute || call.operator;
                assert!(own, "a good plugin broke on {}: {fault}", call.route);
                call.fault = true;
            }
            Notice::TurnedAway { refusal, .. } => {
                self.saw(format!("refusal {}", refusal.name()));
            }
            Notice::NotWritten { .. }
            | Notice::Answered { .. }
            | Notice::Ended { .. }
            | Notice::Denied { .. }
            | Notice::PluginLog { .. }
            | Notice::PluginLive { .. }
            | Notice::PluginRefused { .. }
            | Notice::PluginRolledBack { .. }
            | Notice::PluginFailing { .. }
            | Notice::PluginDrained { .. }
            | Notice::PluginFreed { .. }
            | Notice::Registered { .. }
            | Notice::Dialog { .. }
            | Notice::Heard { .. }
            | Notice::Talking { .. }
            | Notice::Speaker { .. }
            | Notice::Trunk { .. }
            | Notice::Failover { .. }
            | Notice::Unregistered { .. }
            | Notice::AuthFailed { .. }
            | Notice::Banned { .. } => {}
        }
    }

    /// The node is told that a recording ends early.
    pub(super) fn cut(&mut self, recording: RecordingId, length: Duration) {
        let before = self.cut.insert(recording, length);
        assert_eq!(before, None, "a recording is cut once");
    }

    pub(super) fn operator(&mut self, call: CallId) {
        self.calls.entry(call).or_default().operator = true;
    }

    pub(super) fn reloaded(&mut self, reload: Reload) {
        match reload {
            Reload::RemoveHello => self.hello_removed = true,
            Reload::InstallHello => self.hello_removed = false,
            Reload::Menu(_) | Reload::Probe(_) | Reload::RollbackMenu => {}
        }
    }

    /// The node has done all an input made it do.
    pub(super) fn after_node(&mut self, now: Mono, node: &Node) {
        let (sent, noted) = (self.step_outbound, self.step_dialed);
        assert!(
            sent == 0 || noted > 0,
            "each call out is noted with its call"
        );
        (self.step_outbound, self.step_dialed) = (0, 0);

        let counts = node.counts();
        assert_eq!(counts.engine.panics, 0, "a leg's step panicked");
        assert!(
            counts.flows <= counts.calls,
            "each flow has a call: {counts:?}"
        );
        assert!(
            counts.deadlines <= 5 * counts.calls,
            "each wait has a call: {counts:?}"
        );
        assert!(
            counts.engine.legs <= self.legs_max,
            "legs are bounded: {counts:?}"
        );
        let free = counts.engine.ports_free;
        assert!(
            free <= counts.engine.ports_total,
            "no port is free twice: {counts:?}"
        );
        if counts.calls > 0 {
            self.without_calls_since = None;
        } else {
            self.without_calls_since.get_or_insert(now);
        }
    }

    /// A step is over.
    pub(super) fn step(&mut self, now: Mono, node: &Node) {
        if let Some(since) = self.without_calls_since
            && now.since(since) > LEG_AFTER_CALL
        {
            let counts = node.counts();
            assert_eq!(
                counts.engine.legs, 0,
                "no leg outlives its call: {counts:?}"
            );
        }
    }

    /// A worker is told something.
    pub(super) fn command(&mut self, now: Mono, command: &media::Command) {
        match command {
            media::Command::Open { session, .. } => {
                let sending = Sending {
                    last: None,
                    bridged: false,
                };
                self.sessions.insert(*session, sending);
            }
            media::Command::Configure { session, params } => {
                if let Some(sending) = self.sessions.get_mut(session) {
                    sending.last = if params.send {
                        sending.last.or(Some(now))
                    } else {
                        None
                    };
                }
            }
            media::Command::Bridge { a, b } => {
                for session in [a, b] {
                    if let Some(sending) = self.sessions.get_mut(session) {
                        sending.bridged = true;
                    }
                }
            }
            media::Command::Join { .. }
            | media::Command::SetPart { .. }
            | media::Command::Beep { .. }
            | media::Command::Listen { .. }
            | media::Command::Unbridge { .. }
            | media::Command::Play { .. }
            | media::Command::Stop { .. }
            | media::Command::SendDigits { .. }
            | media::Command::RecordMessage { .. }
            | media::Command::RecordCall { .. }
            | media::Command::EndRecording { .. }
            | media::Command::StopRecording { .. }
            | media::Command::Close { .. } => {}
        }
    }

    /// A session sends a media packet.
    pub(super) fn sent(&mut self, now: Mono, session: SessionId) {
        self.gap(now, session);
        if let Some(sending) = self.sessions.get_mut(&session) {
            sending.last = sending.last.map(|_| now);
        }
    }

    /// A session is closed.
    pub(super) fn closed(&mut self, now: Mono, session: SessionId) {
        self.gap(now, session);
        self.sessions.remove(&session);
    }

    fn gap(&self, now: Mono, session: SessionId) {
        let Some(sending) = self.sessions.get(&session) else {
            return;
        };
        if let Some(last) = sending.last {
            // Once bridged, always lenient: packets on the way when a bridge ends count as well.
            let most = if sending.bridged {
                PAUSE_BRIDGED
            } else {
                PAUSE_MAX
            };
            let gap = now.since(last);
            assert!(
                gap <= most,
                "session {session} was sent nothing for {gap:?}"
            );
        }
    }

    pub(super) fn worker(&mut self, counts: &media::Counts) {
        assert_eq!(counts.failed, 0, "a media session's step panicked");
        assert_eq!(
            counts.late_ticks + counts.skipped_ticks,
            0,
            "the clock is never late"
        );
    }

    pub(super) fn phone(&mut self, counts: &engine::Counts) {
        assert_eq!(counts.panics, 0, "a phone's step panicked");
    }

    /// A segment is about to begin.
    pub(super) fn segment(&mut self, start: SegmentStart) {
        let before = self.segments.insert(start.recording, start.channels);
        assert_eq!(before, None, "{} is announced once", start.recording);
        assert!(
            start.interaction <= start.recording.call,
            "the oldest names it"
        );
    }

    /// What was pressed in secret: nothing of the call was recorded meanwhile.
    pub(super) fn secret(&mut self, secret: &node::Secret) {
        assert!(!secret.digits.reveal().is_empty(), "there is something");
        assert!(self.secrets.insert(secret.token), "each has its own token");
        let mut open = self.recordings.iter().filter(|(_, ended)| !**ended);
        let open = open.find(|(id, _)| id.call == secret.call);
        assert_eq!(
            open, None,
            "nothing is recorded while somebody presses in secret"
        );
    }

    pub(super) fn recording(&mut self, now: Mono, recording: RecordingId, what: &RecordingOutput) {
        match what {
            RecordingOutput::Start { channels, .. } => {
                let told = self.segments.get(&recording);
                assert_eq!(told, Some(channels), "{recording} was announced");
                let tape = Tape {
                    channels: *channels,
                    samples: 0,
                    from: now,
                    to: now,
                };
                self.tapes.insert(recording, tape);
                let before = self.recordings.insert(recording, false);
                assert!(before.is_none(), "recording {recording} begins once");
            }
            RecordingOutput::Samples(samples) => {
                self.tapes.entry(recording).or_default().samples += samples.len();
                assert_eq!(
                    self.recordings.get(&recording),
                    Some(&false),
                    "{recording} is open"
                );
            }
            RecordingOutput::End { lasting, .. } => {
                let tape = self.tapes.get_mut(&recording).expect("it began");
                tape.to = tape.from + *lasting;
                let Tape {
                    channels, samples, ..
                } = *tape;
                let frames = samples / usize::from(channels);
                let kept = Duration::from_micros(125 * frames as u64);
                // A message ends in the middle of a tick.
                let gap = lasting.abs_diff(kept);
                assert!(
                    gap <= GAP_MAX,
                    "{recording}: {kept:?} of {lasting:?} are there"
                );
                let before = self.recordings.insert(recording, true);
                assert_eq!(before, Some(false), "recording {recording} ends once");
            }
        }
    }

    /// A phone's call is over: did its owner hear what he should?
    pub(super) fn hung_up(&mut self, end: &HangUp<'_>) {
        let Some(up) = end.up.filter(|_| end.good_line) else {
            return;
        };
        let Some(call) = end.sip_call_id.and_then(|id| self.by_sip.get(id)) else {
            return;
        };
        let call = &self.calls[call];
        let loud = end
            .heard
            .iter()
            .filter(|sample| sample.unsigned_abs() > LOUD)
            .count();
        let answered_well = house::GOOD[..3].contains(&call.route.as_str());
        // Whom an operator sends about hears what comes his way.
        if answered_well && !call.operator && up > Duration::from_secs(3) {
            assert!(
                loud > 1_000,
                "a caller of {} heard nothing in {up:?}",
                call.route
            );
        }
        let left_by_node = end.by == Side::Far;
        if call.fault && !call.operator && left_by_node && up > Duration::from_secs(1) {
            let heard = ear::prompts(end.heard);
            assert!(
                ear::hears(end.heard, "sorry"),
                "after a fault the caller hears the fallback; on {} it was {heard:?}",
                call.route
            );
        }
    }

    /// Everything is over.
    pub(super) fn over(&mut self, node: &Node, disk: &Disk) {
        let counts = node.counts();
        let alive = [
            ("calls", counts.calls),
            ("flows", counts.flows),
            ("deadlines", counts.deadlines),
            ("unwritten", counts.unwritten),
            ("speeches", counts.speeches),
            ("legs", counts.engine.legs),
            ("dialogs", counts.engine.dialogs),
            ("sessions", counts.engine.sessions),
            ("timers", counts.engine.timers),
            (
                "ports in use",
                counts.engine.ports_total - counts.engine.ports_free,
            ),
        ];
        for (what, count) in alive {
            assert_eq!(count, 0, "no {what} are left: {counts:?}");
        }
        // Each trunk is asked whether it lives for as long as the node does.
        let mut signalling = counts.sip;
        let trunks = node.trunks().count();
        signalling.requests = signalling.requests.saturating_sub(trunks);
        signalling.clients = signalling.clients.saturating_sub(trunks);
        assert!(signalling.is_idle(), "signalling is idle: {:?}", counts.sip);
        for version in node.plugins().list() {
            let plugin: &PluginRef = &version.plugin;
            assert_eq!(version.live, 0, "no run of {plugin} is left");
        }
        for (invite, answer) in &self.invites {
            assert!(answer.is_some(), "{invite:?} was never answered");
        }
        for (recording, ended) in &self.recordings {
            assert!(*ended, "recording {recording} has an end");
        }
        self.follow_legs();
        for (recording, lasted) in &self.lasted {
            let made = self.recordings.contains_key(recording);
            let short = *lasted < Duration::from_secs(1);
            assert!(made || short, "{recording} was made in {lasted:?}");
        }
        self.records(disk);
    }

    /// Legs that went from call to call were recorded all the way.
    fn follow_legs(&mut self) {
        for (recording, at) in std::mem::take(&mut self.moved) {
            let Some(next) = self.began.get(&at) else {
                // Whom it was to talk with is gone, and it is hung up.
                continue;
            };
            let Some(before) = self.tapes.get(&recording).copied() else {
                continue;
            };
            for next in next.clone() {
                let after = self.tapes[&next];
                let gap = after.from.since(before.to);
                assert!(gap <= GAP_MAX, "{gap:?} lie between {recording} and {next}");
                self.saw("recording follows a leg".to_owned());
            }
        }
    }

    fn records(&self, disk: &Disk) {
        for (call, record) in disk.records() {
            assert!(record.ended_at.is_some(), "call {call} has an end on disk");
            let seen = &self.calls[call];
            assert_eq!(record.answered_at.is_some(), seen.answered, "{call}");
            assert_eq!(record.fault.is_some(), seen.fault, "{call}");
            if let Some(recording) = record.recording {
                let mut parts = self.segments.keys();
                let own = parts.any(|part| part.call == recording.call);
                assert!(own, "{recording} has segments");
            }
        }
        let recorded: Vec<&str> = disk
            .records()
            .values()
            .map(|record| record.sip_call_id.as_str())
            .collect();
        for call_id in &self.accepted {
            let count = recorded.iter().filter(|id| *id == call_id).count();
            assert_eq!(count, 1, "the accepted call {call_id} has one record");
        }
    }
}
