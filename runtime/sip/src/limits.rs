//! Every bound of the room, each with its reason.

use std::time::Duration;

/// Most bytes of a message's first line and headers together, 32 KiB.
///
/// A request through ten proxies with credentials stays below 8 KiB; RFC 4475 §3.1.1.7 shows about
/// 4 KiB. Anything larger is answered 513 (RFC 3261 §21.5.7).
pub const HEAD_BYTES_MAX: usize = 32 * 1024;

/// Most header fields of a message, after lists of `Via`, `Route` and `Contact` are split.
///
/// Keeps every search through the headers short; RFC 4475 §3.1.1.7 has 54.
pub const HEADERS_MAX: usize = 256;

/// Most bytes of a body, 64 KiB: what a datagram can carry. Streams get no more, so that one
/// connection holds at most this and [`HEAD_BYTES_MAX`] in memory.
pub const BODY_BYTES_MAX: usize = 64 * 1024;

/// Longest user name taken from credentials, in bytes; longer ones are refused unread.
pub const USER_BYTES_MAX: usize = 128;

/// Nonces whose use is remembered for replay checks.
///
/// One for each login within the nonce lifetime, 64 bytes each: 1 MiB. When full the oldest is
/// forgotten and all nonces issued up to it turn stale, which costs a client one round trip.
pub const NONCES_MAX: usize = 16 * 1024;

/// How long a nonce is accepted unless configured otherwise.
///
/// RFC 7616 §5.4 leaves it to the server; five minutes bounds the use of a stolen answer while a
/// phone that registers every 60 s pays one extra round trip in five.
pub const NONCE_LIFETIME: Duration = Duration::from_secs(300);

/// Dialogs alive at once, those being set up included.
///
/// Ten times the calls one node is meant to carry (2,600 concurrent IVR calls a core). A dialog
/// takes about 2 KiB, so a full table is 64 MiB. Beyond it INVITEs are answered 503.
pub const DIALOGS_MAX: usize = 32_768;

/// Transactions alive at once, of all four kinds.
///
/// A call over UDP leaves two for 32 s, so this is 7,000 calls/s kept up for that long. About
/// 0.6 KiB each. Beyond it requests outside dialogs are answered 503; requests within dialogs have
/// a quarter more, since they are what frees memory.
pub const TRANSACTIONS_MAX: usize = 450_000;

/// Stream connections known at once; further ones are closed when they send something.
///
/// One for each registered phone. A stream holds one unfinished message at most.
pub const STREAMS_MAX: usize = 16_384;

/// Requests outside dialogs that wait for their answer at once.
///
/// Registrations at trunks and OPTIONS probes; the call control asks for a few at a time.
pub const REQUESTS_MAX: usize = 4_096;

/// Different 2xx acknowledged for one INVITE (RFC 3261 §13.2.2.4), and early dialogs remembered.
///
/// A proxy that forks stops after the first 2xx, so more than two are rare and eight a fault.
pub const FORKS_MAX: usize = 8;

/// Repetitions of an INVITE that we have given up, if it never had an answer: they are for a far end
/// that rings and whose 1xx was lost, so that CANCEL can follow (RFC 3261 §9.1). After the third, 3.5 s
/// after the first copy, nobody is there, and whoever comes back must not be rung for nobody.
pub const ABANDONED_RESENDS_MAX: u8 = 3;

/// Contacts of one user. A person has a desk phone, a soft phone and a mobile; ten is an attack.
pub const CONTACTS_PER_USER_MAX: usize = 10;

/// Longest contact URI kept by the registrar, in bytes.
pub const CONTACT_BYTES_MAX: usize = 512;

/// Most `Path` values kept with a contact (RFC 3327): each request to it repeats them, and edge
/// proxies come one or two in a row.
pub const PATHS_MAX: usize = 8;

/// Bytes kept of a registered phone's `User-Agent`; the rest is cut off.
pub const USER_AGENT_BYTES_MAX: usize = 128;

/// Sources and registered flows whose messages are counted.
///
/// About 140 bytes each, so 9 MiB. When full, one that was quiet of late is forgotten and begins
/// anew with full buckets: who can send from more addresses than this is not held by a limit for
/// each anyway.
pub const SOURCES_MAX: usize = 65_536;

/// Bans that last or are remembered, 150 bytes each. When full the one that ends first goes.
pub const BANS_MAX: usize = 16_384;

/// Prefixes of one list and words for scanners of one configuration. A look-up is O(log n) in
/// the prefixes and O(n) in the words, once a request.
pub const PREFIXES_MAX: usize = 4_096;

/// See [`PREFIXES_MAX`].
pub const SCANNERS_MAX: usize = 64;

/// `Flow-Timer` of registrations that use outbound (RFC 5626 §4.4.1, §10), in seconds. Phones on
/// streams send keep-alives a little more often; home routers forget quiet streams after minutes.
/// A flow that is silent for longer is kept all the same: browsers' libraries send none unless they
/// are told to, and the shell's TCP keep-alives find the flows that are dead.
pub const FLOW_TIMER_S: u32 = 120;

/// Most `Record-Route` values of a dialog. Each in-dialog request repeats them.
pub const ROUTES_MAX: usize = 16;

/// What `Retry-After` says with 503, in seconds: long enough for 64·T1 transactions to drain by a
/// third, short enough for a person to press redial.
pub const RETRY_AFTER_S: u32 = 10;

