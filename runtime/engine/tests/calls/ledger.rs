//! Checks after every step what the engine promises at both of its borders.

use std::collections::BTreeMap;

use vocab::call::{Command, Event};
use vocab::{LegId, PlayId, RecordingId, SessionId};

/// What is known of every leg and session there was.
#[derive(Default)]
pub(crate) struct Ledger {
    legs: BTreeMap<LegId, Leg>,
    sessions: BTreeMap<SessionId, Phase>,
    /// Workers do not answer, so sessions stay as they are.
    pub(crate) deaf: bool,
}

#[derive(Default, Debug)]
struct Leg {
    ended: bool,
    answered: bool,
    /// It was told to let its caller hear us.
    early: bool,
    /// It reported that it can be heard early.
    heard: bool,
    /// Who it is held by, as reported.
    held: bool,
    plays: Vec<PlayId>,
    gathers: usize,
    recordings: Vec<RecordingId>,
    peer: Option<LegId>,
    reoffers: usize,
    refers: usize,
    moves: usize,
    /// A REFER of its far end waits for the node.
    asked: bool,
    /// It goes on under another name: what is still reported is the end of what it did.
    moved: bool,
    joins: usize,
    joined: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    Open,
    Configured,
    Closing,
    Closed,
}

impl Ledger {
    /// A command is about to be given.
    pub(crate) fn command(&mut self, command: &Command) {
        match command {
            Command::Dial { leg, .. } => {
                self.legs.insert(*leg, Leg::default());
            }
            Command::Play { leg, play, .. } => {
                if let Some(leg) = self.live(*leg) {
                    leg.plays.push(*play);
                }
            }
            Command::Gather { leg, .. } => {
                if let Some(leg) = self.live(*leg) {
                    leg.gathers += 1;
                }
            }
            Command::Record { leg, recording, .. } => {
                if let Some(leg) = self.live(*leg) {
                    leg.recordings.push(*recording);
                }
            }
            Command::Progress { leg } | Command::Answer { leg } => {
                if let Some(leg) = self.live(*leg) {
                    leg.early = true;
                }
            }
            Command::Join { leg } => {
                if let Some(leg) = self.live(*leg) {
                    leg.joins += 1;
                }
            }
            Command::Reoffer { leg, .. } => {
                if let Some(leg) = self.live(*leg) {
                    leg.reoffers += 1;
                }
            }
            Command::Refer { leg, .. } => {
                if let Some(leg) = self.live(*leg) {
                    leg.refers += 1;
                }
            }
            Command::Move { from, .. } => {
                if let Some(leg) = self.live(*from) {
                    leg.moves += 1;
                }
            }
            Command::AnswerRefer { leg, .. } => {
                if let Some(leg) = self.live(*leg) {
                    leg.asked = false;
                }
            }
            Command::Challenge { .. }
            | Command::Ring { .. }
            | Command::Reject { .. }
            | Command::Stop { .. }
            | Command::RecordCall { .. }
            | Command::SetPart { .. }
            | Command::Beep { .. }
            | Command::Listen { .. }
            | Command::EndRecording { .. }
            | Command::Bridge { .. }
            | Command::Unbridge { .. }
            | Command::Redirect { .. }
            | Command::TellRefer { .. }
            | Command::SendDigits { .. }
            | Command::Hangup { .. } => {}
        }
    }

    /// Legs that are not over.
    pub(crate) fn living(&self) -> impl Iterator<Item = LegId> {
        let living = self.legs.iter().filter(|(_, leg)| !leg.ended);
        living.map(|(leg, _)| *leg)
    }

    fn live(&mut self, leg: LegId) -> Option<&mut Leg> {
        self.legs.get_mut(&leg).filter(|leg| !leg.ended)
    }

    /// The leg an event is about: it must exist and not be over.
    fn of(&mut self, leg: LegId, event: &Event) -> &mut Leg {
        let found = self
            .legs
            .get_mut(&leg)
            .unwrap_or_else(|| panic!("{event:?} of no leg"));
        assert!(!found.ended, "{event:?} after the end");
        let last = matches!(
            event,
            Event::Played { .. }
                | Event::Recorded { .. }
                | Event::Reoffered { .. }
                | Event::Referred { .. }
                | Event::Moved { .. }
                | Event::Gathered { .. }
                | Event::Left { .. }
                | Event::Heard { .. }
                | Event::Talking { .. }
                | Event::Speaker { .. }
                | Event::Unbridged { .. }
                | Event::Media { .. }
                | Event::Ended { .. }
        );
        assert!(last || !found.moved, "{event:?} of one that moved");
        found
    }

