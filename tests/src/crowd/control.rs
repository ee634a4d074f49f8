//! A few rules in the place of the node: what becomes of each leg.

use std::collections::BTreeMap;
use std::time::Duration;

use vocab::call::{Cause, Command, Event, GatherSpec, Target};
use vocab::{CallId, Clip, LegId, Party, Pii, PlayId, SessionId};

use super::far::{self, RESIDENT};
use super::{Crowd, Happening, LINES};

/// After this the rules end a call, whatever it does.
const LONGEST_MS: u64 = 40_000;

/// Something that is decided later.
#[derive(Clone, Copy, Debug)]
pub(super) enum Act {
    /// The caller is answered by us.
    Answer(LegId),
    /// The call is over.
    End(CallId),
    /// Something is changed about a call, whether it makes sense then or not.
    Change(CallId),
    /// A clip was played to its end.
    Heard(SessionId, PlayId),
}

/// A leg that was reported or made, and is not over.
#[derive(Debug, Default)]
struct Leg {
    answered: bool,
    plays: Vec<PlayId>,
    gathers: usize,
}

/// What the rules know.
#[derive(Debug, Default)]
pub(super) struct Control {
    legs: BTreeMap<LegId, Leg>,
    plays: u64,
    /// What was reported, and how often.
    pub(super) seen: BTreeMap<&'static str, u64>,
}

impl Control {
    /// No leg is left.
    pub(super) fn is_idle(&self) -> bool {
        self.legs.is_empty()
    }

    /// Legs that are not over.
    pub(super) fn legs(&self) -> usize {
        self.legs.len()
    }

    /// The leg an event is about: it must exist and not be over.
    fn of(&mut self, leg: LegId, event: &Event) -> &mut Leg {
        let leg = self.legs.get_mut(&leg);
        leg.unwrap_or_else(|| panic!("{event:?} of no leg, or after its end"))
    }

    fn answered(&self, leg: LegId) -> bool {
        self.legs.get(&leg).is_some_and(|leg| leg.answered)
    }
}

/// The caller of a call, which the engine numbers, and whom it is connected to.
fn sides(call: CallId) -> [LegId; 2] {
    [1, 2].map(|n| LegId { call, n })
}

impl Crowd {
    pub(super) fn decide(&mut self, act: Act) {
        match act {
            Act::Answer(leg) => self.command(Command::Answer { leg }),
            Act::End(call) => {
                for leg in sides(call) {
                    self.hang_up(leg);
                }
            }
            Act::Change(call) => self.change(call),
            Act::Heard(session, play) => self.heard_out(session, play),
        }
    }

