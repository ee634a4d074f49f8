//! Random call control: what operators ask of calls, mostly where it makes sense, and often where it
//! does not.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use node::{
    Actor, Control, ControlError, ControlId, Controlled, Destination, Loudness, Node, PartyState,
    SecretKeys, Watching,
};
use vocab::call::GatherSpec;
use vocab::{CallId, Pii, Rng};

/// A kind of request.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Word {
    /// The other one hears music.
    Hold,
    /// They talk again.
    Retrieve,
    /// Blind.
    Transfer,
    /// Somebody is asked first.
    Consult,
    /// The one on hold instead.
    Swap,
    /// All three.
    Merge,
    /// An attended transfer.
    Complete,
    /// Back from who was asked.
    Cancel,
    /// Into a slot.
    Park,
    /// Out of it.
    PickUp,
    /// Elsewhere.
    Redirect,
    /// Through a route's flow and back.
    ToFlow,
    /// Two of two calls.
    Bridge,
    /// Keys for a party.
    SendDigits,
    /// One party leaves.
    HangUpOne,
    /// Somebody joins.
    Add,
    /// A party is muted, or louder.
    Adjust,
    /// Somebody listens.
    Watch,
    /// And speaks.
    WatchAs,
    /// And takes over.
    TakePlace,
    /// Somebody presses keys that nobody may know.
    Secure,
    /// And need not go on.
    EndSecure,
    /// A new call.
    Originate,
    /// To the last number.
    Redial,
}

impl Word {
    /// All there are.
    pub const ALL: [Self; 24] = [
        Self::Hold,
        Self::Retrieve,
        Self::Transfer,
        Self::Consult,
        Self::Swap,
        Self::Merge,
        Self::Complete,
        Self::Cancel,
        Self::Park,
        Self::PickUp,
        Self::Redirect,
        Self::ToFlow,
        Self::Bridge,
        Self::SendDigits,
        Self::HangUpOne,
        Self::Add,
        Self::Adjust,
        Self::Watch,
        Self::WatchAs,
        Self::TakePlace,
        Self::Secure,
        Self::EndSecure,
        Self::Originate,
        Self::Redial,
    ];

    /// Its name in a report.
    pub fn name(self) -> &'static str {
        match self {
            Self::Hold => "hold",
            Self::Retrieve => "retrieve",
            Self::Transfer => "transfer",
            Self::Consult => "consult",
            Self::Swap => "swap",
            Self::Merge => "merge",
            Self::Complete => "complete",
            Self::Cancel => "cancel",
            Self::Park => "park",
            Self::PickUp => "pick up",
            Self::Redirect => "redirect",
            Self::ToFlow => "to flow",
            Self::Bridge => "bridge",
            Self::SendDigits => "send digits",
            Self::HangUpOne => "hang up one",
            Self::Add => "add",
            Self::Adjust => "adjust",
            Self::Watch => "watch",
            Self::WatchAs => "watch as",
            Self::TakePlace => "take place",
            Self::Secure => "secure",
            Self::EndSecure => "end secure",
            Self::Originate => "originate",
            Self::Redial => "redial",
        }
    }
}

/// Who has phones: most of them on desks.
const USERS: [&str; 8] = [
    "1003", "1004", "1005", "1006", "1007", "1008", "1001", "2001",
];

/// What was asked, and who still waits for an answer.
#[derive(Debug, Default)]
pub(super) struct Words {
    last: u64,
    open: BTreeMap<ControlId, Word>,
    /// Calls that were ever seen: most of them are over.
    seen: BTreeSet<CallId>,
}

