//! What a plugin may do. Effective is what its manifest asks for **and** the operator grants.
//!
//! This is the only place where the two meet; without a grant a plugin can do nothing but talk to
//! the caller in front of it.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use vocab::flow::FlowError;

/// Something a plugin may do beyond talking to its caller.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Capability {
    /// Dial numbers and addresses, and transfer to them.
    Dial,
    /// Record what the caller says.
    Record,
    /// Keep small values between calls.
    Kv,
    /// Send HTTP requests.
    Http,
}

impl Capability {
    /// Every capability there is.
    pub const ALL: [Self; 4] = [Self::Dial, Self::Record, Self::Kv, Self::Http];

    /// The word in a manifest's `needs` and in a route's `grant`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Dial => "dial",
            Self::Record => "record",
            Self::Kv => "kv",
            Self::Http => "http",
        }
    }
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A word that names no capability.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("no capability is called {0:?}; there are dial, record, kv and http")]
pub struct UnknownCapability(pub String);

impl FromStr for Capability {
    type Err = UnknownCapability;

    fn from_str(text: &str) -> Result<Self, UnknownCapability> {
        Self::ALL
            .into_iter()
            .find(|capability| capability.name() == text)
            .ok_or_else(|| UnknownCapability(text.chars().take(40).collect()))
    }
}

/// A set of capabilities: what a manifest needs, what an operator grants, or what both agree on.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Grant(BTreeSet<Capability>);

impl Grant {
    /// Nothing.
    pub fn none() -> Self {
        Self::default()
    }

    /// Everything; for tests and for the author's own machine.
    pub fn all() -> Self {
        Self(Capability::ALL.into())
    }

    /// From the words of a manifest or a route.
    ///
    /// # Errors
    /// The first word that names no capability.
    pub fn parse<'a>(words: impl IntoIterator<Item = &'a str>) -> Result<Self, UnknownCapability> {
        words
            .into_iter()
            .map(str::parse)
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// Whether the capability is in the set.
    pub fn allows(&self, capability: Capability) -> bool {
        self.0.contains(&capability)
    }

    /// In a fixed order.
    pub fn iter(&self) -> impl Iterator<Item = Capability> + '_ {
        self.0.iter().copied()
    }

    /// What both sets hold: the effective grant of a plugin that needs `self`.
    pub fn intersect(&self, operator: &Self) -> Self {
        Self(self.0.intersection(&operator.0).copied().collect())
    }

    /// What this set holds and `operator` does not: what a plugin asks for in vain.
    pub fn missing(&self, operator: &Self) -> Self {
        Self(self.0.difference(&operator.0).copied().collect())
    }
}

impl FromIterator<Capability> for Grant {
    fn from_iter<I: IntoIterator<Item = Capability>>(capabilities: I) -> Self {
        Self(capabilities.into_iter().collect())
    }
}

/// The permissions of one run: the plugin's needs, and the effective grant.
#[derive(Clone, Debug)]
pub(crate) struct Permit {
    needs: Grant,
    effective: Grant,
}

impl Permit {
    pub(crate) fn new(needs: &Grant, operator: &Grant) -> Self {
        Self {
            needs: needs.clone(),
            effective: needs.intersect(operator),
        }
    }

    /// Whether a capability may be used; the refusal says who has to change what.
    pub(crate) fn check(&self, capability: Capability) -> Result<(), FlowError> {
        if self.effective.allows(capability) {
            return Ok(());
        }
        Err(FlowError::Denied(if self.needs.allows(capability) {
            format!("add \"{capability}\" to the route's grant")
        } else {
            format!("add \"{capability}\" to the needs of the plugin's manifest")
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn effective_is_what_both_sides_say() {
        let needs = Grant::parse(["dial", "http"]).unwrap();
        let operator = Grant::parse(["dial", "record"]).unwrap();
        let permit = Permit::new(&needs, &operator);
        assert_eq!(permit.check(Capability::Dial), Ok(()));
        let denied = |text: &str| Err(FlowError::Denied(text.into()));
        assert_eq!(
            permit.check(Capability::Http),
            denied("add \"http\" to the route's grant")
        );
        assert_eq!(
            permit.check(Capability::Record),
            denied("add \"record\" to the needs of the plugin's manifest")
        );
        assert_eq!(needs.missing(&operator), Grant::parse(["http"]).unwrap());
    }

    #[test]
    fn unknown_words_are_named() {
        assert_eq!(
            Grant::parse(["dial", "fly"]).unwrap_err().to_string(),
            "no capability is called \"fly\"; there are dial, record, kv and http"
        );
    }
}
