//! What version of each plugin takes the next call: bookkeeping for hot reload.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use vocab::flow::{FaultKind, PluginRef};
use vocab::{Mono, Now};

use crate::limits;
use crate::plugin::Plugin;

/// What a version is there for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Standing {
    /// It takes new calls.
    Current,
    /// It was good and is kept to go back to; it may still have runs.
    Standby,
    /// It finishes its runs and is freed after the last one.
    Leaving,
}

impl Standing {
    /// Stable lower-case name for lists and the API.
    pub fn name(self) -> &'static str {
        match self {
            Self::Current => "current",
            Self::Standby => "standby",
            Self::Leaving => "leaving",
        }
    }
}

/// What an installation did.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Installed {
    /// The first version of this plugin.
    First,
    /// New calls go to the new version instead of this one.
    Replaced(PluginRef),
    /// The same bytes are current already.
    Unchanged,
}

/// Why a version was not installed. What was current before still is.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NotInstalled {
    /// The same bytes failed not long ago.
    #[error("this version failed {} times within {} s; it is taken again in {} s",
        limits::FAULTS_MAX, limits::FAULT_WINDOW.as_secs(), wait.as_secs().max(1))]
    Failed {
        /// Time left until it is taken again.
        wait: Duration,
    },
    /// Too many plugins.
    #[error("{} plugins are installed; no more are taken", limits::PLUGINS_MAX)]
    Full,
}

/// Why there was no way back.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NotRolledBack {
    /// No such plugin.
    #[error("no plugin is called {0:?}")]
    Unknown(String),
    /// No earlier version is kept.
    #[error("no earlier version of {0} is kept")]
    NoEarlier(PluginRef),
}

/// What the registry reports.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum RegistryOutput {
    /// Too many faults: new calls go to the last good version.
    RolledBack {
        /// The version that failed.
        from: PluginRef,
        /// The version that takes new calls.
        to: PluginRef,
    },
    /// Too many faults, and no good version to go back to: it keeps taking calls, whose callers
    /// hear the fallback when it fails.
    Failing {
        /// The version.
        plugin: PluginRef,
    },
    /// The last run of a version that no longer takes calls ended; it is kept to go back to.
    Drained {
        /// The version.
        plugin: PluginRef,
    },
    /// A version is gone: no runs, and not kept.
    Freed {
        /// The version.
        plugin: PluginRef,
    },
}

/// One version in a list.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Listed {
    /// Name and version.
    pub plugin: PluginRef,
    /// SHA-256 of the component.
    pub sha256: [u8; 32],
    /// What it is there for.
    pub standing: Standing,
    /// Runs alive.
    pub live: u32,
    /// Runs ever.
    pub runs: u64,
    /// Runs that ended in a fault.
    pub faults: u64,
}

/// Proof that a run was counted; given back when the run is over.
#[derive(PartialEq, Eq, Debug)]
#[must_use = "a run that is never released keeps its version forever"]
pub struct Ticket {
    name: Arc<str>,
    serial: u64,
}

/// Versions of all plugins.
///
/// A new version takes new calls at once; running calls finish on theirs. The last good versions
/// stay in memory ([`limits::STANDBY_VERSIONS`]), so that going back takes no time;
/// [`limits::FAULTS_MAX`] faults within [`limits::FAULT_WINDOW`] go back by themselves, and the
/// failed bytes are refused for a while that doubles each time.
#[derive(Default, Debug)]
pub struct Registry {
    shelves: BTreeMap<Arc<str>, Shelf>,
    serial: u64,
    out: VecDeque<RegistryOutput>,
}

/// All versions of one plugin.
#[derive(Default, Debug)]
struct Shelf {
    versions: Vec<Version>,
    bad: VecDeque<Bad>,
}

#[derive(Debug)]
struct Version {
    plugin: Plugin,
    serial: u64,
    /// Grows each time a version becomes current.
    rank: u64,
    standing: Standing,
    live: u32,
    runs: u64,
    faults: u64,
    recent: VecDeque<Mono>,
}

#[derive(Debug)]
struct Bad {
    sha256: [u8; 32],
    until: Mono,
    backoff: Duration,
}

impl Registry {
    /// No plugins.
    pub fn new() -> Self {
        Self::default()
    }

    /// The next report, or `None`.
    pub fn poll(&mut self) -> Option<RegistryOutput> {
        self.out.pop_front()
    }

