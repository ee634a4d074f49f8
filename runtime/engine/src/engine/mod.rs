//! The machine: what goes in, what comes out, and who handles it.

mod change;
mod command;
mod conference;
mod dial;
mod end;
mod hearing;
mod media_event;
mod moving;
mod negotiation;
mod part;
mod refer;
mod sip_event;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use media::negotiate::Capabilities;
use sip::{ConnId, DialogId, Hop};
use vocab::call::{Command, Event};
use vocab::{CallId, Deadlines, LegId, Mono, Now, Rng, SessionId, Wall};

use self::conference::Conference;
use crate::leg::{Activity, Leg, Track};
use crate::ports::Ports;
use crate::timer::Timer;

/// One media worker, numbered from 0 by the shell.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct WorkerId(pub u16);

/// Settings of an engine.
#[derive(Clone, Debug)]
pub struct Config {
    /// Signalling.
    pub sip: sip::Config,
    /// Codecs in order of preference.
    pub capabilities: Capabilities,
    /// What calls we make authenticate with, if the far end asks; `None` on a server.
    pub credentials: Option<sip::Credentials>,
    /// Who each media worker is for browsers, by its number. A worker that is not there has none.
    pub browsers: Vec<Door>,
}

/// Where browsers come to a media worker.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Door {
    /// Of its certificate.
    pub fingerprint: media::webrtc::Fingerprint,
    /// Its sockets.
    pub doors: Arc<[media::webrtc::Door]>,
}

/// Something the engine is fed.
#[derive(Debug)]
pub enum Input<'a> {
    /// From the network, for signalling. `sip::Input::Action` and `Timeout` are not for here.
    Sip(sip::Input<'a>),
    /// From a media worker.
    Media {
        /// Which.
        worker: WorkerId,
        /// What.
        event: media::Event,
    },
    /// From the node.
    Command(Command),
    /// The shell has bound RTP ports for a worker; RTCP is the next port up of each.
    Ports {
        /// Which.
        worker: WorkerId,
        /// As the far end sees them.
        ports: Vec<SocketAddr>,
    },
    /// A worker has no time for more calls, or has again. New calls go to other workers; while all
    /// are full, those that come in are refused with 503, and those that go out fail.
    Full {
        /// Which.
        worker: WorkerId,
        /// It has none.
        full: bool,
    },
    /// A request outside calls, such as a REGISTER of ours. Answered by [`Output::Response`].
    /// Only `sip::Action::Request` makes sense here.
    Request(sip::Action),
    /// [`Engine::deadline`] has come.
    Timeout,
}

/// Something the engine asks for.
#[derive(Clone, PartialEq, Debug)]
pub enum Output {
    /// Send these bytes.
    Transmit {
        /// Where.
        hop: Hop,
        /// One whole SIP message.
        bytes: Arc<[u8]>,
    },
    /// Close a stream.
    CloseStream {
        /// Which.
        conn: ConnId,
    },
    /// Tell a media worker.
    Media {
        /// Which.
        worker: WorkerId,
        /// What.
        command: media::Command,
    },
    /// A request outside calls was answered.
    Response {
        /// From the request.
        id: sip::RequestId,
        /// The final status; `None` when nothing answered.
        status: Option<u16>,
        /// What the far end says about time.
        times: sip::Times,
    },
    /// Tell the node.
    Event(Event),
}

/// How much of everything is alive; all zero when nobody calls, except contacts and ports.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counts {
    /// Legs in any state.
    pub legs: usize,
    /// Dialogs the engine follows.
    pub dialogs: usize,
    /// Media sessions not yet closed.
    pub sessions: usize,
    /// Conferences: calls of which a leg has joined.
    pub conferences: usize,
    /// Timers of legs.
    pub timers: usize,
    /// Free media ports.
    pub ports_free: usize,
    /// All media ports.
    pub ports_total: usize,
    /// Steps that panicked since the start; each dropped one leg.
    pub panics: u64,
}

