//! The border of the room: what an [`Endpoint`](crate::Endpoint) is fed and what it asks for.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use vocab::call::Unregistered;
use vocab::{Pii, Wall};

use crate::auth::Algorithm;
use crate::guard::{self, BanReason};
use crate::limits::SESSION_INTERVAL;
use crate::message::{Replaces, Request};
pub(crate) use crate::transport::Transport;

/// One dialog, or one attempt at one. Given out by [`Endpoint::allocate`](crate::Endpoint::allocate)
/// for calls we make, by the endpoint for calls that come in.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct DialogId(pub u64);

/// One request outside any dialog (OPTIONS, REGISTER). Chosen by the caller, unique while pending.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct RequestId(pub u64);

/// One accepted or opened stream connection, numbered by the shell and never reused.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ConnId(pub u64);

/// Where a message came from or goes to.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Hop {
    /// What carries it.
    pub transport: Transport,
    /// The other side.
    pub remote: SocketAddr,
    /// The stream it came on. `None` over a stream: use any open one to `remote`, or open one; a
    /// WebSocket cannot be opened by us.
    pub conn: Option<ConnId>,
}

/// Settings of an endpoint.
#[derive(Clone, Debug)]
pub struct Config {
    /// Address put into `Via` and `Contact` for UDP; what peers send to.
    pub udp: SocketAddr,
    /// The same for TCP.
    pub tcp: SocketAddr,
    /// Further addresses of ours, by what carries and by family (IPv4 or IPv6). They go before
    /// `udp` and `tcp`; see [`Config::own`].
    pub addresses: Vec<(Transport, SocketAddr)>,
    /// Digest realm; also the host of our own identity.
    pub realm: String,
    /// `Server` and `User-Agent` value.
    pub product: String,
    /// What challenges offer, strongest first (RFC 8760 §2.3); not empty. Answers by a stronger one
    /// than the weakest here are taken as well.
    ///
    /// Default MD5 alone: many phones give up at the first challenge they do not know (baresip 1.0
    /// among them), although RFC 7616 §3.7 has them look for another.
    pub algorithms: Vec<Algorithm>,
    /// Users who may register and authenticate.
    pub accounts: BTreeMap<String, Account>,
    /// Key of the nonces' HMAC; from operating-system entropy.
    pub nonce_key: [u8; 32],
    /// Key of the passes that accounts may authenticate with for a while; it outlives a restart, or they
    /// do not. Default none: there are none.
    pub pass_key: Option<[u8; 32]>,
    /// How long a nonce is accepted. Default 300 s.
    pub nonce_lifetime: Duration,
    /// Shortest and longest registration. Default 60 s to 3,600 s (RFC 3261 §10.3).
    pub expires: (Duration, Duration),
    /// Who is listened to. Default [`guard::Config::open`]: everybody.
    pub guard: guard::Config,
    /// Session interval asked for, in calls both ways (RFC 4028); no shorter than 90 s. Far ends that
    /// know nothing of it are asked at half of it whether they are there. `None`: only far ends that
    /// ask for one and refresh it themselves have one. Default 1,800 s.
    pub session_interval: Option<Duration>,
    /// Provisional answers are sent reliably (RFC 3262) to callers who can take that, and not only to
    /// those who insist. Default false.
    pub reliable_provisional: bool,
}

impl Config {
    /// Settings with the defaults of each field and no accounts; the realm is `jackfield`.
    pub fn new(udp: SocketAddr, tcp: SocketAddr, nonce_key: [u8; 32]) -> Self {
        Self {
            udp,
            tcp,
            addresses: Vec::new(),
            realm: "jackfield".to_owned(),
            product: concat!("Jackfield/", env!("CARGO_PKG_VERSION")).to_owned(),
            algorithms: vec![Algorithm::Md5],
            accounts: BTreeMap::new(),
            nonce_key,
            pass_key: None,
            nonce_lifetime: Duration::from_secs(300),
            expires: (Duration::from_secs(60), Duration::from_secs(3_600)),
            guard: guard::Config::open(),
            session_interval: Some(SESSION_INTERVAL),
            reliable_provisional: false,
        }
    }

