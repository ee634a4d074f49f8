//! One party of a call and what it is doing.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use media::sdp::Description;
use media::srtp::sdes::Crypto;
use media::{StreamParams, negotiate};
use sip::DialogId;
use vocab::call::{Cause, Part, Side};
use vocab::hearing::Listening;
use vocab::{LegId, Pii, PlayId, RecordingId, SessionId};

use crate::WorkerId;
use crate::gather::Gather;
use crate::keys::Keys;
use crate::outcome::Refusal;

/// A leg.
///
/// | state | what happens | next |
/// |---|---|---|
/// | `Offered` | INVITE came, 100 or 180 sent | `Early`, `Accepting`, `Ending` |
/// | `Early` | 183 with an answer sent, media runs | `Accepting`, `Ending` |
/// | `Accepting` | 200 sent, media runs, no ACK yet | `Up`, `Ending` |
/// | `Dialing` | our INVITEs are out, media runs once a fork sent SDP | `Up`, `Ending` |
/// | `Up` | both sides may talk | `Ending` |
/// | `Ending` | signalling is done, the media worker closes the session | removed, `Ended` reported |
#[derive(Debug)]
pub(crate) enum Leg {
    Offered {
        dialog: DialogId,
        offer: Vec<u8>,
        hops: u8,
    },
    Early {
        dialog: DialogId,
        session: Session,
    },
    Accepting {
        dialog: DialogId,
        session: Session,
    },
    Dialing {
        dialing: Box<Dialing>,
        session: Session,
    },
    Up {
        dialog: DialogId,
        session: Session,
    },
    Ending {
        /// What its workers still have to report is awaited in these.
        waits: Vec<SessionId>,
        end: Ending,
    },
}

/// How far the INVITEs of a dialled leg are.
#[derive(Debug)]
pub(crate) struct Dialing {
    pub(crate) forks: Vec<DialogId>,
    /// The fork that is heard before it answers.
    pub(crate) early: Option<DialogId>,
    /// Something answered, if only 100 Trying.
    pub(crate) heard: bool,
    pub(crate) ringing: bool,
    /// What says most of the refusals so far.
    pub(crate) last: Refusal,
    /// What all its INVITEs have in common.
    pub(crate) draft: Draft,
    /// Whose turn it is when nobody of these answers.
    pub(crate) later: VecDeque<Group>,
}

/// What the INVITEs of a leg have in common, besides the offer.
#[derive(Debug)]
pub(crate) struct Draft {
    pub(crate) from: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) credentials: Option<sip::Credentials>,
}

/// Who is rung at the same time.
#[derive(Debug)]
pub(crate) struct Group {
    pub(crate) places: Vec<Place>,
    /// Then the next group is rung, if there is one.
    pub(crate) lasting: Duration,
}

/// Where one INVITE goes.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) uri: String,
    pub(crate) hop: sip::Hop,
    /// Values of `Route`.
    pub(crate) routes: Vec<String>,
}

/// How a leg ended, kept until it may be reported.
#[derive(Clone, Debug)]
pub(crate) struct Ending {
    pub(crate) cause: Cause,
    pub(crate) by: Side,
    pub(crate) status: Option<u16>,
    pub(crate) q850: Option<u8>,
    pub(crate) contacts: Vec<Pii<String>>,
    pub(crate) retry_after: Option<Duration>,
}

impl Ending {
    /// By us.
    pub(crate) fn near(cause: Cause, status: Option<u16>) -> Self {
        Self {
            cause,
            by: Side::Near,
            status,
            q850: None,
            contacts: Vec::new(),
            retry_after: None,
        }
    }

    /// By the far end, with the Q.850 cause that it gave.
    pub(crate) fn far(cause: Cause, status: Option<u16>, q850: Option<u8>) -> Self {
        Self {
            by: Side::Far,
            q850,
            ..Self::near(cause, status)
        }
    }
}

