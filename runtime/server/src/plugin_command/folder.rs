//! The folder of plugins on disk.
//!
//! `<name>.wasm` is what the server runs. `.previous/<name>-<version>-<sha8>.wasm` were it before,
//! the newest by time of the file, and those with the ending `.withdrawn` were taken out by a
//! rollback. The server looks at neither.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::{Context as _, bail};
use plugin::Manifest;
use sha2::{Digest as _, Sha256};

/// Earlier files kept of each plugin, and as many withdrawn ones. Rust plugins have some 100 KB.
const KEPT_MAX: usize = 5;

/// The folder of earlier files, hidden from the server.
const PREVIOUS: &str = ".previous";

/// What an installation changed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Change {
    /// Nothing: the same bytes were there.
    Same,
    /// There was no such plugin.
    New,
    /// Another version was there.
    Replaced {
        /// Its version.
        version: String,
        /// Where it is kept.
        kept: PathBuf,
    },
}

/// What a rollback changed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct RolledBack {
    /// The version that is back.
    pub(super) version: String,
    /// The one that was taken out.
    pub(super) withdrawn_version: String,
    /// Where that is kept.
    pub(super) withdrawn: PathBuf,
}

/// A file in the folder.
#[derive(Debug)]
pub(super) struct Listed {
    pub(super) file: PathBuf,
    pub(super) bytes: usize,
    /// What it says about itself, or why it says nothing.
    pub(super) manifest: Result<Manifest, String>,
    /// Versions to go back to.
    pub(super) earlier: usize,
}

impl Listed {
    /// The file's name without its ending.
    pub(super) fn stem(&self) -> &str {
        self.file
            .file_stem()
            .and_then(|stem| stem.to_str())
            .unwrap_or_default()
    }
}

/// The folder.
#[derive(Debug)]
pub(super) struct Folder {
    dir: PathBuf,
}

impl Folder {
    pub(super) fn new(dir: &Path) -> Self {
        Self {
            dir: dir.to_owned(),
        }
    }

