//! Every bound of this room, with its reason.

use std::time::Duration;

/// Most events in one transaction.
///
/// At about 10 µs an event a full batch takes some 10 ms, so that a call's first event, which may
/// have to wait for one batch before its own, is still committed within 20 ms.
pub const BATCH_EVENTS_MAX: usize = 1_024;

/// Most events waiting or being written before first events of new calls are refused.
///
/// About half a second of the fastest writer: a queue longer than that keeps no promise of 20 ms,
/// and the caller is better served by a 503 that sends it elsewhere.
pub const QUEUE_NEW_EVENTS_MAX: usize = 32_768;

/// Most events waiting or being written before any event is refused.
///
/// Twice [`QUEUE_NEW_EVENTS_MAX`], so that calls already up can finish their logs while new ones
/// are refused. About 20 MiB at 300 bytes an event.
pub const QUEUE_EVENTS_MAX: usize = 65_536;

/// Shortest time between the starts of two transactions, unless a batch is full.
///
/// A transaction costs about 0.2 ms of CPU whatever is in it; at 200 calls/s one for every first
/// event would be half of what a whole call may cost. With 8 ms to wait and less than 12 ms to
/// write, a first event is committed within 20 ms. When the store was idle nothing waits.
pub const WRITE_SPACING: Duration = Duration::from_millis(8);

/// Longest wait of an event that nobody waits for.
///
/// Later events are to be committed within 200 ms; 50 ms leaves room for a slow disk.
pub const WRITE_DELAY: Duration = Duration::from_millis(50);

/// Time until a failed transaction is tried again.
///
/// Short, because new calls are refused meanwhile; long enough to cost nothing on a full disk.
pub const RETRY_DELAY: Duration = Duration::from_millis(250);

/// Most events kept of one call, its end not counted.
///
/// A flow in a loop must not fill the disk; a busy hour-long call has some hundreds.
pub const CALL_EVENTS_MAX: u32 = 10_000;

/// Most bytes kept of one text in an event; what is longer is cut.
///
/// Texts come from the network (a SIP `Call-ID` may fill a whole message) and from guests.
pub const TEXT_BYTES_MAX: usize = 4_096;

/// Most messages named in a call's record; all are in its events.
///
/// The record is written again with each batch that touches it, so it must stay small.
pub const RECORD_MESSAGES_MAX: usize = 100;

/// Most records of calls going on held in memory by the writer.
///
/// Ten times the calls one node is built for. Beyond it they are read again from the database.
pub const LIVE_RECORDS_MAX: usize = 100_000;

/// Most records in one page of a listing; more are fetched with the cursor.
pub const PAGE_RECORDS_MAX: u32 = 1_000;

/// Most findings reported by one check; a broken database would fill the screen otherwise.
pub const FINDINGS_MAX: usize = 100;

/// Most bytes of rows in the write-ahead log before it is copied into the database, in pages of
/// 4 KiB.
///
/// 8 MiB: copying takes the writer some milliseconds, and rarely.
pub const WAL_PAGES: u32 = 2_048;

/// Longest wait for another program that holds the database, such as a backup or a shell.
pub const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Most traces in one transaction.
///
/// Some 20 µs each with 3 KB: a call's first event, which may wait for one such batch, is still
/// committed within 20 ms.
pub const TRACES_MAX: usize = 32;

/// Most traces forgotten in one transaction, for the same reason. Twice [`TRACES_MAX`] and more,
/// so that forgetting keeps up with keeping.
pub const FORGOTTEN_MAX: u32 = 128;