/// The media half of a leg, as far as signalling must know it, and what the leg does with it.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) id: SessionId,
    pub(crate) worker: WorkerId,
    pub(crate) local: SocketAddr,
    /// Our last description: the offer that waits for an answer, or what was agreed.
    pub(crate) description: Description,
    /// Session id of all our descriptions (RFC 3264 §8: it stays).
    pub(crate) origin: u64,
    /// RFC 8866 §5.2: raised with each description we send.
    pub(crate) version: u64,
    /// Our offer is out, in an INVITE or in a 2xx.
    pub(crate) offering: bool,
    /// What browsers are offered, where phones are called together with them.
    pub(crate) for_browsers: Option<Box<Description>>,
    /// What its worker was last told to do; `None` before the first answer.
    pub(crate) agreed: Option<StreamParams>,
    /// Names of the codecs that are offered, most wanted first; without any, all that the node has.
    pub(crate) codecs: Vec<String>,
    /// We do not listen to the far end.
    pub(crate) hold: bool,
    /// The far end does not listen to us, as reported.
    pub(crate) held: bool,
    /// The `Max-Forwards` with which the call came or was sent (RFC 3261 §16.3).
    pub(crate) hops: u8,
    pub(crate) activity: Activity,
    pub(crate) peer: Option<LegId>,
    /// How loud it is to those it talks with, and they to it.
    pub(crate) part: Part,
    /// What it is to be listened to for, and what its worker was last told.
    pub(crate) listening: Listening,
    pub(crate) listened: Listening,
    /// The Q.850 cause with which the other end of its last bridge left.
    pub(crate) passed_on: Option<u8>,
    /// Our re-INVITE that waits for its answer.
    pub(crate) change: Option<Change>,
    /// What is to be offered after that, in order.
    pub(crate) wishes: VecDeque<Wish>,
    /// A REFER of ours is not over.
    pub(crate) referring: bool,
    /// A REFER of theirs is not answered.
    pub(crate) refer_asked: bool,
    pub(crate) keys: Keys,
    /// It was told that nothing comes from the far end, and that nothing arrives there.
    pub(crate) one_way: [bool; 2],
    /// What it says is recorded for its call.
    pub(crate) recorded: bool,
    /// Sessions that the leg had before, and that have not reported the end of all they did for it.
    pub(crate) owed: Vec<SessionId>,
}

impl Session {
    /// Its media is secured, or offered so.
    pub(crate) fn is_secure(&self) -> bool {
        match &self.agreed {
            Some(agreed) => agreed.srtp.is_some(),
            None => negotiate::is_secure(&self.description),
        }
    }

    /// Its far end is a browser, or is offered what one is.
    pub(crate) fn is_browser(&self) -> bool {
        match &self.agreed {
            Some(agreed) => agreed.webrtc.is_some(),
            None => negotiate::is_browser(&self.description),
        }
    }

    /// It is about to go on as another leg.
    pub(crate) fn is_moving(&self) -> bool {
        let change = self.change.iter().map(|change| &change.wish);
        let mut wishes = change.chain(&self.wishes);
        wishes.any(|wish| matches!(wish, Wish::Move { .. } | Wish::Back))
    }
}

/// Where a session is: its name, its worker and its port.
pub(crate) type Where = (SessionId, WorkerId, SocketAddr);

/// A re-INVITE of ours.
#[derive(Debug)]
pub(crate) struct Change {
    pub(crate) wish: Wish,
    /// What it offers.
    pub(crate) description: Description,
    pub(crate) version: u64,
    /// The session that goes on with the far end, if it is another one.
    pub(crate) place: Option<Where>,
}

/// What an offer of ours is for.
#[derive(Debug)]
pub(crate) enum Wish {
    Reoffer {
        codecs: Vec<String>,
        hold: bool,
    },
    /// The far end goes on as this leg, which is on another worker.
    Move {
        to: LegId,
        /// There was such a leg, and it must still be there.
        replaces: bool,
        /// This one must be answered when it comes.
        with: Option<LegId>,
    },
    /// The far end, which has gone to a new place for nothing, comes back to its own.
    Back,
}

impl Session {
    /// A session whose description is an offer of ours, or an answer already agreed upon.
    pub(crate) fn new(
        (id, worker, local): Where,
        description: Description,
        version: u64,
        hops: u8,
    ) -> Self {
        Self {
            id,
            worker,
            local,
            description,
            origin: version,
            version,
            offering: true,
            for_browsers: None,
            agreed: None,
            codecs: Vec::new(),
            hold: false,
            held: false,
            hops,
            activity: Activity::Idle,
            peer: None,
            passed_on: None,
            change: None,
            wishes: VecDeque::new(),
            referring: false,
            refer_asked: false,
            keys: Keys::default(),
            part: Part::default(),
            listening: Listening::default(),
            listened: Listening::default(),
            one_way: [false; 2],
            recorded: false,
            owed: Vec::new(),
        }
    }
}

/// An open session, as its worker knows it.
#[derive(Debug)]
pub(crate) struct Track {
    /// Whose it is: who waits for its end.
    pub(crate) leg: LegId,
    /// Whose audio it carries, or did.
    pub(crate) carries: LegId,
    pub(crate) worker: WorkerId,
    /// It was told to close.
    pub(crate) closing: bool,
    /// What secures what it sends, once that was offered or asked for: the same in all its
    /// descriptions.
    pub(crate) keys: Vec<Crypto>,
    pub(crate) asked: Asked,
}

