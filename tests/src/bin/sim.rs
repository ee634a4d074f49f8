//! Seeds through the simulator: `cargo xtask sim`.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jackfield_tests::sim::{Guests, Report, run_seed};

const HELP: &str = "\
Usage: [SEED=n] sim [--seeds K] [--from N] [--once] [-v]

Runs each seed twice and compares the two runs to the byte.

  --seeds K   how many; 200 if not said
  --from N    the first; 1 if not said
  --once      once each, without the comparison
  -v          a line for each seed
";

struct Options {
    from: u64,
    seeds: u64,
    once: bool,
    verbose: bool,
}

fn main() -> ExitCode {
    let options = match options() {
        Ok(options) => options,
        Err(why) => {
            eprintln!("{why}\n\n{HELP}");
            return ExitCode::FAILURE;
        }
    };
    let guests = Arc::new(Guests::load());
    let begin = clock();
    let mut total = Duration::ZERO;
    let mut calls: BTreeMap<&str, usize> = BTreeMap::new();
    let mut faults = 0;
    for seed in options.from..options.from + options.seeds {
        let started = clock();
        let report = run_seed(seed, &guests);
        assert_eq!(guests.host.live(), 0, "SEED={seed}: plugin runs are left");
        if !options.once {
            let again = run_seed(seed, &guests);
            assert_eq!(report, again, "SEED={seed}: two runs of one seed differ");
        }
        if options.verbose {
            println!("{}", line(&report, started.elapsed()));
        }
        total += report.time;
        faults += report.faults;
        for (disposition, count) in report.calls {
            *calls.entry(disposition).or_default() += count;
        }
    }
    let sum: usize = calls.values().sum();
    let each: Vec<String> = calls
        .iter()
        .map(|(name, count)| format!("{count} {name}"))
        .collect();
    println!(
        "{} seeds, {} the same: {sum} calls ({}), {faults} plugin faults, {:.0} s simulated in \
         {:.1} s",
        options.seeds,
        if options.once {
            "once each; not compared for being"
        } else {
            "twice each, to the byte"
        },
        each.join(", "),
        total.as_secs_f64(),
        begin.elapsed().as_secs_f64(),
    );
    ExitCode::SUCCESS
}

fn line(report: &Report, took: Duration) -> String {
    let calls: Vec<String> = report
        .calls
        .iter()
        .map(|(name, count)| format!("{count} {name}"))
        .collect();
    format!(
        "seed {:>5}: {:>5.0} s in {:>6.0} ms, {} faults, {}; {}",
        report.seed,
        report.time.as_secs_f64(),
        took.as_secs_f64() * 1e3,
        report.faults,
        calls.join(", "),
        report.fingerprint
    )
}

#[allow(
    clippy::disallowed_methods,
    reason = "how long the simulation takes is worth knowing"
)]
fn clock() -> Instant {
    Instant::now()
}

fn options() -> Result<Options, String> {
    let mut options = Options {
        from: 1,
        seeds: 200,
        once: false,
        verbose: false,
    };
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        let mut number = || -> Result<u64, String> {
            let value = args.next().ok_or_else(|| format!("{arg} needs a number"))?;
            value
                .parse()
                .map_err(|_| format!("{arg} {value}: not a number"))
        };
        match arg.as_str() {
            "--seeds" => options.seeds = number()?,
            "--from" => options.from = number()?,
            "--once" => options.once = true,
            "-v" => options.verbose = true,
            "-h" | "--help" => return Err("seeds through the simulator".to_owned()),
            other => return Err(format!("unknown option {other}")),
        }
    }
    #[allow(
        clippy::disallowed_methods,
        reason = "a seed is named as the failure printed it"
    )]
    if let Ok(seed) = std::env::var("SEED") {
        options.from = seed
            .parse()
            .map_err(|_| format!("SEED={seed}: not a number"))?;
        (options.seeds, options.verbose) = (1, true);
    }
    Ok(options)
}
