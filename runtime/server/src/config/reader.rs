//! Reading TOML with the line of every value at hand.
//!
//! A [`Table`] is asked for each key it may hold and says itself what is wrong with the value; at
//! its end, keys that nobody asked for are unknown. Absent keys and wrong values both read as
//! `None`: the caller goes on with its default, and the report decides in the end.

use std::fs::File;
use std::io::{ErrorKind, Read as _};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::problem::Report;
use super::spelling::did_you_mean;

/// A text file of bounded length.
///
/// # Errors
/// What is wrong and what to do.
pub(super) fn file(path: &Path, bytes_max: u64) -> Result<String, String> {
    let open = || -> std::io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        File::open(path)?
            .take(bytes_max + 1)
            .read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    let bytes = open().map_err(|error| {
        if error.kind() == ErrorKind::NotFound {
            "no such file; check the name".to_owned()
        } else if error.kind() == ErrorKind::IsADirectory {
            "this is a folder; name the file in it".to_owned()
        } else {
            format!("cannot be read: {error}")
        }
    })?;
    if bytes.len() as u64 > bytes_max {
        return Err(format!("longer than {bytes_max} bytes; split it up"));
    }
    String::from_utf8(bytes).map_err(|_| "not UTF-8 text; save it as UTF-8".to_owned())
}

/// A file that is being read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Source<'a> {
    pub(super) path: &'a Path,
    pub(super) text: &'a str,
    pub(super) report: &'a Report,
}

impl<'a> Source<'a> {
    /// The document, unless its syntax is wrong; then all that is wrong is reported.
    pub(super) fn parse(&self) -> Option<Spanned<DeTable<'a>>> {
        let (document, errors) = DeTable::parse_recoverable(self.text);
        for error in &errors {
            let mut message = error.message().lines().collect::<Vec<_>>().join("; ");
            if message.starts_with("invalid") {
                message.push_str("; a text needs quotes around it");
            }
            let line = error.span().map(|span| self.line(span.start));
            self.report
                .error(self.path, line, format!("not TOML: {message}"));
        }
        errors.is_empty().then_some(document)
    }

    /// The reader of the whole document.
    pub(super) fn root(self, document: &'a Spanned<DeTable<'a>>) -> Table<'a> {
        let entries = Some(document.get_ref());
        Table {
            source: self,
            name: String::new(),
            entries,
            at: None,
            known: Vec::new(),
        }
    }

    /// The line of a place in the text, from 1.
    pub(super) fn line(&self, at: usize) -> usize {
        let before = &self.text.as_bytes()[..at.min(self.text.len())];
        before.iter().filter(|byte| **byte == b'\n').count() + 1
    }

    pub(super) fn error(&self, at: Option<usize>, what: impl Into<String>) {
        self.report
            .error(self.path, at.map(|at| self.line(at)), what);
    }

    pub(super) fn warning(&self, at: Option<usize>, what: impl Into<String>) {
        self.report
            .warning(self.path, at.map(|at| self.line(at)), what);
    }
}

/// A value and where it stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct At<T> {
    pub(super) value: T,
    /// Byte in the text.
    pub(super) at: usize,
}

/// A table that is being read.
#[derive(Debug)]
pub(super) struct Table<'a> {
    pub(super) source: Source<'a>,
    /// As a person would call it: `[sip]`; empty for the top of the file.
    name: String,
    /// `None` if the file does not have it.
    entries: Option<&'a DeTable<'a>>,
    /// Where it begins.
    pub(super) at: Option<usize>,
    known: Vec<&'static str>,
}

