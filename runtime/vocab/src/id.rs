//! Ids: newtypes, so that one cannot be given where another is meant.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use crate::{Rng, Wall};

/// Crockford's base 32 alphabet in lower case: no i, l, o, u.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// Text that is not an id of the expected kind.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ParseIdError;

impl fmt::Display for ParseIdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a valid id")
    }
}

impl std::error::Error for ParseIdError {}

/// A tenant: 1 to 63 characters of `a-z`, `0-9` and `-`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TenantId(Arc<str>);

impl TenantId {
    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for TenantId {
    type Err = ParseIdError;

    fn from_str(text: &str) -> Result<Self, ParseIdError> {
        let good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if text.is_empty() || text.len() > 63 || !text.chars().all(good) {
            return Err(ParseIdError);
        }
        Ok(Self(text.into()))
    }
}

impl fmt::Display for TenantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for TenantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a person would call a call: from the first ring to the last hang-up.
///
/// 48 bits of milliseconds since 1970 and 80 random bits; its text form (26 characters, base 32)
/// sorts by time. Layout: the ULID specification.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallId(pub u128);

impl CallId {
    /// A new id, unique for all practical purposes.
    pub fn new(wall: Wall, rng: &mut Rng) -> Self {
        let millis = u128::from(u64::try_from(wall.millis()).unwrap_or(0) & 0xffff_ffff_ffff);
        let random = (u128::from(rng.u64()) << 16) | u128::from(rng.u32() & 0xffff);
        Self((millis << 80) | random)
    }
}

impl fmt::Display for CallId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = [0; 26];
        for (i, place) in text.iter_mut().enumerate() {
            *place = ALPHABET[((self.0 >> (125 - 5 * i)) & 31) as usize];
        }
        f.write_str(std::str::from_utf8(&text).expect("the alphabet is ASCII"))
    }
}

impl fmt::Debug for CallId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for CallId {
    type Err = ParseIdError;

    fn from_str(text: &str) -> Result<Self, ParseIdError> {
        if text.len() != 26 || text.as_bytes()[0] > b'7' {
            return Err(ParseIdError);
        }
        text.bytes().try_fold(Self(0), |id, byte| {
            let value = ALPHABET
                .iter()
                .position(|&c| c == byte)
                .ok_or(ParseIdError)?;
            Ok(Self((id.0 << 5) | value as u128))
        })
    }
}

/// One party of a call; `n` counts from 1 within the call.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LegId {
    /// The call this leg belongs to.
    pub call: CallId,
    /// 1 for the leg that started the call.
    pub n: u16,
}

impl LegId {
    /// All legs that a call may have, for ranges of ordered maps.
    pub const fn all_of(call: CallId) -> std::ops::RangeInclusive<Self> {
        let (first, last) = (Self { call, n: 0 }, Self { call, n: u16::MAX });
        first..=last
    }
}

impl fmt::Display for LegId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.call, self.n)
    }
}

impl fmt::Debug for LegId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

macro_rules! counter {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        pub struct $name(pub u64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }
    };
}

counter!(
    /// A media session: one RTP stream in each direction. Counted within a node's run.
    SessionId
);
counter!(
    /// Sessions of one media worker that all hear each other. Counted within a node's run.
    ConferenceId
);
counter!(
    /// One playback on a leg. Counted within a node's run.
    PlayId
);
counter!(
    /// One run of a plugin for one call. Counted within a node's run.
    FlowId
);

/// A recording; its text form is its file name without the ending.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordingId {
    /// The call that is recorded.
    pub call: CallId,
    /// What of it.
    pub part: RecordingPart,
}

/// What a recording holds of its call. Numbers count from 1 within the call.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum RecordingPart {
    /// All of it, in one file.
    Call,
    /// A message that was left.
    Message(u16),
    /// What one leg said for a while, without a break.
    Segment(u16),
}

impl RecordingId {
    /// The recording of a whole call.
    pub const fn of_call(call: CallId) -> Self {
        let part = RecordingPart::Call;
        Self { call, part }
    }

    /// A message left in a call.
    pub const fn message(call: CallId, n: u16) -> Self {
        let part = RecordingPart::Message(n);
        Self { call, part }
    }

