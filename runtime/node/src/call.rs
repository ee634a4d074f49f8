//! One call: where its caller is, and who is looking after it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use plugin::Ticket;
use vocab::call::{Cause, GatherSpec, Side};
use vocab::flow::{DialOptions, DialTarget, FlowEvent, PluginRef};
use vocab::{Clip, FlowId, LegId, Mono, Now, Party, PlayId, RecordingId, Wall};

use crate::border::SpeechId;
use crate::config::{Route, Tenant};
use crate::trunk::Try;

/// A call from its first event to its last.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) tenant: Arc<Tenant>,
    pub(crate) route: Arc<Route>,
    /// The caller's leg.
    pub(crate) leg: LegId,
    pub(crate) from: Party,
    /// Set when the caller showed credentials.
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
    pub(crate) leg_last: u16,
    pub(crate) message_last: u16,
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
/// | `Flow` | a plugin runs | `Fallback` on a fault, `Away` after a transfer, `Leaving` |
/// | `Fallback` | the announcement plays, or waits for the answer | `Leaving` |
/// | `Away` | bridged for good; ends with either side | `Leaving` |
/// | `Leaving` | hang-up is under way | - |
#[derive(Debug)]
pub(crate) enum Stage {
    Flow(Box<Flow>),
    Fallback { play: Option<PlayId> },
    Away { other: LegId },
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
    Gather,
    Record {
        recording: RecordingId,
    },
    Dial(Dial),
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
    },
    Dial {
        target: DialTarget,
        options: DialOptions,
        transfer: bool,
    },
}

/// A dialled party.
#[derive(Debug)]
pub(crate) struct Dial {
    pub(crate) leg: LegId,
    /// Give the call away once connected.
    pub(crate) transfer: bool,
    pub(crate) whisper: Vec<Clip>,
    pub(crate) step: DialStep,
    /// Set on the way to a carrier.
    pub(crate) outside: Option<Box<Outside>>,
}

/// An attempt at a number outside, over as many trunks as it takes.
#[derive(Debug)]
pub(crate) struct Outside {
    /// The number, in E.164 form if it has one.
    pub(crate) number: String,
    /// Whom the called party sees.
    pub(crate) caller: Party,
    /// The trunk that is tried.
    pub(crate) trunk: String,
    /// Trunks and their servers not tried yet, the best last.
    pub(crate) rest: Vec<Try>,
    /// Give up then.
    pub(crate) until: Mono,
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
    /// They talk.
    Talking { since: Mono },
}

impl Call {
    /// The flow and whose turn it is, while there is one.
    pub(crate) fn flow(&mut self) -> Option<&mut Flow> {
        match &mut self.stage {
            Stage::Flow(flow) => Some(flow),
            Stage::Fallback { .. } | Stage::Away { .. } | Stage::Leaving => None,
        }
    }

    /// What its flow waits for.
    pub(crate) fn pending(&mut self) -> Option<&mut Pending> {
        match &mut self.flow()?.turn {
            Turn::Host(pending) => Some(pending),
            Turn::Plugin | Turn::Returning => None,
        }
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
