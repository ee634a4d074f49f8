//! The border of `engine`: what it is told to do and what it reports.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use crate::hearing::{Hearing, Listening};
use crate::recording::SegmentEnd;
use crate::{CallId, Clip, LegId, MediaSummary, Party, Pii, PlayId, RecordingId};

/// What the engine is told to do. A command that names a leg already gone is ignored: its
/// [`Event::Ended`] is on the way or has been delivered.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Command {
    /// Asks an unauthenticated caller for credentials (401). The leg ends with
    /// [`Cause::Challenged`]; the caller's next attempt is a new call.
    Challenge {
        /// The inbound leg.
        leg: LegId,
    },
    /// Sends 180 Ringing.
    Ring {
        /// The inbound leg.
        leg: LegId,
    },
    /// Accepts the call (200 OK). Answered by [`Event::Answered`] when the far end acknowledged.
    Answer {
        /// The inbound leg.
        leg: LegId,
    },
    /// Refuses an unanswered inbound leg.
    Reject {
        /// The inbound leg.
        leg: LegId,
        /// A SIP status from 300 to 699.
        status: u16,
        /// What the far end that we tried said, as a Q.850 cause (RFC 3326), if anything. It goes into
        /// `Reason`.
        q850: Option<u8>,
    },
    /// Sends an unanswered caller elsewhere: 302 with a contact (RFC 3261 §21.3.3). The leg ends
    /// with [`Cause::Transferred`].
    Redirect {
        /// The inbound leg.
        leg: LegId,
        /// A SIP URI; with anything else the caller gets 500 and the leg ends with
        /// [`Cause::Failed`].
        to: Pii<String>,
    },
    /// Lets an unanswered caller hear us: 183 with an answer to its offer (RFC 3261 §21.1.5). From
    /// then on clips may be played to it and it may be bridged; `Answer` sends the same answer, and
    /// whatever refuses a caller still does. Without an offer it is a 180.
    Progress {
        /// The inbound leg.
        leg: LegId,
    },
    /// Plays clips one after the other, after what is already playing on the leg was stopped.
    /// Answered by [`Event::Played`].
    Play {
        /// The leg that hears it.
        leg: LegId,
        /// Names this playback in `Stop` and `Played`.
        play: PlayId,
        /// What is played, in order.
        clips: Vec<Clip>,
        /// Start again at the end, until stopped.
        repeat: bool,
    },
    /// Stops a playback; nothing happens if it is over.
    Stop {
        /// The leg that hears it.
        leg: LegId,
        /// The playback.
        play: PlayId,
    },
    /// Plays clips and collects digits. Answered by [`Event::Gathered`].
    Gather {
        /// The leg that presses.
        leg: LegId,
        /// Played first; may be empty.
        clips: Vec<Clip>,
        /// What is collected.
        spec: GatherSpec,
    },
    /// Records what the leg says, for a message. Answered by [`Event::Recorded`].
    Record {
        /// The leg that speaks.
        leg: LegId,
        /// Names the recording.
        recording: RecordingId,
        /// Ends after this long.
        max: Duration,
        /// Ends after this much silence; zero never.
        silence: Duration,
        /// Played before; empty for none.
        beep: Vec<Clip>,
        /// Keys that end the recording, out of `0-9*#A-D`.
        terminators: String,
    },
    /// Records what a leg says for as long as it is in its call. New offers do not break it. It ends
    /// with the leg, when the leg goes on in another call, when somebody else takes its place, and
    /// by [`Command::EndRecording`]. A leg has one at most: the next ends the one before.
    RecordCall {
        /// The leg, which is answered.
        leg: LegId,
        /// Names the recording.
        recording: RecordingId,
        /// 1: what the leg says. 2: and, right, what it hears.
        channels: u16,
    },
    /// Ends what [`Command::RecordCall`] began. Another one that follows at once goes on behind its
    /// last sample.
    EndRecording {
        /// The leg.
        leg: LegId,
        /// Why.
        end: SegmentEnd,
    },
    /// Calls somebody: a new leg of an existing call, or of a new one.
    /// Answered by [`Event::Answered`] or [`Event::Ended`] on that leg. A call that came in with
    /// `Max-Forwards` goes out with one less, and at 0 not at all: that is a 483 (RFC 3261 §16.3).
    Dial {
        /// The new leg.
        leg: LegId,
        /// Where to.
        target: Target,
        /// Whom the called party sees.
        caller: Party,
        /// Give up after this long without an answer.
        timeout: Duration,
        /// The user who sent the call there, if one did, for phones of the house to show
        /// (`Referred-By`, RFC 3892). Carriers are not told.
        sent_by: Option<String>,
    },
    /// Connects two legs of one call until one ends or `Unbridge`; a conference that they are in is
    /// left. Each is answered, or it is dialled and has reported [`Event::EarlyMedia`], or it is a
    /// caller that was told [`Command::Progress`].
    Bridge {
        /// One leg.
        a: LegId,
        /// The other.
        b: LegId,
    },
    /// Takes a bridge apart, or takes a leg out of its call's conference; all legs stay.
    Unbridge {
        /// Either leg.
        leg: LegId,
    },
    /// Lets an answered leg talk with all others of its call that have joined, until it ends or
    /// `Unbridge`. A bridge that it is in is taken apart first. Answered by [`Event::Joined`], or by
    /// [`Event::Left`] if it cannot be: it is not answered, or too many have joined.
    Join {
        /// The leg.
        leg: LegId,
    },
    /// Changes how loud a leg is to those it talks with, on bridges and in conferences, now and later,
    /// and they to it. A leg that moves begins anew with the default.
    SetPart {
        /// The leg.
        leg: LegId,
        /// How.
        part: Part,
    },
    /// Listens to what a leg that is dialled, or was, sends: for signals of the network while it can be
    /// heard before it answers, and for who answers from then on. Reported with [`Event::Heard`].
    Listen {
        /// The leg.
        leg: LegId,
        /// For what, instead of before.
        listening: Listening,
    },
    /// Lets a leg hear a beep, whatever it does and hears else.
    Beep {
        /// The leg.
        leg: LegId,
        /// Which.
        beep: Beep,
    },
    /// Gives the far end of an answered leg a new offer by re-INVITE (RFC 3261 §14). Answered by
    /// [`Event::Reoffered`]: one after the other, refused with 491 if too many wait or the leg is not
    /// answered yet, and with 487 if it ends meanwhile.
    Reoffer {
        /// The leg.
        leg: LegId,
        /// Names of the codecs that are offered, most wanted first; without any, all that the node has.
        codecs: Vec<String>,
        /// Nothing that it sends is heard: `sendonly` instead of `sendrecv` (RFC 3264 §8.4). It stays
        /// so, whatever the far end offers, until an offer without it.
        hold: bool,
    },
    /// Asks the far end of an answered leg to call somebody else in our place (RFC 3515). Answered
    /// by [`Event::Referred`]. One at a time: another one meanwhile is refused with 491, and that
    /// report has `over` as well.
    Refer {
        /// The leg.
        leg: LegId,
        /// A SIP URI.
        to: Pii<String>,
    },
    /// Answers [`Event::ReferAsked`]: 202 accepts, 300 and more refuses. Not answered within 10 s, or
    /// before the leg moves, it is declined with 603; then this does nothing.
    AnswerRefer {
        /// The leg that asked.
        leg: LegId,
        /// The answer.
        status: u16,
    },
    /// Tells a leg whose REFER was accepted how far it is (RFC 3515 §2.4.5). A status of 200 or more
    /// is the last.
    TellRefer {
        /// The leg that asked.
        leg: LegId,
        /// What the new leg got: 100 to 699.
        status: u16,
    },
    /// Gives an answered leg another name, if need be in another call: its far end and its media go
    /// on as `to`. If there is a leg `to`, its far end is hung up and it goes on with this one, in
    /// the bridge, the conference and the recording that it is in; if it was not answered before, it
    /// is now, which is reported. `from` ends with [`Cause::Transferred`]. Answered by
    /// [`Event::Moved`].
    ///
    /// Before that, what `from` does is cut short with the usual events, and its bridge taken apart.
    /// What was asked of its far end goes on: [`Event::Reoffered`] and [`Event::Referred`] follow for
    /// `to`. If `to` is on another media worker, the far end is first asked by re-INVITE to send
    /// there. If it does not want to, or there is no port, or `to` or `with` is gone by then, or `from`
    /// is not answered, it stays as it was, which is answered by [`Event::Moved`] with `to` the same as
    /// `from`. One that was sent there for nothing and does not come back ends.
    Move {
        /// The leg that moves.
        from: LegId,
        /// Its new name.
        to: LegId,
        /// Whom it is to be with: a leg that must be answered when it comes.
        with: Option<LegId>,
    },
    /// Sends digits to the far end as RFC 4733 events.
    SendDigits {
        /// The leg that hears them.
        leg: LegId,
        /// Digits out of `0-9*#A-D`.
        digits: Pii<String>,
    },
    /// Ends a leg, whatever its state: CANCEL, BYE or a final refusal.
    Hangup {
        /// The leg.
        leg: LegId,
        /// Why, for the far end and the record.
        cause: Cause,
    },
}

