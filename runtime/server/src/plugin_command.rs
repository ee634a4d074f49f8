//! `jackfield plugin …`: looks after the folder of plugins.
//!
//! A running server watches that folder, so what is done here takes effect there by itself, and
//! survives a restart.

mod folder;
mod live;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, anyhow, bail};
use clap::{Args, Subcommand};
use plugin::{Grant, Host, HostConfig, LoadError, Manifest, Plugin};
use vocab::Rng;

use crate::cli::{complain, counted, say};
use crate::clock::Clock;
use crate::config::{Config, Problem, did_you_mean};

use folder::{Change, Folder};

/// What to do with plugins.
#[derive(Subcommand, Debug)]
pub(crate) enum PluginCommand {
    /// Check a plugin as the server would, and show what it is.
    #[command(after_help = "\
Examples:
  jackfield plugin check ivr-menu.wasm
  jackfield plugin check target/guests/hello-ivr.wasm")]
    Check {
        /// The plugin: a WebAssembly component.
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },

    /// Check a plugin and put it where the server finds it.
    ///
    /// The file is replaced in one step. A running server gives new calls to the new version;
    /// calls that are up finish on theirs. The version before is kept for `rollback`.
    #[command(after_help = "\
Examples:
  jackfield plugin install ivr-menu.wasm
  jackfield plugin install ivr-menu.wasm --config /etc/jackfield/jackfield.toml
  jackfield plugin install ivr-menu.wasm --dir /var/lib/jackfield/plugins")]
    Install {
        /// The plugin: a WebAssembly component.
        #[arg(value_name = "FILE")]
        file: PathBuf,
        #[command(flatten)]
        place: Place,
    },

    /// List what is installed, and what is live if the server answers.
    ///
    /// The server is asked with the token that the configuration names, if its variable is set.
    #[command(after_help = "\
Examples:
  jackfield plugin list
  jackfield plugin list --config /etc/jackfield/jackfield.toml
  jackfield plugin list --dir plugins")]
    List {
        #[command(flatten)]
        place: Place,
    },

    /// Go back to the version before.
    ///
    /// Going back again goes back further. The version that is taken out is kept beside the
    /// others, and can be installed again from there.
    #[command(after_help = "\
Examples:
  jackfield plugin rollback ivr-menu
  jackfield plugin rollback ivr-menu --config /etc/jackfield/jackfield.toml")]
    Rollback {
        /// The plugin's name.
        #[arg(value_name = "NAME")]
        name: String,
        #[command(flatten)]
        place: Place,
    },
}

/// Where plugins are installed.
#[derive(Args, Debug)]
#[group(multiple = false)]
pub(crate) struct Place {
    /// The server's configuration, which names the folder.
    #[arg(long, short, value_name = "FILE", default_value = "jackfield.toml")]
    config: PathBuf,