    /// The engine reports something.
    pub(super) fn told(&mut self, event: Event) {
        let name = kind(&event);
        *self.control.seen.entry(name).or_default() += 1;
        match &event {
            Event::Incoming { leg, user, .. } => {
                let before = self.control.legs.insert(*leg, Leg::default());
                assert!(before.is_none(), "{leg} comes in once");
                self.comes_in(*leg, user.is_some());
            }
            Event::Ringing { leg } | Event::EarlyMedia { leg } => {
                self.control.of(*leg, &event);
                let [leg, _] = sides(leg.call);
                self.command(Command::Ring { leg });
            }
            Event::Answered { leg } => {
                let known = self.control.of(*leg, &event);
                assert!(!known.answered, "{leg} is answered once");
                known.answered = true;
                self.is_up(*leg);
            }
            Event::Played { leg, play, .. } => {
                let plays = &mut self.control.of(*leg, &event).plays;
                let known = plays.iter().position(|other| other == play);
                plays.remove(known.unwrap_or_else(|| panic!("{event:?} was not asked for")));
            }
            Event::Gathered { leg, .. } => {
                let gathers = &mut self.control.of(*leg, &event).gathers;
                assert!(*gathers > 0, "{event:?} was not asked for");
                *gathers -= 1;
            }
            Event::ReferAsked { leg, .. } => {
                self.control.of(*leg, &event);
                let status = if self.rng.chance(0.5) { 202 } else { 603 };
                self.command(Command::AnswerRefer { leg: *leg, status });
                self.command(Command::TellRefer {
                    leg: *leg,
                    status: 486,
                });
            }
            Event::Ended { leg, .. } => {
                let ended = self.control.legs.remove(leg);
                let ended = ended.unwrap_or_else(|| panic!("{event:?} of no leg, or again"));
                let answered = ended.plays.is_empty() && ended.gathers == 0;
                assert!(answered, "{event:?} leaves {ended:?}");
                self.over();
                for other in sides(leg.call) {
                    self.hang_up(other);
                }
            }
            Event::Trying { leg }
            | Event::Digit { leg, .. }
            | Event::Recorded { leg, .. }
            | Event::Bridged { a: leg, .. }
            | Event::Unbridged { a: leg, .. }
            | Event::Joined { leg }
            | Event::Left { leg }
            | Event::Heard { leg, .. }
            | Event::Talking { leg, .. }
            | Event::Speaker { leg }
            | Event::Held { leg }
            | Event::Retrieved { leg }
            | Event::Reoffered { leg, .. }
            | Event::OneWay { leg, .. }
            | Event::Media { leg, .. }
            | Event::Referred { leg, .. } => {
                self.control.of(*leg, &event);
            }
            Event::Moved { from, to } => {
                self.control.of(*from, &event);
                // Nobody may have been there before; `from` is told of its end.
                self.control.legs.entry(*to).or_insert_with(|| Leg {
                    answered: true,
                    ..Leg::default()
                });
            }
            Event::Registered { .. }
            | Event::Unregistered { .. }
            | Event::AuthFailed { .. }
            | Event::Banned { .. } => {}
        }
    }

    fn command(&mut self, command: Command) {
        self.feed(engine::Input::Command(command));
    }

    fn hang_up(&mut self, leg: LegId) {
        if self.control.legs.contains_key(&leg) {
            let cause = Cause::Normal;
            self.command(Command::Hangup { leg, cause });
        }
    }

    /// Holds, transfers, parts, joins, connects again, or puts one in the place of the other.
    fn change(&mut self, call: CallId) {
        let [mut leg, mut other] = sides(call);
        if self.rng.chance(0.5) {
            (leg, other) = (other, leg);
        }
        let hold = self.rng.chance(0.6);
        let command = match self.below(8) {
            0..3 => Command::Reoffer {
                leg,
                codecs: Vec::new(),
                hold,
            },
            3 => Command::Refer {
                leg,
                to: Pii::new("sip:dan@demo".to_owned()),
            },
            4 => Command::Unbridge { leg },
            5 => Command::Join { leg },
            6 => Command::Bridge { a: leg, b: other },
            _ => Command::Move {
                from: leg,
                to: other,
                with: None,
            },
        };
        self.command(command);
    }

    fn later(&mut self, within_ms: u64, act: Act) {
        self.within(within_ms, Happening::Control(act));
    }

    /// Somebody calls: refused, asked who it is, answered by us, or connected.
    fn comes_in(&mut self, leg: LegId, known: bool) {
        let longest = if self.rng.chance(0.1) {
            3_000
        } else {
            LONGEST_MS
        };
        self.later(longest, Act::End(leg.call));
        match self.below(100) {
            0..8 if !known => self.command(Command::Challenge { leg }),
            8..14 => {
                let statuses = [404, 480, 486, 503, 603];
                let status = statuses[self.below(5) as usize];
                self.command(Command::Reject {
                    leg,
                    status,
                    q850: None,
                });
            }
            14..45 => {
                if self.rng.chance(0.3) {
                    self.command(Command::Ring { leg });
                }
                self.later(1_000, Act::Answer(leg));
            }
            _ => self.connect(leg),
        }
    }

