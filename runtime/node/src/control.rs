//! What operators and their programs ask of a call, and what they are told.

use std::time::Duration;

use thiserror::Error;
use vocab::call::{GatherEnd, GatherSpec};
use vocab::hearing::AnswerParams;
use vocab::{CallId, Party, Pii, SecretToken};

/// One request. Counted by the shell; its answer carries the same number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ControlId(pub u64);

/// A request. Each is answered once, by [`Output::Controlled`](crate::Output::Controlled): at once,
/// when the step was taken or begun, [`Control::ToFlow`] when the flow is over,
/// [`Control::Secure`] when the keys are pressed, and [`Control::Bridge`] when the two talk. What
/// becomes of it later is in the call's events.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Control {
    /// The party who is talked with hears music.
    Hold {
        /// Which call.
        call: CallId,
        /// Who holds.
        by: Actor,
    },
    /// They talk again.
    Retrieve {
        /// Which call.
        call: CallId,
        /// Who holds.
        by: Actor,
    },
    /// The party who is talked with goes to somebody else, unannounced; who transfers is free at
    /// once. If nobody takes the call, it comes back.
    Transfer {
        /// Which call.
        call: CallId,
        /// Who transfers.
        by: Actor,
        /// Where to.
        to: Destination,
    },
    /// The party who is talked with hears music, and somebody else is asked first.
    Consult {
        /// Which call.
        call: CallId,
        /// Who asks.
        by: Actor,
        /// Whom.
        to: Destination,
    },
    /// Talk with the one who waits, and have the other wait.
    Swap {
        /// Which call.
        call: CallId,
        /// Who talks with both.
        by: Actor,
    },
    /// All three talk with each other.
    Merge {
        /// Which call.
        call: CallId,
        /// Who talks with both.
        by: Actor,
        /// They hear a beep first.
        beep: bool,
    },
    /// The other two are connected, and who consulted leaves: an attended transfer. While the one
    /// who is asked still rings, too.
    Complete {
        /// Which call.
        call: CallId,
        /// Who consulted.
        by: Actor,
    },
    /// The one who was asked is hung up, and the talk before goes on.
    Cancel {
        /// Which call.
        call: CallId,
        /// Who consulted.
        by: Actor,
    },
    /// The party who is talked with waits in a slot of the tenant, where any of its phones can take
    /// it; who parks is free at once.
    Park {
        /// Which call.
        call: CallId,
        /// Who parks.
        by: Actor,
        /// Which slot; `None` is the first that is free.
        slot: Option<u16>,
    },
    /// A phone takes the call that waits in a slot of its tenant.
    PickUp {
        /// Whose phone.
        user: String,
        /// Which slot.
        slot: u16,
    },
    /// The caller goes elsewhere: by 302 before an answer, and then by a transfer.
    Redirect {
        /// Which call.
        call: CallId,
        /// Where to.
        to: Destination,
    },
    /// The party who is talked with goes through another route's flow and comes back with the
    /// result; who sends it waits.
    ToFlow {
        /// Which call.
        call: CallId,
        /// Who sends and waits.
        by: Actor,
        /// The number of a route of the same tenant.
        route: String,
    },
    /// Two parties of two calls of a tenant talk with each other, and everybody else in both is hung
    /// up. The second one goes on in the first one's call, and the other call ends. If it comes to
    /// nothing, both calls are as they were.
    Bridge {
        /// Which call goes on.
        call: CallId,
        /// Who in it.
        leg: Actor,
        /// Which other call.
        other: CallId,
        /// Who in that.
        other_leg: Actor,
    },
    /// A party hears keys pressed.
    SendDigits {
        /// Which call.
        call: CallId,
        /// Who hears them.
        leg: Actor,
        /// Digits out of `0-9*#A-D`.
        digits: Pii<String>,
    },
    /// The recording of a call, all of whose parties are recorded or none.
    Record {
        /// Which call.
        call: CallId,
        /// Who asks, if a party does; for the call's events.
        by: Option<Actor>,
        /// What.
        step: RecordStep,
    },
    /// A party who is talked with presses keys that nobody else may know, and the talk goes on meanwhile.
    Secure {
        /// Which call.
        call: CallId,
        /// Who presses.
        leg: Actor,
        /// What is asked for.
        keys: Box<SecretKeys>,
    },
    /// Nobody waits for such keys any more; those that were pressed are in the vault.
    EndSecure {
        /// Which call.
        call: CallId,
    },
    /// One party is hung up; the others go on if there are two, or one with somebody who waits.
    Hangup {
        /// Which call.
        call: CallId,
        /// Whom.
        leg: Actor,
    },
    /// Somebody is called to talk with those who talk: a conference from then on. They talk on
    /// meanwhile.
    Add {
        /// Which call.
        call: CallId,
        /// Who brings somebody in.
        by: Actor,
        /// Whom.
        to: Destination,
        /// All hear a beep when it is there.
        beep: bool,
    },
    /// Changes how loud a party is to those it talks with, and they to it.
    Adjust {
        /// Which call.
        call: CallId,
        /// Whom.
        leg: Actor,
        /// What is different from now on.
        change: Loudness,
    },
    /// A user's phone is rung, and once it answers it listens to a party of the call, whomever that
    /// talks with.
    Watch {
        /// Which call.
        call: CallId,
        /// Who is watched.
        leg: Actor,
        /// Whose phone is rung.
        user: String,
        /// What it does at first.
        mode: Watching,
    },
    /// Who watches does something else.
    WatchAs {
        /// Which call.
        call: CallId,
        /// Who watches.
        leg: Actor,
        /// What it does from now on.
        mode: Watching,
    },
    /// Who watches goes on in the place of the watched one, who is hung up.
    TakePlace {
        /// Which call.
        call: CallId,
        /// Who watches.
        leg: Actor,
    },
    /// A new call: a user's phone rings first, and once it answers, the target.
    Originate {
        /// Whose phone.
        user: String,
        /// Whom it calls.
        to: Destination,
        /// Whether to find out who answers, a person or a machine; they talk meanwhile.
        detection: Option<Box<Detection>>,
    },
    /// The same, to what this user dialled last.
    Redial {
        /// Whose phone.
        user: String,
    },
}