impl Words {
    /// A request of a kind, and which of the calls there are, or were, it is about.
    pub(super) fn ask(
        &mut self,
        rng: &mut Rng,
        node: &Node,
        word: Word,
    ) -> (ControlId, Vec<CallId>, Control) {
        self.seen.extend(node.live_calls());
        let call = self.pick_call(rng, node, word);
        let by = actor(rng, node, call, word);
        let to = destination(rng);
        let user = USERS[rng.below(8) as usize].to_owned();
        let slot = 701 + rng.below(3) as u16;
        let mut other = call;
        let request = match word {
            Word::Hold => Control::Hold { call, by },
            Word::Retrieve => Control::Retrieve { call, by },
            Word::Transfer => Control::Transfer { call, by, to },
            Word::Consult => Control::Consult { call, by, to },
            Word::Swap => Control::Swap { call, by },
            Word::Merge => Control::Merge {
                call,
                by,
                beep: false,
            },
            Word::Complete => Control::Complete { call, by },
            Word::Cancel => Control::Cancel { call, by },
            Word::Park => {
                let slot = rng.chance(0.5).then_some(slot);
                Control::Park { call, by, slot }
            }
            Word::PickUp => {
                // Slots beyond those of the tenant are asked for as well.
                let taken = node.parked().map(|(_, slot, _)| slot).next();
                let slot = taken.filter(|_| rng.chance(0.8)).unwrap_or(slot + 18);
                Control::PickUp { user, slot }
            }
            Word::Redirect => Control::Redirect { call, to },
            Word::ToFlow => {
                let route = ["1000", "1010", "1304", "7777"][rng.below(4) as usize].to_owned();
                Control::ToFlow { call, by, route }
            }
            Word::Bridge => {
                for _ in 0..2 {
                    if other == call {
                        other = self.pick_call(rng, node, word);
                    }
                }
                let other_leg = actor(rng, node, other, word);
                Control::Bridge {
                    call,
                    leg: by,
                    other,
                    other_leg,
                }
            }
            Word::SendDigits => {
                let digits =
                    Pii::new(["12#", "", "0123456789", "1x"][rng.below(4) as usize].into());
                Control::SendDigits {
                    call,
                    leg: by,
                    digits,
                }
            }
            Word::HangUpOne => Control::Hangup { call, leg: by },
            Word::Add => Control::Add {
                call,
                by,
                to,
                beep: true,
            },
            Word::Adjust => Control::Adjust {
                call,
                leg: by,
                change: Loudness {
                    muted: rng.chance(0.5).then_some(true),
                    deaf: rng.chance(0.2).then_some(true),
                    said_db: Some(rng.below(60) as i8 - 30),
                    heard_db: None,
                },
            },
            Word::Watch => {
                let mode = Watching::ALL[rng.below(3) as usize];
                Control::Watch {
                    call,
                    leg: by,
                    user,
                    mode,
                }
            }
            Word::WatchAs => Control::WatchAs {
                call,
                leg: by,
                mode: Watching::ALL[rng.below(3) as usize],
            },
            Word::TakePlace => Control::TakePlace { call, leg: by },
            Word::Secure => Control::Secure {
                call,
                leg: by,
                keys: Box::new(keys(rng)),
            },
            Word::EndSecure => Control::EndSecure { call },
            Word::Originate => Control::Originate {
                user,
                to,
                detection: None,
            },
            Word::Redial => Control::Redial { user },
        };
        self.last += 1;
        let id = ControlId(self.last);
        let about = match word {
            Word::PickUp | Word::Originate | Word::Redial => Vec::new(),
            Word::Bridge => vec![call, other],
            Word::Hold
            | Word::Retrieve
            | Word::Transfer
            | Word::Consult
            | Word::Swap
            | Word::Merge
            | Word::Complete
            | Word::Cancel
            | Word::Park
            | Word::Redirect
            | Word::ToFlow
            | Word::SendDigits
            | Word::HangUpOne
            | Word::Add
            | Word::Adjust
            | Word::Watch
            | Word::WatchAs
            | Word::TakePlace
            | Word::Secure
            | Word::EndSecure => vec![call],
        };
        self.open.insert(id, word);
        (id, about, request)
    }

    /// An answer; gives what is told of it.
    pub(super) fn answered(
        &mut self,
        id: ControlId,
        result: &Result<Controlled, ControlError>,
    ) -> String {
        let word = self
            .open
            .remove(&id)
            .unwrap_or_else(|| panic!("{id:?} was answered before, or never asked: {result:?}"));
        match result {
            Ok(_) => format!("word {}: done", word.name()),
            Err(error) => format!("word {}: {}", word.name(), error.name()),
        }
    }

    /// Who still waits for an answer.
    pub(super) fn open(&self) -> usize {
        self.open.len()
    }