/// The machine. See the crate's documentation.
pub struct Engine {
    config: Config,
    sip: sip::Endpoint,
    rng: Rng,
    legs: BTreeMap<LegId, Leg>,
    dialogs: BTreeMap<DialogId, LegId>,
    sessions: BTreeMap<SessionId, Track>,
    conferences: BTreeMap<CallId, Conference>,
    ports: Ports,
    timers: Deadlines<LegId, Timer>,
    /// Sessions that were told to close.
    closing: Deadlines<SessionId, ()>,
    session_last: u64,
    conference_last: u64,
    play_last: u64,
    panics: u64,
    /// The answer to a call for which no port is left.
    full: u16,
    actions: VecDeque<sip::Action>,
    out: VecDeque<Output>,
}

impl Engine {
    /// An engine without media ports; it refuses calls until it is given some.
    pub fn new(config: Config, mut rng: Rng) -> Self {
        let sip = sip::Endpoint::new(config.sip.clone(), rng.fork());
        Self {
            config,
            sip,
            rng,
            legs: BTreeMap::new(),
            dialogs: BTreeMap::new(),
            sessions: BTreeMap::new(),
            conferences: BTreeMap::new(),
            ports: Ports::default(),
            timers: Deadlines::default(),
            closing: Deadlines::default(),
            session_last: 0,
            conference_last: 0,
            play_last: 0,
            panics: 0,
            full: 503,
            actions: VecDeque::new(),
            out: VecDeque::new(),
        }
    }

    /// An engine of one line: when that is taken it is busy, not overloaded.
    pub(crate) fn of_one_line(config: Config, rng: Rng) -> Self {
        Self {
            full: 486,
            ..Self::new(config, rng)
        }
    }

    /// Feeds one input. The caller drains [`Engine::poll`] before the next.
    pub fn handle(&mut self, now: Now, input: Input<'_>) {
        debug_assert!(
            self.out.is_empty(),
            "outputs are drained before the next input"
        );
        match input {
            // What strangers send must not bring the node down, whatever it brings to light.
            Input::Sip(input) => {
                self.guarded(now, None, |engine| engine.sip.handle(now, input));
            }
            Input::Media { worker, event } => {
                let track = self.sessions.get(&media_session(&event));
                let leg = track.map(|track| track.leg);
                self.guarded(now, leg, |engine| {
                    engine.media_event(now, worker, leg, event)
                });
            }
            Input::Command(command) => {
                let leg = command_leg(&command);
                self.guarded(now, Some(leg), |engine| engine.command(now, command));
            }
            Input::Full { worker, full } => self.ports.set_full(worker, full),
            Input::Ports { worker, ports } => self.ports.add(worker, ports),
            Input::Request(action) => self.actions.push_back(action),
            Input::Timeout => {
                if self.sip.deadline().is_some_and(|at| at <= now.mono) {
                    self.guarded(now, None, |engine| {
                        engine.sip.handle(now, sip::Input::Timeout);
                    });
                }
                while let Some((leg, timer)) = self.timers.expire(now.mono) {
                    self.guarded(now, Some(leg), |engine| engine.timeout(now, leg, timer));
                }
                while let Some((session, ())) = self.closing.expire(now.mono) {
                    // The worker is taken for dead; its port is lost rather than used twice.
                    self.guarded(now, None, |engine| {
                        engine.gone(session);
                    });
                }
            }
        }
        self.settle(now);
    }

    /// The next thing to do, or `None` until [`Engine::deadline`].
    pub fn poll(&mut self) -> Option<Output> {
        self.out.pop_front()
    }

    /// When `Input::Timeout` is next due.
    pub fn deadline(&self) -> Option<Mono> {
        let parts = [self.sip.deadline(), self.timers.next(), self.closing.next()];
        parts.into_iter().flatten().min()
    }

    /// How much is alive.
    pub fn counts(&self) -> Counts {
        Counts {
            legs: self.legs.len(),
            dialogs: self.dialogs.len(),
            sessions: self.sessions.len(),
            conferences: self.conferences.len(),
            timers: self.timers.len() + self.closing.len(),
            ports_free: self.ports.free(),
            ports_total: self.ports.total(),
            panics: self.panics,
        }
    }

    /// Whether a leg is answered and has not ended.
    pub fn is_up(&self, leg: LegId) -> bool {
        matches!(self.legs.get(&leg), Some(Leg::Up { .. }))
    }

    /// The legs of a call that are answered and have not ended.
    pub fn legs_up(&self, call: CallId) -> impl Iterator<Item = LegId> {
        let legs = self.legs.range(LegId::all_of(call));
        legs.filter(|(_, leg)| matches!(leg, Leg::Up { .. }))
            .map(|(leg, _)| *leg)
    }

