//! One call: where its caller is, and who is looking after it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use plugin::Ticket;
use vocab::call::{Cause, GatherSpec, Side};
use vocab::flow::{DialOptions, DialTarget, FlowEvent, PluginRef};
use vocab::{CallId, Clip, Direction, FlowId, LegId, Mono, Now, Party, PlayId, RecordingId, Wall};

use crate::border::SpeechId;
use crate::caller::Shown;
use crate::capture::Capture;
use crate::config::{Callee, Route, Tenant};
use crate::talk::{Member, Place, Talk, Why, Wish};
use crate::trunk::Try;

/// A call from its first event to its last.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) tenant: Arc<Tenant>,
    pub(crate) route: Arc<Route>,
    /// The leg that a flow looks after: the caller's, unless another was sent to the flow or the
    /// caller has left a call that goes on.
    pub(crate) leg: LegId,
    pub(crate) direction: Direction,
    /// Who calls, as far as others may know.
    pub(crate) from: Party,
    /// The caller asks not to be shown.
    pub(crate) withheld: bool,
    /// Set when the caller showed credentials, and for whom a call was made.
    pub(crate) user: Option<String>,
    /// Language of its prompts.
    pub(crate) language: String,
    pub(crate) attrs: BTreeSet<String>,
    pub(crate) started: Now,
    /// Number of its last event.
    pub(crate) journal_last: u32,
    /// The first event is on disk: it may be answered.
    pub(crate) written: bool,
    /// The store refused the first event: nothing more is noted.
    pub(crate) unrecorded: bool,
    pub(crate) line: Line,
    pub(crate) stage: Stage,
    pub(crate) talk: Talk,
    /// Its phone was told that the far end rings.
    pub(crate) rung: bool,
    /// Its caller, who was not answered, hears ringing from us.
    pub(crate) ringback: bool,
    /// How the last dial ended, for a caller who is refused.
    pub(crate) refusal: Option<Refused>,
    pub(crate) leg_last: u16,
    pub(crate) message_last: u16,
    /// Pairs of legs that records say are bridged.
    pub(crate) bridges: BTreeSet<(u16, u16)>,
    pub(crate) capture: Capture,
    /// The oldest of the calls that this one belongs with; mostly itself.
    pub(crate) interaction: CallId,
    /// Recordings that end early, and what is kept of each; as many as it has at most.
    pub(crate) cut: BTreeMap<RecordingId, Duration>,
}

/// Where the caller is.
///
/// | state | meaning | next |
/// |---|---|---|
/// | `Waiting` | hears ringing or nothing | `Wanted`, `Gone` |
/// | `Wanted` | somebody wants to answer; the first event is not on disk yet | `Answering`, `Gone` |
/// | `Answering` | 200 is out | `Up`, `Gone` |
/// | `Up` | talks and listens | `Gone` |
/// | `Gone` | its leg has ended | - |
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Line {
    Waiting,
    Wanted,
    Answering,
    Up,
    Gone { cause: Cause, by: Side, at: Wall },
}

/// Who is looking after the call.
///
/// | state | meaning | next |
/// |---|---|---|
/// | `Flow` | a plugin runs | `Fallback` on a fault, `Talk` once people take over, `Leaving` |
/// | `Fallback` | the announcement plays, or waits for the answer | `Leaving` |
/// | `Talk` | in the hands of people: see [`Talk`] | `Flow` if sent to one, `Leaving` |
/// | `Leaving` | hang-up is under way | - |
#[derive(Debug)]
pub(crate) enum Stage {
    Flow(Box<Flow>),
    Fallback { play: Option<PlayId> },
    Talk,
    Leaving,
}

/// A running plugin, seen from the node.
#[derive(Debug)]
pub(crate) struct Flow {
    pub(crate) id: FlowId,
    pub(crate) plugin: PluginRef,
    /// Given back when the run is over.
    pub(crate) ticket: Ticket,
    /// What happened while it was busy, for `next-event`.
    pub(crate) events: VecDeque<FlowEvent>,
    /// Playbacks it started and did not wait for.
    pub(crate) plays: BTreeMap<PlayId, u32>,
    pub(crate) turn: Turn,
}

/// Whose turn it is.
#[derive(Debug)]
pub(crate) enum Turn {
    /// The plugin's: it is computing or stands in line.
    Plugin,
    /// Ours: it waits for this.
    Host(Pending),
    /// Its call was given away or it hung up; it only has to return.
    Returning,
}

