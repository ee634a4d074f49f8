//! The endpoint: transport, transactions, dialogs and registrar as one machine.
//!
//! A datagram or a piece of a stream comes in at `receive`; requests go to the transaction they
//! belong to, or begin one in `inbound` (INVITE), `within` (in a dialog) or `register`; responses
//! end in `outbound`. `leave` ends dialogs, `modify` sends our re-INVITE and UPDATE, `session` keeps
//! the session timers, `prack` makes provisional responses reliable, and `refer` transfers. `table`
//! holds the transactions, `wire` writes what leaves, `route` knows where to. `gate` asks the guard
//! who is listened to, and `watch` keeps the time of streams.

mod action;
mod gate;
mod inbound;
mod leave;
pub(crate) mod modify;
mod outbound;
mod outbox;
pub(crate) mod prack;
mod receive;
pub(crate) mod refer;
mod register;
pub(crate) mod route;
pub(crate) mod session;
mod stateless;
mod table;
mod watch;
pub(crate) mod wire;
mod within;

pub use route::next_host;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;

use vocab::{Mono, Now, Rng, Wall};

use crate::auth::{Pass, Passes, Verifier};
use crate::border::{
    Config, ConnId, Contact, DialogId, Event, Hop, Input, Output, RequestId, Transport,
};
use crate::dialog::{Attempt, Dialog};
use crate::guard::{self, Ban, Guard};
use crate::limits::Limits;
use crate::message::Framer;
use crate::registrar::Registrar;
use crate::transaction::{Client, ClientInvite, Hash, Key, Server, ServerInvite};

use outbox::Outbox;
use session::Sessions;
use table::{Agenda, Around, Due, Table};
use watch::Watch;

/// SIP as one machine: feed it with [`Endpoint::handle`], drain it with [`Endpoint::poll`].
///
/// ```
/// use std::collections::BTreeMap;
/// use std::time::Duration;
/// use jackfield_sip::auth::Algorithm;
/// use jackfield_sip::{Config, Endpoint, Input, Output};
/// use vocab::{Now, Rng};
///
/// let config = Config {
///     udp: "192.0.2.1:5060".parse().unwrap(),
///     tcp: "192.0.2.1:5060".parse().unwrap(),
///     addresses: Vec::new(),
///     realm: "demo".into(),
///     product: "Jackfield".into(),
///     algorithms: vec![Algorithm::Md5],
///     accounts: BTreeMap::new(),
///     nonce_key: [0; 32],
///     pass_key: None,
///     nonce_lifetime: Duration::from_secs(300),
///     expires: (Duration::from_secs(60), Duration::from_secs(3_600)),
///     guard: jackfield_sip::guard::Config::default(),
///     session_interval: Some(Duration::from_secs(1_800)),
///     reliable_provisional: false,
/// };
/// let mut endpoint = Endpoint::new(config, Rng::from_u64(1));
/// let options = b"OPTIONS sip:192.0.2.1 SIP/2.0\r\n\
///     Via: SIP/2.0/UDP 192.0.2.7:5060;branch=z9hG4bK1\r\n\
///     From: <sip:ann@192.0.2.7>;tag=1\r\nTo: <sip:192.0.2.1>\r\n\
///     Call-ID: a\r\nCSeq: 1 OPTIONS\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n";
/// let remote = "192.0.2.7:5060".parse().unwrap();
/// endpoint.handle(Now::default(), Input::Datagram { remote, bytes: options });
/// let Some(Output::Transmit { bytes, .. }) = endpoint.poll() else { panic!("no answer") };
/// assert!(bytes.starts_with(b"SIP/2.0 200 "));
/// assert!(endpoint.poll().is_none());
/// ```
pub struct Endpoint {
    config: Config,
    limits: Limits,
    rng: Rng,
    hash: Hash,
    verifier: Verifier,
    passes: Option<Passes>,
    outbox: Outbox,
    agenda: Agenda,
    client_invites: Table<ClientInvite, DialogId>,
    clients: Table<Client, Purpose>,
    server_invites: Table<ServerInvite, Inviter>,
    servers: Table<Server, ()>,
    /// `From` tag, `Call-ID` and `CSeq` of every INVITE whose transaction lives (§8.2.2.2).
    merges: BTreeSet<Key>,
    /// Client transactions by where they send, to find those that a failure concerns.
    ways: BTreeSet<(Transport, SocketAddr, Due)>,
    dialogs: BTreeMap<DialogId, Dialog>,
    /// Dialogs by `Call-ID` and our tag.
    names: BTreeMap<Key, DialogId>,
    requests: BTreeMap<RequestId, Attempt>,
    /// `Call-ID` and next `CSeq` of our registrations, by `From` and registrar.
    series: BTreeMap<(String, String), (Arc<str>, u32)>,
    framers: BTreeMap<ConnId, Framer>,
    registrar: Registrar,
    guard: Guard,
    watch: Watch,
    sessions: Sessions,
    tally: Tally,
    dialogs_made: u64,
}

