//! What processes use, from `/proc`.

use std::fs;
use std::time::Duration;

/// Ticks of `/proc/PID/stat` a second: fixed in the kernel's interface on Linux.
const TICKS_HZ: u64 = 100;

/// What a process has used until now and holds now.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub(super) struct Usage {
    /// User and system time of all its threads.
    pub(super) cpu: Duration,
    /// Resident memory.
    pub(super) rss_kb: f64,
    /// Open files.
    pub(super) fds: usize,
}

impl Usage {
    /// Of a live process.
    ///
    /// # Errors
    /// If it is gone.
    pub(super) fn of(pid: u32) -> anyhow::Result<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
        let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
        Ok(Self {
            cpu: ticks(&stat, 14) + ticks(&stat, 15),
            rss_kb: field(&status, "VmRSS:").unwrap_or(0.0),
            fds: fs::read_dir(format!("/proc/{pid}/fd"))?.count(),
        })
    }
}

/// What the files are that a process holds open: paths, and the kinds of everything else.
///
/// # Errors
/// If it is gone.
pub(super) fn open_files(pid: u32) -> anyhow::Result<Vec<String>> {
    let entries = fs::read_dir(format!("/proc/{pid}/fd"))?;
    // One that is closed meanwhile is not open.
    let links = entries.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
    let mut files: Vec<String> = links
        .map(|link| match link.to_string_lossy().split_once(":[") {
            Some((kind, _)) => kind.to_owned(),
            None => link.display().to_string(),
        })
        .collect();
    files.sort();
    Ok(files)
}

/// Time on a processor of the calling thread; zero where the kernel does not count it.
pub(super) fn thread_cpu() -> Duration {
    let text = fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanos = text.split(' ').next().and_then(|word| word.parse().ok());
    Duration::from_nanos(nanos.unwrap_or(0))
}

/// Memory that only this process has, its page tables included, in KiB.
pub(super) fn private_kb() -> f64 {
    let rollup = fs::read_to_string("/proc/self/smaps_rollup").unwrap_or_default();
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    field(&rollup, "Private_Dirty:").unwrap_or(0.0)
        + field(&rollup, "Private_Clean:").unwrap_or(0.0)
        + field(&status, "VmPTE:").unwrap_or(0.0)
}

/// Time that everything has spent on processors, time stolen by the hypervisor included.
pub(super) fn system_cpu() -> Duration {
    let stat = fs::read_to_string("/proc/stat").unwrap_or_default();
    let line = stat.lines().next().unwrap_or_default();
    let numbers: Vec<u64> = line
        .split_whitespace()
        .skip(1)
        .filter_map(|word| word.parse().ok())
        .collect();
    // user, nice, system, idle, iowait, irq, softirq, steal (proc(5)).
    let at = |index: usize| numbers.get(index).copied().unwrap_or(0);
    from_ticks(at(0) + at(1) + at(2) + at(7))
}

/// Time that this process and the children it has waited for spent on processors.
pub(super) fn own_cpu() -> Duration {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    (14..=17).map(|number| ticks(&stat, number)).sum()
}

/// The number that follows a name at the start of a line.
pub(super) fn field(text: &str, name: &str) -> Option<f64> {
    let rest = text.lines().find_map(|line| line.strip_prefix(name))?;
    rest.split_whitespace().next()?.parse().ok()
}

/// A field of `/proc/PID/stat`, counted from 1 as in proc(5).
fn ticks(stat: &str, number: usize) -> Duration {
    // The second field is the program's name in brackets and may hold anything.
    let rest = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let word = rest.split_whitespace().nth(number.saturating_sub(3));
    from_ticks(word.and_then(|word| word.parse().ok()).unwrap_or(0))
}

fn from_ticks(ticks: u64) -> Duration {
    Duration::from_millis(ticks * 1_000 / TICKS_HZ)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_found() {
        let stat = "12 (a) b)) S 1 2 3 4 5 6 7 8 9 10 250 50 7 8 20 0 9 0 12345 1";
        assert_eq!(ticks(stat, 14), Duration::from_millis(2_500));
        assert_eq!(ticks(stat, 17), Duration::from_millis(80));
        assert_eq!(ticks("", 14), Duration::ZERO);
        assert_eq!(field("A: 1\nVmRSS:\t 12 kB\n", "VmRSS:"), Some(12.0));
        assert_eq!(field("A: 1\n", "B:"), None);
    }

    #[test]
    fn a_live_process_has_files_and_memory() {
        let usage = Usage::of(std::process::id()).expect("this process lives");
        assert!(usage.fds > 2 && usage.rss_kb > 100.0, "{usage:?}");
    }
}