    /// The SIP `Call-ID` of a leg that is being set up or is up.
    pub fn sip_call_id(&self, leg: LegId) -> Option<Arc<str>> {
        let dialog = self.legs.get(&leg)?.dialogs().first()?;
        self.sip.sip_call_id(*dialog)
    }

    /// The SIP `Call-ID`s of a leg's dialogs: a dialled leg has one for each phone that it rings.
    pub fn sip_call_ids(&self, leg: LegId) -> Vec<Arc<str>> {
        let dialogs = self.legs.get(&leg).map(Leg::dialogs).unwrap_or_default();
        let ids = dialogs.iter();
        ids.filter_map(|dialog| self.sip.sip_call_id(*dialog))
            .collect()
    }

    /// How much is alive in the signalling below.
    pub fn sip_counts(&self) -> sip::Counts {
        self.sip.counts()
    }

    /// Contacts registered for a user.
    pub fn registered(&self, user: &str) -> usize {
        self.sip.contacts(user).count()
    }

    /// Whether a device of a user is registered, by the parameter `gr` of its public GRUU.
    pub fn has_device(&self, user: &str, gr: &str) -> bool {
        self.sip.contacts_at(user, gr).next().is_some()
    }

    /// Replaces the registrar's accounts.
    pub fn set_accounts(&mut self, now: Now, accounts: BTreeMap<String, sip::Account>) {
        debug_assert!(
            self.out.is_empty(),
            "outputs are drained before the next input"
        );
        self.actions.push_back(sip::Action::SetAccounts(accounts));
        self.settle(now);
    }

    /// Replaces the addresses that signalling never limits nor bans: those of trunks.
    pub fn set_trusted(&mut self, now: Now, trusted: BTreeSet<IpAddr>) {
        self.actions.push_back(sip::Action::SetTrusted(trusted));
        self.settle(now);
    }

    /// Ends the ban of an address, if there is one.
    pub fn unban(&mut self, now: Now, address: IpAddr) {
        self.actions.push_back(sip::Action::Unban { address });
        self.settle(now);
    }

    /// Who is banned from signalling, by address.
    pub fn bans(&self) -> impl Iterator<Item = sip::guard::Ban> {
        self.sip.bans()
    }

    /// What a user may authenticate with until then, besides its password; `None` if there is no such
    /// user.
    pub fn pass(&self, user: &str, until: Wall) -> Option<sip::auth::Pass> {
        self.sip.pass(user, until)
    }

    /// Users behind `after` in alphabetical order, each with its contacts.
    pub fn registrations(&self, after: &str) -> impl Iterator<Item = (&str, Vec<sip::Contact>)> {
        self.sip.registrations(after)
    }

    /// Carries signalling's reports to their legs and the legs' wishes back, until all is quiet.
    fn settle(&mut self, now: Now) {
        let mut reports = VecDeque::new();
        loop {
            while let Some(output) = self.sip.poll() {
                match output {
                    sip::Output::Transmit { hop, bytes } => {
                        self.out.push_back(Output::Transmit { hop, bytes });
                    }
                    sip::Output::CloseStream { conn } => {
                        self.out.push_back(Output::CloseStream { conn });
                    }
                    sip::Output::Event(event) => reports.push_back(event),
                }
            }
            if let Some(event) = reports.pop_front() {
                let dialog = sip_dialog(&event);
                let leg = dialog.and_then(|dialog| self.dialogs.get(&dialog).copied());
                let done = self.guarded(now, leg, |engine| engine.sip_event(now, leg, event));
                if let (false, None, Some(dialog)) = (done, leg, dialog) {
                    // An INVITE that became no leg: its caller must not wait for ever.
                    self.actions.push_back(command::respond(dialog, 500));
                }
            } else if let Some(action) = self.actions.pop_front() {
                let input = sip::Input::Action(action);
                self.guarded(now, None, |engine| engine.sip.handle(now, input));
            } else {
                return;
            }
        }
    }