/// What a non-INVITE client transaction is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Purpose {
    /// Ends a dialog. `again` if credentials were added to it.
    Bye { dialog: DialogId, again: bool },
    /// CANCEL, or a BYE that nobody waits for.
    Farewell,
    /// Our UPDATE, by its number.
    Update { dialog: DialogId, cseq: u32 },
    /// Our REFER, by its number.
    Refer { dialog: DialogId, cseq: u32 },
    /// NOTIFY of their REFER.
    Notify(DialogId),
    /// Nobody waits for its answer, but it may tell that the dialog is gone.
    Within(DialogId),
    /// Asked for by the call control.
    Request(RequestId),
}

/// Whose an INVITE server transaction is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Inviter {
    dialog: DialogId,
    /// Its entry in `merges`, if it was outside a dialog.
    merge: Option<Key>,
}

/// Numbers that only grow.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Tally {
    malformed: u64,
    retransmits: u64,
    overloads: u64,
    auth_failures: u64,
    strays: u64,
}

/// What an endpoint holds and has seen, for metrics and leak checks.
///
/// The first eight are what is alive now: after the last call and 64 s they are zero, apart from
/// `streams` and `contacts`. The others only grow.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counts {
    /// Dialogs, those being set up or ended included.
    pub dialogs: usize,
    /// INVITEs of ours.
    pub client_invites: usize,
    /// Other requests of ours.
    pub clients: usize,
    /// INVITEs of others.
    pub server_invites: usize,
    /// Other requests of others.
    pub servers: usize,
    /// Requests outside dialogs that wait for their answer.
    pub requests: usize,
    /// Streams that said something, or were announced, and were not closed.
    pub streams: usize,
    /// Registered contacts.
    pub contacts: usize,
    /// Messages that were no SIP or broke its rules.
    pub malformed: u64,
    /// Messages sent again because a timer ran out, and messages that came again.
    pub retransmits: u64,
    /// Requests answered 503.
    pub overloads: u64,
    /// Requests with wrong credentials.
    pub auth_failures: u64,
    /// Well-formed messages that belonged to nothing.
    pub strays: u64,
    /// Who was not listened to.
    pub guard: guard::Counts,
}

impl Counts {
    /// Nothing of any call or request is left: neither dialog nor transaction.
    pub fn is_idle(&self) -> bool {
        self.dialogs
            + self.client_invites
            + self.clients
            + self.server_invites
            + self.servers
            + self.requests
            == 0
    }
}

impl Endpoint {
    /// An endpoint with the bounds of [`limits`](crate::limits).
    pub fn new(config: Config, rng: Rng) -> Self {
        Self::with_limits(config, Limits::default(), rng)
    }

