//! `cargo xtask prompts`: speaks the demo's texts into WAV files with espeak-ng.
//!
//! A folder of prompts holds one folder for each language, and `common` for what is the same in
//! all. Each has a `texts.toml` of `name = "text"` lines; `name` becomes `name.wav`. In `common`
//! a text switches languages with `{zh-CN}` and `{en}`.
//!
//! The files are mono, 16 bit, 8,000 samples a second: what a call needs, resampled once here
//! instead of in every call.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::step;

mod sound;

/// Options and examples.
pub(crate) const HELP: &str = "
Makes the demo's prompt files from the texts beside them, and their ORIGIN.md. Needs espeak-ng.
With --check it makes nothing and reports texts without a file and files without a text.

Usage: cargo xtask prompts [--check] [folder]

Examples:
  cargo xtask prompts                          speak examples/demo/prompts
  cargo xtask prompts --check                  are all files there?
  cargo xtask prompts my-tenant/prompts        speak your own texts
";

/// The demo's prompts.
const FOLDER: &str = "examples/demo/prompts";

/// A language, the espeak-ng voice that speaks it, and its pace in words a minute.
///
/// Mandarin is `cmn-latn-pinyin`: the plain `cmn` voice of version 1.51 turns Chinese characters
/// into pinyin and reads that as English.
const VOICES: [(&str, &str, u32); 2] = [("zh-CN", "cmn-latn-pinyin", 200), ("en", "en-us", 175)];

/// The folder of what is the same in every language.
const COMMON: &str = "common";

/// Silence between two languages in one file.
const GAP_MS: usize = 400;

/// Makes or checks all files.
pub(crate) fn run(args: &[String]) -> Result<(), String> {
    let check_only = args.iter().any(|arg| arg == "--check");
    let folders: Vec<&String> = args.iter().filter(|arg| *arg != "--check").collect();
    let folder = match folders.as_slice() {
        [] => step::root().join(FOLDER),
        [folder] if !folder.starts_with('-') => PathBuf::from(folder),
        _ => return Err("usage: cargo xtask prompts [--check] [folder]".to_owned()),
    };
    let texts = read_texts(&folder)?;
    if check_only {
        return check(&folder, &texts);
    }
    if !step::has("espeak-ng") {
        return Err("espeak-ng is missing; install it: sudo apt-get install espeak-ng".to_owned());
    }
    let (mut files, mut changed, mut bytes) = (0, 0, 0);
    for text in &texts {
        let wav = sound::wav(&speak(text)?);
        let path = text.path(&folder);
        bytes += wav.len();
        files += 1;
        changed += usize::from(write_if_changed(&path, &wav)?);
    }
    let version = step::capture(&mut step::command("espeak-ng", &["--version"]))?;
    write_if_changed(&folder.join("ORIGIN.md"), origin(&version).as_bytes())?;
    println!(
        "{files} files, {changed} changed, {:.1} MB",
        bytes as f64 / 1e6
    );
    check(&folder, &texts)
}

/// One text to be spoken.
#[derive(PartialEq, Eq, Debug)]
struct Text {
    /// Folder of the language, or `common`.
    language: String,
    /// Name in the catalogue.
    name: String,
    /// What is said, in order: the language and the words.
    parts: Vec<(String, String)>,
}

impl Text {
    fn path(&self, folder: &Path) -> PathBuf {
        folder
            .join(&self.language)
            .join(format!("{}.wav", self.name))
    }
}

/// All texts of a folder of prompts.
fn read_texts(folder: &Path) -> Result<Vec<Text>, String> {
    let mut texts = Vec::new();
    let languages = VOICES
        .iter()
        .map(|(language, ..)| *language)
        .chain([COMMON]);
    for language in languages {
        let path = folder.join(language).join("texts.toml");
        let Ok(source) = fs::read_to_string(&path) else {
            continue;
        };
        let entries = parse(&source).map_err(|e| format!("{}:{e}", path.display()))?;
        for (name, text) in entries {
            let parts = split_languages(language, &text)
                .map_err(|e| format!("{}: {name}: {e}", path.display()))?;
            texts.push(Text {
                language: language.to_owned(),
                name,
                parts,
            });
        }
    }
    if texts.is_empty() {
        return Err(format!(
            "no texts in {}/<language>/texts.toml",
            folder.display()
        ));
    }
    Ok(texts)
}