    /// Mostly a call in which the word means something.
    fn pick_call(&self, rng: &mut Rng, node: &Node, word: Word) -> CallId {
        let live: Vec<CallId> = node.live_calls().collect();
        let fits = |id: &&CallId| {
            let wanted = |state: PartyState| match word {
                Word::Retrieve | Word::Swap | Word::Merge | Word::Complete | Word::Cancel => {
                    state == PartyState::Held
                }
                Word::Redirect => matches!(
                    state,
                    PartyState::Waiting | PartyState::Flow | PartyState::Talking { .. }
                ),
                Word::Bridge => bridged(state),
                Word::WatchAs | Word::TakePlace => matches!(state, PartyState::Watching { .. }),
                Word::Add | Word::Adjust | Word::Watch | Word::Secure | Word::EndSecure => {
                    matches!(state, PartyState::Talking { .. } | PartyState::Conference)
                }
                Word::Hold
                | Word::Transfer
                | Word::Consult
                | Word::Park
                | Word::PickUp
                | Word::ToFlow
                | Word::SendDigits
                | Word::HangUpOne
                | Word::Originate
                | Word::Redial => matches!(state, PartyState::Talking { .. }),
            };
            node.parties(**id).iter().any(|party| wanted(party.state))
        };
        let fitting: Vec<CallId> = live.iter().filter(fits).copied().collect();
        let past: Vec<CallId> = self.seen.iter().copied().collect();
        let from = match rng.below(10) {
            0..=8 if !fitting.is_empty() => &fitting,
            9 if !past.is_empty() => &past,
            _ => &live,
        };
        match from.len() {
            0 => CallId(1),
            n => from[rng.below(n as u64) as usize],
        }
    }
}

/// Mostly a party that can do what is asked.
fn actor(rng: &mut Rng, node: &Node, call: CallId, word: Word) -> Actor {
    let parties = node.parties(call);
    let three = matches!(
        word,
        Word::Swap | Word::Merge | Word::Complete | Word::Cancel
    );
    let acts = parties.iter().find(|party| match party.state {
        state if word == Word::Bridge => bridged(state),
        PartyState::Watching { .. } => matches!(word, Word::WatchAs | Word::TakePlace),
        _ if matches!(word, Word::WatchAs | Word::TakePlace) => false,
        PartyState::Conference => {
            matches!(word, Word::Add | Word::Adjust | Word::Watch | Word::Secure)
        }
        PartyState::Talking { .. } => word != Word::Retrieve,
        PartyState::Alone => word == Word::Retrieve || three,
        PartyState::Ringing
        | PartyState::Waiting
        | PartyState::Flow
        | PartyState::Held
        | PartyState::Parked { .. } => false,
    });
    match (rng.below(10), acts) {
        (0..=7, Some(party)) => Actor::Leg(party.leg),
        (8, _) => Actor::User(USERS[rng.below(8) as usize].to_owned()),
        _ => Actor::Leg(rng.below(6) as u16),
    }
}

/// Who can be connected with somebody of another call.
fn bridged(state: PartyState) -> bool {
    matches!(
        state,
        PartyState::Flow
            | PartyState::Talking { .. }
            | PartyState::Held
            | PartyState::Parked { .. }
    )
}

/// Few keys, so that some who press at random press enough; and now and then what cannot be asked for.
fn keys(rng: &mut Rng) -> SecretKeys {
    let max = [0, 1, 4, 16, 40][rng.below(5) as usize];
    let time = |rng: &mut Rng| Duration::from_secs(1 + rng.below(30));
    let prompts = ["main", "nothing"][rng.below(2) as usize];
    SecretKeys {
        prompts: rng
            .chance(0.3)
            .then(|| prompts.to_owned())
            .into_iter()
            .collect(),
        spec: GatherSpec {
            min: 1,
            max,
            terminators: "#".to_owned(),
            first_timeout: time(rng),
            inter_timeout: time(rng),
            barge_in: rng.chance(0.8),
        },
    }
}

fn destination(rng: &mut Rng) -> Destination {
    match rng.below(19) {
        0..=10 => desk(rng),
        11 => Destination::Number(Pii::new("+862155500000".into())),
        12 => Destination::Route("1000".into()),
        13 => Destination::Dialled(Pii::new("1010".into())),
        14 => Destination::Group("nobody".into()),
        15 => Destination::Group("desks".into()),
        16 | 17 => several(rng),
        _ => Destination::Phone("1099".into()),
    }
}

fn desk(rng: &mut Rng) -> Destination {
    Destination::Phone(USERS[rng.below(7) as usize].into())
}

/// Phones and the number outside, and now and then what cannot be rung along with others.
fn several(rng: &mut Rng) -> Destination {
    let mut targets: Vec<Destination> = (0..=rng.below(3)).map(|_| desk(rng)).collect();
    match rng.below(8) {
        0 => targets.push(destination(rng)),
        1..=4 => targets.push(Destination::Number(Pii::new("+862155500000".into()))),
        _ => {}
    }
    Destination::Several {
        targets,
        in_order: rng.chance(0.5),
        each: Duration::from_secs(1 + rng.below(9)),
        timeout: rng.chance(0.5).then(|| Duration::from_secs(rng.below(40))),
    }
}