    /// An endpoint with other bounds.
    pub fn with_limits(config: Config, limits: Limits, mut rng: Rng) -> Self {
        let verifier = Verifier::new(
            config.realm.clone(),
            config.nonce_key,
            config.nonce_lifetime,
        )
        .offering(config.algorithms.clone());
        let passes = config.pass_key.map(Passes::new);
        Self {
            hash: Hash::new(&mut rng),
            registrar: Registrar::new(config.expires),
            guard: Guard::new(config.guard.clone()),
            watch: Watch::default(),
            sessions: Sessions::new(config.session_interval),
            config,
            limits,
            rng,
            passes,
            verifier,
            outbox: Outbox::default(),
            agenda: Agenda::new(),
            client_invites: Table::new(Due::ClientInvite),
            clients: Table::new(Due::Client),
            server_invites: Table::new(Due::ServerInvite),
            servers: Table::new(Due::Server),
            merges: BTreeSet::new(),
            ways: BTreeSet::new(),
            dialogs: BTreeMap::new(),
            names: BTreeMap::new(),
            requests: BTreeMap::new(),
            series: BTreeMap::new(),
            framers: BTreeMap::new(),
            tally: Tally::default(),
            dialogs_made: 0,
        }
    }

    /// Feeds one input. The caller drains [`Self::poll`] before the next call.
    pub fn handle(&mut self, now: Now, input: Input<'_>) {
        debug_assert!(self.outbox.is_empty());
        match input {
            Input::Datagram { remote, bytes } => self.on_datagram(now, remote, bytes),
            Input::StreamOpened {
                conn,
                transport,
                remote,
            } => self.on_stream_opened(now, conn, transport, remote),
            Input::Stream {
                conn,
                remote,
                bytes,
            } => self.on_stream(now, conn, remote, bytes),
            Input::StreamClosed { conn } => self.on_stream_closed(now, conn),
            Input::StreamBroken {
                conn,
                transport,
                remote,
            } => {
                let conn = Some(conn);
                let seen = Hop {
                    transport,
                    remote,
                    conn,
                };
                self.note_malformed(now, seen);
            }
            Input::SendFailed { hop } => self.on_send_failed(now, hop),
            Input::Action(action) => self.on_action(now, action),
            Input::Timeout => self.on_timeout(now),
        }
    }

    /// The next thing to do, or `None` until [`Self::deadline`].
    pub fn poll(&mut self) -> Option<Output> {
        self.outbox.pop()
    }

    /// When [`Input::Timeout`] is next due.
    pub fn deadline(&self) -> Option<Mono> {
        let agenda = self.agenda.first().map(|(at, _)| *at);
        let others = [
            self.registrar.deadline(),
            self.guard.deadline(),
            self.watch.deadline(),
        ];
        agenda.into_iter().chain(others.into_iter().flatten()).min()
    }

    /// A name for a call that is about to be made with [`Action::Invite`](crate::Action::Invite).
    pub fn allocate(&mut self) -> DialogId {
        self.dialogs_made += 1;
        DialogId(self.dialogs_made)
    }

    /// The `Call-ID` of a dialog that is not over.
    pub fn sip_call_id(&self, dialog: DialogId) -> Option<Arc<str>> {
        self.dialogs
            .get(&dialog)
            .map(|dialog| dialog.call_id.clone())
    }

    /// Where our requests in a dialog that is not over go.
    pub fn hop(&self, dialog: DialogId) -> Option<Hop> {
        self.dialogs.get(&dialog).map(|dialog| dialog.hop)
    }

    /// Where a user can be reached, the preferred contact first.
    pub fn contacts(&self, user: &str) -> impl Iterator<Item = Contact> {
        self.registrar.contacts(user)
    }

    /// The contacts of one device of a user, the youngest first: where requests to its public GRUU
    /// go (RFC 5627 §3.4). `gr` is the parameter of the GRUU, the device's instance.
    pub fn contacts_at(&self, user: &str, gr: &str) -> impl Iterator<Item = Contact> {
        self.registrar.contacts_at(user, gr)
    }

    /// Users behind `after` in alphabetical order, each with its contacts.
    pub fn registrations(&self, after: &str) -> impl Iterator<Item = (&str, Vec<Contact>)> {
        self.registrar.users(after)
    }

    /// What a user may authenticate with until then; `None` if there is no such user, or are no passes.
    pub fn pass(&self, user: &str, until: Wall) -> Option<Pass> {
        let account = self.config.accounts.get(user)?;
        let passes = self.passes.as_ref()?;
        Some(passes.issue(user, account.password.reveal(), until))
    }

