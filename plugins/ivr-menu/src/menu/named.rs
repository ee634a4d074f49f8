//! Things by name, in the order of the configuration.

/// A short list of named things. A search from the front beats a tree for the dozen entries that
/// menus have, and takes a fifth of the code in the component.
#[derive(Clone, PartialEq, Debug)]
pub struct Named<T>(Vec<(String, T)>);

impl<T> Default for Named<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> Named<T> {
    /// The thing of this name.
    pub fn get(&self, name: &str) -> Option<&T> {
        self.0
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value)
    }

    /// Adds a thing; false, and nothing is added, if the name is taken.
    pub fn insert(&mut self, name: &str, value: T) -> bool {
        let is_new = self.get(name).is_none();
        if is_new {
            self.0.push((name.to_owned(), value));
        }
        is_new
    }

    /// Names and things.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &T)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value))
    }

    /// Things without their names.
    pub fn values(&self) -> impl Iterator<Item = &T> {
        self.0.iter().map(|(_, value)| value)
    }

    /// Names without their things.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| name.as_str())
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// None at all.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_taken_once_and_order_stays() {
        let mut named = Named::default();
        assert!(named.is_empty() && named.insert("b", 1) && named.insert("a", 2));
        assert!(!named.insert("b", 3), "taken");
        assert_eq!(named.iter().collect::<Vec<_>>(), [("b", &1), ("a", &2)]);
        assert_eq!(
            (named.get("b"), named.get("c"), named.len()),
            (Some(&1), None, 2)
        );
    }
}