/// What a worker was told to do and has not reported the end of, each with the leg that wants to
/// know.
#[derive(Debug, Default)]
pub(crate) struct Asked {
    /// Playbacks, other than the engine's own.
    pub(crate) plays: Vec<(LegId, PlayId)>,
    /// Messages.
    pub(crate) messages: Vec<(LegId, RecordingId)>,
}

impl Asked {
    /// Something of this leg is among it.
    pub(crate) fn of(&self, leg: LegId) -> bool {
        self.plays.iter().any(|(of, _)| *of == leg)
            || self.messages.iter().any(|(of, _)| *of == leg)
    }

    /// Takes out what is of this leg.
    pub(crate) fn take_of(&mut self, leg: LegId) -> Self {
        Self {
            plays: self.plays.extract_if(.., |(of, _)| *of == leg).collect(),
            messages: self.messages.extract_if(.., |(of, _)| *of == leg).collect(),
        }
    }
}

/// What a leg that can hear and be heard is doing.
#[derive(Debug, Default)]
pub(crate) enum Activity {
    #[default]
    Idle,
    Gathering(Gather),
    /// The beep before a message plays.
    Beeping {
        play: PlayId,
        message: Message,
    },
    Recording {
        message: Message,
    },
}

/// A message being recorded.
#[derive(Clone, Debug)]
pub(crate) struct Message {
    pub(crate) recording: RecordingId,
    pub(crate) max: Duration,
    pub(crate) silence: Duration,
    pub(crate) terminators: String,
}

impl Leg {
    /// Its session, if media was set up.
    pub(crate) fn session(&self) -> Option<&Session> {
        match self {
            Self::Offered { .. } | Self::Ending { .. } => None,
            Self::Early { session, .. }
            | Self::Accepting { session, .. }
            | Self::Dialing { session, .. }
            | Self::Up { session, .. } => Some(session),
        }
    }

    /// Its session, if media was set up.
    pub(crate) fn session_mut(&mut self) -> Option<&mut Session> {
        match self {
            Self::Offered { .. } | Self::Ending { .. } => None,
            Self::Early { session, .. }
            | Self::Accepting { session, .. }
            | Self::Dialing { session, .. }
            | Self::Up { session, .. } => Some(session),
        }
    }

    /// Its session, if it can hear us by now: answered, or early with an answer to an offer.
    pub(crate) fn audible(&mut self) -> Option<&mut Session> {
        self.session_mut()
            .filter(|session| session.agreed.is_some())
    }

    /// Takes its session out.
    pub(crate) fn into_session(self) -> Option<Session> {
        match self {
            Self::Offered { .. } | Self::Ending { .. } => None,
            Self::Early { session, .. }
            | Self::Accepting { session, .. }
            | Self::Dialing { session, .. }
            | Self::Up { session, .. } => Some(session),
        }
    }

    /// The description of a caller who waits for ours.
    pub(crate) fn offer(&self) -> Option<&[u8]> {
        match self {
            Self::Offered { offer, .. } => Some(offer),
            Self::Early { .. }
            | Self::Accepting { .. }
            | Self::Dialing { .. }
            | Self::Up { .. }
            | Self::Ending { .. } => None,
        }
    }

    /// Its dialogs: each phone that a dialled leg rings has one.
    pub(crate) fn dialogs(&self) -> &[DialogId] {
        match self {
            Self::Offered { dialog, .. }
            | Self::Early { dialog, .. }
            | Self::Accepting { dialog, .. }
            | Self::Up { dialog, .. } => std::slice::from_ref(dialog),
            Self::Dialing { dialing, .. } => &dialing.forks,
            Self::Ending { .. } => &[],
        }
    }

    /// How many more hops its call may take.
    pub(crate) fn hops(&self) -> Option<u8> {
        match self {
            Self::Offered { hops, .. } => Some(*hops),
            Self::Early { .. }
            | Self::Accepting { .. }
            | Self::Dialing { .. }
            | Self::Up { .. }
            | Self::Ending { .. } => self.session().map(|session| session.hops),
        }
    }

    /// A caller of ours that has no final answer.
    pub(crate) fn unanswered(&self) -> Option<DialogId> {
        match self {
            Self::Offered { dialog, .. } | Self::Early { dialog, .. } => Some(*dialog),
            Self::Accepting { .. }
            | Self::Dialing { .. }
            | Self::Up { .. }
            | Self::Ending { .. } => None,
        }
    }
}
