//! Which part of a file is asked for (RFC 9110 §14.1.2, §14.2).

use axum::http::HeaderValue;

/// Some bytes of a file, one at least.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Part {
    /// The first of them.
    pub(super) first: u64,
    /// How many.
    pub(super) bytes: u64,
}

impl Part {
    /// As `Content-Range` says it.
    pub(super) fn content_range(self, total: u64) -> String {
        assert!(self.bytes > 0, "a part has a last byte");
        format!(
            "bytes {}-{}/{total}",
            self.first,
            self.first + self.bytes - 1
        )
    }
}

/// What a `Range` header asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Wish {
    /// Everything: several ranges, another unit, or no range at all may be answered so.
    Whole,
    /// A part.
    Part(Part),
    /// Bytes that are not there: 416.
    Nothing,
}

/// Reads a `Range` header for a file of so many bytes.
pub(super) fn wish(value: &HeaderValue, total: u64) -> Wish {
    let range = value.to_str().ok().and_then(|text| text.split_once('='));
    let Some((unit, range)) = range else {
        return Wish::Whole;
    };
    if !unit.trim().eq_ignore_ascii_case("bytes") || range.contains(',') {
        return Wish::Whole;
    }
    let Some((first, last)) = range.trim().split_once('-') else {
        return Wish::Whole;
    };
    match (number(first), number(last)) {
        (Some(first), Some(last)) if last < first => Wish::Whole,
        (Some(first), last) if last.is_some() || last_is_open(range) => {
            let end = last.map_or(total, |last| total.min(last.saturating_add(1)));
            part(first, end)
        }
        (None, Some(suffix)) if first.is_empty() => part(total.saturating_sub(suffix), total),
        _ => Wish::Whole,
    }
}

fn last_is_open(range: &str) -> bool {
    range.trim().ends_with('-')
}

fn part(first: u64, end: u64) -> Wish {
    match end.checked_sub(first) {
        None | Some(0) => Wish::Nothing,
        Some(bytes) => Wish::Part(Part { first, bytes }),
    }
}

/// Digits only: `parse` alone would take a `+`. What passes 64 bits is past every file.
fn number(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read() {
        let part = |first, bytes| Wish::Part(Part { first, bytes });
        for (text, expected) in [
            ("bytes=0-99", part(0, 100)),
            ("bytes=0-0", part(0, 1)),
            ("bytes=10-", part(10, 90)),
            ("bytes=10-500", part(10, 90)),
            ("bytes=-10", part(90, 10)),
            ("bytes=-500", part(0, 100)),
            ("Bytes=99-99", part(99, 1)),
            ("bytes=0-99999999999999999999999", part(0, 100)),
            ("bytes=100-", Wish::Nothing),
            ("bytes=100-200", Wish::Nothing),
            ("bytes=-0", Wish::Nothing),
            ("bytes=5-4", Wish::Whole),
            ("bytes=0-1,5-6", Wish::Whole),
            ("bytes=-", Wish::Whole),
            ("bytes=", Wish::Whole),
            ("bytes=a-b", Wish::Whole),
            ("bytes=+1-2", Wish::Whole),
            ("bytes=1-x", Wish::Whole),
            ("seconds=0-1", Wish::Whole),
            ("junk", Wish::Whole),
        ] {
            assert_eq!(
                wish(&HeaderValue::from_static(text), 100),
                expected,
                "{text}"
            );
        }
        assert_eq!(
            wish(&HeaderValue::from_static("bytes=0-"), 0),
            Wish::Nothing
        );
        assert_eq!(
            Part {
                first: 10,
                bytes: 90
            }
            .content_range(100),
            "bytes 10-99/100"
        );
    }
}