    /// Something was reported.
    pub(crate) fn event(&mut self, event: &Event) {
        match event {
            Event::Incoming { leg, .. } => {
                let old = self.legs.insert(*leg, Leg::default());
                assert!(old.is_none(), "{leg} comes in twice");
            }
            Event::Trying { leg } | Event::Ringing { leg } | Event::Digit { leg, .. } => {
                self.of(*leg, event);
            }
            Event::Answered { leg } => {
                let leg = self.of(*leg, event);
                assert!(
                    !std::mem::replace(&mut leg.answered, true),
                    "{event:?} twice"
                );
            }
            Event::Played { leg, play, .. } => {
                take(&mut self.of(*leg, event).plays, play, event);
            }
            Event::Gathered { leg, .. } => {
                let leg = self.of(*leg, event);
                assert!(leg.gathers > 0, "{event:?} was not asked for");
                leg.gathers -= 1;
            }
            Event::Recorded { leg, recording, .. } => {
                take(&mut self.of(*leg, event).recordings, recording, event);
            }
            Event::Bridged { a, b } => {
                for (leg, other) in [(a, b), (b, a)] {
                    let leg = self.of(*leg, event);
                    let audible = leg.answered || leg.early || leg.heard;
                    assert!(audible, "{event:?} too early");
                    assert!(leg.peer.is_none_or(|peer| peer == *other));
                    assert!(!leg.joined, "{event:?} of a member");
                    leg.peer = Some(*other);
                }
            }
            Event::EarlyMedia { leg } => {
                let leg = self.of(*leg, event);
                assert!(!leg.answered, "{event:?} too late");
                assert!(!std::mem::replace(&mut leg.heard, true), "{event:?} twice");
            }
            Event::Held { leg } | Event::Retrieved { leg } => {
                let leg = self.of(*leg, event);
                assert!(leg.answered, "{event:?} before the answer");
                let held = matches!(event, Event::Held { .. });
                assert_ne!(
                    std::mem::replace(&mut leg.held, held),
                    held,
                    "{event:?} twice"
                );
            }
            Event::OneWay { leg, .. }
            | Event::Heard { leg, .. }
            | Event::Talking { leg, .. }
            | Event::Speaker { leg }
            | Event::Media { leg, .. } => {
                self.of(*leg, event);
            }
            Event::Joined { leg } => {
                let leg = self.of(*leg, event);
                assert!(leg.answered && leg.peer.is_none() && leg.joins > 0);
                leg.joins -= 1;
                leg.joined = true;
            }
            Event::Left { leg } => {
                let leg = self.of(*leg, event);
                if !std::mem::take(&mut leg.joined) {
                    assert!(leg.joins > 0, "{event:?} of nobody");
                    leg.joins -= 1;
                }
            }
            Event::Reoffered { leg, .. } => {
                let leg = self.of(*leg, event);
                assert!(leg.reoffers > 0, "{event:?} was not asked for");
                leg.reoffers -= 1;
            }
            Event::Referred { leg, over, .. } => {
                let leg = self.of(*leg, event);
                assert!(leg.refers > 0, "{event:?} was not asked for");
                leg.refers -= usize::from(*over);
            }
            Event::ReferAsked { leg, replaces, .. } => {
                if let Some(other) = replaces {
                    self.of(*other, event);
                }
                let leg = self.of(*leg, event);
                assert!(leg.answered, "{event:?} before the answer");
                // One that nobody decided about was declined by the engine.
                leg.asked = true;
            }
            Event::Moved { from, to } => self.moved(*from, *to, event),
            Event::Unbridged { a, b } => {
                let were = self.of(*a, event).peer == Some(*b);
                for leg in [a, b] {
                    let leg = self.of(*leg, event);
                    if were {
                        leg.peer = None;
                    }
                }
            }
            Event::Ended { leg, .. } => {
                let leg = self.of(*leg, event);
                let answered =
                    leg.plays.is_empty() && leg.gathers == 0 && leg.recordings.is_empty();
                let alone = leg.peer.is_none() && leg.joins == 0 && !leg.joined;
                assert!(answered && alone, "{event:?} leaves {leg:?}");
                let told = (leg.reoffers, leg.refers, leg.moves) == (0, 0, 0);
                assert!(told, "{event:?} leaves {leg:?}");
                leg.ended = true;
            }
            Event::Registered { .. }
            | Event::Unregistered { .. }
            | Event::AuthFailed { .. }
            | Event::Banned { .. } => {}
        }
    }

