//! The ordered header fields of a message.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use super::{HeaderName, scan};

/// Header fields in order.
///
/// Fields read from the wire are ranges of one shared text, so a clone costs no copy of the values.
/// `Via`, `Route`, `Record-Route`, `Contact`, `Path` and `Service-Route` fields that hold several
/// values joined by commas are kept as several fields, so that [`Headers::first`] of `Via` is the
/// top one. Values have no line folds and no white space around them.
///
/// Equal if the same names (by any spelling) have the same values in the same order.
#[derive(Clone, Default)]
pub struct Headers {
    text: Option<Arc<str>>,
    fields: Vec<Field>,
}

#[derive(Clone)]
struct Field {
    name: HeaderName,
    value: Value,
}

#[derive(Clone)]
enum Value {
    /// A range of `Headers::text`.
    Shared { start: u32, end: u32 },
    /// Written by us, or unfolded.
    Own(Box<str>),
}

impl Headers {
    /// No fields.
    pub fn new() -> Self {
        Self::default()
    }

    /// Number of fields.
    pub fn len(&self) -> usize {
        self.fields.len()
    }

    /// There are no fields.
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    /// The value of the first field of this name.
    pub fn first(&self, name: &HeaderName) -> Option<&str> {
        self.fields
            .iter()
            .find(|field| field.name == *name)
            .map(|field| self.text_of(field))
    }

