//! The machine a table was made on, and what else it was doing.

use std::fs;
use std::process::Command;

use serde_json::{Value, json};
use server::clock::Clock;

/// What stands above every table.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Machine {
    cpu: String,
    cores: usize,
    kernel: String,
    memory_gb: f64,
    date: String,
    revision: String,
    profile: &'static str,
    load: String,
    /// The processors' time when it began.
    ticks: Ticks,
}

/// Time of all processors so far, in ticks of the system.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
struct Ticks {
    all: u64,
    /// Wanted, and given to other virtual machines by the host.
    stolen: u64,
}

impl Ticks {
    fn now() -> Self {
        Self::of(&read("/proc/stat"))
    }

    /// From `/proc/stat` (proc(5)): user, nice, system, idle, iowait, irq, softirq, steal.
    fn of(stat: &str) -> Self {
        let line = stat.lines().next().unwrap_or_default();
        let numbers = line.split_whitespace().skip(1).take(8);
        let ticks: Vec<u64> = numbers.filter_map(|it| it.parse().ok()).collect();
        Self {
            all: ticks.iter().sum(),
            stolen: ticks.get(7).copied().unwrap_or(0),
        }
    }

    /// The share of the time since then that was stolen, in percent.
    fn stolen_since(self, then: Self) -> f64 {
        let all = self.all.saturating_sub(then.all).max(1);
        self.stolen.saturating_sub(then.stolen) as f64 / all as f64 * 100.0
    }
}

impl Machine {
    /// This one, now. What the system does not tell reads `unknown`.
    pub(super) fn here() -> Self {
        let cpuinfo = read("/proc/cpuinfo");
        let memory = super::usage::field(&read("/proc/meminfo"), "MemTotal:").unwrap_or(0.0);
        let load = read("/proc/loadavg");
        Self {
            cpu: after_colon(&cpuinfo, "model name").unwrap_or_else(unknown),
            cores: std::thread::available_parallelism().map_or(1, Into::into),
            kernel: word(&read("/proc/sys/kernel/osrelease")),
            memory_gb: memory / f64::from(1 << 20),
            date: Clock::start().now().wall.rfc3339(),
            revision: revision(),
            profile: if cfg!(debug_assertions) {
                "dev"
            } else {
                "release"
            },
            load: load.split(' ').take(3).collect::<Vec<_>>().join(" "),
            ticks: Ticks::now(),
        }
    }

    /// The share of the time since then that the host gave to others, in percent.
    fn stolen(&self) -> f64 {
        Ticks::now().stolen_since(self.ticks)
    }

    /// Whether this build is the one that figures are compared with.
    pub(super) fn is_release(&self) -> bool {
        self.profile == "release"
    }

    /// Cores that may be used.
    pub(super) fn cores(&self) -> usize {
        self.cores
    }

    /// Lines above the table.
    pub(super) fn lines(&self) -> String {
        let Self {
            cpu,
            cores,
            kernel,
            memory_gb,
            date,
            revision,
            profile,
            load,
            ticks: _,
        } = self;
        let stolen = self.stolen();
        format!(
            "machine   {cpu}, {cores} cores, {memory_gb:.0} GiB, Linux {kernel}\n\
             measured  {date}, revision {revision}, {profile} build, load before {load}, \
             {stolen:.1} % of the time taken by other machines on the host\n"
        )
    }

    /// The same for programs.
    pub(super) fn json(&self) -> Value {
        let Self {
            cpu,
            cores,
            kernel,
            memory_gb,
            date,
            revision,
            profile,
            load,
            ticks: _,
        } = self;
        let stolen = self.stolen();
        json!({
            "cpu": cpu, "cores": cores, "kernel": kernel, "memory_gib": memory_gb, "date": date,
            "revision": revision, "profile": profile, "load_before": load, "stolen_percent": stolen,
        })
    }
}

fn unknown() -> String {
    "unknown".to_owned()
}

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

fn word(text: &str) -> String {
    match text.trim() {
        "" => unknown(),
        word => word.to_owned(),
    }
}

fn after_colon(text: &str, name: &str) -> Option<String> {
    let line = text.lines().find(|line| line.starts_with(name))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

/// The commit, with a mark if files differ from it.
fn revision() -> String {
    let git = |args: &[&str]| {
        let output = Command::new("git").args(args).output().ok()?;
        output
            .status
            .success()
            .then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let Some(commit) = git(&["rev-parse", "--short", "HEAD"]) else {
        return unknown();
    };
    match git(&["status", "--porcelain", "--untracked-files=no"]) {
        Some(changes) if changes.is_empty() => commit,
        Some(_) | None => format!("{commit} with changes"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stolen_time_is_a_share_of_all() {
        let before = Ticks::of("cpu  100 0 50 800 50 0 0 0 7 7\ncpu0 1 2 3\n");
        let after = Ticks::of("cpu  150 0 50 850 50 0 0 100 9 9\n");
        assert_eq!(after.stolen_since(before), 50.0);
        assert_eq!(Ticks::of("").stolen_since(Ticks::of("")), 0.0);
    }
}
