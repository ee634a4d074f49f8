//! Prompts: those of a folder, and those that were uploaded in their place.

use std::collections::BTreeMap;
use std::sync::Arc;

use vocab::Clip;

/// Decoded audio by language (or `common`), then name. Shared, never copied.
pub type Prompts = Arc<BTreeMap<String, BTreeMap<String, Clip>>>;

/// What is looked up when a language has no such prompt.
const COMMON: &str = "common";

/// What a tenant can play. Looked up in the call's language, then in `common`; in each of them what was
/// uploaded takes the place of what is in the folder.
#[derive(Clone, Debug, Default)]
pub struct Catalogue {
    folder: Prompts,
    uploaded: Prompts,
}

impl Catalogue {
    /// A catalogue from the clips of a folder, by language (or `common`), then name.
    pub fn new(folder: BTreeMap<String, BTreeMap<String, Clip>>) -> Self {
        Self {
            folder: Arc::new(folder),
            uploaded: Prompts::default(),
        }
    }

    /// The same folder with other prompts over it.
    pub fn with_uploaded(&self, uploaded: &Prompts) -> Self {
        Self {
            folder: Arc::clone(&self.folder),
            uploaded: Arc::clone(uploaded),
        }
    }

    /// What the folder has.
    pub fn folder(&self) -> &Prompts {
        &self.folder
    }

    /// The clip of this name in this language, or the one for all languages.
    pub fn find(&self, language: &str, name: &str) -> Option<&Clip> {
        [language, COMMON].into_iter().find_map(|key| {
            let mut layers = [&self.uploaded, &self.folder].into_iter();
            layers.find_map(|layer| layer.get(key)?.get(name))
        })
    }

    /// Languages that have clips, in order and without `common`.
    pub fn languages(&self) -> impl Iterator<Item = &str> {
        let added = self.uploaded.keys();
        let added = added.filter(|key| !self.folder.contains_key(*key));
        let mut all: Vec<&str> = self
            .folder
            .keys()
            .chain(added)
            .map(String::as_str)
            .collect();
        all.retain(|key| *key != COMMON);
        all.sort_unstable();
        all.into_iter()
    }

    /// Names that [`Catalogue::find`] knows in this language, each once or more.
    pub fn names(&self, language: &str) -> impl Iterator<Item = &str> {
        let keys = [language, COMMON].into_iter();
        let layers = keys.flat_map(|key| [self.uploaded.get(key), self.folder.get(key)]);
        layers
            .flatten()
            .flat_map(BTreeMap::keys)
            .map(String::as_str)
    }

    /// Number of clips in the folder.
    pub fn len(&self) -> usize {
        self.folder.values().map(BTreeMap::len).sum()
    }

    /// Whether there is no clip at all in the folder.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prompts(names: &[(&str, &str, i16)]) -> BTreeMap<String, BTreeMap<String, Clip>> {
        let mut all = BTreeMap::<_, BTreeMap<_, _>>::new();
        for (language, name, level) in names {
            let clip = Clip::new(*name, vec![*level]);
            let names = all.entry((*language).to_owned()).or_default();
            names.insert((*name).to_owned(), clip);
        }
        all
    }

    #[test]
    fn uploads_take_the_place_of_files_in_their_language() {
        let folder = Catalogue::new(prompts(&[
            ("en", "hello", 1),
            ("common", "beep", 2),
            ("common", "hello", 3),
        ]));
        let uploaded = prompts(&[
            ("common", "hello", 4),
            ("de", "hello", 5),
            ("en", "beep", 6),
        ]);
        let both = folder.with_uploaded(&Arc::new(uploaded));
        for (language, name, before, after) in [
            ("en", "hello", Some(1), Some(1)),
            ("en", "beep", Some(2), Some(6)),
            ("zh-CN", "hello", Some(3), Some(4)),
            ("de", "hello", Some(3), Some(5)),
            ("de", "beep", Some(2), Some(2)),
            ("de", "bye", None, None),
        ] {
            let heard = |in_it: &Catalogue| Some(in_it.find(language, name)?.samples[0]);
            assert_eq!(heard(&folder), before, "{language} {name}");
            assert_eq!(heard(&both), after, "{language} {name}");
        }
        assert_eq!(folder.languages().collect::<Vec<_>>(), ["en"]);
        assert_eq!(both.languages().collect::<Vec<_>>(), ["de", "en"]);
        let mut names: Vec<_> = both.names("en").collect();
        names.sort_unstable();
        assert_eq!(names, ["beep", "beep", "hello", "hello", "hello"]);
        let without = both.with_uploaded(&Prompts::default());
        assert!(
            without
                .find("de", "hello")
                .is_some_and(|clip| clip.samples[0] == 3)
        );
    }
}