/// What a leg takes part with on a bridge or in a conference.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Part {
    /// The others do not hear it.
    pub muted: bool,
    /// It does not hear the others.
    pub deaf: bool,
    /// How much louder than it is the others hear it, in dB, -24 to 24.
    pub said_db: i8,
    /// How much louder than they are it hears the others, in dB, -24 to 24.
    pub heard_db: i8,
    /// Of the others this leg alone hears it; nobody does while that is not there.
    pub coaches: Option<LegId>,
    /// In a conference, keys that it presses are sent to this leg, as they would be on a bridge.
    pub keys_to: Option<LegId>,
    /// Others hear a short beep in place of each key that it presses, and nothing of the key.
    pub screened: bool,
}

/// A short tone beside everything else that a leg hears.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Beep {
    /// What is said is recorded: 1,400 Hz for 200 ms, by custom every 15 s (Federal Standard 1037C,
    /// "recorder warning tone"; the length is that of the tariffs that followed docket 6787 of the FCC).
    Recorded,
    /// Somebody joins: 880 Hz for 150 ms.
    Joined,
    /// Somebody presses a key that is not to be heard: 425 Hz for 60 ms, which is no key's tone.
    Key,
}

/// Where a leg is dialled to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Target {
    /// Every contact registered for this user: those that it prefers (`q`) ring first, equal ones
    /// together, the next ones 20 s later (RFC 3261 §16.6).
    User(String),
    /// One device of a user, by the parameter `gr` of its public GRUU (RFC 5627 §3.4). Of several
    /// flows the youngest rings first, the next one 20 s later.
    Device {
        /// The user.
        user: String,
        /// The device's instance.
        gr: String,
    },
    /// A SIP URI sent to a known next hop.
    Uri {
        /// The request URI, as in `sip:1000@192.0.2.1`.
        uri: Pii<String>,
        /// Where the request goes.
        next_hop: SocketAddr,
        /// Over a stream instead of UDP.
        tcp: bool,
        /// What the next hop wants to see, if it is a carrier.
        carrier: Option<Box<Carrier>>,
    },
}

