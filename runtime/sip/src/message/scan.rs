//! Small pieces of the grammar (RFC 3261 §25.1) shared by all readers.

/// True for the characters of `token`.
pub(super) fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'-' | b'.' | b'!' | b'%' | b'*' | b'_' | b'+' | b'`' | b'\'' | b'~'
        )
}

/// True for one or more token characters.
pub(super) fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(is_token_byte)
}

const fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

/// Without white space around it; line folds were made spaces before.
pub(super) fn trim(text: &str) -> &str {
    trim_end(&text[blanks(text)..])
}

/// Without white space behind it.
pub(super) fn trim_end(text: &str) -> &str {
    let last = text.bytes().rposition(|byte| !is_blank(byte));
    &text[..last.map_or(0, |at| at + 1)]
}

/// How much white space it begins with, in bytes.
pub(super) fn blanks(text: &str) -> usize {
    let first = text.bytes().position(|byte| !is_blank(byte));
    first.unwrap_or(text.len())
}

/// Where `byte` is first found at or after `from`.
pub(super) fn find_byte(bytes: &[u8], from: usize, byte: u8) -> Option<usize> {
    memchr::memchr(byte, bytes.get(from..)?).map(|at| from + at)
}

/// Where `wanted` is first found outside quotes and angle brackets.
///
/// An unclosed quote or bracket runs to the end, so nothing is found behind it.
pub(super) fn find_outside(text: &str, wanted: &[u8]) -> Option<usize> {
    let (mut quoted, mut angle, mut escaped) = (false, false, false);
    for (at, byte) in text.bytes().enumerate() {
        if escaped {
            escaped = false;
        } else if quoted {
            match byte {
                b'\\' => escaped = true,
                b'"' => quoted = false,
                _ => {}
            }
        } else if !angle && wanted.contains(&byte) {
            return Some(at);
        } else {
            match byte {
                b'"' if !angle => quoted = true,
                b'<' => angle = true,
                b'>' => angle = false,
                _ => {}
            }
        }
    }
    None
}

/// The parts of `text` between separators outside quotes and angle brackets, trimmed. Empty parts
/// are given too.
pub(super) fn split_outside(text: &str, separator: u8) -> impl Iterator<Item = &str> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let whole = rest?;
        let part = match find_outside(whole, &[separator]) {
            Some(at) => {
                rest = Some(&whole[at + 1..]);
                &whole[..at]
            }
            None => {
                rest = None;
                whole
            }
        };
        Some(trim(part))
    })
}

/// Reads the quoted string that `text` starts with: its raw form with quotes, and what follows.
/// `None` if there is none or it never ends.
pub(super) fn quoted(text: &str) -> Option<(&str, &str)> {
    let inner = text.strip_prefix('"')?;
    let mut escaped = false;
    for (at, byte) in inner.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return Some(text.split_at(at + 2)),
            _ => {}
        }
    }
    None
}

/// The value of a raw quoted string: quotes and escapes removed. Anything else is given as it is.
pub(super) fn unquote(raw: &str) -> String {
    let Some(inner) = raw
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'))
    else {
        return raw.to_owned();
    };
    let mut value = String::with_capacity(inner.len());
    let mut chars = inner.chars();
    while let Some(char) = chars.next() {
        match char {
            '\\' => value.extend(chars.next()),
            _ => value.push(char),
        }
    }
    value
}

/// `value` as a quoted string, with quotes and backslashes escaped. Line ends become spaces.
pub(crate) fn quote(value: &str) -> String {
    let mut raw = String::with_capacity(value.len() + 2);
    raw.push('"');
    for char in value.chars() {
        match char {
            '"' | '\\' => {
                raw.push('\\');
                raw.push(char);
            }
            '\r' | '\n' | '\0' => raw.push(' '),
            _ => raw.push(char),
        }
    }
    raw.push('"');
    raw
}

/// A decimal number of digits alone that fits `u32`; leading zeros are fine.
pub(super) fn number(text: &str) -> Option<u32> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let digits = text.trim_start_matches('0');
    if digits.is_empty() {
        Some(0)
    } else {
        digits.parse().ok()
    }
}

/// A port from 1 to 65,535.
pub(super) fn port(text: &str) -> Option<u16> {
    number(text)
        .and_then(|port| u16::try_from(port).ok())
        .filter(|&port| port != 0)
}