    /// What we write into `Via` and `Contact` on this way: our address for what carries it, of the
    /// family of the other side if we have one.
    pub fn own(&self, hop: Hop) -> SocketAddr {
        let usual = match hop.transport {
            Transport::Udp => self.udp,
            Transport::Tcp | Transport::Tls | Transport::Ws | Transport::Wss => self.tcp,
        };
        let given = || {
            let given = self.addresses.iter();
            given.filter(|(transport, _)| *transport == hop.transport)
        };
        let same_family = |own: &SocketAddr| own.is_ipv4() == hop.remote.is_ipv4();
        let plain = matches!(hop.transport, Transport::Udp | Transport::Tcp);
        let mut fitting = given().map(|(_, own)| *own).filter(same_family);
        fitting
            .next()
            .or_else(|| Some(usual).filter(|usual| plain && same_family(usual)))
            .or_else(|| given().next().map(|(_, own)| *own))
            .unwrap_or(usual)
    }
}

/// A user of the registrar.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Account {
    /// Digest password.
    pub password: Pii<String>,
}

/// What we authenticate ourselves with.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Credentials {
    /// Digest user name.
    pub user: String,
    /// Digest password.
    pub password: Pii<String>,
}

/// Something the endpoint is fed.
#[derive(Debug)]
pub enum Input<'a> {
    /// A datagram arrived.
    Datagram {
        /// Who sent it.
        remote: SocketAddr,
        /// The whole datagram.
        bytes: &'a [u8],
    },
    /// A stream is up that the other side opened, or one of ours whose transport is not TCP. One that
    /// is never announced is TCP and begins with its first bytes.
    StreamOpened {
        /// The stream.
        conn: ConnId,
        /// What it is.
        transport: Transport,
        /// Its other side.
        remote: SocketAddr,
    },
    /// Bytes arrived on a stream, in any pieces. The endpoint frames them, but for those of a
    /// WebSocket: there they are one whole message.
    Stream {
        /// The stream.
        conn: ConnId,
        /// Its other side.
        remote: SocketAddr,
        /// What arrived.
        bytes: &'a [u8],
    },
    /// A stream was closed by the other side or failed.
    StreamClosed {
        /// The stream.
        conn: ConnId,
    },
    /// The other side of a stream broke the rules of what carries SIP on it, such as those of a
    /// WebSocket; it counts as one that sends what is no SIP. `StreamClosed` comes besides.
    StreamBroken {
        /// The stream.
        conn: ConnId,
        /// What it was.
        transport: Transport,
        /// Its other side.
        remote: SocketAddr,
    },
    /// A message could not be sent: no stream could be opened, or the socket refused.
    SendFailed {
        /// Where it was going.
        hop: Hop,
    },
    /// The call control wants something.
    Action(Action),
    /// [`Endpoint::deadline`](crate::Endpoint::deadline) has come.
    Timeout,
}

