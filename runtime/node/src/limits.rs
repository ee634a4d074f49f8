//! Bounds of the node, each with its reason.

use std::time::Duration;

/// Longest wait of an answer for its first event's commit. The store aims at 20 ms; past this the
/// disk is stuck, and the caller is better served by a 503 and another node.
pub const COMMIT_WAIT: Duration = Duration::from_secs(2);

/// Longest wait for a flow that is to act. Its CPU budget is 50 ms; the rest is time it may stand
/// in line behind others. Past this the caller hears the fallback.
pub const FLOW_WAIT: Duration = Duration::from_secs(5);

/// Time a flow has to finish after the caller has hung up (its CPU budget then is 2 s).
pub(crate) const AFTER_HANGUP: Duration = Duration::from_secs(5);

/// Longest call (the wall clock an ivr plugin has).
pub(crate) const CALL_TIME: Duration = Duration::from_secs(4 * 3600);

/// Added to the time an operation should take, before it is given up.
pub(crate) const OP_SLACK: Duration = Duration::from_secs(10);

/// Longest wait for synthesised speech: espeak-ng needs 18 ms for 7.5 s of speech.
pub(crate) const SPEECH_WAIT: Duration = Duration::from_secs(5);

/// Longest wait for the far end's acknowledgement of an answer: 64·T1 and a little.
pub(crate) const ANSWER_WAIT: Duration = Duration::from_secs(35);

/// Longest ring of a dialled party, whatever the flow asks for.
pub(crate) const RING_MAX: Duration = Duration::from_secs(180);

/// Events kept for a flow that does not ask for them; the oldest is dropped.
pub(crate) const EVENTS_MAX: usize = 64;

/// Facts a flow may remember with one call.
pub(crate) const ATTRS_MAX: usize = 64;

/// Messages left in one call.
pub(crate) const MESSAGES_MAX: u16 = 100;

/// Segments of a call's recording: a hundred parties that come and go, or an hour's pauses. Then no
/// new one begins.
pub(crate) const SEGMENTS_MAX: u16 = 1_000;

/// People who watch one call: a team leader, a trainer, and a class that learns.
pub(crate) const WATCHERS_MAX: usize = 16;

/// Longest segment: an hour of two channels is 115 MB as a file, and a file that is lost or broken
/// costs no more than that. The next one follows without a break.
pub(crate) const SEGMENT_MAX: Duration = Duration::from_secs(3_600);

/// How long a recording is paused unless it is said: what it takes to tell the number of a card.
pub(crate) const PAUSE_UNLESS_SAID: Duration = Duration::from_secs(120);

/// Longest pause of a recording: one that was forgotten must not cost the rest of the call.
pub(crate) const PAUSE_MAX: Duration = Duration::from_secs(600);

/// Longest time for which a party may press keys in secret while others are on the line: a card, its
/// expiry and its check digits take two minutes.
pub(crate) const SECRET_MAX: Duration = Duration::from_secs(300);

/// After the last key, how long nothing is recorded or heard of it: it is known for what it is while it
/// still sounds, and few press for longer.
pub(crate) const SECRET_TAIL: Duration = Duration::from_millis(500);

/// Prompts that a request may name.
pub(crate) const CLIPS_ASKED_MAX: usize = 16;

/// Users of whom is known which call they put on hold last; more than phones on one node.
pub(crate) const USERS_HOLDING_MAX: usize = 100_000;

/// Legs dialled in one call: a ring group of the largest kind is rung thirty times.
pub(crate) const LEGS_MAX: u16 = 1_000;

/// Phones and numbers that are rung for one dial, at the same time or after each other: each that
/// rings has a port and a line of its own.
pub const CALLEES_MAX: usize = 32;

/// Longest message a caller may leave.
pub(crate) const MESSAGE_MAX: Duration = Duration::from_secs(600);

/// Events of one call in the log; a flow that goes on past this is cut (a menu makes some ten).
pub(crate) const JOURNAL_MAX: u32 = 10_000;

/// Batches of events that may wait for the store before new calls are refused: some seconds of
/// the busiest node, and well below what the store's queue holds.
pub(crate) const UNWRITTEN_MAX: usize = 20_000;

/// Longest wait for a carrier's first word, 100 Trying included, before the next trunk is tried:
/// what a request and three retransmissions take (RFC 3261 §17.1.1.2: 0.5, 1.5 and 3.5 s).
pub(crate) const TRYING_WAIT: Duration = Duration::from_secs(4);

/// How long somebody is rung for a transfer or a consultation: as for a flow's transfer.
pub(crate) const TALK_RING: Duration = Duration::from_secs(30);

/// How long whoever transferred or parked a call is rung when nobody took it.
pub(crate) const CALL_BACK: Duration = Duration::from_secs(30);

/// Slots of a tenant in which calls can be parked.
pub const SLOTS_MAX: u16 = 100;

/// Users whose last number is kept for a redial; more than phones on one node.
pub(crate) const REDIALS_MAX: usize = 100_000;

/// Digits sent to a party by one request: more than any number or card has.
pub(crate) const DIGITS_MAX: usize = 32;

/// Times in a row that a call is sent elsewhere by whom it was to reach: what RFC 3261 §16.7 leaves to
/// a proxy's target set, kept short.
pub(crate) const REDIRECTS_MAX: usize = 5;
/// Shortest time between two searches for the same trunk, however short its records are kept.
pub(crate) const LOCATE_PAUSE: Duration = Duration::from_secs(5);

/// How long a server that was silent is left alone while it is asked whether it is back: until the
/// transaction gives up (RFC 3261 §17.1.2.2 timer F, 32 s), and a little.
pub(crate) const PROBE_TIME: Duration = Duration::from_secs(33);

/// Longest wait for the key with which a caller agrees to be recorded: long enough to think about it.
pub(crate) const CONSENT_WAIT: Duration = Duration::from_secs(8);