    /// The folder itself, without a configuration.
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

/// Does it.
pub(crate) fn run(command: &PluginCommand) -> anyhow::Result<ExitCode> {
    match command {
        PluginCommand::Check { file } => check(file),
        PluginCommand::Install { file, place } => install(file, place),
        PluginCommand::List { place } => list(place),
        PluginCommand::Rollback { name, place } => rollback(name, place),
    }?;
    Ok(ExitCode::SUCCESS)
}

impl Place {
    /// The folder, and the configuration if that was what named it.
    fn open(&self) -> anyhow::Result<(Folder, Option<Config>)> {
        match &self.dir {
            Some(dir) => Ok((Folder::new(dir), None)),
            None => {
                let config = Config::load_without_secrets(&self.config)?;
                Ok((Folder::new(&config.plugins.dir), Some(config)))
            }
        }
    }
}

fn check(file: &Path) -> anyhow::Result<()> {
    let clock = Clock::start();
    let bytes = read(file)?;
    let start = clock.now();
    let plugin = load(file, &bytes)?;
    let compiled = clock.now().mono.since(start.mono);
    let manifest = plugin.manifest();
    say(&manifest.plugin.to_string());
    if !manifest.description.is_empty() {
        say(&format!("  {}", manifest.description));
    }
    for (what, value) in [
        (
            "world",
            format!("{} (wit {})", manifest.world.name(), manifest.wit),
        ),
        ("needs", words(&manifest.needs)),
        (
            "memory",
            format!("{} MiB for each call at most", manifest.memory_bytes >> 20),
        ),
        ("size", size(bytes.len())),
        ("sha256", hex(plugin.sha256())),
        ("compiled", format!("in {:.2} s", compiled.as_secs_f64())),
    ] {
        say(&format!("  {what:<9} {value}"));
    }
    Ok(())
}

fn install(file: &Path, place: &Place) -> anyhow::Result<()> {
    let (folder, config) = place.open()?;
    let bytes = read(file)?;
    let plugin = load(file, &bytes)?;
    let manifest = plugin.manifest();
    let path = folder.path(&manifest.plugin.name);
    match folder.install(manifest, &bytes)? {
        Change::Same => {
            say(&format!(
                "{} is installed already: {}",
                manifest.plugin,
                path.display()
            ));
        }
        Change::New => say(&format!(
            "Installed {}: {}",
            manifest.plugin,
            path.display()
        )),
        Change::Replaced { version, kept } => {
            say(&format!(
                "Installed {} in place of {version}: {}\nThe version before is kept: {}",
                manifest.plugin,
                path.display(),
                kept.display()
            ));
        }
    }
    if let Some(config) = config {
        let name = &*manifest.plugin.name;
        let routes = routes(&config).filter(|route| route.plugin == name);
        if routes.clone().next().is_none() {
            let file = config.file.display();
            complain(&format!(
                "warning: {file}: no route uses {name}; add one to have it called"
            ));
        }
        for route in routes {
            if let Some(problem) = missing(&config, route, manifest) {
                complain(&format!("warning: {problem}"));
            }
        }
    }
    Ok(())
}

fn list(place: &Place) -> anyhow::Result<()> {
    let (folder, config) = place.open()?;
    if !folder.dir().exists() {
        say(&format!(
            "No plugins: there is no folder {}.",
            folder.dir().display()
        ));
        return Ok(());
    }
    let installed = folder.list();
    let installed = installed.with_context(|| format!("cannot read {}", folder.dir().display()))?;
    let live = config.as_ref().map(|config| live::ask(&config.http));
    let known = live.as_ref().and_then(|live| live.as_ref().ok());
    let mut rows = vec![["NAME", "VERSION", "NEEDS", "SIZE", "BEFORE", "LIVE"].map(str::to_owned)];
    let mut broken = Vec::new();
    for entry in &installed {
        match &entry.manifest {
            Ok(manifest) => rows.push([
                manifest.plugin.name.to_string(),
                manifest.plugin.version.to_string(),
                words(&manifest.needs),
                size(entry.bytes),
                entry.earlier.to_string(),
                known.map_or("?".to_owned(), |live| {
                    live::describe(live, &manifest.plugin)
                }),
            ]),
            Err(why) => broken.push(format!("{}: {why}", entry.file.display())),
        }
    }
    if rows.len() == 1 && broken.is_empty() {
        say(&format!("No plugins in {}.", folder.dir().display()));
    } else if rows.len() > 1 {
        say(&table(&rows));
    }
    for line in broken {
        complain(&format!("warning: {line}"));
    }
    if let Some(Err(why)) = live {
        complain(&format!("What is live is not known: {why}"));
    }
    Ok(())
}

fn rollback(name: &str, place: &Place) -> anyhow::Result<()> {
    let (folder, _) = place.open()?;
    if !folder.path(name).is_file() {
        let installed = folder.list().unwrap_or_default();
        let names: Vec<&str> = installed.iter().map(folder::Listed::stem).collect();
        let meant = did_you_mean(name, names.iter().copied());
        bail!("no plugin {name:?} in {}{meant}", folder.dir().display());
    }
    let done = folder.rollback(name)?;
    say(&format!(
        "{name} is back at {}: {}\n{} is kept: {}",
        done.version,
        folder.path(name).display(),
        done.withdrawn_version,
        done.withdrawn.display()
    ));
    Ok(())
}

/// Routes whose plugin needs more than they grant, and plugins that would be refused.
pub(crate) fn grants_missing(config: &Config) -> Vec<Problem> {
    let folder = Folder::new(&config.plugins.dir);
    let mut problems = Vec::new();
    let mut told = BTreeSet::new();
    for route in routes(config) {
        let file = folder.path(&route.plugin);
        // One that is not there was reported when the configuration was read.
        let Ok(bytes) = std::fs::read(&file) else {
            continue;
        };
        let what = match Manifest::of_component(&bytes) {
            Ok(manifest) => {
                problems.extend(missing(config, route, &manifest));
                if *manifest.plugin.name == *route.plugin {
                    continue;
                }
                format!(
                    "the plugin in this file calls itself {}; install it with `jackfield plugin \
                     install`, and use that name in the route",
                    manifest.plugin.name
                )
            }
            Err(why) => format!("refused: {why}"),
        };
        if told.insert(file.clone()) {
            problems.push(Problem {
                file,
                line: None,
                what,
            });
        }
    }
    problems
}

fn routes(config: &Config) -> impl Iterator<Item = &node::Route> + Clone {
    config
        .node
        .tenants()
        .values()
        .flat_map(|tenant| tenant.routes.values())
        .map(|route| &**route)
}

fn missing(config: &Config, route: &node::Route, manifest: &Manifest) -> Option<Problem> {
    let missing = manifest.needs.missing(&route.grant);
    missing.iter().next()?;
    let what = format!(
        "route {:?} does not grant {}, which {} asks for; add it to grant, or the plugin will be \
         told that it may not",
        route.number,
        words(&missing),
        manifest.plugin
    );
    Some(Problem {
        file: config.file.clone(),
        line: None,
        what,
    })
}

fn read(file: &Path) -> anyhow::Result<Vec<u8>> {
    let shown = file.display();
    let length = std::fs::metadata(file)
        .with_context(|| format!("cannot read {shown}"))?
        .len();
    let bytes = usize::try_from(length).unwrap_or(usize::MAX);
    if bytes > plugin::limits::COMPONENT_BYTES_MAX {
        return Err(anyhow!(LoadError::TooLarge { bytes }).context(format!("{shown}: refused")));
    }
    std::fs::read(file).with_context(|| format!("cannot read {shown}"))
}

/// Checks and compiles a plugin as the server does.
fn load(file: &Path, bytes: &[u8]) -> anyhow::Result<Plugin> {
    // Nothing is cached, so the key protects nothing.
    let mut key = [0; 32];
    Rng::from_u64(0).fill(&mut key);
    let config = HostConfig {
        runs_max: 1,
        ..HostConfig::new(plugin::CacheKey::new(key))
    };
    let loaded = Host::new(config)?.load(bytes, None);
    Ok(loaded
        .with_context(|| format!("{}: refused", file.display()))?
        .plugin)
}

fn words(grant: &Grant) -> String {
    let words: Vec<&str> = grant.iter().map(plugin::Capability::name).collect();
    if words.is_empty() {
        "nothing".to_owned()
    } else {
        words.join(", ")
    }
}

fn size(bytes: usize) -> String {
    match bytes {
        0..1_000 => counted(bytes, "byte"),
        1_000..1_000_000 => format!("{} KB", (bytes + 500) / 1_000),
        _ => format!("{:.1} MB", bytes as f64 / 1e6),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Columns as wide as their widest cell.
fn table<const N: usize>(rows: &[[String; N]]) -> String {
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max();
    let widths: Vec<usize> = (0..N).map(|column| width(column).unwrap_or(0)).collect();
    let line = |row: &[String; N]| {
        let cells = row
            .iter()
            .zip(&widths)
            .map(|(cell, width)| format!("{cell:<width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_readable() {
        for (bytes, text) in [
            (1, "1 byte"),
            (999, "999 bytes"),
            (142_600, "143 KB"),
            (20_000_000, "20.0 MB"),
        ] {
            assert_eq!(size(bytes), text);
        }
    }

    #[test]
    fn tables_line_up() {
        let rows = [["NAME", "V"], ["ivr-menu", "1"], ["x", "2"]].map(|row| row.map(str::to_owned));
        assert_eq!(table(&rows), "NAME      V\nivr-menu  1\nx         2");
    }

    #[test]
    fn what_is_no_plugin_is_refused_with_the_reason() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("no.wasm");
        std::fs::write(&file, "hello").unwrap();
        let error = check(&file).unwrap_err();
        let expected = format!("{}: refused: not a WebAssembly file", file.display());
        assert_eq!(format!("{error:#}"), expected);
        let error = check(&dir.path().join("none.wasm")).unwrap_err();
        assert!(format!("{error:#}").contains("cannot read"), "{error:#}");
    }
}