    /// Dials for a caller: the registered user's phones, one far end, or where nobody is.
    fn connect(&mut self, caller: LegId) {
        let [_, leg] = sides(caller.call);
        let target = match self.below(20) {
            0..6 => Target::User(RESIDENT.to_owned()),
            6 => Target::User("nobody".to_owned()),
            n => {
                let far = self.below(LINES.len() as u64) as usize;
                // One address further there is nobody.
                let far = if n == 7 { LINES.len() } else { far };
                Target::Uri {
                    uri: Pii::new(format!("sip:2000@{}", far::address(far))),
                    next_hop: far::address(far),
                    tcp: false,
                    carrier: None,
                }
            }
        };
        self.control.legs.insert(leg, Leg::default());
        let timeout = Duration::from_millis(5_000 + self.below(20_000));
        self.command(Command::Dial {
            leg,
            target,
            caller: Party::Anonymous,
            timeout,
            sent_by: None,
        });
    }

    /// A leg is up: the two of a call are connected, and who is alone hears something.
    fn is_up(&mut self, leg: LegId) {
        let [caller, called] = sides(leg.call);
        for _ in 0..self.below(4) {
            self.later(12_000, Act::Change(leg.call));
        }
        if leg == called && !self.control.answered(caller) {
            return self.command(Command::Answer { leg: caller });
        }
        if self.control.answered(called) {
            return self.command(Command::Bridge {
                a: caller,
                b: called,
            });
        }
        if self.rng.chance(0.5) {
            self.play(leg);
        } else {
            self.gather(leg);
        }
        if self.rng.chance(0.5) {
            self.later(10_000, Act::End(leg.call));
        }
    }

    fn play(&mut self, leg: LegId) {
        self.control.plays += 1;
        let play = PlayId(self.control.plays);
        if let Some(known) = self.control.legs.get_mut(&leg) {
            known.plays.push(play);
        }
        self.command(Command::Play {
            leg,
            play,
            clips: vec![Clip::silence(Duration::from_millis(100))],
            repeat: false,
        });
    }

    fn gather(&mut self, leg: LegId) {
        if let Some(known) = self.control.legs.get_mut(&leg) {
            known.gathers += 1;
        }
        let spec = GatherSpec {
            min: 1,
            max: 1,
            terminators: "#".into(),
            first_timeout: Duration::from_secs(3),
            inter_timeout: Duration::from_secs(1),
            barge_in: true,
        };
        let clips = vec![Clip::silence(Duration::from_millis(100))];
        self.command(Command::Gather { leg, clips, spec });
    }
}

/// The name under which an event is counted.
fn kind(event: &Event) -> &'static str {
    match event {
        Event::Incoming { .. } => "incoming",
        Event::Trying { .. } => "trying",
        Event::Ringing { .. } => "ringing",
        Event::EarlyMedia { .. } => "early media",
        Event::Answered { .. } => "answered",
        Event::Played { .. } => "played",
        Event::Gathered { .. } => "gathered",
        Event::Bridged { .. } => "bridged",
        Event::Unbridged { .. } => "unbridged",
        Event::Held { .. } => "held",
        Event::Retrieved { .. } => "retrieved",
        Event::ReferAsked { .. } => "transfer asked for",
        Event::Ended { cause, .. } => cause.name(),
        Event::Registered { .. } => "registered",
        Event::Joined { .. } => "joined",
        Event::Left { .. } => "left",
        Event::Heard { .. } => "heard",
        Event::Talking { .. } => "talking",
        Event::Speaker { .. } => "speaker",
        Event::OneWay { .. } => "one way",
        Event::Media { .. } => "media told",
        Event::Reoffered { .. } => "offered anew",
        Event::Referred { .. } => "transferred elsewhere",
        Event::Moved { from, to } if from == to => "not moved",
        Event::Moved { .. } => "moved",
        Event::Digit { .. }
        | Event::Recorded { .. }
        | Event::Unregistered { .. }
        | Event::AuthFailed { .. }
        | Event::Banned { .. } => "other",
    }
}