    /// Runs one step; if it panics, that one leg is dropped and everything else goes on. Tells
    /// whether it went well.
    fn guarded(&mut self, now: Now, leg: Option<LegId>, step: impl FnOnce(&mut Self)) -> bool {
        if catch_unwind(AssertUnwindSafe(|| step(self))).is_ok() {
            return true;
        }
        self.panics += 1;
        if let Some(leg) = leg {
            // What made the step panic may be in the way of the end, too; by then it is taken out.
            let first = catch_unwind(AssertUnwindSafe(|| self.drop_leg(now, leg)));
            if first.is_err() {
                self.drop_leg(now, leg);
            }
        }
        false
    }

    fn timeout(&mut self, now: Now, leg: LegId, timer: Timer) {
        match timer {
            Timer::Ring => self.rung_out(now, leg),
            Timer::Gather => {
                let session = self.legs.get_mut(&leg).and_then(Leg::session_mut);
                if let Some(session) = session
                    && let Activity::Gathering(gather) = &mut session.activity
                {
                    let step = gather.timeout();
                    self.gather_step(leg, step);
                }
            }
            Timer::Refer => self.answer_refer(leg, 603),
            Timer::Close => self.finish(leg),
            Timer::Group => {
                self.next_group(now, leg);
            }
        }
    }

    fn event(&mut self, event: Event) {
        self.out.push_back(Output::Event(event));
    }

    fn media(&mut self, worker: WorkerId, command: media::Command) {
        self.out.push_back(Output::Media { worker, command });
    }
}

impl fmt::Debug for Engine {
    /// Counts only: its parts hold private values.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine")
            .field("counts", &self.counts())
            .finish_non_exhaustive()
    }
}

/// The leg a command is for; of a bridge the first.
fn command_leg(command: &Command) -> LegId {
    match command {
        Command::Challenge { leg }
        | Command::Ring { leg }
        | Command::Answer { leg }
        | Command::Reject { leg, .. }
        | Command::Play { leg, .. }
        | Command::Stop { leg, .. }
        | Command::Gather { leg, .. }
        | Command::Record { leg, .. }
        | Command::RecordCall { leg, .. }
        | Command::EndRecording { leg, .. }
        | Command::Dial { leg, .. }
        | Command::Bridge { a: leg, .. }
        | Command::Unbridge { leg }
        | Command::Join { leg }
        | Command::SetPart { leg, .. }
        | Command::Beep { leg, .. }
        | Command::Listen { leg, .. }
        | Command::Redirect { leg, .. }
        | Command::Progress { leg }
        | Command::Reoffer { leg, .. }
        | Command::Refer { leg, .. }
        | Command::AnswerRefer { leg, .. }
        | Command::TellRefer { leg, .. }
        | Command::Move { from: leg, .. }
        | Command::SendDigits { leg, .. }
        | Command::Hangup { leg, .. } => *leg,
    }
}

fn media_session(event: &media::Event) -> SessionId {
    match event {
        media::Event::Played { session, .. }
        | media::Event::Digit { session, .. }
        | media::Event::Recorded { session, .. }
        | media::Event::Inactive { session }
        | media::Event::OneWay { session, .. }
        | media::Event::Heard { session, .. }
        | media::Event::Talking { session, .. }
        | media::Event::Speaker { session }
        | media::Event::Cut { session, .. }
        | media::Event::Closed { session, .. } => *session,
    }
}

fn sip_dialog(event: &sip::Event) -> Option<DialogId> {
    match event {
        sip::Event::Incoming { dialog, .. }
        | sip::Event::Cancelled { dialog, .. }
        | sip::Event::Trying { dialog }
        | sip::Event::Progress { dialog, .. }
        | sip::Event::Answered { dialog, .. }
        | sip::Event::Failed { dialog, .. }
        | sip::Event::Confirmed { dialog, .. }
        | sip::Event::Reoffer { dialog, .. }
        | sip::Event::Reanswered { dialog, .. }
        | sip::Event::Refused { dialog, .. }
        | sip::Event::Refer { dialog, .. }
        | sip::Event::ReferAnswered { dialog, .. }
        | sip::Event::ReferProgress { dialog, .. }
        | sip::Event::Info { dialog, .. }
        | sip::Event::Ended { dialog, .. } => Some(*dialog),
        sip::Event::Response { .. }
        | sip::Event::Registered { .. }
        | sip::Event::Unregistered { .. }
        | sip::Event::AuthFailed { .. }
        | sip::Event::Banned { .. } => None,
    }
}

#[cfg(test)]
mod tests;
