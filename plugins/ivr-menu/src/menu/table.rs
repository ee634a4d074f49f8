//! One table of a configuration, read key by key, with a note of everything that is wrong.

use crate::limits::PROBLEMS_MAX;
use crate::menu::json::Json;
use crate::menu::named::Named;
use crate::menu::{Problem, Problems};

/// Where problems are noted while a configuration is read on to its end.
#[derive(Default)]
pub(super) struct Notes {
    /// In order, each once.
    problems: Vec<Problem>,
}

impl Notes {
    pub(super) fn add(&mut self, place: impl Into<String>, reason: impl Into<String>) {
        let problem = Problem {
            place: place.into(),
            reason: reason.into(),
        };
        let place = self.problems.binary_search(&problem);
        if let (Err(at), true) = (place, self.problems.len() < PROBLEMS_MAX) {
            self.problems.insert(at, problem);
        }
    }

    /// The value, if nothing was wrong.
    pub(super) fn verdict<T>(self, value: Option<T>) -> Result<T, Problems> {
        match value {
            Some(value) if self.problems.is_empty() => Ok(value),
            Some(_) | None => {
                assert!(
                    !self.problems.is_empty(),
                    "what could not be read was noted"
                );
                Err(Problems(self.problems))
            }
        }
    }
}

/// A table and the keys that were asked for: what nobody asks for is a typing mistake.
pub(super) struct Table<'a> {
    place: String,
    entries: &'a Named<Json>,
    known: Vec<&'static str>,
}

/// `menu.main` and `option` make `menu.main.option`.
pub(super) fn join(place: &str, key: &str) -> String {
    if place.is_empty() {
        key.to_owned()
    } else {
        format!("{place}.{key}")
    }
}

impl<'a> Table<'a> {
    /// The value as a table, if it is one.
    pub(super) fn new(notes: &mut Notes, place: String, value: &'a Json) -> Option<Self> {
        let Json::Table(entries) = value else {
            notes.add(place, "expected a table");
            return None;
        };
        Some(Self {
            place,
            entries,
            known: Vec::new(),
        })
    }

    pub(super) fn place(&self) -> &str {
        &self.place
    }

    /// The place of one of its keys.
    pub(super) fn at(&self, key: &str) -> String {
        join(&self.place, key)
    }

    /// A value, whatever it is.
    pub(super) fn value(&mut self, key: &'static str) -> Option<&'a Json> {
        if let Err(at) = self.known.binary_search(&key) {
            self.known.insert(at, key);
        }
        self.entries.get(key)
    }

    /// Whether a key is there; it is not asked for by that.
    pub(super) fn has(&self, key: &str) -> bool {
        self.entries.get(key).is_some()
    }

    /// Every entry, for a table of names; none is unknown then.
    pub(super) fn all(&mut self) -> impl Iterator<Item = (&'a str, &'a Json)> + use<'a> {
        self.entries.iter()
    }

    pub(super) fn table(&mut self, notes: &mut Notes, key: &'static str) -> Option<Self> {
        let value = self.value(key)?;
        Self::new(notes, self.at(key), value)
    }

    /// A list of tables.
    pub(super) fn tables(&mut self, notes: &mut Notes, key: &'static str) -> Vec<Self> {
        let place = self.at(key);
        match self.value(key) {
            None => Vec::new(),
            Some(Json::List(items)) => items
                .iter()
                .enumerate()
                .filter_map(|(i, item)| Self::new(notes, join(&place, &i.to_string()), item))
                .collect(),
            Some(_) => {
                notes.add(place, "expected a list of tables");
                Vec::new()
            }
        }
    }

    /// Text that is not empty.
    pub(super) fn text(&mut self, notes: &mut Notes, key: &'static str) -> Option<&'a str> {
        if let Json::Text(text) = self.value(key)?
            && !text.trim().is_empty()
        {
            return Some(text);
        }
        notes.add(self.at(key), "expected text");
        None
    }

    /// A whole number in a range, or the default where it is not there.
    pub(super) fn number(
        &mut self,
        notes: &mut Notes,
        key: &'static str,
        range: std::ops::RangeInclusive<u64>,
        default: u64,
    ) -> u64 {
        let Some(value) = self.value(key) else {
            return default;
        };
        if let Json::Number(number) = value
            && range.contains(number)
        {
            return *number;
        }
        let (low, high) = (range.start(), range.end());
        notes.add(
            self.at(key),
            format!("expected a whole number, {low} to {high}"),
        );
        default
    }

    /// True or false; false where it is not there.
    pub(super) fn flag(&mut self, notes: &mut Notes, key: &'static str) -> bool {
        match self.value(key) {
            None => false,
            Some(Json::Bool(flag)) => *flag,
            Some(_) => {
                notes.add(self.at(key), "expected true or false");
                false
            }
        }
    }

    /// Notes the keys nobody asked for.
    pub(super) fn finish(self, notes: &mut Notes) {
        for name in self
            .entries
            .names()
            .filter(|name| !self.known.contains(name))
        {
            let reason = format!("unknown key; there are {}", self.known.join(", "));
            notes.add(join(&self.place, name), reason);
        }
    }
}