/// Shortest session interval accepted, `Min-SE` (RFC 4028 §5: no less than 90 s).
pub const SESSION_INTERVAL_MIN: Duration = Duration::from_secs(90);

/// How often our re-INVITE or UPDATE is sent or put off before it counts as refused with 491.
///
/// Each time both sides wait for random times (RFC 3261 §14.1), so that it crosses theirs five times
/// in a row has a chance below one in a thousand.
pub const MODIFY_TRIES_MAX: u8 = 5;

/// How long a re-INVITE of ours waits for its final answer before it is cancelled.
///
/// The far end answers by itself or asks its user; a minute is long for both. Without this bound a
/// far end that only says 100 would block the dialog for ever (RFC 3261 has timer C for proxies
/// alone).
pub const MODIFY_WAIT: Duration = Duration::from_secs(60);

/// Longest `Retry-After` of a 500 that is waited for before a re-INVITE or UPDATE is sent again
/// (RFC 3261 §14.2: it is chosen between 0 and 10 s).
pub const MODIFY_RETRY_AFTER_MAX: Duration = Duration::from_secs(10);

/// Shortest pause before a refused session refresh is tried again; with less time left the session
/// is let go.
pub const REFRESH_PAUSE_MIN: Duration = Duration::from_secs(5);

/// The session interval asked for unless configured otherwise (RFC 4028 §4 recommends 1,800 s).
pub const SESSION_INTERVAL: Duration = Duration::from_secs(1_800);

/// Contacts of a 3xx that are passed on; a redirect to more is no help to anybody.
pub const REDIRECTS_MAX: usize = 8;

/// Answers held back while a reliable provisional response waits for its PRACK (RFC 3262 §3); a
/// final one is always held.
pub const PROVISIONALS_HELD_MAX: usize = 4;

/// How long a transfer may take, and its NOTIFYs be waited for: as long as a phone is let ring.
pub const REFER_WAIT: Duration = Duration::from_secs(180);

/// How often a provisional response is repeated while a call rings.
///
/// RFC 3261 §13.3.1.1 asks for one every minute, so that proxies do not give up.
pub const PROVISIONAL_INTERVAL: Duration = Duration::from_secs(60);

/// Longest wait for the answer to one DNS lookup: a resolver asks twice and is slow now and then.
pub const LOOKUP_WAIT: Duration = Duration::from_secs(6);

/// Searches for places under way at once. A node looks for its trunks, some dozens.
pub const SEARCHES_MAX: usize = 1_024;

/// DNS lookups under way at once; further ones fail at once and are asked again later.
pub const LOOKUPS_MAX: usize = 256;

/// DNS lookups of one search. A domain with three transports and four servers each of two families
/// takes 28; one that leads to more than this is an attack.
pub const LOOKUPS_EACH_MAX: usize = 64;

/// DNS answers that are kept; when full the one that ends first goes. About 1 KB each.
pub const ANSWERS_MAX: usize = 2_048;

/// Records of one DNS answer that are looked at, those that go first.
pub const RECORDS_MAX: usize = 32;

/// Targets of one place: a call that was refused by so many has waited long enough.
pub const TARGETS_MAX: usize = 16;

/// Shortest and longest time that DNS records are kept, whatever they say. Zero would have each step
/// of a search ask again; a day is what RFC 8767 §5 holds for the longest useful.
pub const TTL: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(86_400));

/// Longest time that the absence of records is believed: whoever adds them will not wait for longer
/// (RFC 2308 §5 recommends one to three hours).
pub const NEGATIVE_TTL: Duration = Duration::from_secs(3_600);

/// How long an answer without a time is kept.
pub const TTL_UNSAID: Duration = Duration::from_secs(30);

/// How long it is believed that no DNS server answers (RFC 2308 §7.2: five minutes at most).
pub const FAILURE_TTL: Duration = Duration::from_secs(10);

/// How long records are used past their time while no DNS server answers (RFC 8767 §5 recommends one
/// to three days): calls go on without DNS.
pub const STALE_TTL: Duration = Duration::from_secs(86_400);

/// How long a target that did not answer is left alone (RFC 3263 §4.3): the first time, doubled each
/// time in a row, and the longest. Short, so that a recovery is noticed soon.
pub const DEAD_WAIT: (Duration, Duration) = (Duration::from_secs(10), Duration::from_secs(60));

/// Longest `Retry-After` of a 503 that is obeyed (RFC 3261 §21.5.4): what is said in a bad moment
/// does not keep a server out for the day.
pub const RETRY_AFTER_MAX: Duration = Duration::from_secs(300);

/// How long a target's earlier failures count after it may be tried again.
pub const DEAD_MEMORY: Duration = Duration::from_secs(600);

/// Targets that did not answer and are remembered; when full the one that is tried soonest goes.
pub const DEAD_MAX: usize = 1_024;

/// The bounds an endpoint is built with, so that tests can reach them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// See [`DIALOGS_MAX`].
    pub dialogs: usize,
    /// See [`TRANSACTIONS_MAX`].
    pub transactions: usize,
    /// See [`STREAMS_MAX`].
    pub streams: usize,
    /// See [`REQUESTS_MAX`].
    pub requests: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            dialogs: DIALOGS_MAX,
            transactions: TRANSACTIONS_MAX,
            streams: STREAMS_MAX,
            requests: REQUESTS_MAX,
        }
    }
}
