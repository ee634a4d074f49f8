//! One party of a call and what it is doing.

use std::net::SocketAddr;
use std::time::Duration;

use media::StreamParams;
use media::sdp::Description;
use sip::DialogId;
use vocab::call::{Cause, Side};
use vocab::{LegId, PlayId, RecordingId, SessionId};

use crate::WorkerId;
use crate::gather::Gather;

/// A leg.
///
/// | state | what happens | next |
/// |---|---|---|
/// | `Offered` | INVITE came, 100 sent | `Accepting`, `Ending` |
/// | `Accepting` | 200 sent, media runs, no ACK yet | `Up`, `Ending` |
/// | `Dialing` | our INVITEs are out | `Up`, `Ending` |
/// | `Up` | both sides may talk | `Ending` |
/// | `Ending` | signalling is done, the media worker closes the session | removed, `Ended` reported |
#[derive(Debug)]
pub(crate) enum Leg {
    Offered {
        dialog: DialogId,
        offer: Vec<u8>,
    },
    Accepting {
        dialog: DialogId,
        session: Session,
    },
    Dialing {
        forks: Vec<DialogId>,
        session: Session,
        /// Something answered, if only 100 Trying.
        heard: bool,
        ringing: bool,
        last: Option<u16>,
    },
    Up {
        dialog: DialogId,
        session: Session,
        activity: Activity,
        peer: Option<LegId>,
    },
    Ending {
        session: Session,
        end: Ending,
    },
}

/// How a leg ended, kept until it may be reported.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ending {
    pub(crate) cause: Cause,
    pub(crate) by: Side,
    pub(crate) status: Option<u16>,
}

/// The media half of a leg, as far as signalling must know it.
#[derive(Clone, Debug)]
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
    pub(crate) negotiation: Negotiation,
    pub(crate) asked: Asked,
}

/// What the worker was told to do and has not reported the end of.
#[derive(Clone, Debug, Default)]
pub(crate) struct Asked {
    /// Playbacks, other than the engine's own.
    pub(crate) plays: Vec<PlayId>,
    /// Messages.
    pub(crate) messages: Vec<RecordingId>,
}

/// Where offer and answer stand (RFC 3264).
#[derive(Clone, Debug)]
pub(crate) enum Negotiation {
    /// Our offer is out.
    Offering,
    /// Settled.
    Settled(StreamParams),
}

/// What an answered leg is doing.
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
    /// A leg that has just come up.
    pub(crate) fn up(dialog: DialogId, session: Session) -> Self {
        let (activity, peer) = (Activity::Idle, None);
        Self::Up {
            dialog,
            session,
            activity,
            peer,
        }
    }

    /// Its session, if media was set up.
    pub(crate) fn session(&self) -> Option<&Session> {
        match self {
            Self::Offered { .. } => None,
            Self::Accepting { session, .. }
            | Self::Dialing { session, .. }
            | Self::Up { session, .. }
            | Self::Ending { session, .. } => Some(session),
        }
    }

    /// Its session, if media was set up.
    pub(crate) fn session_mut(&mut self) -> Option<&mut Session> {
        match self {
            Self::Offered { .. } => None,
            Self::Accepting { session, .. }
            | Self::Dialing { session, .. }
            | Self::Up { session, .. }
            | Self::Ending { session, .. } => Some(session),
        }
    }
}
