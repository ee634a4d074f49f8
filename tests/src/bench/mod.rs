//! `cargo xtask bench`: rows of figures beside their targets.
//!
//! A [`Row`] is measured several times; its table line has median, least and most. Figures are for
//! comparing within one run of one machine, so the machine stands above the table, and a row says
//! when its load generator was the limit or other programs were busy meanwhile.
//!
//! Rows of rooms run in this process. Rows of the whole server start the real binary on core 0,
//! and the load is made by this process on core 1.

// A measurement reads clocks, waits and starts programs.
#![allow(clippy::disallowed_methods)]

mod audio_rows;
mod call_rows;
mod engine_rows;
mod failover_row;
mod figure;
mod machine;
mod media_rows;
mod plugin_rows;
mod process;
mod reload_row;
mod server_rows;
mod sim_row;
mod sip_rows;
mod store_rows;
mod table;
mod usage;
mod webrtc_rows;

use std::collections::BTreeSet;
use std::io::{IsTerminal, Write as _};
use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};

use self::figure::{Figure, Measured, Sample, Target};
use self::machine::Machine;
use self::table::NotRun;

const HELP: &str = "\
Usage: cargo xtask bench [ROW...] [--runs N] [--json FILE] [--list]

Prints each row with median, minimum and maximum beside its target, and the machine it ran on.
A row is named in full or by its beginning. Close everything else first.

  --runs N     runs of each row (default: 5; long rows say in --list how many they take)
  --json FILE  also as JSON
  --list       names of the rows
";

/// Runs of a row that says nothing else.
const RUNS: usize = 5;

/// Where the server runs, and where everything else does.
const SERVER_CORE: usize = 0;
const LOAD_CORE: usize = 1;

/// Share of a core above which the load generator, not the server, may be the limit.
const LOAD_SHARE_MAX: f64 = 0.9;

/// Share of a core that other programs may use before a row says so.
const OTHERS_SHARE_MAX: f64 = 0.1;

/// Something that is measured.
struct Row {
    /// Its name.
    name: &'static str,
    /// One line for the list.
    what: &'static str,
    /// Runs unless the caller says otherwise.
    runs: usize,
    /// What it measures.
    figures: &'static [Figure],
    /// Measures once.
    measure: fn() -> anyhow::Result<Sample>,
}

/// All rows, in the order of the table.
fn rows() -> Vec<&'static Row> {
    let groups: [&'static [Row]; 11] = [
        sip_rows::ROWS,
        engine_rows::ROWS,
        media_rows::ROWS,
        plugin_rows::ROWS,
        store_rows::ROWS,
        call_rows::ROWS,
        audio_rows::ROWS,
        webrtc_rows::ROWS,
        reload_row::ROWS,
        failover_row::ROWS,
        server_rows::ROWS,
    ];
    groups.into_iter().flatten().chain(sim_row::ROWS).collect()
}

#[derive(Debug, Default)]
struct Options {
    rows: Vec<String>,
    runs: Option<usize>,
    json: Option<PathBuf>,
    list: bool,
    help: bool,
}

impl Options {
    fn parse(args: impl Iterator<Item = String>) -> anyhow::Result<Self> {
        let mut options = Self::default();
        let mut args = args;
        while let Some(arg) = args.next() {
            match &*arg {
                "--runs" => {
                    let runs = args.next().context("--runs wants a number")?;
                    let runs = runs.parse().context("--runs wants a number")?;
                    ensure!((1..=1_000).contains(&runs), "--runs wants 1 to 1000");
                    options.runs = Some(runs);
                }
                "--json" => {
                    options.json = Some(args.next().context("--json wants a file")?.into());
                }
                "--list" => options.list = true,
                "--help" | "-h" => options.help = true,
                option if option.starts_with('-') => bail!("no option {option:?}\n\n{HELP}"),
                row => options.rows.push(row.to_owned()),
            }
        }
        Ok(options)
    }
}

