//! Remembering how nonces were used.

use std::collections::BTreeMap;
use std::time::Duration;

use vocab::Mono;

/// What makes a nonce unique. Ordered by age.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct NonceId {
    pub(super) issued: Mono,
    pub(super) random: u64,
}

/// What the use of a nonce is found to be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Use {
    /// The first with this count.
    Fresh,
    /// This count was seen before.
    Replay,
    /// It cannot be told any more: too old, or a nonce without count that was used once.
    Forgotten,
}

/// How nonces were used, within a bound. A nonce enters with the first right answer.
pub(super) struct Replays {
    max: usize,
    used: BTreeMap<NonceId, Counts>,
    /// Nonces issued up to here were forgotten while they were alive.
    floor: Option<Mono>,
}

/// The counts seen of one nonce.
#[derive(Clone, Debug)]
struct Counts {
    highest: u32,
    /// Bit n: `highest - n` was seen. Requests over UDP may overtake each other.
    window: u64,
    /// The client nonce of the first answer, for the `-sess` algorithms.
    session_cnonce: Option<Box<str>>,
}

impl Replays {
    pub(super) fn new(max: usize) -> Self {
        assert!(max > 0, "a replay table without room accepts nobody");
        Self {
            max,
            used: BTreeMap::new(),
            floor: None,
        }
    }

    /// The client nonce that made the session key, if a `-sess` answer was accepted before.
    pub(super) fn session_cnonce(&self, nonce: NonceId) -> Option<&str> {
        self.used.get(&nonce)?.session_cnonce.as_deref()
    }

    /// Notes that a nonce was used with a right answer. `count` is `None` for answers without
    /// `qop`, which are good for one use.
    pub(super) fn note(
        &mut self,
        nonce: NonceId,
        count: Option<u32>,
        session_cnonce: Option<&str>,
    ) -> Use {
        if let Some(counts) = self.used.get_mut(&nonce) {
            return match count {
                Some(count) => counts.note(count),
                None => Use::Forgotten,
            };
        }
        if self.floor.is_some_and(|floor| nonce.issued <= floor) {
            return Use::Forgotten;
        }
        if self.used.len() >= self.max
            && let Some((oldest, _)) = self.used.pop_first()
        {
            self.floor = Some(oldest.issued);
            if nonce.issued <= oldest.issued {
                return Use::Forgotten;
            }
        }
        let (highest, window) = match count {
            Some(count) => (count, 1),
            // Nothing may follow an answer without count.
            None => (u32::MAX, u64::MAX),
        };
        let session_cnonce = session_cnonce.map(Into::into);
        self.used.insert(
            nonce,
            Counts {
                highest,
                window,
                session_cnonce,
            },
        );
        assert!(self.used.len() <= self.max, "the table keeps its bound");
        Use::Fresh
    }

    /// Forgets nonces that are no longer accepted anyway.
    pub(super) fn expire(&mut self, now: Mono, lifetime: Duration) {
        while let Some(oldest) = self.used.first_entry() {
            if oldest.key().issued + lifetime > now {
                break;
            }
            oldest.remove();
        }
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.used.len()
    }
}

impl Counts {
    fn note(&mut self, count: u32) -> Use {
        if count > self.highest {
            let ahead = count - self.highest;
            self.window = self.window.checked_shl(ahead).unwrap_or(0) | 1;
            self.highest = count;
            return Use::Fresh;
        }
        let behind = self.highest - count;
        if behind >= u64::BITS {
            return Use::Forgotten;
        }
        let bit = 1 << behind;
        if self.window & bit != 0 {
            return Use::Replay;
        }
        self.window |= bit;
        Use::Fresh
    }
}
