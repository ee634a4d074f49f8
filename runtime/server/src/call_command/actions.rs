//! What the caller does, in the order given on the command line.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use clap::builder::ValueParser;
use clap::{Arg, ArgAction, ArgMatches};
use engine::phone::Step;
use vocab::{Clip, Pii};

/// Longest wait until the far end has had its say: longer than any menu speaks.
const QUIET_WAIT: Duration = Duration::from_secs(20);

/// A time given in seconds.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Seconds(pub(super) Duration);

/// Reads `1.5`.
pub(super) fn seconds(text: &str) -> Result<Seconds, String> {
    match text.parse::<f64>() {
        Ok(seconds) if (0.0..=3_600.0).contains(&seconds) => {
            Ok(Seconds(Duration::from_secs_f64(seconds)))
        }
        Ok(_) | Err(_) => Err("not seconds from 0 to 3600, as in 1.5".to_owned()),
    }
}

/// Reads keys such as `12#`.
fn keys(text: &str) -> Result<String, String> {
    let keys = text.to_ascii_uppercase();
    let good = |c: char| c.is_ascii_digit() || matches!(c, '*' | '#' | 'A'..='D');
    if keys.is_empty() || keys.len() > media::limits::DIGITS_MAX || !keys.chars().all(good) {
        return Err("not keys out of 0-9 * # A-D, as in 12#".to_owned());
    }
    Ok(keys)
}

/// One thing to do.
#[derive(Clone, PartialEq, Debug)]
enum Action {
    Press(String),
    Say(String),
    Play(PathBuf),
    Wait(Seconds),
}

/// All there is to do, in order.
#[derive(Clone, PartialEq, Debug, Default)]
pub(super) struct Actions(Vec<Action>);

impl clap::FromArgMatches for Actions {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        // Options of different kinds keep their common order only as indices.
        let mut actions = Vec::new();
        gather(matches, "press", &mut actions, Action::Press);
        gather(matches, "say", &mut actions, Action::Say);
        gather(matches, "play", &mut actions, Action::Play);
        gather(matches, "wait", &mut actions, Action::Wait);
        actions.sort_by_key(|(index, _)| *index);
        Ok(Self(
            actions.into_iter().map(|(_, action)| action).collect(),
        ))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl clap::Args for Actions {
    fn augment_args(command: clap::Command) -> clap::Command {
        let option =
            |name: &'static str, value: &'static str, parser: ValueParser, help: &'static str| {
                Arg::new(name)
                    .long(name)
                    .value_name(value)
                    .value_parser(parser)
                    .action(ArgAction::Append)
                    .help(help)
            };
        command
            .arg(option(
                "press",
                "KEYS",
                ValueParser::new(keys),
                "Press keys, out of 0-9 * # A-D",
            ))
            .arg(option(
                "say",
                "TEXT",
                ValueParser::string(),
                "Say a text; needs espeak-ng",
            ))
            .arg(option(
                "play",
                "FILE",
                ValueParser::path_buf(),
                "Play a sound file",
            ))
            .arg(option("wait", "SECONDS", ValueParser::new(seconds), "Wait"))
    }

    fn augment_args_for_update(command: clap::Command) -> clap::Command {
        Self::augment_args(command)
    }
}

fn gather<T: Clone + Send + Sync + 'static>(
    matches: &ArgMatches,
    id: &str,
    actions: &mut Vec<(usize, Action)>,
    make: fn(T) -> Action,
) {
    let values = matches.get_many::<T>(id).into_iter().flatten().cloned();
    let indices = matches.indices_of(id).into_iter().flatten();
    actions.extend(indices.zip(values.map(make)));
}

/// What a step is to the person who asked for it.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum Deed {
    /// Waited until the far end had had its say.
    Listened,
    /// Pressed keys.
    Pressed(String),
    /// Said a text.
    Said(String),
    /// Played a file.
    Played(PathBuf),
    /// Waited a fixed time.
    Waited(Duration),
    /// Hung up.
    HungUp,
}

/// A script for the phone, with what each step means.
#[derive(Debug)]
pub(super) struct Plan {
    steps: Vec<(Step, Deed)>,
    /// The first step that only brings the call to its end.
    pub(super) end: usize,
}

impl Plan {
    /// The script.
    pub(super) fn steps(&self) -> Vec<Step> {
        self.steps.iter().map(|(step, _)| step.clone()).collect()
    }

    /// What the step with this index means.
    pub(super) fn deed(&self, index: usize) -> Option<&Deed> {
        self.steps.get(index).map(|(_, deed)| deed)
    }
}

