//! The JSON of a configuration (RFC 8259), into a tree.
//!
//! Written here because the host's JSON is all that is ever read, and because a general parser
//! would be a third of the component.

use std::fmt;

use crate::limits::JSON_DEPTH_MAX;
use crate::menu::named::Named;

/// A value.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum Json {
    Null,
    Bool(bool),
    /// A whole number that is not negative: no key takes another.
    Number(u64),
    /// Any other number.
    OtherNumber,
    Text(String),
    List(Vec<Json>),
    /// Of a name that comes twice, the first counts.
    Table(Named<Json>),
}

/// Where the text stops being JSON: a byte offset.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct NotJson(usize);

impl fmt::Display for NotJson {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not JSON at byte {}", self.0)
    }
}

impl Json {
    /// Reads one value that fills the whole text.
    pub(super) fn parse(text: &str) -> Result<Self, NotJson> {
        let mut parser = Parser { text, at: 0 };
        let value = parser.value(0).ok_or(NotJson(parser.at))?;
        parser.skip_space();
        if parser.at == text.len() {
            Ok(value)
        } else {
            Err(NotJson(parser.at))
        }
    }
}

/// Each method reads one thing and moves past it, or answers `None` and stays where it was wrong.
struct Parser<'a> {
    text: &'a str,
    at: usize,
}

impl Parser<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn skip_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn take(&mut self, byte: u8) -> Option<()> {
        self.skip_space();
        (self.peek()? == byte).then(|| self.at += 1)
    }

    fn word(&mut self, word: &str, value: Json) -> Option<Json> {
        self.text.as_bytes()[self.at..]
            .starts_with(word.as_bytes())
            .then(|| {
                self.at += word.len();
                value
            })
    }

    fn value(&mut self, depth: usize) -> Option<Json> {
        if depth > JSON_DEPTH_MAX {
            return None;
        }
        self.skip_space();
        match self.peek()? {
            b'{' => self.table(depth),
            b'[' => self.list(depth),
            b'"' => self.string().map(Json::Text),
            b't' => self.word("true", Json::Bool(true)),
            b'f' => self.word("false", Json::Bool(false)),
            b'n' => self.word("null", Json::Null),
            b'-' | b'0'..=b'9' => self.number(),
            _ => None,
        }
    }

    fn table(&mut self, depth: usize) -> Option<Json> {
        let mut entries = Named::default();
        self.take(b'{')?;
        if self.take(b'}').is_some() {
            return Some(Json::Table(entries));
        }
        loop {
            self.skip_space();
            let key = self.string()?;
            self.take(b':')?;
            entries.insert(&key, self.value(depth + 1)?);
            if self.take(b',').is_none() {
                self.take(b'}')?;
                return Some(Json::Table(entries));
            }
        }
    }

    fn list(&mut self, depth: usize) -> Option<Json> {
        let mut items = Vec::new();
        self.take(b'[')?;
        if self.take(b']').is_some() {
            return Some(Json::List(items));
        }
        loop {
            items.push(self.value(depth + 1)?);
            if self.take(b',').is_none() {
                self.take(b']')?;
                return Some(Json::List(items));
            }
        }
    }

    /// Numbers matter only as whole ones; of others no more than the extent is looked at.
    fn number(&mut self) -> Option<Json> {
        let start = self.at;
        while matches!(
            self.peek(),
            Some(b'-' | b'+' | b'.' | b'e' | b'E' | b'0'..=b'9')
        ) {
            self.at += 1;
        }
        let text = &self.text[start..self.at];
        let is_whole = text.bytes().all(|b| b.is_ascii_digit());
        let number = if is_whole { text.parse().ok() } else { None };
        Some(number.map_or(Json::OtherNumber, Json::Number))
    }

    fn string(&mut self) -> Option<String> {
        self.take(b'"')?;
        let mut text = String::new();
        loop {
            let start = self.at;
            while !matches!(self.peek()?, b'"' | b'\\' | 0..0x20) {
                self.at += 1;
            }
            // The bytes looked for are ASCII, so both ends lie between characters.
            text.push_str(&self.text[start..self.at]);
            match self.peek()? {
                b'"' => {
                    self.at += 1;
                    return Some(text);
                }
                b'\\' => text.push(self.escape()?),
                _ => return None,
            }
        }
    }

    fn escape(&mut self) -> Option<char> {
        self.take(b'\\')?;
        let byte = self.peek()?;
        let c = match byte {
            b'"' | b'\\' | b'/' => char::from(byte),
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                self.at += 1;
                return self.unicode();
            }
            _ => return None,
        };
        self.at += 1;
        Some(c)
    }

    /// Four hexadecimal digits, or twice four for a character beyond U+FFFF (RFC 8259 §7).
    fn unicode(&mut self) -> Option<char> {
        let first = self.hex4()?;
        if !(0xd800..0xdc00).contains(&first) {
            return char::from_u32(first);
        }
        let is_pair = self.text.as_bytes()[self.at..].starts_with(b"\\u");
        self.at += if is_pair { 2 } else { return None };
        let second = self.hex4()?;
        let low = second.checked_sub(0xdc00).filter(|low| *low < 0x400)?;
        char::from_u32(0x1_0000 + ((first - 0xd800) << 10) + low)
    }

    fn hex4(&mut self) -> Option<u32> {
        let digits = self.text.as_bytes().get(self.at..self.at + 4)?;
        let value = digits.iter().try_fold(0, |value, digit| {
            Some(value * 16 + char::from(*digit).to_digit(16)?)
        })?;
        self.at += 4;
        Some(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_every_kind() {
        let json = Json::parse(
            " {\"a\" : [1, -2, 1.5, 2e9, true, false, null, \"x\"], \"空\":{}, \"b\":[]} ",
        );
        let list = vec![
            Json::Number(1),
            Json::OtherNumber,
            Json::OtherNumber,
            Json::OtherNumber,
            Json::Bool(true),
            Json::Bool(false),
            Json::Null,
            Json::Text("x".to_owned()),
        ];
        let mut table = Named::default();
        table.insert("a", Json::List(list));
        table.insert("空", Json::Table(Named::default()));
        table.insert("b", Json::List(Vec::new()));
        assert_eq!(json, Ok(Json::Table(table)));
    }

    #[test]
    fn escapes() {
        let table = [
            (r#""a\"\\\/\b\f\n\r\t""#, "a\"\\/\u{8}\u{c}\n\r\t"),
            (r#""\u4f60好""#, "你好"),
            (r#""\ud83d\ude00!""#, "😀!"),
            (r#""\u0000""#, "\0"),
        ];
        for (source, text) in table {
            assert_eq!(
                Json::parse(source),
                Ok(Json::Text(text.to_owned())),
                "{source}"
            );
        }
    }

    #[test]
    fn what_is_not_json() {
        let table = [
            ("", 0),
            ("{", 1),
            ("[1,]", 3),
            ("[1 2]", 3),
            ("{\"a\"}", 4),
            ("{a:1}", 1),
            ("nul", 0),
            ("1 2", 2),
            ("\"abc", 4),
            ("\"a\nb\"", 2),
            (r#""\x""#, 2),
            (r#""\ud83d""#, 7),
            (r#""\ud83d\u0041""#, 13),
            (r#""\u12""#, 3),
            (r#""\u12é0""#, 3),
        ];
        for (source, at) in table {
            assert_eq!(Json::parse(source), Err(NotJson(at)), "{source}");
        }
        assert!(
            Json::parse(&"[".repeat(100_000)).is_err(),
            "deep nesting is refused"
        );
    }
}
