//! `Replaces` (RFC 3891).

use std::fmt;

use super::{Params, SyntaxError, scan};

/// Names a dialog, as the one who receives it sees it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Replaces {
    /// `Call-ID`.
    pub call_id: String,
    /// The receiver's tag.
    pub to_tag: String,
    /// The other side's tag.
    pub from_tag: String,
    /// Only a call that was not answered may be replaced.
    pub early_only: bool,
}

impl Replaces {
    /// Reads a value.
    ///
    /// # Errors
    /// No `Call-ID`, a tag is missing, or bad parameters.
    pub fn parse(text: &str) -> Result<Self, SyntaxError> {
        let (call_id, params) = text.split_at(text.find(';').unwrap_or(text.len()));
        let call_id = scan::trim(call_id);
        if call_id.is_empty() || call_id.contains([' ', '\t']) {
            return Err(SyntaxError("no Call-ID"));
        }
        let params = Params::parse(params)?;
        let tag = |name| params.value(name).map(str::to_owned);
        Ok(Self {
            call_id: call_id.to_owned(),
            to_tag: tag("to-tag").ok_or(SyntaxError("no to-tag"))?,
            from_tag: tag("from-tag").ok_or(SyntaxError("no from-tag"))?,
            early_only: params.has("early-only"),
        })
    }

    /// The value as a header of a URI, as in `Refer-To` (RFC 3261 §19.1.1).
    pub fn escaped(&self) -> String {
        let mut out = String::new();
        for byte in self.to_string().bytes() {
            if byte.is_ascii_alphanumeric() || b"-_.!~*'()".contains(&byte) {
                out.push(char::from(byte));
            } else {
                out.push_str(&format!("%{byte:02X}"));
            }
        }
        out
    }
}

impl fmt::Display for Replaces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (to, from) = (&self.to_tag, &self.from_tag);
        write!(f, "{};to-tag={to};from-tag={from}", self.call_id)?;
        if self.early_only {
            f.write_str(";early-only")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dialog_is_named_and_escaped() {
        let value = "a@b;from-tag=2;to-tag=1 ;early-only";
        let replaces = Replaces::parse(value).unwrap();
        assert_eq!(replaces.to_string(), "a@b;to-tag=1;from-tag=2;early-only");
        assert_eq!(
            replaces.escaped(),
            "a%40b%3Bto-tag%3D1%3Bfrom-tag%3D2%3Bearly-only"
        );
        for bad in [
            "",
            ";to-tag=1;from-tag=2",
            "a;to-tag=1",
            "a;from-tag=1",
            "a b;to-tag=1;from-tag=2",
        ] {
            assert!(Replaces::parse(bad).is_err(), "{bad}");
        }
    }
}