/// Keys that somebody is to press for the vault.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SecretKeys {
    /// Names of prompts that the party alone hears first.
    pub prompts: Vec<String>,
    /// How many, and for how long they are waited for.
    pub spec: GatherSpec,
}

/// How to find out who answers, and what becomes of a machine.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Detection {
    /// What decides.
    pub params: AnswerParams,
    /// What becomes of a machine.
    pub on_machine: OnMachine,
}

/// What becomes of a machine that answers.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum OnMachine {
    /// It is talked to like anybody else.
    #[default]
    Connect,
    /// It is hung up.
    HangUp,
}

/// What somebody does who watches a party of a call.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Watching {
    /// It hears all, and nobody hears it.
    Listen,
    /// The watched one alone hears it.
    Whisper,
    /// All hear it.
    Barge,
}

impl Watching {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Listen, Self::Whisper, Self::Barge];

    /// Stable lower-case name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Listen => "listen",
            Self::Whisper => "whisper",
            Self::Barge => "barge",
        }
    }
}

/// How loud a party is; what is `None` stays as it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Loudness {
    /// Others do not hear it.
    pub muted: Option<bool>,
    /// It does not hear others.
    pub deaf: Option<bool>,
    /// How much louder than it is others hear it, in dB, -24 to 24.
    pub said_db: Option<i8>,
    /// How much louder than they are it hears others, in dB, -24 to 24.
    pub heard_db: Option<i8>,
}

impl Loudness {
    /// In words, for the journal.
    pub(crate) fn describe(&self) -> String {
        let mut words = Vec::new();
        let flags = [(self.muted, "muted"), (self.deaf, "deaf")];
        words.extend(
            flags
                .iter()
                .filter(|(is, _)| *is == Some(true))
                .map(|(_, word)| (*word).to_owned()),
        );
        let gains = [(self.said_db, "said"), (self.heard_db, "heard")];
        for (db, word) in gains {
            words.extend(
                db.filter(|db| *db != 0)
                    .map(|db| format!("{word} {db:+} dB")),
            );
        }
        if words.is_empty() {
            "plain".to_owned()
        } else {
            words.join(", ")
        }
    }
}

/// What is asked of a recording.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RecordStep {
    /// It begins, in a call that is not recorded; before the answer, with that.
    Start,
    /// It rests.
    Pause {
        /// It goes on by itself after this long, 1 s to 10 min; `None` is 2 min.
        lasting: Option<Duration>,
    },
    /// It goes on.
    Resume,
    /// It ends. It can be started again.
    Stop,
}

/// Who acts in a call.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Actor {
    /// The party with this number.
    Leg(u16),
    /// The party on a phone of this user.
    User(String),
}

