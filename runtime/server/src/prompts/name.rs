//! Which prompt: its language and its name, as they are in a request and as a folder.

use std::fmt;

use super::limits::{NAME_BYTES_MAX, NAME_PARTS_MAX};

/// What is heard in all languages.
const COMMON: &str = "common";

/// In a folder's name what is a slash in a prompt's, where no part has it.
const SLASH: char = '+';

/// A prompt of a tenant.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct PromptId {
    language: String,
    name: String,
}

/// Whether a text has the shape of a language tag (RFC 5646 §2.1), which is safe as a folder's name.
pub(crate) fn is_language(tag: &str) -> bool {
    let part = |part: &str| {
        (1..=8).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_alphanumeric())
    };
    (2..=35).contains(&tag.len()) && tag.split('-').all(part)
}

impl PromptId {
    /// A prompt by its language, or `common`, and its name; a name has parts, as in `digits/1`.
    ///
    /// # Errors
    /// What a language or a name is made of, if it is none.
    pub(crate) fn new(language: &str, name: &str) -> Result<Self, &'static str> {
        if language != COMMON && !is_language(language) {
            return Err("language: a tag such as zh-CN, or common for all languages");
        }
        let good = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.');
        let part =
            |part: &str| !part.is_empty() && !part.starts_with('.') && part.chars().all(good);
        let parts = name.split('/');
        let fits = name.len() <= NAME_BYTES_MAX && parts.clone().count() <= NAME_PARTS_MAX;
        if !fits || !parts.clone().all(part) {
            return Err(
                "name: letters, digits and . _ -, at most 200 bytes, with up to four slashes between \
                 them and no dot in front, as in greeting or digits/1",
            );
        }
        Ok(Self {
            language: language.to_owned(),
            name: name.to_owned(),
        })
    }

    /// Its language, or `common`.
    pub(crate) fn language(&self) -> &str {
        &self.language
    }

    /// Its name.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The name of its folder within that of its language.
    pub(super) fn folder(&self) -> String {
        self.name.replace('/', &SLASH.to_string())
    }

    /// The prompt that has this folder, if it is one's.
    pub(super) fn of_folder(language: &str, folder: &str) -> Option<Self> {
        let name = folder.replace(SLASH, "/");
        Self::new(language, &name).ok()
    }
}

impl fmt::Display for PromptId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.language, self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_folders_that_stay_where_they_are() {
        for (language, name, folder) in [
            ("zh-CN", "greeting", Some("greeting")),
            ("en", "digits/1", Some("digits+1")),
            ("common", "欢迎.v2", Some("欢迎.v2")),
            ("en", "a/b/c/d/e", Some("a+b+c+d+e")),
            ("en", "a/b/c/d/e/f", None),
            ("en", "", None),
            ("en", "a//b", None),
            ("en", "/a", None),
            ("en", "a/", None),
            ("en", "..", None),
            ("en", "a/../../b", None),
            ("en", ".hidden", None),
            ("en", "a+b", None),
            ("en", "a b", None),
            ("en", "a\0b", None),
            ("en", "a\\b", None),
            ("..", "a", None),
            ("", "a", None),
            ("e", "a", None),
            ("zh_CN", "a", None),
        ] {
            let id = PromptId::new(language, name).ok();
            assert_eq!(
                id.as_ref().map(PromptId::folder).as_deref(),
                folder,
                "{name}"
            );
            if let Some(id) = id {
                assert_eq!(PromptId::of_folder(language, &id.folder()), Some(id));
            }
        }
        let long = "x".repeat(NAME_BYTES_MAX);
        assert!(PromptId::new("en", &long).is_ok());
        assert!(PromptId::new("en", &format!("{long}x")).is_err());
    }
}