    /// What is between us and the far end goes on under the new name; what the leg did does not.
    fn moved(&mut self, from: LegId, to: LegId, event: &Event) {
        let old = self.of(from, event);
        assert!(old.moves > 0, "{event:?} was not asked for");
        old.moves -= 1;
        if from == to {
            return;
        }
        assert!(old.answered, "{event:?} before the answer");
        assert!(old.peer.is_none() && !old.joined && old.gathers == 0);
        let carried = (old.reoffers, old.refers);
        (old.reoffers, old.refers, old.moved) = (0, 0, true);
        let new = self.legs.entry(to).or_insert_with(|| Leg {
            answered: true,
            ..Leg::default()
        });
        assert!(!new.ended, "{event:?} to one that is over");
        assert_eq!((new.reoffers, new.refers), (0, 0), "{event:?} of {new:?}");
        (new.reoffers, new.refers) = carried;
    }

    /// A worker is told something.
    pub(crate) fn media(&mut self, command: &media::Command) {
        use media::Command as C;
        match command {
            C::Open { session, .. } => {
                let old = self.sessions.insert(*session, Phase::Open);
                assert_eq!(old, None, "{command:?} twice");
            }
            C::Configure { session, .. } => {
                self.phase(*session, command, &[Phase::Open, Phase::Configured]);
                self.sessions.insert(*session, Phase::Configured);
            }
            C::RecordCall { session, .. }
            | C::EndRecording { session, .. }
            | C::SetPart { session, .. }
            | C::Beep { session, .. }
            | C::Listen { session, .. } => {
                self.phase(*session, command, &[Phase::Open, Phase::Configured]);
            }
            C::Play { session, .. }
            | C::Stop { session, .. }
            | C::SendDigits { session, .. }
            | C::RecordMessage { session, .. }
            | C::StopRecording { session, .. }
            | C::Join { session, .. }
            | C::Unbridge { session } => self.phase(*session, command, &[Phase::Configured]),
            C::Bridge { a, b } => {
                self.phase(*a, command, &[Phase::Configured]);
                self.phase(*b, command, &[Phase::Configured]);
            }
            C::Close { session } => {
                self.phase(*session, command, &[Phase::Open, Phase::Configured]);
                self.sessions.insert(*session, Phase::Closing);
            }
        }
    }

    fn phase(&self, session: SessionId, command: &media::Command, allowed: &[Phase]) {
        let phase = self.sessions.get(&session);
        let fits = phase.is_some_and(|phase| allowed.contains(phase));
        assert!(fits, "{command:?} while {phase:?}");
    }

    /// A worker's report is about to be given.
    pub(crate) fn media_event(&mut self, event: &media::Event) {
        if let media::Event::Closed { session, .. } = event {
            self.sessions.insert(*session, Phase::Closed);
        }
    }

    /// Everybody has left.
    pub(crate) fn settled(&self) {
        for (leg, state) in &self.legs {
            assert!(state.ended, "{leg} never ended: {state:?}");
        }
        for (session, phase) in &self.sessions {
            let closed = *phase == Phase::Closed || self.deaf && *phase == Phase::Closing;
            assert!(closed, "session {session} is {phase:?}");
        }
    }
}

fn take<T: PartialEq>(list: &mut Vec<T>, item: &T, event: &Event) {
    let place = list.iter().position(|other| other == item);
    list.remove(place.unwrap_or_else(|| panic!("{event:?} was not asked for")));
}
