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
