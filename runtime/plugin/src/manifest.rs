//! The manifest: what a plugin says about itself.
//!
//! TOML text in a custom section named `jackfield:manifest`, of the component or of a core module
//! inside it (where a Rust `#[link_section]` ends up):
//!
//! ```toml
//! name = "ivr-menu"
//! version = "1.4.0"
//! world = "ivr"
//! wit = "0.1.0"
//! needs = ["dial", "record"]
//! description = "A menu tree from configuration"
//! memory_mib = 16
//! ```

use serde::Deserialize;
use vocab::flow::PluginRef;

use crate::error::{LoadError, cut};
use crate::grant::Grant;
use crate::inspect::outline;
use crate::limits;

/// The custom section that holds the manifest.
pub const SECTION: &str = "jackfield:manifest";

/// The kind of decision a plugin makes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum World {
    /// A call's flow.
    Ivr,
}

impl World {
    /// The word in a manifest.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ivr => "ivr",
        }
    }
}

/// A checked manifest.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Manifest {
    /// Name and version, by which the plugin is known everywhere.
    pub plugin: PluginRef,
    /// The kind of decision it makes.
    pub world: World,
    /// The version of the world's interface it was built against.
    pub wit: &'static str,
    /// What it asks for.
    pub needs: Grant,
    /// Linear memory of one run, in bytes.
    pub memory_bytes: usize,
    /// A sentence for people; may be empty.
    pub description: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawManifest {
    name: String,
    version: String,
    world: String,
    wit: String,
    #[serde(default)]
    needs: Vec<String>,
    memory_mib: Option<u32>,
    #[serde(default)]
    description: String,
}

impl Manifest {
    /// The manifest of a component, without compiling it.
    ///
    /// # Errors
    /// When it is no component, or its manifest is missing or makes no sense. Whether it can run
    /// takes [`Host::load`](crate::Host::load) to tell.
    pub fn of_component(bytes: &[u8]) -> Result<Self, LoadError> {
        Self::parse(outline(bytes)?.manifest.ok_or(LoadError::NoManifest)?)
    }

    /// Reads and checks a manifest.
    ///
    /// # Errors
    /// [`LoadError::BadManifest`], with the line where the text itself is wrong.
    pub fn parse(bytes: &[u8]) -> Result<Self, LoadError> {
        if bytes.len() > limits::MANIFEST_BYTES_MAX {
            return bad(format!(
                "{} bytes long; at most {} are read",
                bytes.len(),
                limits::MANIFEST_BYTES_MAX
            ));
        }
        let Ok(text) = std::str::from_utf8(bytes) else {
            return bad("not UTF-8 text");
        };
        let raw: RawManifest = toml::from_str(text).or_else(|error| bad(located(text, &error)))?;
        let world = match raw.world.as_str() {
            "ivr" => World::Ivr,
            other => return bad(format!("no world is called {other:?}; there is ivr")),
        };
        let Some(wit) = crate::ivr::VERSIONS
            .into_iter()
            .find(|known| *known == raw.wit)
        else {
            return bad(format!(
                "wit {:?} is not known here; this host speaks {}",
                raw.wit,
                crate::ivr::VERSIONS.join(", ")
            ));
        };
        if !is_name(&raw.name) {
            return bad("name is not 1 to 63 characters of a-z, 0-9 and -");
        }
        if !is_version(&raw.version) {
            return bad("version is not three numbers, as in 1.4.0");
        }
        let needs = Grant::parse(raw.needs.iter().map(String::as_str))
            .or_else(|error| bad(format!("needs: {error}")))?;
        let memory_bytes = match raw.memory_mib.map(|mib| mib as usize) {
            None => limits::MEMORY_BYTES,
            Some(mib) if (1..=limits::MEMORY_BYTES_MAX >> 20).contains(&mib) => mib << 20,
            Some(_) => {
                return bad(format!(
                    "memory_mib is not 1 to {}",
                    limits::MEMORY_BYTES_MAX >> 20
                ));
            }
        };
        if raw.description.chars().count() > limits::DESCRIPTION_CHARS_MAX {
            return bad(format!(
                "description is over {} characters",
                limits::DESCRIPTION_CHARS_MAX
            ));
        }
        Ok(Self {
            plugin: PluginRef {
                name: raw.name.into(),
                version: raw.version.into(),
            },
            world,
            wit,
            needs,
            memory_bytes,
            description: cut(&raw.description, limits::DESCRIPTION_CHARS_MAX),
        })
    }
}