    /// Who is banned, by address.
    pub fn bans(&self) -> impl Iterator<Item = Ban> {
        self.guard.bans()
    }

    /// What is alive and what was seen.
    pub fn counts(&self) -> Counts {
        Counts {
            dialogs: self.dialogs.len(),
            client_invites: self.client_invites.len(),
            clients: self.clients.len(),
            server_invites: self.server_invites.len(),
            servers: self.servers.len(),
            requests: self.requests.len(),
            streams: self.outbox.streams(),
            contacts: self.registrar.len(),
            malformed: self.tally.malformed,
            retransmits: self.tally.retransmits,
            overloads: self.tally.overloads,
            auth_failures: self.tally.auth_failures,
            strays: self.tally.strays,
            guard: self.guard.counts(),
        }
    }

    fn on_timeout(&mut self, now: Now) {
        while let Some(&(at, due)) = self.agenda.first().filter(|(at, _)| *at <= now.mono) {
            match due {
                Due::ClientInvite(key) => self.tick_client_invite(now, key),
                Due::Client(key) => self.tick_client(now, key),
                Due::ServerInvite(key) => self.tick_server_invite(now, key),
                Due::Server(key) => self.tick_server(now, key),
                Due::Dialog(dialog) => self.tick_dialog(now, dialog),
            }
            assert!(
                !self.agenda.contains(&(at, due)),
                "what was due is done, or the agenda would never move on"
            );
        }
        self.guard.expire(now.mono);
        self.tick_streams(now);
        self.registrar.expire(now);
        self.tell_registrations();
    }

    fn tell_registrations(&mut self) {
        while let Some(event) = self.registrar.poll() {
            self.outbox.event(event);
        }
    }

    /// A fresh branch, without magic cookie, or tag: 80 random bits (§19.3 asks for 32).
    fn token(&mut self) -> String {
        self.rng.token(16)
    }

    fn transactions(&self) -> usize {
        self.client_invites.len()
            + self.clients.len()
            + self.server_invites.len()
            + self.servers.len()
    }

    /// Writes a dialog's next deadline into the agenda.
    fn rearm(&mut self, id: DialogId) {
        let Some(dialog) = self.dialogs.get_mut(&id) else {
            return;
        };
        let next = dialog.deadline();
        let armed = std::mem::replace(&mut dialog.armed, next);
        if armed != next {
            if let Some(at) = armed {
                self.agenda.remove(&(at, Due::Dialog(id)));
            }
            if let Some(at) = next {
                self.agenda.insert((at, Due::Dialog(id)));
            }
        }
    }

    fn name(&self, call_id: &str, local_tag: &str) -> Key {
        self.hash
            .key(&[b"dialog", call_id.as_bytes(), local_tag.as_bytes()])
    }

    fn add_dialog(&mut self, id: DialogId, dialog: Dialog) {
        let name = self.name(&dialog.call_id, &dialog.local_tag);
        let taken = self.names.insert(name, id).is_some();
        assert!(!taken, "our tags are random, so no two dialogs share one");
        self.dialogs.insert(id, dialog);
        self.rearm(id);
    }

    fn remove_dialog(&mut self, id: DialogId) -> Option<Dialog> {
        let dialog = self.dialogs.remove(&id)?;
        if let Some(at) = dialog.armed {
            self.agenda.remove(&(at, Due::Dialog(id)));
        }
        let named = self
            .names
            .remove(&self.name(&dialog.call_id, &dialog.local_tag));
        assert!(named == Some(id), "a dialog has one name");
        Some(dialog)
    }

    fn event(&mut self, event: Event) {
        self.outbox.event(event);
    }

    fn transmit(&mut self, hop: Hop, bytes: Arc<[u8]>) {
        self.outbox.transmit(hop, bytes);
    }
}

/// Borrows what a [`Table`] needs, apart from the tables themselves.
macro_rules! around {
    ($endpoint:expr, $now:expr) => {
        Around {
            now: $now,
            agenda: &mut $endpoint.agenda,
            outbox: &mut $endpoint.outbox,
        }
    };
}
use around;

#[cfg(test)]
mod tests;
