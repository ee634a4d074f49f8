//! The time, as the host tells it: virtual while a call is simulated.

use crate::Error;
pub use crate::civil::{Date, Local, Weekday};
use crate::export::bindings::jackfield::host::clock as host;

/// Milliseconds since 1970 UTC.
pub fn now() -> u64 {
    host::now()
}

/// Minutes a zone is ahead of UTC at a moment, daylight saving included.
///
/// # Errors
/// [`Error::Invalid`] for a zone that is not in the IANA database, such as `Asia/Beijing`.
pub fn utc_offset_min(zone: &str, at_ms: u64) -> Result<i32, Error> {
    host::utc_offset(zone, at_ms).map_err(Error::Invalid)
}

/// The clock on the wall of a zone such as `Asia/Shanghai`.
///
/// # Errors
/// As [`utc_offset_min`].
pub fn local(zone: &str) -> Result<Local, Error> {
    let now_ms = now();
    Ok(Local::from_utc(now_ms, utc_offset_min(zone, now_ms)?))
}