/// Reads `name = "text"` lines. A name may be quoted and may contain `/`.
fn parse(source: &str) -> Result<BTreeMap<String, String>, String> {
    let mut entries = BTreeMap::new();
    for (index, line) in source.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let at = |message: &str| format!("{}: {message}", index + 1);
        let (name, text) = line
            .split_once('=')
            .ok_or_else(|| at("expected name = \"text\""))?;
        let name = name.trim().trim_matches('"');
        let text = text.trim();
        let text = text
            .strip_prefix('"')
            .and_then(|rest| rest.strip_suffix('"'))
            .filter(|text| !text.contains(['"', '\\']) && !text.trim().is_empty())
            .ok_or_else(|| at("the text stands in double quotes, without quotes or \\ inside"))?;
        let name_is_safe = !name.is_empty()
            && name
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"_-/".contains(&b))
            && !name.split('/').any(str::is_empty);
        if !name_is_safe {
            return Err(at(
                "a name has letters, digits, _ and -, and / between folders",
            ));
        }
        if entries.insert(name.to_owned(), text.to_owned()).is_some() {
            return Err(at(&format!("{name} is there twice")));
        }
    }
    Ok(entries)
}

/// `{zh-CN} 你好 {en} hello` into its parts; a text without marks is in its folder's language.
fn split_languages(folder: &str, text: &str) -> Result<Vec<(String, String)>, String> {
    let mut parts = Vec::new();
    let mut language = folder;
    let mut rest = text;
    loop {
        let (words, after) = match rest.split_once('{') {
            Some((words, after)) => (words, Some(after)),
            None => (rest, None),
        };
        if !words.trim().is_empty() {
            if voice(language).is_none() {
                return Err(format!(
                    "start with a language such as {{en}}, not in `{language}`"
                ));
            }
            parts.push((language.to_owned(), words.trim().to_owned()));
        }
        let Some(after) = after else { return Ok(parts) };
        (language, rest) = after.split_once('}').ok_or("a { has no }")?;
    }
}

/// The voice and pace of a language.
fn voice(language: &str) -> Option<(&'static str, u32)> {
    VOICES
        .iter()
        .find(|(tag, ..)| *tag == language)
        .map(|(_, voice, pace)| (*voice, *pace))
}

/// Speaks one text: 8,000 samples a second, trimmed and leveled.
fn speak(text: &Text) -> Result<Vec<i16>, String> {
    let mut samples: Vec<i16> = Vec::new();
    for (language, words) in &text.parts {
        if !samples.is_empty() {
            samples.resize(samples.len() + GAP_MS * 8, 0);
        }
        let (voice, pace) = voice(language).expect("invariant: checked when the text was read");
        let pace = pace.to_string();
        let output = step::command(
            "espeak-ng",
            &["-v", voice, "-s", &pace, "--stdout", "--", words],
        )
        .output()
        .map_err(|e| format!("cannot run espeak-ng: {e}"))?;
        let raw = sound::read_espeak(&output.stdout).ok_or_else(|| {
            format!(
                "espeak-ng gave no sound for {}/{}",
                text.language, text.name
            )
        })?;
        samples.extend(sound::level(&sound::trim(&sound::resample(&raw))));
    }
    if samples.is_empty() {
        return Err(format!(
            "nothing is heard of {}/{}",
            text.language, text.name
        ));
    }
    Ok(samples)
}

