//! The stored form of a call's events: JSON with a version, converted by hand both ways.
//!
//! A stored event is a `kind` (the name of the event, a column of its own so that people and SQL
//! can look for it) and a `payload`: a JSON object with the field `v`, the version of its shape.
//! This release writes version 1 and reads every version ever released. A change that adds a
//! field which older events may lack stays in its version; any other change is a new version,
//! with a module of its own that converts into today's words.

mod v1;
mod words;

#[cfg(test)]
pub(crate) mod tests;

use serde::Deserialize;
use vocab::record::CallEventKind;

pub(crate) use words::{Word, cut, party_from_text, party_text};

/// The payload of an event, in the newest version.
///
/// Texts longer than [`crate::limits::TEXT_BYTES_MAX`] are cut.
pub(crate) fn encode(kind: &CallEventKind) -> String {
    v1::encode(kind)
}

/// The event stored under this name with this payload, of any released version.
///
/// # Errors
///
/// What is wrong with it, for a person: an unknown version, kind or word, or broken JSON.
pub(crate) fn decode(kind: &str, payload: &str) -> Result<CallEventKind, String> {
    #[derive(Deserialize)]
    struct Versioned {
        v: u32,
    }
    let version: Versioned = serde_json::from_str(payload).map_err(|e| e.to_string())?;
    match version.v {
        1 => v1::decode(kind, payload),
        other => Err(format!("unknown payload version {other}")),
    }
}