    /// Makes a version the current one of its name.
    ///
    /// # Errors
    /// When the same bytes failed not long ago, or too many plugins are installed.
    pub fn install(&mut self, now: Now, plugin: Plugin) -> Result<Installed, NotInstalled> {
        debug_assert!(
            self.out.is_empty(),
            "outputs are drained before the next input"
        );
        let name = plugin.reference().name.clone();
        if !self.shelves.contains_key(&name) && self.shelves.len() >= limits::PLUGINS_MAX {
            return Err(NotInstalled::Full);
        }
        self.serial += 1;
        let serial = self.serial;
        let shelf = self.shelves.entry(name).or_default();
        let same = |version: &Version| version.plugin.sha256() == plugin.sha256();
        if shelf.current().is_some_and(same) {
            return Ok(Installed::Unchanged);
        }
        if let Some(wait) = shelf.refused(now.mono, plugin.sha256()) {
            return Err(NotInstalled::Failed { wait });
        }
        let before = shelf
            .current()
            .map(|version| version.plugin.reference().clone());
        let known = shelf
            .versions
            .iter()
            .find(|version| same(version))
            .map(|known| known.serial);
        if known.is_none() {
            shelf.versions.push(Version::new(plugin, serial));
        }
        shelf.promote(
            known.unwrap_or(serial),
            serial,
            Standing::Standby,
            &mut self.out,
        );
        Ok(before.map_or(Installed::First, Installed::Replaced))
    }

    /// The version that takes the next call of `name`, counted as one more run of it.
    pub fn take(&mut self, name: &str) -> Option<(Plugin, Ticket)> {
        let (name, shelf) = self.shelves.get_key_value(name)?;
        let name = name.clone();
        let serial = shelf.current()?.serial;
        let version = self.shelves.get_mut(&name)?.version(serial);
        version.live += 1;
        version.runs += 1;
        Some((version.plugin.clone(), Ticket { name, serial }))
    }

    /// A run is over, with its fault if it was one.
    ///
    /// # Panics
    /// If the ticket is of another registry.
    pub fn release(&mut self, now: Now, ticket: Ticket, fault: Option<FaultKind>) {
        debug_assert!(
            self.out.is_empty(),
            "outputs are drained before the next input"
        );
        let shelf = self
            .shelves
            .get_mut(&ticket.name)
            .expect("a version with runs stays");
        let version = shelf.version(ticket.serial);
        assert!(version.live > 0, "each ticket is given back once");
        version.live -= 1;
        let failing = fault.is_some() && version.failed(now.mono);
        let drained = version.live == 0 && version.standing == Standing::Standby;
        let plugin = version.plugin.clone();
        if drained {
            self.out.push_back(RegistryOutput::Drained {
                plugin: plugin.reference().clone(),
            });
        }
        if failing {
            version.recent.clear();
            match shelf.standby() {
                Some(serial) => {
                    self.serial += 1;
                    shelf.condemn(now.mono, *plugin.sha256());
                    let to = shelf.version(serial).plugin.reference().clone();
                    let from = plugin.reference().clone();
                    self.out.push_back(RegistryOutput::RolledBack { from, to });
                    shelf.promote(serial, self.serial, Standing::Leaving, &mut self.out);
                }
                None => {
                    let plugin = plugin.reference().clone();
                    self.out.push_back(RegistryOutput::Failing { plugin });
                }
            }
        }
        shelf.sweep(&mut self.out);
    }

    /// Goes back to the version before the current one, which is not kept. Returns the version
    /// that takes new calls.
    ///
    /// # Errors
    /// When there is no such plugin, or no earlier version is kept; then nothing changes.
    pub fn rollback(&mut self, name: &str) -> Result<PluginRef, NotRolledBack> {
        debug_assert!(
            self.out.is_empty(),
            "outputs are drained before the next input"
        );
        let unknown = || NotRolledBack::Unknown(crate::error::cut(name, 63));
        let shelf = self.shelves.get_mut(name).ok_or_else(unknown)?;
        let current = shelf
            .current()
            .ok_or_else(unknown)?
            .plugin
            .reference()
            .clone();
        let serial = shelf.standby().ok_or(NotRolledBack::NoEarlier(current))?;
        self.serial += 1;
        shelf.promote(serial, self.serial, Standing::Leaving, &mut self.out);
        Ok(shelf.version(serial).plugin.reference().clone())
    }

    /// Takes a plugin out: new calls no longer find it, running ones finish. Returns whether it
    /// was there.
    pub fn remove(&mut self, name: &str) -> bool {
        debug_assert!(
            self.out.is_empty(),
            "outputs are drained before the next input"
        );
        let Some(shelf) = self.shelves.get_mut(name) else {
            return false;
        };
        let was_there = shelf.current().is_some();
        for version in &mut shelf.versions {
            version.standing = Standing::Leaving;
        }
        shelf.sweep(&mut self.out);
        if shelf.versions.is_empty() {
            self.shelves.remove(name);
        }
        was_there
    }

