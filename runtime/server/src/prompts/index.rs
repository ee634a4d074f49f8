//! What is known of a prompt's versions: a file beside them.

use serde::{Deserialize, Serialize};
use vocab::Wall;

use super::limits::VERSIONS_MAX;

/// What an index begins with; another number is of a later release.
const FORMAT: u32 = 1;

/// The versions of a prompt. Those of the folder of prompts are no part of it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Index {
    format: u32,
    /// The version in force; 0 is the folder's.
    pub(super) active: u32,
    /// Oldest first.
    pub(super) versions: Vec<Version>,
}

/// A version, which never changes.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Version {
    /// Counts from 1.
    pub(crate) version: u32,
    /// When it was uploaded: microseconds since 1970.
    at: i64,
    /// By whom.
    pub(crate) by: String,
    /// What was uploaded, as in `mp3`.
    pub(crate) kind: String,
    /// SHA-256 of what was uploaded.
    pub(crate) upload_sha256: String,
    /// SHA-256 of the file that is kept.
    pub(super) sha256: String,
    /// Samples at 8,000 a second.
    pub(crate) samples: usize,
}

impl Version {
    /// When it was uploaded.
    pub(crate) fn at(&self) -> Wall {
        Wall(self.at)
    }
}

/// What is to become a version.
pub(super) struct New {
    pub(super) at: Wall,
    pub(super) by: String,
    pub(super) kind: &'static str,
    pub(super) upload_sha256: String,
    pub(super) sha256: String,
    pub(super) samples: usize,
}

impl Index {
    /// Without a version.
    pub(super) fn new() -> Self {
        Self {
            format: FORMAT,
            active: 0,
            versions: Vec::new(),
        }
    }

    /// Reads one.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, String> {
        let index: Self = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
        if index.format != FORMAT {
            return Err(format!("format {}, not {FORMAT}", index.format));
        }
        let numbers: Vec<u32> = index.versions.iter().map(|it| it.version).collect();
        let rising = numbers.is_sorted_by(|a, b| a < b) && !numbers.contains(&0);
        let known = index.active == 0 || numbers.contains(&index.active);
        if !rising || !known || numbers.is_empty() || numbers.len() > VERSIONS_MAX {
            return Err("its versions make no sense".to_owned());
        }
        Ok(index)
    }

    /// As a file.
    pub(super) fn bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("texts and numbers are valid JSON")
    }

    /// A version by its number.
    pub(super) fn version(&self, number: u32) -> Option<&Version> {
        self.versions.iter().find(|it| it.version == number)
    }

    /// The one in force, if it is not the folder's.
    pub(super) fn active(&self) -> Option<&Version> {
        self.version(self.active)
    }

    /// Has a new version in force; gives the oldest if it has to go.
    pub(super) fn add(&mut self, new: New) -> Option<Version> {
        let last = self.versions.last().map_or(0, |it| it.version);
        let version = Version {
            version: last + 1,
            at: new.at.0,
            by: new.by,
            kind: new.kind.to_owned(),
            upload_sha256: new.upload_sha256,
            sha256: new.sha256,
            samples: new.samples,
        };
        self.active = version.version;
        self.versions.push(version);
        (self.versions.len() > VERSIONS_MAX).then(|| self.versions.remove(0))
    }
}