/// What a carrier wants to see of a call.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Carrier {
    /// `From` without tag, as `<sip:+862155501234@ims.example>`. It goes before the caller of the
    /// command.
    pub from: Pii<String>,
    /// Further headers, such as `P-Asserted-Identity`.
    pub headers: Vec<(String, Pii<String>)>,
    /// Used once if it asks.
    pub login: Option<Login>,
    /// Names of the codecs that are offered, most wanted first; without any, all that the node has.
    pub codecs: Vec<String>,
    /// Whether media is offered secured; without it as the node does.
    pub secure_media: Option<bool>,
}

/// A digest user with its password.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Login {
    /// Digest user name.
    pub user: String,
    /// Digest password.
    pub password: Pii<String>,
}

/// What `Gather` collects.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct GatherSpec {
    /// Fewest digits that make a complete input.
    pub min: u8,
    /// Most digits; the gather ends when they are in.
    pub max: u8,
    /// Keys that end the gather and are not part of the value, out of `0-9*#A-D`.
    pub terminators: String,
    /// Longest wait for the first digit, counted from the end of the prompt.
    pub first_timeout: Duration,
    /// Longest wait for each further digit.
    pub inter_timeout: Duration,
    /// The first digit stops the prompt. Without it, digits pressed during the prompt are dropped.
    pub barge_in: bool,
}