/// Runs the command line.
///
/// # Errors
/// If it is not understood or the JSON cannot be written. Rows that fail are part of the table.
pub fn main(args: impl Iterator<Item = String>) -> anyhow::Result<ExitCode> {
    let options = Options::parse(args)?;
    if options.help {
        print!("{HELP}");
        return Ok(ExitCode::SUCCESS);
    }
    let rows = choose(&options.rows)?;
    if options.list {
        for row in rows {
            println!("{:<18} {} ({} runs)", row.name, row.what, row.runs);
        }
        return Ok(ExitCode::SUCCESS);
    }
    let machine = Machine::here();
    // Threads made later inherit it; the server is given its own.
    let pinned = pin_to(LOAD_CORE, machine.cores());
    let (mut measured, mut not_run) = (Vec::new(), Vec::new());
    for row in rows {
        match measure(row, options.runs.unwrap_or(row.runs), pinned.as_ref().err()) {
            Ok(figures) => measured.extend(figures),
            Err(error) => not_run.push(NotRun {
                row: row.name,
                why: one_line(&error),
            }),
        }
    }
    progress("");
    print!("{}", table::text(&machine, &measured, &not_run));
    if let Some(file) = &options.json {
        let json = table::json(&machine, &measured, &not_run);
        std::fs::write(file, format!("{json:#}\n"))
            .with_context(|| format!("writing {}", file.display()))?;
    }
    Ok(if not_run.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// The rows named, or all.
fn choose(names: &[String]) -> anyhow::Result<Vec<&'static Row>> {
    let all = rows();
    for name in names {
        ensure!(
            all.iter().any(|row| row.name.starts_with(&**name)),
            "no row {name:?}; there are: {}",
            all.iter()
                .map(|row| row.name)
                .collect::<Vec<_>>()
                .join(", ")
        );
    }
    let wanted = |row: &&Row| names.iter().any(|name| row.name.starts_with(&**name));
    Ok(all
        .into_iter()
        .filter(|row| names.is_empty() || wanted(row))
        .collect())
}

/// Runs a row as often as asked and sorts its values by figure.
fn measure(
    row: &'static Row,
    runs: usize,
    not_pinned: Option<&anyhow::Error>,
) -> anyhow::Result<Vec<Measured>> {
    let mut notes = BTreeSet::new();
    if let Some(error) = not_pinned {
        notes.insert(format!("not pinned to a core: {error:#}"));
    }
    let mut figures: Vec<Measured> = row
        .figures
        .iter()
        .map(|&figure| Measured {
            row: row.name,
            figure,
            values: Vec::new(),
            notes: BTreeSet::new(),
        })
        .collect();
    for run in 1..=runs {
        progress(&format!("{} {run}/{runs}: {}", row.name, row.what));
        let (begun, system, own) = (Instant::now(), usage::system_cpu(), usage::own_cpu());
        let sample = (row.measure)()?;
        let others = (usage::system_cpu() - system).saturating_sub(usage::own_cpu() - own);
        let share = others.as_secs_f64() / begun.elapsed().as_secs_f64().max(0.1);
        if share > OTHERS_SHARE_MAX {
            notes.insert("other programs used over 10 % of a core meanwhile".into());
        }
        notes.extend(sample.notes);
        for (name, value) in sample.values {
            let figure = figures
                .iter_mut()
                .find(|measured| measured.figure.name == name)
                .with_context(|| format!("a figure {name:?} that the row does not list"))?;
            figure.values.push(value);
        }
    }
    figures.retain(|measured| !measured.values.is_empty());
    for measured in &mut figures {
        measured.notes.clone_from(&notes);
    }
    Ok(figures)
}

/// Keeps this process and what it starts on one core.
fn pin_to(core: usize, cores: usize) -> anyhow::Result<()> {
    ensure!(cores > core, "this machine has {cores} core(s)");
    let pid = std::process::id().to_string();
    let status = Command::new("taskset")
        .args(["-a", "-c", "-p", &core.to_string(), &pid])
        .stdout(Stdio::null())
        .status()
        .context("taskset cannot be run; install util-linux")?;
    ensure!(status.success(), "taskset failed");
    Ok(())
}

/// Says on standard error what is going on: on a terminal in one line that is written over.
fn progress(what: &str) {
    let mut stderr = std::io::stderr();
    if stderr.is_terminal() {
        drop(write!(stderr, "\r\x1b[K{what}"));
        drop(stderr.flush());
    } else if !what.is_empty() {
        drop(writeln!(stderr, "{what}"));
    }
}

fn one_line(error: &anyhow::Error) -> String {
    format!("{error:#}").replace('\n', " | ")
}

/// Mean time of one of `count` pieces of work, in µs.
fn micros_each(count: u32, mut work: impl FnMut()) -> f64 {
    let spent = on_core(|| {
        for _ in 0..count {
            work();
        }
    });
    micros(spent) / f64::from(count)
}

/// How long work kept its core busy. Time when other programs had the core is not in it; what they
/// did to its caches is.
///
/// The kernel counts in steps of a few milliseconds, so the work should take some hundred.
fn on_core(work: impl FnOnce()) -> Duration {
    let before = usage::thread_cpu();
    work();
    usage::thread_cpu().saturating_sub(before)
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

/// The value that a share of the values do not exceed; zero of none.
fn percentile(values: &mut [f64], share: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let last = values.len().saturating_sub(1);
    values
        .get((last as f64 * share).round() as usize)
        .copied()
        .unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> anyhow::Result<Options> {
        Options::parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn the_command_line_is_understood_or_refused() {
        let options = parse("sip ivr_100 --runs 3 --json rows.json").expect("good");
        assert_eq!((options.runs, options.rows.len()), (Some(3), 2));
        assert_eq!(options.json, Some("rows.json".into()));
        for bad in ["--runs", "--runs x", "--runs 0", "--json", "--fast"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn rows_have_names_of_their_own_and_figures() {
        let mut seen = BTreeSet::new();
        for row in rows() {
            assert!(seen.insert(row.name), "{} is there once", row.name);
            assert!(!row.figures.is_empty() && row.runs > 0, "{}", row.name);
            let names: BTreeSet<&str> = row.figures.iter().map(|figure| figure.name).collect();
            assert_eq!(names.len(), row.figures.len(), "{}", row.name);
        }
        assert!(choose(&["nonsense".to_owned()]).is_err());
        let chosen = choose(&["ivr_1".to_owned()]).expect("a row");
        assert_eq!(
            chosen.iter().map(|row| row.name).collect::<Vec<_>>(),
            ["ivr_100"]
        );
    }

    #[test]
    fn percentiles_are_found() {
        let mut values: Vec<f64> = (0..=100).rev().map(f64::from).collect();
        assert_eq!(percentile(&mut values, 0.99), 99.0);
        assert_eq!(percentile(&mut [], 0.5), 0.0);
    }
}