/// What the call control wants.
#[derive(Clone, Debug)]
pub enum Action {
    /// Sends an INVITE. Ends in one of `Answered`, `Failed`.
    Invite {
        /// From `Endpoint::allocate`.
        dialog: DialogId,
        /// Request URI.
        uri: String,
        /// Where it is sent.
        hop: Hop,
        /// `From` as a name-addr or addr-spec without tag, such as `"Ann" <sip:1001@demo>`.
        from: String,
        /// `To` without tag; usually the request URI.
        to: String,
        /// Further headers, each a name and a value. `Max-Forwards` among them takes the place of
        /// our 70.
        headers: Vec<(String, String)>,
        /// The offer (application/sdp).
        body: Vec<u8>,
        /// Used once if the far end asks (401, 407).
        credentials: Option<Credentials>,
    },
    /// Answers an INVITE or re-INVITE: 1xx any number of times, then one final. Ignored if none
    /// waits. A final answer of 300 or more ends the dialog of an INVITE; no event follows.
    ///
    /// While a reliable 1xx waits for its PRACK the next answers are held back; without one within
    /// 64·T1 the call is refused, and `Ended` with `NoAck` follows.
    ///
    /// A final answer goes to an UPDATE first if one was reported with `Reoffer` and waits.
    Respond {
        /// From `Incoming` or `Reoffer`.
        dialog: DialogId,
        /// 101 to 699.
        status: u16,
        /// Further headers.
        headers: Vec<(String, String)>,
        /// The answer (application/sdp); empty for none.
        body: Vec<u8>,
    },
    /// Asks an INVITE's sender for credentials: 401 with a fresh nonce. Ends the dialog.
    Challenge {
        /// From `Incoming`.
        dialog: DialogId,
    },
    /// Ends a dialog whatever its state: BYE when confirmed, CANCEL when ours is pending, 603 when
    /// theirs is. Crossing messages are sorted out; `Ended` or `Failed` follows: `Ended` within the
    /// same input, unless our INVITE is pending. Then `Failed` comes with its final answer (487 if a
    /// 2xx crossed the CANCEL and was hung up) or 32 s after the CANCEL.
    Hangup {
        /// The dialog.
        dialog: DialogId,
        /// `Reason` value (RFC 3326) to send along, if any.
        reason: Option<String>,
    },
    /// Sends a re-INVITE in an established dialog (RFC 3261 §14.1): a new offer, such as hold. Ends
    /// in one of `Reanswered`, `Refused`, unless the dialog ends first. One at a time.
    Reinvite {
        /// The dialog.
        dialog: DialogId,
        /// Further headers.
        headers: Vec<(String, String)>,
        /// The offer (application/sdp).
        body: Vec<u8>,
    },
    /// The same by UPDATE (RFC 3311), which a far end must have allowed: otherwise it is refused
    /// with 405 and not sent. Without a body it changes headers alone.
    Update {
        /// The dialog.
        dialog: DialogId,
        /// Further headers.
        headers: Vec<(String, String)>,
        /// The offer (application/sdp); empty for none.
        body: Vec<u8>,
    },
    /// Sends a REFER in an established dialog (RFC 3515). Answered by `ReferAnswered`; once it is
    /// accepted `ReferProgress` tells how far it is, the last time with `over`. One at a time.
    Refer {
        /// The dialog.
        dialog: DialogId,
        /// URI for `Refer-To`; see [`Endpoint::refer_to`](crate::Endpoint::refer_to) for the URI of
        /// a dialog.
        to: String,
        /// Further headers, such as `Referred-By` (RFC 3892).
        headers: Vec<(String, String)>,
    },
    /// Answers a `Refer`: 202, or 300 and more. Accepted, they are told `100 Trying` at once.
    AnswerRefer {
        /// The dialog.
        dialog: DialogId,
        /// 200 to 299 accept it.
        status: u16,
    },
    /// Tells how far an accepted `Refer` is. A status of 200 or more ends it; so do three minutes,
    /// and the dialog.
    Notify {
        /// The dialog.
        dialog: DialogId,
        /// The status that our INVITE got.
        status: u16,
    },
    /// Sends an INFO in an established dialog (RFC 6086). No event follows, unless the far end does
    /// not know the dialog any more.
    Info {
        /// The dialog.
        dialog: DialogId,
        /// `Content-Type` of the body.
        content_type: String,
        /// What to say.
        body: Vec<u8>,
    },
    /// Sends a request outside dialogs. Answered by [`Event::Response`].
    Request {
        /// Names it in the answer.
        id: RequestId,
        /// `OPTIONS` or `REGISTER`.
        method: String,
        /// Request URI.
        uri: String,
        /// Where it is sent.
        hop: Hop,
        /// `From` without tag.
        from: String,
        /// `To` without tag.
        to: String,
        /// Further headers, such as `Contact` and `Expires`.
        headers: Vec<(String, String)>,
        /// Used once if the far end asks.
        credentials: Option<Credentials>,
    },
    /// Replaces the accounts; contacts of users that are gone are dropped.
    SetAccounts(BTreeMap<String, Account>),
    /// Replaces the addresses that are never limited nor banned: those of trunks.
    SetTrusted(BTreeSet<IpAddr>),
    /// Ends the ban of an address, if there is one.
    Unban {
        /// The address; in IPv6 any of its /64.
        address: IpAddr,
    },
}