/// Why a gather ended. Mirrors `calls.gather-end` of `wit/`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum GatherEnd {
    /// The most digits were pressed, or at least `min` when the inter-digit time ran out.
    Complete,
    /// A terminator was pressed with at least `min` digits before it.
    Terminator,
    /// Time ran out with fewer than `min` digits.
    Timeout,
    /// The leg is gone.
    Hangup,
}

/// How a recording ended.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum RecordEnd {
    /// A terminator was pressed.
    Terminator,
    /// The longest time was reached.
    MaxTime,
    /// Silence for long enough.
    Silence,
    /// The leg is gone.
    Hangup,
}

/// Why a leg or call ended.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Cause {
    /// One side hung up after an answer.
    Normal,
    /// The far end is busy (486, 600, Q.850 17).
    Busy,
    /// Nobody answered in time (408, 480, 487 after our timeout, Q.850 18, 19).
    NoAnswer,
    /// The far end refused (403, 603 and other 4xx, 6xx, Q.850 21).
    Rejected,
    /// The far end, or who screens its calls, does not want this one (607, RFC 8197; 608, RFC 8688).
    Blocked,
    /// No such number, or nobody registered (404, 410, 484, 604, Q.850 1, 28).
    NotFound,
    /// The far end could not be reached (timeout, 5xx, transport error, Q.850 34, 38, 41, 42).
    Unreachable,
    /// The caller gave up before an answer.
    Cancelled,
    /// The caller was asked for credentials; it will call again.
    Challenged,
    /// No common codec or a broken offer (488).
    NotAcceptable,
    /// The far end vanished: no media, or an ACK or BYE that never came.
    Lost,
    /// The node refused for want of room or because it is draining (503).
    Overload,
    /// The flow or an internal step failed.
    Failed,
    /// The far end goes on in another call, or was sent elsewhere.
    Transferred,
    /// It rang, and somebody else who was rung with it answered.
    Elsewhere,
    /// The process stopped while the call was up; written at the next start.
    Interrupted,
}

impl Cause {
    /// Stable lower-case name used in records, the API and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Normal => "normal",
            Self::Busy => "busy",
            Self::NoAnswer => "no_answer",
            Self::Rejected => "rejected",
            Self::Blocked => "blocked",
            Self::NotFound => "not_found",
            Self::Unreachable => "unreachable",
            Self::Cancelled => "cancelled",
            Self::Challenged => "challenged",
            Self::NotAcceptable => "not_acceptable",
            Self::Lost => "lost",
            Self::Overload => "overload",
            Self::Failed => "failed",
            Self::Transferred => "transferred",
            Self::Elsewhere => "elsewhere",
            Self::Interrupted => "interrupted",
        }
    }

    /// The cause with this [`Cause::name`].
    pub fn from_name(name: &str) -> Option<Self> {
        [
            Self::Normal,
            Self::Busy,
            Self::NoAnswer,
            Self::Rejected,
            Self::Blocked,
            Self::NotFound,
            Self::Unreachable,
            Self::Cancelled,
            Self::Challenged,
            Self::NotAcceptable,
            Self::Lost,
            Self::Overload,
            Self::Failed,
            Self::Transferred,
            Self::Elsewhere,
            Self::Interrupted,
        ]
        .into_iter()
        .find(|cause| cause.name() == name)
    }
}

/// Who ended a call.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Side {
    /// The far end of the leg.
    Far,
    /// The node: a flow, an operator or a rule.
    Near,
}

