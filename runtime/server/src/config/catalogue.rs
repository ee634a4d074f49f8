//! Prompts: a folder of sound files becomes a catalogue.
//!
//! `<prompts_dir>/<language>/<name>.wav`, and `common` for what is the same in all languages; or with
//! another ending of a sound file, such as `.mp3`. A name may hold folders, as in `digits/1`. Files
//! that are no sound by name are left alone.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fs;
use std::path::Path;

use node::Catalogue;
use vocab::Clip;

use super::limits::{PROMPT_DEPTH_MAX, PROMPT_SAMPLES_MAX, PROMPTS_MAX};
use super::reader::Source;

/// Loads a folder of prompts; what is wrong with a file is reported under that file's name, and
/// what is wrong with the folder at `at` in the configuration.
pub(super) fn load(dir: &Path, source: &Source<'_>, at: Option<usize>) -> Catalogue {
    if !dir.is_dir() {
        let what = format!(
            "no folder {} for prompts; make it, or name another as prompts_dir",
            dir.display()
        );
        source.error(at, what);
        return Catalogue::default();
    }
    let mut loader = Loader {
        source,
        samples: 0,
        prompts: 0,
        full: false,
    };
    let mut clips = BTreeMap::new();
    for (language, path) in loader.entries(dir) {
        if path.is_dir() {
            let mut names = BTreeMap::new();
            loader.folder(&path, "", 0, &mut names);
            clips.insert(language, names);
        }
    }
    Catalogue::new(clips)
}

struct Loader<'a> {
    source: &'a Source<'a>,
    samples: usize,
    prompts: usize,
    /// A limit was reached; it is reported once.
    full: bool,
}

impl Loader<'_> {
    fn folder(
        &mut self,
        dir: &Path,
        prefix: &str,
        depth: usize,
        clips: &mut BTreeMap<String, Clip>,
    ) {
        if depth > PROMPT_DEPTH_MAX {
            let what = format!("folders more than {PROMPT_DEPTH_MAX} deep; move the prompts up");
            return self.source.report.error(dir, None, what);
        }
        for (file, path) in self.entries(dir) {
            if path.is_dir() {
                self.folder(&path, &format!("{prefix}{file}/"), depth + 1, clips);
            } else if let Some(stem) = stem(&file) {
                let name = format!("{prefix}{stem}");
                match clips.entry(name) {
                    Entry::Occupied(there) => {
                        let name = there.key();
                        let what =
                            format!("there are several files for the prompt {name}; keep one");
                        self.source.report.error(&path, None, what);
                    }
                    Entry::Vacant(free) => {
                        if let Some(clip) = self.clip(&path, free.key()) {
                            free.insert(clip);
                        }
                    }
                }
            }
        }
    }

    fn clip(&mut self, path: &Path, name: &str) -> Option<Clip> {
        if self.full {
            return None;
        }
        let report = self.source.report;
        let bytes = match read(path) {
            Ok(bytes) => bytes,
            Err(why) => {
                report.error(path, None, why);
                return None;
            }
        };
        match media::sound::read(&bytes) {
            Ok(samples) => {
                self.samples += samples.len();
                self.prompts += 1;
                self.full = self.samples > PROMPT_SAMPLES_MAX || self.prompts > PROMPTS_MAX;
                if self.full {
                    let hours = PROMPT_SAMPLES_MAX / 8_000 / 3_600;
                    let what = format!(
                        "more than {PROMPTS_MAX} prompts or {hours} hours of them; remove some"
                    );
                    report.error(path, None, what);
                }
                Some(Clip::new(name, samples))
            }
            Err(error) => {
                report.error(
                    path,
                    None,
                    format!("{error}; save it as WAV, MP3, FLAC or Opus"),
                );
                None
            }
        }
    }

    /// What is in a folder, in order of names. Hidden files and names that are not Unicode are
    /// left out.
    fn entries(&self, dir: &Path) -> Vec<(String, std::path::PathBuf)> {
        let entries = match fs::read_dir(dir) {
            Ok(entries) => entries,
            Err(error) => {
                let what = format!("the folder cannot be read: {error}");
                self.source.report.error(dir, None, what);
                return Vec::new();
            }
        };
        let named = entries.flatten().filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            (!name.starts_with('.')).then(|| (name, entry.path()))
        });
        let mut entries: Vec<_> = named.collect();
        entries.sort();
        entries
    }
}

/// The name of a sound file without its ending; `None` of another file.
fn stem(file: &str) -> Option<&str> {
    let (stem, ending) = file.rsplit_once('.')?;
    let known = media::sound::ENDINGS.iter();
    let known = known.filter(|known| ending.eq_ignore_ascii_case(known));
    (known.count() == 1).then_some(stem)
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    let failed = |error: std::io::Error| format!("cannot be read: {error}");
    let bytes = fs::metadata(path).map_err(failed)?.len();
    if bytes > media::limits::WAV_BYTES_MAX as u64 {
        return Err(media::sound::SoundError::TooLarge.to_string());
    }
    fs::read(path).map_err(failed)
}