    /// The values of all fields of this name, in order.
    pub fn all<'a>(&'a self, name: &HeaderName) -> impl Iterator<Item = &'a str> {
        self.fields
            .iter()
            .filter(move |field| field.name == *name)
            .map(|field| self.text_of(field))
    }

    /// Number of fields of this name.
    pub fn count(&self, name: &HeaderName) -> usize {
        self.fields
            .iter()
            .filter(|field| field.name == *name)
            .count()
    }

    /// There is a field of this name.
    pub fn has(&self, name: &HeaderName) -> bool {
        self.fields.iter().any(|field| field.name == *name)
    }

    /// The comma-separated tokens of all fields of this name, trimmed; empty ones are skipped. For
    /// `Allow`, `Require`, `Supported` and their like.
    pub fn tokens<'a>(&'a self, name: &HeaderName) -> impl Iterator<Item = &'a str> {
        self.all(name)
            .flat_map(|value| scan::split_outside(value, b','))
            .filter(|t| !t.is_empty())
    }

    /// The tokens of this list hold `token`, without regard to case.
    pub fn lists(&self, name: &HeaderName, token: &str) -> bool {
        self.tokens(name)
            .any(|known| known.eq_ignore_ascii_case(token))
    }

    /// All fields in order.
    pub fn iter(&self) -> impl Iterator<Item = (&HeaderName, &str)> {
        self.fields
            .iter()
            .map(|field| (&field.name, self.text_of(field)))
    }

    /// Appends a field. Line ends and zeros in the value become spaces, so that no value can add a
    /// header; values that hold lists are split as when read.
    pub fn push(&mut self, name: HeaderName, value: impl Into<String>) {
        let value = clean(value.into());
        if name.splits() && scan::find_outside(&value, b",").is_some() {
            for part in scan::split_outside(&value, b',').filter(|part| !part.is_empty()) {
                self.fields.push(Field {
                    name: name.clone(),
                    value: Value::Own(part.into()),
                });
            }
        } else {
            self.fields.push(Field {
                name,
                value: Value::Own(value.into()),
            });
        }
    }

    /// Puts a field before all others.
    pub fn push_front(&mut self, name: HeaderName, value: impl Into<String>) {
        let value = Value::Own(clean(value.into()).into());
        self.fields.insert(0, Field { name, value });
    }

    /// Leaves exactly one field of this name: in the place of the first, or at the end.
    pub fn set(&mut self, name: HeaderName, value: impl Into<String>) {
        let Some(at) = self.fields.iter().position(|field| field.name == name) else {
            return self.push(name, value);
        };
        let mut at_first = true;
        self.fields
            .retain(|field| field.name != name || std::mem::replace(&mut at_first, false));
        self.fields[at].value = Value::Own(clean(value.into()).into());
    }

    /// Replaces the first field of this name and leaves the others: the top `Via` and its like.
    /// Does nothing if there is none.
    pub fn set_first(&mut self, name: &HeaderName, value: impl Into<String>) {
        if let Some(field) = self.fields.iter_mut().find(|field| field.name == *name) {
            field.value = Value::Own(clean(value.into()).into());
        }
    }

    /// Removes all fields of this name and says how many there were.
    pub fn remove(&mut self, name: &HeaderName) -> usize {
        let before = self.fields.len();
        self.fields.retain(|field| field.name != *name);
        before - self.fields.len()
    }

    /// Appends all fields of this name from other headers.
    pub fn copy(&mut self, from: &Self, name: &HeaderName) {
        let same_text = match (&self.text, &from.text) {
            (None, Some(text)) => {
                self.text = Some(Arc::clone(text));
                true
            }
            (Some(ours), Some(theirs)) => Arc::ptr_eq(ours, theirs),
            (_, None) => false,
        };
        for field in from.fields.iter().filter(|field| field.name == *name) {
            let value = match &field.value {
                Value::Shared { .. } if !same_text => Value::Own(from.text_of(field).into()),
                Value::Shared { .. } | Value::Own(_) => field.value.clone(),
            };
            self.fields.push(Field {
                name: field.name.clone(),
                value,
            });
        }
    }

    /// Headers whose shared fields are ranges of `text`.
    pub(super) fn over(text: Arc<str>) -> Self {
        assert!(
            u32::try_from(text.len()).is_ok(),
            "a head is limited far below 4 GiB"
        );
        // Most requests have ten to twenty fields.
        Self {
            text: Some(text),
            fields: Vec::with_capacity(20),
        }
    }

    /// Appends a field that is a range of the shared text.
    pub(super) fn push_shared(&mut self, name: HeaderName, range: Range<usize>) {
        let len = self.text.as_ref().map_or(0, |text| text.len());
        assert!(
            range.start <= range.end && range.end <= len,
            "a field lies within the text"
        );
        let at = |at: usize| u32::try_from(at).expect("the text is below 4 GiB");
        let value = Value::Shared {
            start: at(range.start),
            end: at(range.end),
        };
        self.fields.push(Field { name, value });
    }

    /// Appends a field whose value was folded; lists are split.
    pub(super) fn push_unfolded(&mut self, name: HeaderName, value: String) {
        self.push(name, value);
    }

    /// Removes the last field and gives its value, if it has this name.
    pub(super) fn pop_if(&mut self, name: &HeaderName) -> Option<String> {
        let last = self.fields.last().filter(|field| field.name == *name)?;
        let value = self.text_of(last).to_owned();
        self.fields.pop();
        Some(value)
    }

    fn text_of<'a>(&'a self, field: &'a Field) -> &'a str {
        match &field.value {
            Value::Shared { start, end } => {
                let text = self.text.as_deref().expect("a shared field has a text");
                &text[*start as usize..*end as usize]
            }
            Value::Own(value) => value,
        }
    }
}

/// Without line ends and zeros, trimmed.
fn clean(mut value: String) -> String {
    let bad = ['\r', '\n', '\0'];
    if value.contains(bad) {
        value = value.replace(bad, " ");
    }
    let trimmed = scan::trim(&value);
    if trimmed.len() == value.len() {
        value
    } else {
        trimmed.to_owned()
    }
}

impl PartialEq for Headers {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len() && self.iter().eq(other.iter())
    }
}

impl Eq for Headers {}

impl fmt::Debug for Headers {
    /// Names only: values are private (numbers, names, credentials).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.iter().map(|(name, _)| name.as_str()))
            .finish()
    }
}

#[cfg(test)]
mod tests;