/// What the engine reports.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Event {
    /// Somebody calls. Nothing but 100 Trying was sent; the next step is a command.
    Incoming {
        /// The new call's first leg.
        leg: LegId,
        /// Who calls, as claimed, unless `user` is set.
        from: Party,
        /// Who calls, as whoever sent the request vouches for (`P-Asserted-Identity`, RFC 3325 §9.1).
        /// Worth what the sender is: anybody can write it.
        asserted: Option<Party>,
        /// The caller does not want to be shown (`Privacy`, RFC 3323 §4.2).
        withheld: bool,
        /// The number or user that was dialled.
        to: String,
        /// The registered user whose credentials the request carried, if any.
        user: Option<String>,
        /// Where the request came from.
        source: SocketAddr,
        /// The SIP `Call-ID`, by which the call's ladder is found.
        sip_call_id: Arc<str>,
    },
    /// Something is there: the first answer of any kind to a dialled leg, once, before all others.
    Trying {
        /// The outbound leg.
        leg: LegId,
    },
    /// The far end of a dialled leg is ringing.
    Ringing {
        /// The outbound leg.
        leg: LegId,
    },
    /// A dialled leg can be heard before it answers (183 or 180 with SDP), once.
    EarlyMedia {
        /// The outbound leg.
        leg: LegId,
    },
    /// The leg is up: the 2xx is acknowledged (inbound) or received (outbound).
    Answered {
        /// The leg.
        leg: LegId,
    },
    /// A playback ended.
    Played {
        /// The leg that heard it.
        leg: LegId,
        /// The playback.
        play: PlayId,
        /// It played to its end; false if it was stopped.
        finished: bool,
    },
    /// A key was pressed while nothing was gathered or recorded: a tone, an event of RFC 4733 or an
    /// INFO, and once even if it came in several ways.
    Digit {
        /// The leg that pressed.
        leg: LegId,
        /// One of `0-9*#A-D`.
        digit: Pii<char>,
    },
    /// A gather ended.
    Gathered {
        /// The leg that pressed.
        leg: LegId,
        /// The digits, without terminator.
        digits: Pii<String>,
        /// Why it ended.
        end: GatherEnd,
    },
    /// A message recording ended and all its audio was handed over.
    Recorded {
        /// The leg that spoke.
        leg: LegId,
        /// The recording.
        recording: RecordingId,
        /// How it ended.
        end: RecordEnd,
        /// Its length.
        length: Duration,
    },
    /// Two legs hear each other.
    Bridged {
        /// One leg.
        a: LegId,
        /// The other.
        b: LegId,
    },
    /// Two legs no longer hear each other.
    Unbridged {
        /// One leg.
        a: LegId,
        /// The other.
        b: LegId,
    },
    /// A leg talks with all others of its call that have joined.
    Joined {
        /// The leg.
        leg: LegId,
    },
    /// A leg is no longer in its call's conference.
    Left {
        /// The leg.
        leg: LegId,
    },
    /// Something was heard that a leg is listened to for.
    Heard {
        /// The leg.
        leg: LegId,
        /// What.
        hearing: Hearing,
    },
    /// A leg in a conference begins to talk, or has not talked for half a second.
    Talking {
        /// The leg.
        leg: LegId,
        /// It talks now.
        talking: bool,
    },
    /// Of those who talk in a conference this leg is heard most from now on.
    Speaker {
        /// The leg.
        leg: LegId,
    },
    /// The far end has put us on hold: it wants to hear nothing (RFC 3264 §8.4). A bridge stays. Once
    /// for each change, after `Answered` if the call begins so, and anew under a new name.
    Held {
        /// The leg.
        leg: LegId,
    },
    /// The far end wants to hear us again.
    Retrieved {
        /// The leg.
        leg: LegId,
    },
    /// A new offer of ours was answered.
    Reoffered {
        /// The leg.
        leg: LegId,
        /// What stands in the way: a final SIP status, or 488 for an answer that cannot be used.
        /// Everything stays as it was.
        refused: Option<u16>,
    },
    /// The far end wants somebody else called in its place (RFC 3515). Nothing but
    /// [`Command::AnswerRefer`] was decided yet.
    ReferAsked {
        /// The leg that asks.
        leg: LegId,
        /// Whom to call: a SIP URI without headers.
        to: Pii<String>,
        /// The leg whose place is to be taken (RFC 3891), if it is one of ours.
        replaces: Option<LegId>,
        /// It names a dialog to take the place of, and that is none of ours.
        elsewhere: bool,
    },
    /// How far a REFER of ours is.
    Referred {
        /// The leg that was asked.
        leg: LegId,
        /// The status of the answer to the REFER, or of the call it made; `None` if it is not known.
        status: Option<u16>,
        /// Nothing follows.
        over: bool,
    },
    /// A leg goes on under another name.
    Moved {
        /// Its name before.
        from: LegId,
        /// Its name now; the same if it could not be moved.
        to: LegId,
    },
    /// Audio of an answered leg goes only one way although both were agreed: told once for each way.
    OneWay {
        /// The leg.
        leg: LegId,
        /// It is the far end that hears nothing; else we hear nothing of it.
        unheard: bool,
    },
    /// What went over a leg's audio, told before its end: once for each session it had.
    Media {
        /// The leg.
        leg: LegId,
        /// What.
        media: MediaSummary,
    },
    /// A leg is over; nothing more is reported of it.
    Ended {
        /// The leg.
        leg: LegId,
        /// Why.
        cause: Cause,
        /// Who ended it.
        by: Side,
        /// The final SIP status, for a leg that was never answered.
        status: Option<u16>,
        /// The Q.850 cause that the far end gave (RFC 3326), if it did.
        q850: Option<u8>,
        /// Where a 3xx sends us, the best first.
        contacts: Vec<Pii<String>>,
        /// `Retry-After` of the final answer (RFC 3261 §20.33), if it had one.
        retry_after: Option<Duration>,
    },
    /// A phone registered, or refreshed its registration.
    Registered {
        /// The user.
        user: String,
        /// Contacts it now has.
        contacts: usize,
        /// It had at least as many before: nothing new, only a refresh.
        refreshed: bool,
    },
    /// A user's last contact expired or was removed.
    Unregistered {
        /// The user.
        user: String,
        /// Why.
        why: Unregistered,
    },
    /// A request failed authentication; reported so that it can be counted and seen.
    AuthFailed {
        /// Where it came from.
        source: SocketAddr,
        /// The user it claimed to be, cut to 64 characters.
        user: String,
    },
    /// A source of signalling gets no answer for some time.
    Banned {
        /// The address; in IPv6 the first of its /64.
        source: IpAddr,
        /// Why: a stable lower-case name.
        reason: &'static str,
        /// For how long.
        lasting: Duration,
    },
}

