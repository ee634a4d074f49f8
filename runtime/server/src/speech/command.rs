//! `espeak-ng`, or what takes its options, as a subprocess.

// Subprocesses are what this file is for.
#![allow(clippy::disallowed_methods)]

use std::path::Path;
use std::process::Stdio;

use tokio::io::AsyncWriteExt;

/// The synthesiser's name for a voice or language tag.
fn voice_name(voice: &str) -> &str {
    match voice {
        // Plain `cmn` of version 1.51 turns characters into pinyin and reads that as English.
        "zh-CN" | "zh" | "zh-Hans" => "cmn-latn-pinyin",
        "en" => "en-us",
        other => other,
    }
}

/// One run of the synthesiser: text in, WAV out.
pub(super) async fn run(command: &Path, text: &str, voice: &str) -> Result<Vec<u8>, String> {
    let fails = |error: std::io::Error| format!("{}: {error}", command.display());
    let name = voice_name(voice);
    if !name
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'+' || b == b'_')
    {
        return Err("not a voice or language tag".to_owned());
    }
    let mut child = tokio::process::Command::new(command)
        .args(["-v", name, "-s", "160", "-b", "1", "--stdin", "--stdout"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .map_err(fails)?;
    let mut stdin = child.stdin.take().expect("it was asked for");
    stdin.write_all(text.as_bytes()).await.map_err(fails)?;
    drop(stdin);
    let output = child.wait_with_output().await.map_err(fails)?;
    if !output.status.success() || output.stdout.is_empty() {
        return Err(format!("espeak-ng does not speak with the voice {name}"));
    }
    Ok(output.stdout)
}