/// Where a call can be sent, always within the tenant's rules.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Destination {
    /// As a phone would dial it: a phone, a ring group, a route or a number, in this order.
    Dialled(Pii<String>),
    /// A registered user.
    Phone(String),
    /// A ring group by name.
    Group(String),
    /// A route by its number: its plugin takes the call.
    Route(String),
    /// A number outside, by a trunk.
    Number(Pii<String>),
    /// Several phones, ring groups and numbers, of whom the first that answers has the call.
    Several {
        /// Who, at most [`CALLEES_MAX`](crate::CALLEES_MAX) with the members of their groups.
        targets: Vec<Destination>,
        /// One after the other instead of all at once.
        in_order: bool,
        /// How long each is rung before it is the next one's turn.
        each: Duration,
        /// How long they are rung in all, at most 180 s; `None` is 30 s, or as long as their turns
        /// take.
        timeout: Option<Duration>,
    },
}

impl Destination {
    /// Its kind, for the journal: never the number.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Dialled(_) => "dialled",
            Self::Phone(_) => "phone",
            Self::Group(_) => "group",
            Self::Route(_) => "route",
            Self::Number(_) => "number",
            Self::Several { .. } => "several",
        }
    }
}

/// What came of a request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Controlled {
    /// It is done.
    Done,
    /// Somebody is called.
    Calling {
        /// The new parties' numbers, one for each phone or number that rings now.
        legs: Vec<u16>,
    },
    /// A new call has begun.
    Call(CallId),
    /// A party waits in this slot.
    Parked {
        /// Which.
        slot: u16,
    },
    /// Keys are in the vault.
    Secret {
        /// Stands for them; `None` if none was pressed.
        token: Option<SecretToken>,
        /// How many.
        digits: u8,
        /// Their check digit is right, as those of payment cards are.
        luhn: bool,
        /// Why it ended.
        end: GatherEnd,
    },
    /// The flow is over and the party is back.
    Flow {
        /// The flow's result in a word.
        label: String,
        /// More of it, for a person.
        detail: Option<String>,
    },
}

/// Why a request was refused; nothing has changed.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum ControlError {
    /// No such call.
    #[error("no such call: it may be over; live calls are listed")]
    NoCall,
    /// No such party.
    #[error("no such party in this call: name a leg of it, or a user whose phone is in it")]
    NoParty,
    /// Not as the call is now.
    #[error("not now: {0}")]
    Conflict(&'static str),
    /// Nothing has this name.
    #[error("not found: {0}")]
    NotFound(&'static str),
    /// A rule forbids it.
    #[error("denied: {0}")]
    Denied(&'static str),
    /// An argument makes no sense.
    #[error("invalid: {0}")]
    Invalid(&'static str),
    /// It cannot be done now.
    #[error("unavailable: {0}")]
    Unavailable(&'static str),
    /// A bound was reached.
    #[error("limit: {0}")]
    Limit(&'static str),
    /// The party has hung up before the end.
    #[error("hung up: the party is gone")]
    Gone,
}

impl ControlError {
    /// Stable lower-case name, for programs.
    pub fn name(&self) -> &'static str {
        match self {
            Self::NoCall => "no_call",
            Self::NoParty => "no_party",
            Self::Conflict(_) => "conflict",
            Self::NotFound(_) => "not_found",
            Self::Denied(_) => "denied",
            Self::Invalid(_) => "invalid",
            Self::Unavailable(_) => "unavailable",
            Self::Limit(_) => "limit",
            Self::Gone => "gone",
        }
    }
}

/// A party of a live call as it is now, for people.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PartyView {
    /// Its number within the call.
    pub leg: u16,
    /// The user whose phone it is, if it is one.
    pub user: Option<String>,
    /// What records call it.
    pub party: Party,
    /// What it does.
    pub state: PartyState,
    /// How loud it was made.
    pub loudness: Loudness,
    /// It talks at this moment; known of conferences alone.
    pub talks: bool,
    /// Of those who talk it is heard most; known likewise.
    pub leads: bool,
}

/// What a party does.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum PartyState {
    /// It is called and has not answered.
    Ringing,
    /// It calls and was not answered.
    Waiting,
    /// A flow looks after it.
    Flow,
    /// It talks with this party.
    Talking {
        /// Which.
        with: u16,
    },
    /// It talks with all others who do.
    Conference,
    /// It hears music, until somebody comes back to it.
    Held,
    /// It waits in a slot.
    Parked {
        /// Which.
        slot: u16,
    },
    /// It watches this party.
    Watching {
        /// Which.
        of: u16,
        /// What it does.
        mode: Watching,
    },
    /// It has somebody called, or waits for somebody, and hears ringing or nothing.
    Alone,
}

impl PartyState {
    /// Stable lower-case name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ringing => "ringing",
            Self::Waiting => "waiting",
            Self::Flow => "flow",
            Self::Talking { .. } => "talking",
            Self::Conference => "conference",
            Self::Held => "held",
            Self::Parked { .. } => "parked",
            Self::Watching { .. } => "supervising",
            Self::Alone => "alone",
        }
    }
}
