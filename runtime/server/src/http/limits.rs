//! Bounds of the HTTP side, each with its reason.

use std::ops::RangeInclusive;
use std::time::Duration;

/// Open connections; more wait in the kernel's queue. A browser opens six, a scraper one.
pub(super) const CONNECTIONS_MAX: usize = 512;

/// Requests being answered; more get 503. The database has a handful of reading connections, so
/// a longer line would only make everybody wait.
pub(super) const REQUESTS_MAX: usize = 256;

/// Longest time to begin an answer. A page of a thousand records takes some 10 ms; a search for a
/// rare disposition through millions of records is cut.
pub(super) const REQUEST_TIME: Duration = Duration::from_secs(10);

/// Longest time a connection may be idle, take to send a request, or not take what is sent to it.
/// Three times [`REQUEST_TIME`], so that an answer is never cut by it.
pub(super) const CONNECTION_QUIET: Duration = Duration::from_secs(30);

/// Bytes of a recording read at a time: 2 s of stereo, small enough for hundreds of downloads.
pub(super) const CHUNK_BYTES: usize = 64 << 10;

/// Records in a page if the request does not say.
pub(super) const PAGE_RECORDS: u32 = 100;

/// Users in a page of registrations: the control thread copies them between two packets.
pub(super) const PAGE_USERS_MAX: usize = 1_000;

/// Bans listed; an operator looks for one, and more than that is a forger's work.
pub(super) const BANS_LISTED_MAX: usize = 1_000;

/// Longest body of a request. The longest that is asked for, an action with a target, has 200 bytes.
pub(super) const BODY_BYTES_MAX: usize = 16 << 10;

/// Parties in an answer: the control thread copies them between two packets.
pub(super) const PARTIES_LISTED_MAX: usize = 1_000;

/// Seconds that credentials of browsers may be good for: a shift, and some more.
pub(super) const CREDENTIALS_S: RangeInclusive<u32> = 60..=86_400;

/// Seconds that they are good for if the request does not say.
pub(super) const CREDENTIALS_S_DEFAULT: u32 = 3_600;

/// Those who listen to events. Each has a connection of its own, out of [`CONNECTIONS_MAX`].
pub(super) const LISTENERS_MAX: usize = 128;