    /// The current version of a plugin.
    pub fn current(&self, name: &str) -> Option<&Plugin> {
        self.shelves
            .get(name)?
            .current()
            .map(|version| &version.plugin)
    }

    /// All versions: by name, the current one first, then from new to old.
    pub fn list(&self) -> Vec<Listed> {
        let mut list = Vec::new();
        for shelf in self.shelves.values() {
            let mut versions: Vec<&Version> = shelf.versions.iter().collect();
            versions.sort_by_key(|version| (version.standing, std::cmp::Reverse(version.rank)));
            list.extend(versions.into_iter().map(Version::listed));
        }
        list
    }
}

impl Shelf {
    fn current(&self) -> Option<&Version> {
        self.versions
            .iter()
            .find(|version| version.standing == Standing::Current)
    }

    /// The best version to go back to.
    fn standby(&self) -> Option<u64> {
        let standby = |version: &&Version| version.standing == Standing::Standby;
        self.versions
            .iter()
            .filter(standby)
            .max_by_key(|version| version.rank)
            .map(|v| v.serial)
    }

    fn version(&mut self, serial: u64) -> &mut Version {
        let mut versions = self.versions.iter_mut();
        versions
            .find(|version| version.serial == serial)
            .expect("a version in use stays")
    }

    /// Makes a version current; the one before becomes `after`.
    fn promote(
        &mut self,
        serial: u64,
        rank: u64,
        after: Standing,
        out: &mut VecDeque<RegistryOutput>,
    ) {
        for version in &mut self.versions {
            if version.serial == serial {
                version.standing = Standing::Current;
                version.rank = rank;
                version.recent.clear();
            } else if version.standing == Standing::Current {
                version.standing = after;
                if version.live == 0 && after == Standing::Standby {
                    let plugin = version.plugin.reference().clone();
                    out.push_back(RegistryOutput::Drained { plugin });
                }
            }
        }
        let mut standby: Vec<(u64, u64)> = self
            .versions
            .iter()
            .filter(|version| version.standing == Standing::Standby)
            .map(|version| (version.rank, version.serial))
            .collect();
        standby.sort_unstable();
        let surplus = standby.len().saturating_sub(limits::STANDBY_VERSIONS);
        for (_, serial) in standby.into_iter().take(surplus) {
            self.version(serial).standing = Standing::Leaving;
        }
        self.sweep(out);
        let current = self
            .versions
            .iter()
            .filter(|v| v.standing == Standing::Current)
            .count();
        assert_eq!(current, 1, "one version takes new calls");
    }

    /// Frees versions that nobody needs.
    fn sweep(&mut self, out: &mut VecDeque<RegistryOutput>) {
        self.versions.retain(|version| {
            let needed = version.live > 0 || version.standing != Standing::Leaving;
            if !needed {
                out.push_back(RegistryOutput::Freed {
                    plugin: version.plugin.reference().clone(),
                });
            }
            needed
        });
    }

    fn refused(&self, now: Mono, sha256: &[u8; 32]) -> Option<Duration> {
        let bad = self.bad.iter().find(|bad| bad.sha256 == *sha256)?;
        (bad.until > now).then(|| bad.until.since(now))
    }

    fn condemn(&mut self, now: Mono, sha256: [u8; 32]) {
        let known = self.bad.iter().position(|bad| bad.sha256 == sha256);
        let backoff = match known.and_then(|i| self.bad.remove(i)) {
            Some(before) => (before.backoff * 2).min(limits::BACKOFF_MAX),
            None => limits::BACKOFF_FIRST,
        };
        if self.bad.len() >= limits::BAD_VERSIONS_MAX {
            self.bad.pop_front();
        }
        self.bad.push_back(Bad {
            sha256,
            until: now + backoff,
            backoff,
        });
    }
}

impl Version {
    fn new(plugin: Plugin, serial: u64) -> Self {
        Self {
            plugin,
            serial,
            rank: serial,
            standing: Standing::Standby,
            live: 0,
            runs: 0,
            faults: 0,
            recent: VecDeque::new(),
        }
    }

    /// Counts a fault; true if a current version has had too many.
    fn failed(&mut self, now: Mono) -> bool {
        self.faults += 1;
        self.recent
            .retain(|at| now.since(*at) < limits::FAULT_WINDOW);
        self.recent.push_back(now);
        if self.recent.len() > limits::FAULTS_MAX {
            self.recent.pop_front();
        }
        self.standing == Standing::Current && self.recent.len() >= limits::FAULTS_MAX
    }

    fn listed(&self) -> Listed {
        Listed {
            plugin: self.plugin.reference().clone(),
            sha256: *self.plugin.sha256(),
            standing: self.standing,
            live: self.live,
            runs: self.runs,
            faults: self.faults,
        }
    }
}