/// What a flow waits for.
#[derive(Debug)]
pub(crate) enum Pending {
    Answer,
    /// Prompts are being turned into clips.
    Resolving(Resolving),
    Play {
        play: PlayId,
    },
    Gather {
        secret: bool,
    },
    /// It was answered; before anything else the caller is told that it is recorded, or asked.
    Consent {
        play: Option<PlayId>,
        key: Option<char>,
    },
    Record {
        recording: RecordingId,
    },
    Dial(Box<Dial>),
    NextEvent,
    Sleep,
}

/// Prompts on their way to clips.
#[derive(Debug)]
pub(crate) struct Resolving {
    pub(crate) purpose: Purpose,
    /// In order; `None` where speech is still being made.
    pub(crate) clips: Vec<Option<Clip>>,
    /// Speech being made, and its places in `clips`.
    pub(crate) waiting: BTreeMap<SpeechId, usize>,
}

/// What the clips are for.
#[derive(Debug)]
pub(crate) enum Purpose {
    Play,
    PlayStart {
        repeat: bool,
    },
    Gather {
        spec: GatherSpec,
        secret: bool,
    },
    Dial {
        target: DialTarget,
        options: DialOptions,
        errand: Errand,
    },
}

/// Why somebody who was dialled did not come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Refused {
    pub(crate) cause: Cause,
    /// The far end's final status, if it gave one.
    pub(crate) status: Option<u16>,
    /// Its Q.850 cause, likewise.
    pub(crate) q850: Option<u8>,
}

/// Somebody is called, and the first who answers is who is wanted.
#[derive(Debug)]
pub(crate) struct Dial {
    /// What it is for.
    pub(crate) errand: Errand,
    pub(crate) whisper: Vec<Clip>,
    pub(crate) step: DialStep,
    /// Those who ring; once one has answered, that one alone.
    pub(crate) branches: Vec<Branch>,
    /// Which of them is heard by who waits, before it answers.
    pub(crate) early: Option<LegId>,
    /// All who were called, by user or number: nobody is called twice.
    pub(crate) called: BTreeSet<String>,
    /// Who is rung after them, all of a round at the same time.
    pub(crate) later: VecDeque<Vec<Callee>>,
    /// How long a round is rung before it is the next one's turn.
    pub(crate) lasting: Duration,
    /// Whom the called parties see.
    pub(crate) caller: Shown,
    /// Give up then.
    pub(crate) until: Mono,
    /// What says most of those who did not come.
    pub(crate) last: Option<Refused>,
}

/// One phone, or one number, that is rung.
#[derive(Debug)]
pub(crate) struct Branch {
    pub(crate) leg: LegId,
    /// Whose phone is rung, if it is one.
    pub(crate) user: Option<String>,
    /// Who is rung, in the words of records.
    pub(crate) party: Party,
    /// How often it was sent on by whom it was to reach.
    pub(crate) hops: usize,
    /// Set on the way to a carrier.
    pub(crate) outside: Option<Box<Outside>>,
    /// When a carrier that has said nothing is given up.
    pub(crate) trying: Option<Mono>,
}

/// What somebody is called for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Errand {
    /// A flow's `dial`.
    Dial,
    /// A flow's `transfer`: the call is given away once connected.
    Transfer,
    /// For somebody in the call who waits.
    Talk(Wish),
}

/// An attempt at a number outside, over as many trunks as it takes.
#[derive(Debug)]
pub(crate) struct Outside {
    /// The number, in E.164 form if it has one.
    pub(crate) number: String,
    /// The trunk that is tried.
    pub(crate) trunk: String,
    /// Trunks and their servers not tried yet, the best last.
    pub(crate) rest: Vec<Try>,
    /// It rings: no other trunk is tried, or two would.
    pub(crate) rings: bool,
}

/// How far a dial attempt is.
#[derive(Debug)]
pub(crate) enum DialStep {
    /// The far end has not answered; the caller hears ringing from us.
    Ringing,
    /// The far end hears something first.
    Whispering { play: PlayId },
    /// It has answered; the caller, who had to be answered first, or the bridge is on its way.
    Connecting,
    /// They talk.
    Talking { since: Mono },
}

impl Dial {
    /// Who was dialled under this name.
    pub(crate) fn branch(&mut self, leg: LegId) -> Option<&mut Branch> {
        self.branches.iter_mut().find(|branch| branch.leg == leg)
    }

    /// Whether somebody was dialled under this name.
    pub(crate) fn has(&self, leg: LegId) -> bool {
        self.branches.iter().any(|branch| branch.leg == leg)
    }

    /// Who has answered.
    pub(crate) fn won(&self) -> Option<&Branch> {
        match self.step {
            DialStep::Ringing => None,
            DialStep::Whispering { .. } | DialStep::Connecting | DialStep::Talking { .. } => {
                self.branches.first()
            }
        }
    }

