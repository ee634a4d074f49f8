//! `cargo xtask fuzz`: the parsers under random input, on nightly.

use std::fs;

use crate::step::{capture, command, execute, has, root};

/// Options and examples.
pub(crate) const HELP: &str = "\
Usage: cargo xtask fuzz [TARGET...] [--seconds N]

Fuzzes each target for N seconds (600 by default). Without a target: all of tests/fuzz.
Needs a nightly toolchain and cargo-fuzz, and installs what is missing.
`cargo xtask test` replays the corpora on stable and needs neither.

Examples:
  cargo xtask fuzz                      every target, ten minutes each
  cargo xtask fuzz sip --seconds 60     one target, one minute
";

/// Installs what is missing and fuzzes one target after the other.
pub(crate) fn run(args: &[String]) -> Result<(), String> {
    let (targets, seconds) = parse(args, &targets()?)?;
    if !capture(&mut command("rustup", &["toolchain", "list"]))?.contains("nightly") {
        execute(&mut command(
            "rustup",
            &["toolchain", "install", "nightly", "--profile", "minimal"],
        ))?;
    }
    if !has("cargo-fuzz") {
        execute(&mut command(
            "cargo",
            &["install", "cargo-fuzz", "--locked"],
        ))?;
    }
    let limit = format!("-max_total_time={seconds}");
    for target in &targets {
        let words = [
            "run",
            "nightly",
            "cargo",
            "fuzz",
            "run",
            "--fuzz-dir",
            "tests/fuzz",
            target,
            "--",
        ];
        execute(command("rustup", &words).arg(&limit))?;
    }
    Ok(())
}

/// The names of `tests/fuzz/fuzz_targets`, in order.
fn targets() -> Result<Vec<String>, String> {
    let dir = root().join("tests/fuzz/fuzz_targets");
    let entries =
        fs::read_dir(&dir).map_err(|error| format!("tests/fuzz/fuzz_targets: {error}"))?;
    let mut names: Vec<String> = entries
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter_map(|name| name.strip_suffix(".rs").map(str::to_owned))
        .collect();
    names.sort();
    Ok(names)
}

/// The targets asked for, all if none, and the seconds each runs.
fn parse(args: &[String], known: &[String]) -> Result<(Vec<String>, u32), String> {
    let mut targets = Vec::new();
    let mut seconds = 600;
    let mut words = args.iter();
    while let Some(word) = words.next() {
        if word == "--seconds" {
            let value = words.next().ok_or("--seconds needs a number")?;
            seconds = value
                .parse()
                .map_err(|_| format!("--seconds {value}: not a number"))?;
        } else if known.contains(word) {
            targets.push(word.clone());
        } else {
            return Err(format!(
                "no target `{word}`; there are {}",
                known.join(", ")
            ));
        }
    }
    if targets.is_empty() {
        targets = known.to_vec();
    }
    Ok((targets, seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<String> {
        line.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn targets_and_seconds() {
        let known = words("rtp sdp sip");
        for (line, expected) in [
            ("", Ok((known.clone(), 600))),
            ("sip --seconds 60", Ok((words("sip"), 60))),
            ("--seconds 5 sdp rtp", Ok((words("sdp rtp"), 5))),
            ("--seconds", Err("--seconds needs a number".to_owned())),
            (
                "--seconds soon",
                Err("--seconds soon: not a number".to_owned()),
            ),
            (
                "stun",
                Err("no target `stun`; there are rtp, sdp, sip".to_owned()),
            ),
        ] {
            assert_eq!(parse(&words(line), &known), expected, "{line}");
        }
    }
}