/// Something the endpoint asks for. Drained after each input.
#[derive(Clone, PartialEq, Debug)]
pub enum Output {
    /// Send these bytes.
    Transmit {
        /// Where.
        hop: Hop,
        /// One whole message.
        bytes: Arc<[u8]>,
    },
    /// Close a stream that broke the protocol's limits.
    CloseStream {
        /// The stream.
        conn: ConnId,
    },
    /// Tell the call control.
    Event(Event),
}

/// What the call control is told.
#[derive(Clone, PartialEq, Debug)]
pub enum Event {
    /// A new INVITE. 100 Trying was sent; the next step is an action.
    Incoming {
        /// Names the call.
        dialog: DialogId,
        /// The request.
        request: Arc<Request>,
        /// Where it came from.
        hop: Hop,
        /// The account whose credentials it carried and which were right.
        user: Option<String>,
        /// The dialog it is to take the place of once it is answered (RFC 3891): hang that up then.
        replaces: Option<DialogId>,
    },
    /// The caller cancelled before a final answer; 487 was sent. The dialog is over.
    Cancelled {
        /// The dialog.
        dialog: DialogId,
        /// `Reason` value of the CANCEL.
        reason: Option<String>,
    },
    /// A 100 Trying to our INVITE: somebody is there. It may come any number of times, or never.
    Trying {
        /// The dialog.
        dialog: DialogId,
    },
    /// A provisional answer above 100 to our INVITE.
    Progress {
        /// The dialog.
        dialog: DialogId,
        /// 101 to 199.
        status: u16,
        /// Its body, if it is SDP.
        body: Vec<u8>,
    },
    /// Our INVITE was accepted and acknowledged.
    Answered {
        /// The dialog.
        dialog: DialogId,
        /// The answer's body.
        body: Vec<u8>,
    },
    /// Our INVITE failed. The dialog is over.
    Failed {
        /// The dialog.
        dialog: DialogId,
        /// The final status; `None` when nothing answered or nothing could be sent.
        status: Option<u16>,
        /// `Reason` value of the answer (RFC 3326, RFC 6432), such as `Q.850;cause=17`.
        reason: Option<String>,
        /// URIs of a 3xx, the preferred first (RFC 3261 §8.1.3.4); eight at most.
        contacts: Vec<String>,
        /// `Retry-After` of the answer (RFC 3261 §20.33).
        retry_after: Option<Duration>,
    },
    /// The caller acknowledged our 2xx, to its INVITE or to a re-INVITE.
    Confirmed {
        /// The dialog.
        dialog: DialogId,
        /// The ACK's body: the answer, if our 2xx carried the offer.
        body: Vec<u8>,
    },
    /// A re-INVITE, or an UPDATE with an offer, arrived; it must be answered with `Respond`.
    Reoffer {
        /// The dialog.
        dialog: DialogId,
        /// The new offer; empty if the far end wants ours.
        body: Vec<u8>,
    },
    /// Our re-INVITE or UPDATE was accepted, or our refresh of the session by re-INVITE, which
    /// nobody asked for.
    Reanswered {
        /// The dialog.
        dialog: DialogId,
        /// The answer; empty if the request had no offer.
        body: Vec<u8>,
    },
    /// Our re-INVITE or UPDATE was refused: everything stays as it was.
    Refused {
        /// The dialog.
        dialog: DialogId,
        /// The final status; 491 if it crossed theirs again and again or one is under way.
        status: u16,
    },
    /// A REFER arrived (RFC 3515); it must be answered with `AnswerRefer`.
    Refer {
        /// The dialog.
        dialog: DialogId,
        /// Whom to call, without the headers of the URI.
        to: String,
        /// The dialog to take over there (RFC 3891), for `Replaces` of our INVITE.
        replaces: Option<Replaces>,
        /// `Referred-By` (RFC 3892), for our INVITE.
        referred_by: Option<String>,
    },
    /// Our REFER was answered.
    ReferAnswered {
        /// The dialog.
        dialog: DialogId,
        /// The final status; `None` when nothing answered.
        status: Option<u16>,
    },
    /// They told how far our REFER is.
    ReferProgress {
        /// The dialog.
        dialog: DialogId,
        /// The status their INVITE got, if they said it.
        status: Option<u16>,
        /// Nothing follows.
        over: bool,
    },
    /// An INFO arrived and was answered 200.
    Info {
        /// The dialog.
        dialog: DialogId,
        /// `Content-Type`, in lower case.
        content_type: String,
        /// Its body.
        body: Vec<u8>,
    },
    /// An established dialog is over.
    Ended {
        /// The dialog.
        dialog: DialogId,
        /// Why.
        why: End,
        /// `Reason` value of their BYE.
        reason: Option<String>,
    },
    /// A request outside dialogs got its final answer.
    Response {
        /// From `Action::Request`.
        id: RequestId,
        /// The final status; `None` when nothing answered.
        status: Option<u16>,
        /// What the far end says about time.
        times: Times,
    },
    /// A user registered or refreshed.
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
    /// Credentials were wrong.
    AuthFailed {
        /// Where the request came from.
        source: SocketAddr,
        /// The user it claimed, cut to 64 characters.
        user: String,
    },
    /// A source gets no answer for some time.
    Banned {
        /// The address; in IPv6 the first of its /64.
        source: IpAddr,
        /// Why.
        reason: BanReason,
        /// For how long.
        lasting: Duration,
    },
}