    /// The party of a talk that waits for it.
    pub(crate) fn waits(&self) -> Option<u16> {
        match &self.errand {
            Errand::Talk(wish) => Some(wish.waits),
            Errand::Dial | Errand::Transfer => None,
        }
    }

    /// Whose phone asked for it, if one did, and is told how far it is.
    pub(crate) fn referrer(&self) -> Option<u16> {
        match &self.errand {
            Errand::Talk(Wish {
                why: Why::Refer { by },
                ..
            }) => Some(*by),
            Errand::Talk(_) | Errand::Dial | Errand::Transfer => None,
        }
    }
}

impl Flow {
    /// Whom it has dialled.
    pub(crate) fn dialing(&self) -> Option<&Dial> {
        match &self.turn {
            Turn::Host(Pending::Dial(dial)) => Some(dial.as_ref()),
            Turn::Host(_) | Turn::Plugin | Turn::Returning => None,
        }
    }
}

impl Call {
    /// The flow and whose turn it is, while there is one.
    pub(crate) fn flow(&mut self) -> Option<&mut Flow> {
        match &mut self.stage {
            Stage::Flow(flow) => Some(flow),
            Stage::Fallback { .. } | Stage::Talk | Stage::Leaving => None,
        }
    }

    /// What its flow waits for.
    pub(crate) fn pending(&mut self) -> Option<&mut Pending> {
        match &mut self.flow()?.turn {
            Turn::Host(pending) => Some(pending),
            Turn::Plugin | Turn::Returning => None,
        }
    }

    /// Whether it is one that we make, whose target is not called yet although its first phone is
    /// there.
    pub(crate) fn is_originating(&self) -> bool {
        self.line == Line::Up && self.talk.target.is_some()
    }

    /// What its caller hears when nobody can look after it, if its route's prompt is there.
    pub(crate) fn announcement(&self) -> Option<&Clip> {
        let name = &self.route.fallback;
        self.tenant.catalogue.find(&self.language, name)
    }

    /// Whom it has called, answered or not.
    pub(crate) fn dialed(&self) -> Option<&Dial> {
        match &self.stage {
            Stage::Flow(flow) => flow.dialing(),
            Stage::Talk => self.talk.attempt.as_ref(),
            Stage::Fallback { .. } | Stage::Leaving => None,
        }
    }

    /// The same, to change it.
    pub(crate) fn dialing(&mut self) -> Option<&mut Dial> {
        match &mut self.stage {
            Stage::Flow(flow) => match &mut flow.turn {
                Turn::Host(Pending::Dial(dial)) => Some(dial.as_mut()),
                Turn::Host(_) | Turn::Plugin | Turn::Returning => None,
            },
            Stage::Talk => self.talk.attempt.as_mut(),
            Stage::Fallback { .. } | Stage::Leaving => None,
        }
    }

    /// The user whose credentials the party of a flow showed.
    pub(crate) fn flow_user(&self) -> Option<&String> {
        if self.leg.n == 1 {
            return self.user.as_ref();
        }
        self.talk.members.get(&self.leg.n)?.user.as_ref()
    }

    /// Who the party of a flow is.
    pub(crate) fn flow_party(&self) -> &Party {
        let member = self.talk.members.get(&self.leg.n);
        member.map_or(&self.from, |member| &member.party)
    }

    /// Whom others see when this party calls them.
    pub(crate) fn shown(&self, n: u16) -> Shown {
        let member = self.talk.members.get(&n);
        let (user, party, withheld) = match member {
            Some(member) => (member.user.as_ref(), &member.party, member.withheld),
            None if n == 1 => (self.user.as_ref(), &self.from, self.withheld),
            None => (None, &self.from, false),
        };
        let party = user.map_or_else(|| party.clone(), |user| Party::Sip(user.clone()));
        Shown { party, withheld }
    }

    /// The party of a flow, as one of a talk.
    pub(crate) fn flow_member(&self, place: Place) -> Member {
        let (user, party) = (self.flow_user().cloned(), self.flow_party().clone());
        let mut member = Member::new(user, party, place);
        member.withheld = self.shown(self.leg.n).withheld;
        member
    }

    /// Whether the caller can hear us.
    pub(crate) fn is_up(&self) -> bool {
        self.line == Line::Up
    }

    /// Whether the caller's leg has ended.
    pub(crate) fn is_gone(&self) -> bool {
        matches!(self.line, Line::Gone { .. })
    }
}

/// How long clips play one after the other.
pub(crate) fn total(clips: &[Clip]) -> Duration {
    clips.iter().map(Clip::duration).sum()
}