impl<'a> Table<'a> {
    pub(super) fn text(&mut self, key: &'static str) -> Option<At<&'a str>> {
        let value = self.value(key)?;
        let at = value.span().start;
        match value.get_ref().as_str() {
            Some(value) => Some(At { value, at }),
            None => self.wrong(key, value, "text in quotes"),
        }
    }

    pub(super) fn truth(&mut self, key: &'static str) -> Option<bool> {
        let value = self.value(key)?;
        let truth = value.get_ref().as_bool();
        truth.or_else(|| self.wrong(key, value, "true or false"))
    }

    /// A whole number within a range.
    pub(super) fn whole(&mut self, key: &'static str, range: RangeInclusive<u64>) -> Option<u64> {
        let value = self.value(key)?;
        let (least, most) = (range.start(), range.end());
        let wanted = format!("a whole number from {least} to {most}");
        let Some(number) = value.get_ref().as_integer() else {
            return self.wrong(key, value, &wanted);
        };
        let digits = number.as_str();
        let number = u64::from_str_radix(digits, number.radix()).ok();
        let number = number.filter(|number| range.contains(number));
        if number.is_none() {
            let what = format!("{key} = {digits} is not {wanted}");
            self.source.error(Some(value.span().start), what);
        }
        number
    }

    /// A list of whole numbers within a range; empty if absent.
    pub(super) fn wholes(&mut self, key: &'static str, range: RangeInclusive<u64>) -> Vec<u64> {
        let (least, most) = (range.start(), range.end());
        let wanted = format!("a list of whole numbers from {least} to {most}");
        let mut numbers = Vec::new();
        for item in self.list(key, &wanted) {
            let Some(number) = item.get_ref().as_integer() else {
                numbers.extend(self.wrong::<u64>(key, item, &wanted));
                continue;
            };
            let digits = number.as_str();
            match u64::from_str_radix(digits, number.radix()) {
                Ok(number) if range.contains(&number) => numbers.push(number),
                Ok(_) | Err(_) => {
                    let what = format!("{key} holds {digits}, and is {wanted}");
                    self.source.error(Some(item.span().start), what);
                }
            }
        }
        numbers
    }

    /// The file has this key, whatever its value.
    pub(super) fn has(&self, key: &str) -> bool {
        self.entries
            .is_some_and(|entries| entries.contains_key(key))
    }

    /// Where a key's value stands, if the file has it.
    pub(super) fn place(&self, key: &str) -> Option<usize> {
        let value = self.entries.and_then(|entries| entries.get(key))?;
        Some(value.span().start)
    }

    /// A list of texts; empty if absent.
    pub(super) fn texts(&mut self, key: &'static str) -> Vec<At<&'a str>> {
        let wanted = "a list of texts, as in [\"a\", \"b\"]";
        let mut texts = Vec::new();
        for item in self.list(key, wanted) {
            let at = item.span().start;
            match item.get_ref().as_str() {
                Some(value) => texts.push(At { value, at }),
                None => texts.extend(self.wrong::<At<&str>>(key, item, wanted)),
            }
        }
        texts
    }

    /// One text, or a list of them; empty if absent.
    pub(super) fn text_or_texts(&mut self, key: &'static str) -> Vec<At<&'a str>> {
        let entry = self.entries.and_then(|entries| entries.get(key));
        match entry {
            Some(value) if value.get_ref().as_array().is_some() => self.texts(key),
            Some(_) | None => self.text(key).into_iter().collect(),
        }
    }

    /// A text that means something; `wanted` says what, with an example.
    pub(super) fn parsed<T: FromStr>(&mut self, key: &'static str, wanted: &str) -> Option<At<T>> {
        let text = self.text(key)?;
        match text.value.parse() {
            Ok(value) => Some(At { value, at: text.at }),
            Err(_) => {
                let what = format!("{key} = {:?} is not {wanted}", text.value);
                self.source.error(Some(text.at), what);
                None
            }
        }
    }

    /// A path; relative ones start at the folder of this file.
    pub(super) fn path(&mut self, key: &'static str) -> Option<At<PathBuf>> {
        let text = self.text(key)?;
        if text.value.is_empty() {
            self.source
                .error(Some(text.at), format!("{key} is empty; name a path"));
            return None;
        }
        Some(At {
            value: self.beside(text.value),
            at: text.at,
        })
    }

    /// A path as seen from the folder of this file.
    pub(super) fn beside(&self, path: &str) -> PathBuf {
        self.source
            .path
            .parent()
            .unwrap_or(Path::new(""))
            .join(path)
    }

    /// A table within this one; an empty one if absent.
    pub(super) fn table(&mut self, key: &'static str) -> Table<'a> {
        let name = match self.name.trim_matches(['[', ']']) {
            "" => format!("[{key}]"),
            outer => format!("[{outer}.{key}]"),
        };
        let value = self.value(key);
        let wanted = format!("a table: write {name} on its own line");
        let entries = value.and_then(|value| {
            let entries = value.get_ref().as_table();
            entries.or_else(|| self.wrong(key, value, &wanted))
        });
        let at = value.map(|value| value.span().start);
        Table {
            source: self.source,
            name,
            entries,
            at,
            known: Vec::new(),
        }
    }

    /// The tables of a list, written as `[[key]]`; `name` is how they are written.
    pub(super) fn tables(&mut self, key: &'static str, name: &str) -> Vec<Table<'a>> {
        let wanted = format!("a list of tables: write {name} on its own line");
        let mut tables = Vec::new();
        for item in self.list(key, &wanted) {
            let entries = item.get_ref().as_table();
            let Some(entries) = entries.or_else(|| self.wrong(key, item, &wanted)) else {
                continue;
            };
            let (source, name, at) = (self.source, name.to_owned(), Some(item.span().start));
            let known = Vec::new();
            tables.push(Table {
                source,
                name,
                entries: Some(entries),
                at,
                known,
            });
        }
        tables
    }

    fn list(&mut self, key: &'static str, wanted: &str) -> &'a [Spanned<DeValue<'a>>] {
        let Some(value) = self.value(key) else {
            return &[];
        };
        let items = value.get_ref().as_array().map(|items| &**items);
        items
            .or_else(|| self.wrong(key, value, wanted))
            .unwrap_or_default()
    }

    /// Reports a key that must be there and is not. Nothing is said of one that is there: its own
    /// reading has.
    pub(super) fn demand(&self, key: &str, what: &str) {
        if !self.has(key) {
            let name = &self.name;
            self.source
                .error(self.at, format!("{name} has no {key}; {what}"));
        }
    }

    /// Reports the keys that nobody asked for.
    pub(super) fn finish(self) {
        for (key, _) in self.entries.into_iter().flatten() {
            let name = key.get_ref();
            if self.known.iter().any(|known| *known == &**name) {
                continue;
            }
            let meant = match did_you_mean(name, self.known.iter().copied()) {
                meant if meant.is_empty() => format!("; known here are {}", self.known.join(", ")),
                meant => meant,
            };
            let place = match self.name.as_str() {
                "" => String::new(),
                name => format!(" in {name}"),
            };
            let what = format!("unknown key {name:?}{place}{meant}");
            self.source.error(Some(key.span().start), what);
        }
    }

    fn value(&mut self, key: &'static str) -> Option<&'a Spanned<DeValue<'a>>> {
        debug_assert!(!self.known.contains(&key), "each key is read once");
        self.known.push(key);
        let value = self.entries.and_then(|entries| entries.get(key));
        if value.is_none() {
            self.source
                .report
                .absent(format!("{} {key}", self.name).trim().to_owned());
        }
        value
    }

    /// Reports a value of the wrong kind.
    fn wrong<T>(&self, key: &str, value: &Spanned<DeValue<'_>>, wanted: &str) -> Option<T> {
        let kind = value.get_ref().type_str();
        let article = if kind.starts_with(['a', 'i']) {
            "an"
        } else {
            "a"
        };
        let what = format!("{key} is {article} {kind}, not {wanted}");
        self.source.error(Some(value.span().start), what);
        None
    }
}