    /// The folder itself.
    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// The file of a plugin.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.dir.join(format!("{name}.wasm"))
    }

    /// Puts a plugin in; the one before is kept.
    pub(super) fn install(&self, manifest: &Manifest, bytes: &[u8]) -> anyhow::Result<Change> {
        let name = &*manifest.plugin.name;
        let path = self.path(name);
        fs::create_dir_all(&self.dir)
            .with_context(|| format!("cannot make {}", self.dir.display()))?;
        let change = match fs::read(&path) {
            Ok(before) if before == bytes => return Ok(Change::Same),
            Ok(before) => {
                let version = version(&before);
                let kept = self.keep(name, &version, &before, "wasm")?;
                Change::Replaced { version, kept }
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Change::New,
            Err(error) => {
                return Err(error).with_context(|| format!("cannot read {}", path.display()));
            }
        };
        replace(&path, bytes)?;
        Ok(change)
    }

    /// Puts the last earlier version back.
    pub(super) fn rollback(&self, name: &str) -> anyhow::Result<RolledBack> {
        let path = self.path(name);
        let before = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let withdrawn_version = version(&before);
        // What holds the same bytes as now is no way back.
        let mut earlier = self.kept(name, "wasm")?;
        earlier.retain(|kept| fs::read(&kept.path).is_ok_and(|bytes| bytes != before));
        let Some(target) = earlier.last() else {
            bail!(
                "no version before {name} {withdrawn_version} is kept; install the one you want \
                 with `jackfield plugin install`"
            );
        };
        let bytes = fs::read(&target.path)
            .with_context(|| format!("cannot read {}", target.path.display()))?;
        let manifest = Manifest::of_component(&bytes)
            .with_context(|| format!("{} is no longer a plugin", target.path.display()))?;
        let withdrawn = self.keep(name, &withdrawn_version, &before, "withdrawn")?;
        replace(&path, &bytes)?;
        fs::remove_file(&target.path)
            .with_context(|| format!("cannot remove {}", target.path.display()))?;
        Ok(RolledBack {
            version: manifest.plugin.version.to_string(),
            withdrawn_version,
            withdrawn,
        })
    }

    /// What is in the folder, by name.
    pub(super) fn list(&self) -> io::Result<Vec<Listed>> {
        let mut list = Vec::new();
        for entry in fs::read_dir(&self.dir)? {
            let file = entry?.path();
            let name = file.file_name().unwrap_or_default().to_string_lossy();
            let Some(stem) = name
                .strip_suffix(".wasm")
                .filter(|stem| !stem.starts_with('.'))
            else {
                continue;
            };
            let earlier = self.kept(stem, "wasm").map_or(0, |kept| kept.len());
            let (bytes, manifest) = match fs::read(&file) {
                Ok(bytes) => {
                    let manifest = Manifest::of_component(&bytes).map_err(|why| why.to_string());
                    (bytes.len(), manifest)
                }
                Err(error) => (0, Err(format!("cannot be read: {error}"))),
            };
            list.push(Listed {
                file,
                bytes,
                manifest,
                earlier,
            });
        }
        list.sort_by(|a, b| a.file.cmp(&b.file));
        Ok(list)
    }

    /// Keeps a copy beside the others, and no more than there should be.
    fn keep(
        &self,
        name: &str,
        version: &str,
        bytes: &[u8],
        ending: &str,
    ) -> anyhow::Result<PathBuf> {
        let dir = self.dir.join(PREVIOUS);
        fs::create_dir_all(&dir).with_context(|| format!("cannot make {}", dir.display()))?;
        let digest: String = Sha256::digest(bytes)
            .iter()
            .take(4)
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let path = dir.join(format!("{name}-{version}-{digest}.{ending}"));
        replace(&path, bytes)?;
        let kept = self.kept(name, ending)?;
        for old in kept.iter().take(kept.len().saturating_sub(KEPT_MAX)) {
            if old.path != path {
                // One too many does no harm.
                let _ = fs::remove_file(&old.path);
            }
        }
        Ok(path)
    }

    /// Earlier files of a plugin, the newest last.
    fn kept(&self, name: &str, ending: &str) -> anyhow::Result<Vec<Kept>> {
        let dir = self.dir.join(PREVIOUS);
        let entries = match fs::read_dir(&dir) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => {
                return Err(error).with_context(|| format!("cannot read {}", dir.display()));
            }
        };
        let mut kept = Vec::new();
        for entry in entries.flatten() {
            if !is_kept(&entry.file_name().to_string_lossy(), name, ending) {
                continue;
            }
            let changed = entry.metadata().and_then(|meta| meta.modified());
            let changed = changed.unwrap_or(SystemTime::UNIX_EPOCH);
            kept.push(Kept {
                changed,
                path: entry.path(),
            });
        }
        kept.sort();
        Ok(kept)
    }
}

#[derive(PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Kept {
    changed: SystemTime,
    path: PathBuf,
}

/// Whether a file is `<name>-<version>-<sha8>.<ending>`. Names may hold dashes: what follows must
/// be a version, so that `ivr` does not take the files of `ivr-menu`.
fn is_kept(file: &str, name: &str, ending: &str) -> bool {
    let middle = file
        .strip_prefix(name)
        .and_then(|rest| rest.strip_prefix('-'))
        .and_then(|rest| rest.strip_suffix(ending))
        .and_then(|rest| rest.strip_suffix('.'))
        .and_then(|rest| rest.rsplit_once('-'));
    let Some((version, digest)) = middle else {
        return false;
    };
    let core = version.split(['-', '+']).next().unwrap_or_default();
    let numbers = core
        .split('.')
        .filter(|part| part.parse::<u32>().is_ok())
        .count();
    numbers == 3
        && core.split('.').count() == 3
        && digest.len() == 8
        && digest.bytes().all(|b| b.is_ascii_hexdigit())
}

/// The version of what was installed; a file that is no plugin has none.
fn version(bytes: &[u8]) -> String {
    match Manifest::of_component(bytes) {
        Ok(manifest) => manifest.plugin.version.to_string(),
        Err(_) => "unknown".to_owned(),
    }
}