/// Writes a file unless it is there with these bytes; true if it wrote.
fn write_if_changed(path: &Path, bytes: &[u8]) -> Result<bool, String> {
    if fs::read(path).is_ok_and(|old| old == bytes) {
        return Ok(false);
    }
    let folder = path.parent().expect("invariant: a file in a folder");
    fs::create_dir_all(folder)
        .and_then(|()| fs::write(path, bytes))
        .map_err(|e| format!("cannot write {}: {e}", path.display()))?;
    Ok(true)
}

/// Compares texts and files.
fn check(folder: &Path, texts: &[Text]) -> Result<(), String> {
    let mut wrong = Vec::new();
    for text in texts {
        let path = text.path(folder);
        match fs::read(&path) {
            Ok(bytes) if sound::is_ours(&bytes) => {}
            Ok(_) => wrong.push(format!("{} is not 8 kHz mono 16 bit WAV", path.display())),
            Err(_) => wrong.push(format!("{} is missing", path.display())),
        }
    }
    let mut found = Vec::new();
    find_wavs(folder, &mut found);
    for path in found {
        if !texts.iter().any(|text| text.path(folder) == path) {
            wrong.push(format!("{} has no text", path.display()));
        }
    }
    if wrong.is_empty() {
        Ok(())
    } else {
        Err(wrong.join("\n       "))
    }
}

/// Every `.wav` below a folder, in order.
fn find_wavs(folder: &Path, found: &mut Vec<PathBuf>) {
    let mut entries: Vec<PathBuf> = fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            find_wavs(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "wav") {
            found.push(path);
        }
    }
}

/// Says where the files come from.
fn origin(version: &str) -> String {
    // "eSpeak NG text-to-speech: 1.51  Data at: …": the path is of the machine, not of the tool.
    let version = version.split("Data at").next().unwrap_or_default().trim();
    let mut text = String::from(
        "# Where these recordings come from\n\n\
         Every `.wav` here was spoken by a program from the text of the same name in the `texts.toml` beside it.\n\
         The texts are this project's own; no recording of a person is used.\n\
         Made with `cargo xtask prompts`; change a text and run it again.\n\n",
    );
    text.push_str(&format!("- Tool: {version}\n"));
    for (language, voice, pace) in VOICES {
        text.push_str(&format!(
            "- Voice for {language}: `{voice}`, {pace} words a minute\n"
        ));
    }
    text.push_str(
        "- Afterwards: resampled to 8,000 samples a second, mono, 16 bit; silence at both ends cut; leveled\n",
    );
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_read_line_by_line() {
        let source = "# zh\nhello = \"您好。\"\n\n\"digits/1\" = \"一\"\n";
        let entries = parse(source).expect("good");
        assert_eq!(entries["hello"], "您好。");
        assert_eq!(entries["digits/1"], "一");
        for (source, reason) in [
            ("hello", "1: expected"),
            ("hello = x", "1: the text"),
            ("hello = \"\"", "1: the text"),
            ("hello = \"a\\n\"", "1: the text"),
            ("../x = \"a\"", "1: a name"),
            ("/x = \"a\"", "1: a name"),
            ("x = \"a\"\nx = \"b\"", "2: x is there twice"),
        ] {
            let error = parse(source).expect_err(source);
            assert!(error.starts_with(reason), "{source}: {error}");
        }
    }

    #[test]
    fn languages_switch_inside_a_text() {
        let part = |language: &str, words: &str| (language.to_owned(), words.to_owned());
        assert_eq!(
            split_languages("en", "hello"),
            Ok(vec![part("en", "hello")])
        );
        assert_eq!(
            split_languages("common", "{zh-CN}中文。{en} English."),
            Ok(vec![part("zh-CN", "中文。"), part("en", "English.")])
        );
        assert!(split_languages("common", "hello").is_err());
        assert!(split_languages("common", "{fr} bonjour").is_err());
        assert!(split_languages("common", "{en hello").is_err());
    }

    #[test]
    fn the_demo_prompts_are_complete() {
        let folder = step::root().join(FOLDER);
        let texts = read_texts(&folder).expect("the demo has texts");
        check(&folder, &texts).expect("run cargo xtask prompts");
    }
}