/// Why a user is no longer registered.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Unregistered {
    /// The phone said so.
    Asked,
    /// It did not refresh in time.
    Expired,
    /// The stream over which it was reached is closed (RFC 5626 §5.3).
    FlowClosed,
    /// The account is gone.
    AccountGone,
}

impl Unregistered {
    /// Stable lower-case name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Asked => "asked",
            Self::Expired => "expired",
            Self::FlowClosed => "flow_closed",
            Self::AccountGone => "account_gone",
        }
    }
}

impl Event {
    /// The call this event belongs to, if any.
    pub fn call(&self) -> Option<CallId> {
        match self {
            Self::Incoming { leg, .. }
            | Self::Trying { leg }
            | Self::Ringing { leg }
            | Self::EarlyMedia { leg }
            | Self::Answered { leg }
            | Self::Played { leg, .. }
            | Self::Digit { leg, .. }
            | Self::Gathered { leg, .. }
            | Self::Recorded { leg, .. }
            | Self::Bridged { a: leg, .. }
            | Self::Unbridged { a: leg, .. }
            | Self::Joined { leg }
            | Self::Left { leg }
            | Self::Heard { leg, .. }
            | Self::Talking { leg, .. }
            | Self::Speaker { leg }
            | Self::Held { leg }
            | Self::Retrieved { leg }
            | Self::Reoffered { leg, .. }
            | Self::ReferAsked { leg, .. }
            | Self::Referred { leg, .. }
            | Self::Moved { from: leg, .. }
            | Self::OneWay { leg, .. }
            | Self::Media { leg, .. }
            | Self::Ended { leg, .. } => Some(leg.call),
            Self::Registered { .. }
            | Self::Unregistered { .. }
            | Self::AuthFailed { .. }
            | Self::Banned { .. } => None,
        }
    }
}
