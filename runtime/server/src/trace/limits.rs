//! Bounds of the traces, each with its reason.

use std::time::Duration;

/// Bytes that may wait for the trace's thread, which looks every [`PAUSE`]: 8 MiB are some ten
/// thousand messages. Past it messages are left out and counted; the control thread never waits.
pub(super) const QUEUE_BYTES_MAX: usize = 8 << 20;

/// Entries that may wait, whatever they hold: the ends of calls are small and are to arrive.
pub(super) const QUEUE_MAX: usize = 1 << 16;

/// How long the thread gathers before it looks again: a batch is cheaper than a wake-up each.
pub(super) const PAUSE: Duration = Duration::from_millis(20);

/// How often the thread looks for calls that are over.
pub(super) const SWEEP: Duration = Duration::from_millis(250);

/// Bytes kept of one message. What is longer is cut, so that with its headers it fits into one
/// IP packet of the export; a SIP message is 1 KB, and one with a long body 5 KB.
pub(super) const MESSAGE_BYTES_MAX: usize = 60_000;

/// Messages of one call: a call has ten to thirty, an hour of session refreshes some hundred.
pub(super) const CALL_MESSAGES_MAX: usize = 500;

/// The first messages of a call stay when it has too many: how it was set up. Of the rest the
/// newest stay, and what is between is counted.
pub(super) const CALL_MESSAGES_FIRST: usize = 300;

/// Bytes of one call's messages.
pub(super) const CALL_BYTES_MAX: usize = 512 << 10;

/// Bytes of all live calls together: some five thousand calls of two legs. Past it messages are
/// left out, and counted in their call.
pub(super) const LIVE_BYTES_MAX: usize = 64 << 20;

/// Memory that a kept message costs beside its bytes.
pub(super) const MESSAGE_OVERHEAD: usize = 160;

/// Calls at a time: ten times what a node is built for.
pub(super) const CALLS_MAX: usize = 100_000;

/// Dialogs of one call: each leg has one for each phone that it rings.
pub(super) const LEGS_MAX: usize = 400;

/// Messages that belong to no call: half an hour of a small office's registrations.
pub(super) const RING_MESSAGES_MAX: usize = 4_096;

/// Bytes of them.
pub(super) const RING_BYTES_MAX: usize = 8 << 20;

/// Messages that one question about the ring gets.
pub(crate) const RING_PAGE_MAX: usize = 1_000;

/// After a call's end its last answers come: a retransmission takes up to T4, RFC 3261 §17.1.2.2.
pub(super) const LINGER: Duration = Duration::from_secs(5);

/// Longest life of a call here: longer than the node lets one live, so only one whose end was
/// not told reaches it.
pub(super) const CALL_TIME: Duration = Duration::from_secs(5 * 3_600);

/// Bytes of a stream in which no message ends: more than the endpoint takes.
pub(super) const STREAM_BYTES_MAX: usize = 128 << 10;

/// Streams that are followed; as many as the shell holds open.
pub(super) const STREAMS_MAX: usize = 4_096;

/// Bytes of a trace when it is unpacked. More is a damaged row.
pub(super) const UNPACKED_BYTES_MAX: usize = 4 << 20;
