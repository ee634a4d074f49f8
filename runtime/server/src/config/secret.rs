//! Secrets from the environment, by name: the only place that reads it.

// This is that place.
#![allow(clippy::disallowed_methods)]

use std::fmt;

use vocab::Pii;

/// What becomes of a secret whose variable is not set.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Unset {
    /// It is an error.
    Refuse,
    /// It is empty: nobody will use it.
    Empty,
}

/// Where secrets are looked up.
pub(super) struct Environment<'a> {
    lookup: &'a dyn Fn(&str) -> Option<String>,
    unset: Unset,
}

impl fmt::Debug for Environment<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Environment")
            .field("unset", &self.unset)
            .finish_non_exhaustive()
    }
}

impl Environment<'static> {
    /// The one of this process.
    pub(super) fn process(unset: Unset) -> Self {
        Self {
            lookup: &|name| std::env::var(name).ok(),
            unset,
        }
    }
}

impl<'a> Environment<'a> {
    /// One made up.
    #[cfg(test)]
    pub(super) fn of(lookup: &'a dyn Fn(&str) -> Option<String>) -> Self {
        Self {
            lookup,
            unset: Unset::Refuse,
        }
    }

    /// The value of a variable; says what is wrong if there is none.
    pub(super) fn secret(&self, name: &str) -> Result<Pii<String>, String> {
        match ((self.lookup)(name), self.unset) {
            (Some(value), _) if !value.is_empty() => Ok(Pii::new(value)),
            (_, Unset::Empty) => Ok(Pii::new(String::new())),
            (Some(_), Unset::Refuse) => Err(format!(
                "the environment variable {name} is empty; set it to the secret and start again"
            )),
            (None, Unset::Refuse) => Err(format!(
                "the environment variable {name} is not set; set it to the secret and start again"
            )),
        }
    }

    /// Whether secrets are really there.
    pub(super) fn is_real(&self) -> bool {
        self.unset == Unset::Refuse
    }
}

/// Whether the user wants no colours (<https://no-color.org>).
pub(crate) fn no_colour() -> bool {
    std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
}

/// A secret of a command line tool, from the variable of this name.
///
/// # Errors
/// What is wrong and what to do, in one line.
pub(crate) fn secret(name: &str) -> Result<Pii<String>, String> {
    Environment::process(Unset::Refuse).secret(name)
}