    /// A segment of a call's recording.
    pub const fn segment(call: CallId, n: u16) -> Self {
        let part = RecordingPart::Segment(n);
        Self { call, part }
    }
}

impl fmt::Display for RecordingId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.part {
            RecordingPart::Call => write!(f, "{}", self.call),
            RecordingPart::Message(n) => write!(f, "{}-m{n}", self.call),
            RecordingPart::Segment(n) => write!(f, "{}-s{n}", self.call),
        }
    }
}

impl fmt::Debug for RecordingId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for RecordingId {
    type Err = ParseIdError;

    fn from_str(text: &str) -> Result<Self, ParseIdError> {
        let Some((call, part)) = text.split_once('-') else {
            return Ok(Self::of_call(text.parse()?));
        };
        let number = part.get(1..).and_then(|n| n.parse().ok());
        let n = number.filter(|n| *n != 0).ok_or(ParseIdError)?;
        let part = match part.as_bytes()[0] {
            b'm' => RecordingPart::Message(n),
            b's' => RecordingPart::Segment(n),
            _ => return Err(ParseIdError),
        };
        let id = Self {
            call: call.parse()?,
            part,
        };
        // One text for each: no sign, no leading zero.
        (id.to_string() == text).then_some(id).ok_or(ParseIdError)
    }
}

/// Stands for digits that only the host's vault holds. To know it is not to know them.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SecretToken(pub u128);

impl SecretToken {
    /// What its text begins with.
    const PREFIX: &str = "sec_";

    /// A token that nobody can guess.
    pub fn new(rng: &mut Rng) -> Self {
        Self((u128::from(rng.u64()) << 64) | u128::from(rng.u64()))
    }
}

impl fmt::Display for SecretToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", Self::PREFIX, CallId(self.0))
    }
}

impl fmt::Debug for SecretToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for SecretToken {
    type Err = ParseIdError;

    fn from_str(text: &str) -> Result<Self, ParseIdError> {
        let token = text.strip_prefix(Self::PREFIX).ok_or(ParseIdError)?;
        Ok(Self(token.parse::<CallId>()?.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn call_ids_read_back_and_sort_by_time() {
        let mut rng = Rng::from_u64(1);
        let early = CallId::new(Wall(1_000_000_000_000), &mut rng);
        let late = CallId::new(Wall(1_000_000_001_000), &mut rng);
        assert_eq!(early.to_string().parse(), Ok(early));
        assert!(early < late && early.to_string() < late.to_string());
        assert_eq!("".parse::<CallId>(), Err(ParseIdError));
        assert_eq!(
            "8zzzzzzzzzzzzzzzzzzzzzzzzz".parse::<CallId>(),
            Err(ParseIdError)
        );
    }

    #[test]
    fn recording_ids_read_back() {
        let call = CallId::new(Wall(5), &mut Rng::from_u64(1));
        for id in [
            RecordingId::of_call(call),
            RecordingId::message(call, 12),
            RecordingId::segment(call, 12),
        ] {
            assert_eq!(id.to_string().parse(), Ok(id));
        }
        for bad in ["-m0", "-s0", "-m", "-s01", "-s+1", "-x1", "-"] {
            let text = format!("{call}{bad}");
            assert_eq!(text.parse::<RecordingId>(), Err(ParseIdError), "{bad}");
        }
        assert_eq!(
            format!("../{call}").parse::<RecordingId>(),
            Err(ParseIdError)
        );
    }

    #[test]
    fn tokens_of_secrets_read_back() {
        let token = SecretToken::new(&mut Rng::from_u64(1));
        let text = token.to_string();
        assert_eq!((text.len(), text.parse()), (30, Ok(token)));
        assert_ne!(token, SecretToken::new(&mut Rng::from_u64(2)));
        for bad in ["", "sec_", "sec_x", &text[4..], &format!("{text}0")] {
            assert_eq!(bad.parse::<SecretToken>(), Err(ParseIdError), "{bad}");
        }
    }

    #[test]
    fn tenants_are_plain_words() {
        assert!("demo-1".parse::<TenantId>().is_ok());
        for bad in ["", "Demo", "a/b", "../x", "a b"] {
            assert_eq!(bad.parse::<TenantId>(), Err(ParseIdError), "{bad}");
        }
    }
}