/// What an answer says about time, where it says so.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Times {
    /// How long our contact is kept: of its `Contact`, else `Expires` (RFC 3261 §10.2.4).
    pub expires: Option<Duration>,
    /// `Min-Expires`, with a 423 (RFC 3261 §10.2.8).
    pub min_expires: Option<Duration>,
    /// `Retry-After` (RFC 3261 §20.33).
    pub retry_after: Option<Duration>,
}

/// Why an established dialog ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    /// The far end sent BYE.
    Theirs,
    /// We sent BYE.
    Ours,
    /// No ACK came within 64·T1 after our 2xx, and BYE was sent; or no PRACK after a reliable 1xx.
    NoAck,
    /// The stream broke or our request in the dialog got 481, 408 or no answer.
    Lost,
}

/// A registered contact.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Contact {
    /// The contact's URI, for the request line.
    pub uri: String,
    /// Where requests for it go. Of a phone on a stream that stream and no other.
    pub hop: Hop,
    /// Values for `Route` in requests to it, in order (RFC 3327 §5.3).
    pub path: Vec<String>,
    /// How much it is preferred, 0 to 1,000 (RFC 3261 §20.10).
    pub q_thousandths: u16,
    /// The device, as in `urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6` (RFC 5626 §4.1).
    pub instance: Option<String>,
    /// Which of the device's flows this is (RFC 5626 §4.2).
    pub reg_id: Option<u32>,
    /// The phone's `User-Agent`, cut to 128 bytes.
    pub user_agent: String,
    /// When it is forgotten unless refreshed.
    pub expires: Wall,
}
