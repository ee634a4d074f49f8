//! The route's configuration of the plugin.
//!
//! A key is a dotted path into the file that the route names: `menu.main.tries`. The empty key is
//! the whole file.

use crate::Error;
use crate::export::bindings::jackfield::host::config as host;

/// A value as text: a string without quotes, a number or boolean as written.
pub fn text(key: &str) -> Option<String> {
    host::get(key)
}

/// A table, list or, with the empty key, the whole configuration, as JSON for the parser of your
/// choice.
pub fn json(key: &str) -> Option<String> {
    host::get(key)
}

/// A value that must be there.
///
/// # Errors
/// [`Error::Invalid`], naming the key, if it is not.
pub fn required(key: &str) -> Result<String, Error> {
    text(key).ok_or_else(|| Error::invalid(format_args!("the configuration lacks `{key}`")))
}

/// A whole number.
///
/// # Errors
/// [`Error::Invalid`], naming the key, if it is there and not a number.
pub fn number(key: &str) -> Result<Option<i64>, Error> {
    let Some(text) = text(key) else {
        return Ok(None);
    };
    match text.parse() {
        Ok(number) => Ok(Some(number)),
        Err(_) => Err(Error::invalid(format_args!(
            "`{key}` is {text:?}, not a whole number"
        ))),
    }
}

/// True or false; false if it is not there.
///
/// # Errors
/// [`Error::Invalid`], naming the key, if it is something else.
pub fn flag(key: &str) -> Result<bool, Error> {
    match text(key).as_deref() {
        None | Some("false") => Ok(false),
        Some("true") => Ok(true),
        Some(text) => Err(Error::invalid(format_args!(
            "`{key}` is {text:?}, not true or false"
        ))),
    }
}
