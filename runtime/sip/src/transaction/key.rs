//! Short names for transactions and dialogs, made of what identifies them on the wire.

use std::hash::{DefaultHasher, Hasher as _};

use vocab::Rng;

/// 128 bits in place of the strings that identify a transaction or a dialog.
///
/// Peers choose those strings, so the hash is keyed with a secret: nobody can make two of them
/// meet, and with 400,000 alive at once the chance of it is below 10^-27.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) struct Key([u64; 2]);

/// Makes [`Key`]s: std's SipHash twice, with different secrets.
#[derive(Clone)]
pub(crate) struct Hash([DefaultHasher; 2]);

impl Hash {
    /// Draws the secrets.
    pub(crate) fn new(rng: &mut Rng) -> Self {
        Self([(); 2].map(|()| {
            let mut hasher = DefaultHasher::new();
            hasher.write_u64(rng.u64());
            hasher.write_u64(rng.u64());
            hasher
        }))
    }

    /// The key of these parts, in this order. A length goes before each, so that no two lists of
    /// parts look alike.
    pub(crate) fn key(&self, parts: &[&[u8]]) -> Key {
        let [mut a, mut b] = self.0.clone();
        for part in parts {
            for hasher in [&mut a, &mut b] {
                hasher.write_usize(part.len());
                hasher.write(part);
            }
        }
        Key([a.finish(), b.finish()])
    }
}

impl Key {
    /// Sorts before all others.
    pub(crate) const MIN: Self = Self([0; 2]);

    /// Bits that may be shown to a peer: they tell nothing of the secrets.
    pub(crate) fn bits(self) -> u64 {
        self.0[0]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_depend_on_every_part_its_border_and_the_secret() {
        let hash = Hash::new(&mut Rng::from_u64(1));
        assert_eq!(hash.key(&[b"ab", b"c"]), hash.key(&[b"ab", b"c"]));
        assert_ne!(hash.key(&[b"ab", b"c"]), hash.key(&[b"a", b"bc"]));
        assert_ne!(hash.key(&[b"ab"]), hash.key(&[b"ab", b""]));
        assert_ne!(
            hash.key(&[b"ab"]),
            Hash::new(&mut Rng::from_u64(2)).key(&[b"ab"])
        );
    }
}
