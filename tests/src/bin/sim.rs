//! Seeds through the simulator: `cargo xtask sim`.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jackfield_tests::crowd;
use jackfield_tests::sim::{Guests, Report, run_seed};

const HELP: &str = "\
Usage: [SEED=n] sim [--seeds K] [--from N] [--once] [--keep-going] [-v]
       [SEED=n] sim --calls N [--from SEED] [-v]

Runs each seed twice and compares the two runs to the byte. With --calls it runs one seed once: so
many calls through call control and signalling alone.

  --seeds K      how many; 200 if not said
  --from N       the first; 1 if not said, or what SEED says
  --once         once each, without the comparison
  --keep-going   try the other seeds after a failure, and name the failed ones at the end
  --calls N      calls over lines that lose, repeat and reorder: one final answer to each INVITE,
                 nothing left of any call, and no growth
  -v             a line for each seed, and at the end what was in the mix
";

struct Options {
    calls: Option<u32>,
    from: u64,
    seeds: u64,
    once: bool,
    keep_going: bool,
    verbose: bool,
}

/// What all seeds came to.
#[derive(Default)]
struct Total {
    time: Duration,
    calls: BTreeMap<&'static str, usize>,
    faults: usize,
    sights: BTreeMap<String, usize>,
    failed: Vec<u64>,
}

fn main() -> ExitCode {
    let options = match options() {
        Ok(options) => options,
        Err(why) => {
            eprintln!("{why}\n\n{HELP}");
            return ExitCode::FAILURE;
        }
    };
    if let Some(calls) = options.calls {
        many_calls(&options, calls);
        return ExitCode::SUCCESS;
    }
    let guests = Arc::new(Guests::load());
    let begin = clock();
    let mut total = Total::default();
    for seed in options.from..options.from + options.seeds {
        let one = || one_seed(seed, &options, &guests);
        if !options.keep_going {
            total.add(one());
            continue;
        }
        match catch_unwind(AssertUnwindSafe(one)) {
            Ok(report) => total.add(report),
            Err(_) => total.failed.push(seed),
        }
    }
    total.print(&options, begin.elapsed());
    if total.failed.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// So many calls in one run; a broken promise is a panic.
fn many_calls(options: &Options, calls: u32) {
    let begin = clock();
    let every = (calls / 20).max(1);
    let mut next = every;
    let report = crowd::run(options.from, calls, |begun, alive| {
        if begun >= next {
            next += every;
            let seconds = begin.elapsed().as_secs();
            println!("{seconds:>5} s: {begun:>8} calls; {alive}");
        }
    });
    if options.verbose {
        for (who, counts) in [("engine", &report.seen), ("far ends", &report.heard)] {
            for (name, count) in counts {
                println!("{count:>8} {who}: {name}");
            }
        }
    }
    if let Some((first, last)) = &report.warm {
        println!("alive in full traffic, at first: {first}; at last: {last}");
    }
    println!(
        "seed {}: {} calls, {} INVITEs with one final answer each ({} sent again), nothing left; \
         {:.0} s in {:.0} s; {}",
        report.seed,
        report.calls,
        report.invites,
        report.repeated,
        report.time.as_secs_f64(),
        begin.elapsed().as_secs_f64(),
        report.fingerprint
    );
}

fn one_seed(seed: u64, options: &Options, guests: &Arc<Guests>) -> Report {
    let started = clock();
    let report = run_seed(seed, guests);
    if !options.keep_going {
        assert_eq!(guests.host.live(), 0, "SEED={seed}: plugin runs are left");
    }
    if !options.once {
        let again = run_seed(seed, guests);
        assert_eq!(report, again, "SEED={seed}: two runs of one seed differ");
    }
    if options.verbose {
        println!("{}", line(&report, started.elapsed()));
    }
    report
}

impl Total {
    fn add(&mut self, report: Report) {
        self.time += report.time;
        self.faults += report.faults;
        for (disposition, count) in report.calls {
            *self.calls.entry(disposition).or_default() += count;
        }
        for (sight, count) in report.sights {
            *self.sights.entry(sight).or_default() += count;
        }
    }

    fn print(&self, options: &Options, took: Duration) {
        if options.verbose {
            for (sight, count) in &self.sights {
                println!("{count:>8} {sight}");
            }
        }
        let sum: usize = self.calls.values().sum();
        let each: Vec<String> = self
            .calls
            .iter()
            .map(|(name, count)| format!("{count} {name}"))
            .collect();
        let how = if options.once {
            "once each"
        } else {
            "twice each with the same result"
        };
        println!(
            "{} seeds, {how}: {sum} calls ({}), {} plugin faults, {:.0} s simulated in {:.1} s",
            options.seeds,
            each.join(", "),
            self.faults,
            self.time.as_secs_f64(),
            took.as_secs_f64(),
        );
        if !self.failed.is_empty() {
            println!("failed: {:?}", self.failed);
        }
    }
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
        calls: None,
        from: 1,
        seeds: 200,
        once: false,
        keep_going: false,
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
            "--calls" => {
                let calls = u32::try_from(number()?);
                options.calls = Some(calls.map_err(|_| "--calls: too many".to_owned())?);
            }
            "--once" => options.once = true,
            "--keep-going" => options.keep_going = true,
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
    }
    options.verbose |= options.seeds == 1;
    Ok(options)
}