fn bad<T>(reason: impl Into<String>) -> Result<T, LoadError> {
    Err(LoadError::BadManifest {
        reason: cut(&reason.into(), limits::DETAIL_CHARS_MAX),
    })
}

/// The parser's message in one line, with the number of the line it is about.
fn located(text: &str, error: &toml::de::Error) -> String {
    let message = error.message().lines().collect::<Vec<_>>().join("; ");
    match error.span() {
        // What is missing is missing from the whole text.
        Some(span) if span != (0..0) && span != (0..text.len()) => {
            let line = text.as_bytes()[..span.start.min(text.len())]
                .iter()
                .filter(|byte| **byte == b'\n')
                .count();
            format!("line {}: {message}", line + 1)
        }
        _ => message,
    }
}

fn is_name(text: &str) -> bool {
    let good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    (1..=63).contains(&text.len()) && text.chars().all(good)
}

/// Semantic Versioning 2.0.0 §2, §9 and §10, without looking into the labels.
fn is_version(text: &str) -> bool {
    let core = text.split(['-', '+']).next().unwrap_or_default();
    let number = |part: &str| {
        !part.is_empty()
            && part.len() <= 9
            && part.bytes().all(|byte| byte.is_ascii_digit())
            && (part == "0" || !part.starts_with('0'))
    };
    let label = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '+');
    text.len() <= 64
        && core.split('.').count() == 3
        && core.split('.').all(number)
        && text.chars().all(label)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        let shown = match Manifest::parse(text.as_bytes()) {
            Ok(manifest) => format!("{} {}", manifest.plugin, manifest.memory_bytes >> 20),
            Err(error) => error.to_string(),
        };
        assert_eq!(shown, expected, "{text}");
    }

    #[test]
    fn manifests_good_and_bad() {
        let base = "name = \"menu\"\nversion = \"1.0.0\"\nworld = \"ivr\"\nwit = \"0.1.0\"\n";
        check(base, "menu 1.0.0 32");
        check(
            &format!("{base}memory_mib = 8\nneeds = [\"dial\"]"),
            "menu 1.0.0 8",
        );
        for (from, to, expected) in [
            (
                "menu",
                "The Menu",
                "name is not 1 to 63 characters of a-z, 0-9 and -",
            ),
            ("1.0.0", "1.0", "version is not three numbers, as in 1.4.0"),
            (
                "1.0.0",
                "1.0.01",
                "version is not three numbers, as in 1.4.0",
            ),
            (
                "ivr",
                "routing",
                "no world is called \"routing\"; there is ivr",
            ),
            (
                "0.1.0",
                "0.9.0",
                "wit \"0.9.0\" is not known here; this host speaks 0.1.0",
            ),
            (
                "name",
                "nom",
                "line 1: unknown field `nom`, expected one of `name`, `version`, \
              `world`, `wit`, `needs`, `memory_mib`, `description`",
            ),
        ] {
            check(
                &base.replacen(from, to, 1),
                &format!("bad manifest: {expected}"),
            );
        }
        check(
            &format!("{base}needs = [\"fly\"]"),
            "bad manifest: needs: no capability is called \"fly\"; there are dial, record, kv \
             and http",
        );
        check(
            &format!("{base}memory_mib = 900"),
            "bad manifest: memory_mib is not 1 to 64",
        );
        check(
            "world = \"ivr\"\nname = ",
            "bad manifest: line 2: string values must be quoted, expected literal string",
        );
    }
}
