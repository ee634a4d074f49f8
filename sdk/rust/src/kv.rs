//! A small store of the tenant's, with a quota. Needs `kv`.

use std::time::Duration;

use crate::Error;
use crate::export::bindings::jackfield::host::kv as host;
use crate::prompt::millis;

/// The value of a key, if it is set and not too old.
///
/// # Errors
/// [`Error::Denied`] without the grant.
pub fn load(key: &str) -> Result<Option<Vec<u8>>, Error> {
    host::get(key)
}

/// Sets a key for good.
///
/// # Errors
/// [`Error::Limit`] when the quota is used up.
pub fn save(key: &str, value: &[u8]) -> Result<(), Error> {
    host::set(key, value, None)
}

/// Sets a key for a while.
///
/// # Errors
/// As [`save`].
pub fn save_for(key: &str, value: &[u8], time: Duration) -> Result<(), Error> {
    host::set(key, value, Some(millis(time)))
}

/// Removes a key; nothing happens if it is not set.
///
/// # Errors
/// [`Error::Denied`] without the grant.
pub fn delete(key: &str) -> Result<(), Error> {
    host::delete(key)
}

/// Adds to a counter, which starts at 0, and returns its new value.
///
/// # Errors
/// [`Error::Invalid`] for a key that holds something else.
pub fn add(key: &str, by: i64) -> Result<i64, Error> {
    host::incr(key, by)
}