impl Actions {
    /// The script for these actions: with waits for quiet before each, if wanted, and an end.
    pub(super) fn plan(&self, quiet: bool, hangup_after: Option<Seconds>) -> anyhow::Result<Plan> {
        let listen = (
            Step::Quiet {
                give_up: QUIET_WAIT,
            },
            Deed::Listened,
        );
        let mut steps = Vec::new();
        for action in &self.0 {
            let waited = matches!(steps.last(), Some((_, Deed::Waited(_))));
            if quiet && !waited && !matches!(action, Action::Wait(_)) {
                steps.push(listen.clone());
            }
            steps.push(match action {
                Action::Press(keys) => (
                    Step::Press(Pii::new(keys.clone())),
                    Deed::Pressed(keys.clone()),
                ),
                Action::Say(text) => (Step::Play(speak(text)?), Deed::Said(text.clone())),
                Action::Play(file) => (Step::Play(read(file)?), Deed::Played(file.clone())),
                Action::Wait(time) => (Step::Wait(time.0), Deed::Waited(time.0)),
            });
        }
        let end = steps.len();
        steps.push(match hangup_after {
            Some(time) => (Step::Wait(time.0), Deed::Waited(time.0)),
            None => listen,
        });
        steps.push((Step::Hangup, Deed::HungUp));
        Ok(Plan { steps, end })
    }
}

fn read(file: &Path) -> anyhow::Result<Clip> {
    let bytes = std::fs::read(file).with_context(|| format!("--play {}", file.display()))?;
    let samples =
        media::sound::read(&bytes).with_context(|| format!("--play {}", file.display()))?;
    Ok(Clip::new(file.display().to_string(), samples))
}

/// Speaks a text with espeak-ng.
fn speak(text: &str) -> anyhow::Result<Clip> {
    let han = |c: char| matches!(c, '\u{3400}'..='\u{9fff}' | '\u{20000}'..='\u{3ffff}');
    let voice = if text.chars().any(han) { "cmn" } else { "en" };
    // Behind `--`, so that no text is taken for an option.
    let run = Command::new("espeak-ng")
        .args(["--stdout", "-v", voice, "--", text])
        .output();
    let output = match run {
        Ok(output) => output,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            bail!("--say needs espeak-ng; install it (apt-get install espeak-ng) or use --play")
        }
        Err(error) => return Err(anyhow!(error).context("--say: starting espeak-ng")),
    };
    if !output.status.success() {
        let why = String::from_utf8_lossy(&output.stderr);
        bail!(
            "--say: espeak-ng ended with {}: {}",
            output.status,
            why.trim()
        );
    }
    let samples = media::wav::read(&output.stdout).context("--say: what espeak-ng wrote")?;
    Ok(Clip::new(text, samples))
}

#[cfg(test)]
mod tests {
    use clap::{Args as _, FromArgMatches as _};

    use super::*;

    fn parse(line: &str) -> Result<Actions, clap::Error> {
        let command = Actions::augment_args(clap::Command::new("call").no_binary_name(true));
        let words = line.split_whitespace().map(str::to_owned);
        Actions::from_arg_matches(&command.try_get_matches_from(words)?)
    }

    fn deeds(line: &str, quiet: bool, hangup_after: Option<Seconds>) -> (Vec<Deed>, usize) {
        let plan = parse(line)
            .expect("good")
            .plan(quiet, hangup_after)
            .expect("no files");
        (
            plan.steps.into_iter().map(|(_, deed)| deed).collect(),
            plan.end,
        )
    }

    #[test]
    fn options_of_all_kinds_keep_their_order() {
        let actions =
            parse("--press 1 --wait 0.5 --press 2* --play a.wav --press 3 --say hi").unwrap();
        let expected = [
            Action::Press("1".into()),
            Action::Wait(Seconds(Duration::from_millis(500))),
            Action::Press("2*".into()),
            Action::Play("a.wav".into()),
            Action::Press("3".into()),
            Action::Say("hi".into()),
        ];
        assert_eq!(actions.0, expected);
    }

    #[test]
    fn keys_and_times_are_checked() {
        for good in [
            "--press 1",
            "--press 12#",
            "--press abcd*",
            "--wait 0",
            "--wait 3600",
        ] {
            assert!(parse(good).is_ok(), "{good}");
        }
        for bad in [
            "--press",
            "--press x",
            "--press 1-2",
            "--wait -1",
            "--wait 1h",
            "--wait nan",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
        assert!(keys(&"1".repeat(65)).is_err() && keys("").is_err());
    }

    #[test]
    fn it_listens_before_it_acts() {
        use Deed::{HungUp, Listened, Pressed, Waited};
        let press = |keys: &str| Pressed(keys.to_owned());
        let second = Duration::from_secs(1);
        assert_eq!(deeds("", true, None), (vec![Listened, HungUp], 0));
        assert_eq!(
            deeds("--press 1 --press 2", true, None),
            (
                vec![Listened, press("1"), Listened, press("2"), Listened, HungUp],
                4
            )
        );
        assert_eq!(
            deeds("--wait 1 --press 1", true, None),
            (vec![Waited(second), press("1"), Listened, HungUp], 2),
        );
        assert_eq!(
            deeds("--press 1", false, Some(Seconds(second))),
            (vec![press("1"), Waited(second), HungUp], 1),
        );
    }
}