/// Writes a file whole or not at all: whoever opens it finds all of the old or all of the new.
fn replace(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let dir = path.parent().unwrap_or(Path::new("."));
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    // Hidden, and of another ending: the server does not take it for a plugin.
    let draft = dir.join(format!(".{name}.{}.draft", std::process::id()));
    let write = || -> io::Result<()> {
        let mut file = fs::File::create(&draft)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&draft, path)?;
        fs::File::open(dir)?.sync_all()
    };
    write().map_err(|error| {
        let _ = fs::remove_file(&draft);
        anyhow::Error::new(error).context(format!("cannot write {}", path.display()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A component that is nothing but its manifest.
    fn component(version: &str, salt: u8) -> Vec<u8> {
        let manifest =
            format!("name = \"menu\"\nversion = \"{version}\"\nworld = \"ivr\"\nwit = \"0.1.0\"\n");
        let name = plugin::MANIFEST_SECTION;
        let mut body = vec![u8::try_from(name.len()).unwrap()];
        body.extend_from_slice(name.as_bytes());
        body.extend_from_slice(manifest.as_bytes());
        body.extend_from_slice(&[b'#', b'0' + salt, b'\n']);
        let length = body.len();
        let mut bytes = b"\0asm\x0d\0\x01\0\0".to_vec();
        bytes.extend([(length & 0x7f) as u8 | 0x80, (length >> 7) as u8]);
        bytes.extend(body);
        bytes
    }

    fn install(folder: &Folder, bytes: &[u8]) -> Change {
        let manifest = Manifest::of_component(bytes).unwrap();
        folder.install(&manifest, bytes).unwrap()
    }

    fn files(dir: &Path) -> Vec<String> {
        let entries = fs::read_dir(dir).map(|entries| entries.flatten().collect::<Vec<_>>());
        let names = entries.unwrap_or_default().into_iter();
        let mut names: Vec<String> = names
            .map(|entry| entry.file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn installing_keeps_the_version_before_and_rolling_back_restores_it() {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::new(dir.path());
        let (one, two, three) = (
            component("1.0.0", 0),
            component("1.1.0", 0),
            component("1.2.0", 0),
        );
        assert_eq!(install(&folder, &one), Change::New);
        assert_eq!(install(&folder, &one), Change::Same);
        assert!(
            matches!(install(&folder, &two), Change::Replaced { version, .. } if version == "1.0.0")
        );
        assert!(
            matches!(install(&folder, &three), Change::Replaced { version, .. } if version == "1.1.0")
        );
        assert_eq!(files(dir.path()), [".previous", "menu.wasm"]);
        assert_eq!(files(&dir.path().join(PREVIOUS)).len(), 2);
        let list = folder.list().unwrap();
        assert_eq!(
            (list.len(), list[0].stem(), list[0].earlier),
            (1, "menu", 2)
        );

        let back = folder.rollback("menu").unwrap();
        assert_eq!(
            (back.version.as_str(), back.withdrawn_version.as_str()),
            ("1.1.0", "1.2.0")
        );
        assert_eq!(fs::read(folder.path("menu")).unwrap(), two);
        assert_eq!(fs::read(back.withdrawn).unwrap(), three);
        assert_eq!(folder.rollback("menu").unwrap().version, "1.0.0");
        assert_eq!(fs::read(folder.path("menu")).unwrap(), one);
        let error = folder.rollback("menu").unwrap_err().to_string();
        assert!(
            error.starts_with("no version before menu 1.0.0 is kept"),
            "{error}"
        );
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::new(dir.path());
        for salt in 0..9 {
            install(&folder, &component("1.0.0", salt));
        }
        assert_eq!(files(&dir.path().join(PREVIOUS)).len(), KEPT_MAX);
    }

    #[test]
    fn a_broken_file_is_replaced_and_not_restored() {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::new(dir.path());
        fs::write(folder.path("menu"), "broken").unwrap();
        assert!(folder.list().unwrap()[0].manifest.is_err());
        let change = install(&folder, &component("1.0.0", 0));
        assert!(matches!(change, Change::Replaced { version, .. } if version == "unknown"));
        assert!(folder.rollback("menu").is_err());
    }

    #[test]
    fn kept_files_are_told_apart_by_name() {
        for (file, name, expected) in [
            ("ivr-1.0.0-0123abcd.wasm", "ivr", true),
            ("ivr-1.0.0-rc.1-0123abcd.wasm", "ivr", true),
            ("ivr-menu-1.0.0-0123abcd.wasm", "ivr", false),
            ("ivr-2-1.0.0-0123abcd.wasm", "ivr", false),
            ("ivr-2-1.0.0-0123abcd.wasm", "ivr-2", true),
            ("ivr-unknown-0123abcd.wasm", "ivr", false),
            ("ivr-1.0.0-0123abcd.withdrawn", "ivr", false),
            ("ivr-1.0.0.wasm", "ivr", false),
        ] {
            assert_eq!(is_kept(file, name, "wasm"), expected, "{file} {name}");
        }
    }
}
