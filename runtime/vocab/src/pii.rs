//! Values that must not reach a log.

use std::fmt;

/// A private value: a number, a name, an address, a key, or digits somebody pressed.
///
/// `Debug` and `Display` print `[private]`. Reading it takes a visible word: [`Pii::reveal`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Pii<T>(T);

impl<T> Pii<T> {
    /// Wraps a value.
    pub fn new(value: T) -> Self {
        Self(value)
    }

    /// The value, for the protocol or the record that needs it; never for a log line.
    pub fn reveal(&self) -> &T {
        &self.0
    }

    /// Unwraps the value.
    pub fn into_inner(self) -> T {
        self.0
    }
}

impl<T> From<T> for Pii<T> {
    fn from(value: T) -> Self {
        Self(value)
    }
}

impl<T> fmt::Debug for Pii<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[private]")
    }
}

impl<T> fmt::Display for Pii<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[private]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formatting_reveals_nothing() {
        let number = Pii::new("+8613800138000");
        assert_eq!(format!("{number} {number:?}"), "[private] [private]");
        assert_eq!(*number.reveal(), "+8613800138000");
    }
}
