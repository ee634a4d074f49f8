//! Call control: who talks with whom in a call that is in the hands of people.
//!
//! Each party has a [`Place`]: what it should hear. A request only moves parties to other places,
//! and a party that leaves makes the others move ([`leave`]); [`arrange`] then tells the engine what
//! is different from what they hear now. So nobody is forgotten in silence: each place says what is
//! heard there, and each that waits has a deadline. A party may also go on in another call
//! ([`moving`]).

mod arrange;
mod attempt;
mod bridge;
mod leave;
mod moving;
mod noted;
mod originate;
mod park;
mod phone;
mod refer;
mod request;
mod secure;
mod slot;
mod view;
mod visit;
mod watch;

pub(crate) use moving::Moving;
pub(crate) use noted::Noted;
pub(crate) use refer::Asked;
pub(crate) use secure::Secure;
pub(crate) use watch::Watcher;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use vocab::call::Part;
use vocab::hearing::Signal;
use vocab::{LegId, Party, PlayId};

use crate::call::Dial;
use crate::config::Route;
use crate::control::{ControlId, Destination, Detection, Loudness};

/// The parties of a call that people control, or that a flow has connected.
#[derive(Debug, Default)]
pub(crate) struct Talk {
    /// Answered parties by leg number.
    pub(crate) members: BTreeMap<u16, Member>,
    /// Somebody is called: one at a time.
    pub(crate) attempt: Option<Dial>,
    /// Who was asked in the consultation that goes on.
    pub(crate) asked: Option<u16>,
    pub(crate) parked: Option<Parked>,
    /// Somebody is on the way into the call: one at a time.
    pub(crate) coming: Option<Coming>,
    pub(crate) visit: Option<Visit>,
    /// Those who supervise, by leg number.
    pub(crate) watchers: BTreeMap<u16, Watcher>,
    /// Keys that somebody presses for the vault.
    pub(crate) secure: Option<Box<Secure>>,
    /// Whose keys the others do not hear.
    pub(crate) screened: Option<u16>,
    /// The caller came by a trunk whose tones are listened for.
    pub(crate) caller_signals: bool,
    /// Signals that were heard of answered legs: each is told once.
    pub(crate) signals: BTreeSet<(u16, Signal)>,
    /// How to find who answers a call of ours.
    pub(crate) detection: Option<Detection>,
    /// Whom a call of ours is for, until its first leg has answered.
    pub(crate) target: Option<Destination>,
}

/// An answered party.
#[derive(Debug)]
pub(crate) struct Member {
    /// Whose phone it is.
    pub(crate) user: Option<String>,
    pub(crate) party: Party,
    /// It asks not to be shown.
    pub(crate) withheld: bool,
    pub(crate) place: Place,
    /// What the engine was last told.
    pub(crate) hears: Hears,
    /// Its phone has put us on hold.
    pub(crate) holds: bool,
    /// How loud it was made.
    pub(crate) loudness: Loudness,
    /// What the engine was last told of its part.
    pub(crate) told: Part,
    /// It talks, in a conference.
    pub(crate) talks: bool,
    /// It is heard most there.
    pub(crate) leads: bool,
}

/// Where a party is.
///
/// | place | hears | leaves it by |
/// |---|---|---|
/// | `With` | the other one, or music while that one holds | any request |
/// | `Holding` | nothing: it put the other one there | `Retrieve`, a hang-up |
/// | `Held` | music | who holds, or when that one leaves |
/// | `Awaiting` | ringing, while the attempt lasts | its end |
/// | `Parked` | music, until the slot's time is over | `PickUp`, the time |
/// | `Room` | all others there | a hang-up |
/// | `Flow` | a flow | its end |
/// | `Last` | the announcement, and is hung up then | its end |
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Place {
    With(u16),
    Holding,
    Held,
    Awaiting,
    Parked,
    Room,
    Flow,
    Last,
}

/// What a party was told to hear.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Hears {
    Nothing,
    Sound(Sound, PlayId),
    Bridge(u16),
    Room,
}

/// Sounds that last until something changes, but for the last.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Sound {
    Music,
    Ringing,
    Last,
}

/// Who waits for somebody who is called, and what for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Wish {
    pub(crate) waits: u16,
    pub(crate) why: Why,
}

/// What somebody is called for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Why {
    /// The one who waits was sent there. If nobody answers, this user's phone is called back.
    Transfer { back: Option<Sender> },
    /// This one's phone asked for the transfer of the one who waits, and stays until it is done.
    Refer { by: u16 },
    /// The one who waits asks, and this one is held meanwhile.
    Consult { held: u16 },
    /// Who transferred or parked the one who waits is called back.
    Back,
    /// A phone takes the one who is parked.
    PickUp,
    /// The one who waits had this call made.
    Target,
    /// It is to join those who talk; nobody waits for it.
    Add {
        /// They hear a beep then.
        beep: bool,
    },
}

/// A user who sent a party away.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Sender {
    pub(crate) user: String,
    /// It asks not to be shown.
    pub(crate) withheld: bool,
}

/// A party in a slot.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Parked {
    pub(crate) leg: u16,
    pub(crate) slot: u16,
    /// Who parked it, and is rung when the time is over.
    pub(crate) back: Option<String>,
}

/// Somebody on the way from another call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Coming {
    /// The leg that it leaves.
    pub(crate) from: LegId,
    /// Whom it is to talk with.
    pub(crate) joins: u16,
}

/// A party goes through another route's flow while somebody waits for it.
#[derive(Debug)]
pub(crate) struct Visit {
    /// Who waits.
    pub(crate) by: u16,
    /// The request that is answered when the flow is over.
    pub(crate) request: ControlId,
    /// The call's own route, which it has again then.
    pub(crate) route: Arc<Route>,
}

impl Member {
    pub(crate) fn new(user: Option<String>, party: Party, place: Place) -> Self {
        Self {
            user,
            party,
            withheld: false,
            place,
            hears: Hears::Nothing,
            holds: false,
            loudness: Loudness::default(),
            told: Part::default(),
            talks: false,
            leads: false,
        }
    }
}

impl Member {
    /// Who it is, when it sends somebody away.
    pub(crate) fn sender(&self) -> Option<Sender> {
        let user = self.user.clone()?;
        let withheld = self.withheld;
        Some(Sender { user, withheld })
    }
}

impl Talk {
    /// Two parties talk with each other from now on.
    pub(crate) fn pair(&mut self, a: u16, b: u16) {
        for (n, other) in [(a, b), (b, a)] {
            self.put(n, Place::With(other));
        }
    }

    /// A party goes to another place.
    pub(crate) fn put(&mut self, n: u16, place: Place) {
        if let Some(member) = self.members.get_mut(&n) {
            member.place = place;
        }
    }

    pub(crate) fn place(&self, n: u16) -> Option<Place> {
        self.members.get(&n).map(|member| member.place)
    }

    /// The party that waits on hold, besides this one.
    pub(crate) fn held(&self, but: u16) -> Option<u16> {
        self.others(but)
            .find(|n| self.place(*n) == Some(Place::Held))
    }

    /// All parties but one.
    pub(crate) fn others(&self, but: u16) -> impl Iterator<Item = u16> {
        self.members.keys().copied().filter(move |n| *n != but)
    }
}
