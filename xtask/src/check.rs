//! `cargo xtask check`: what a change must pass beside its tests.

use serde_json::Value;

use crate::step::{Steps, capture, cargo, command, execute, has};

/// Options and examples.
pub(crate) const HELP: &str = "\
Usage: cargo xtask check [--install]

Formatting, clippy with warnings as errors, documentation, dependencies (cargo-deny) and tidy.
Without cargo-deny its step says so and is left out; --install builds it first (some minutes).

Examples:
  cargo xtask check
  cargo xtask check --install
";

/// Runs every check, also after one failed.
pub(crate) fn run(args: &[String]) -> Result<(), String> {
    let mut install = false;
    for word in args {
        match word.as_str() {
            "--install" => install = true,
            other => {
                return Err(format!(
                    "unknown option `{other}`; see `cargo xtask check --help`"
                ));
            }
        }
    }
    let mut steps = Steps::new();
    if install && !has("cargo-deny") {
        steps.need("install cargo-deny", || {
            execute(&mut command(
                "cargo",
                &["install", "cargo-deny", "--locked"],
            ))
        })?;
    }
    steps.run("fmt", fmt);
    steps.run("clippy", clippy);
    steps.run("clippy, guests", clippy_guests);
    steps.run("doc", doc);
    if has("cargo-deny") {
        steps.run("deny", || {
            execute(&mut cargo(&[
                "deny", "check", "bans", "licenses", "sources",
            ]))
        });
    } else {
        println!("\ndeny: left out, cargo-deny is not installed; `cargo xtask check --install`");
    }
    steps.run("tidy", || crate::tidy::run(&[]));
    steps.finish()
}

/// Formatting of every member.
pub(crate) fn fmt() -> Result<(), String> {
    execute(&mut cargo(&["fmt", "--all", "--check"]))
}

/// Lints of the default members, tests and benches included.
pub(crate) fn clippy() -> Result<(), String> {
    execute(&mut cargo(&[
        "clippy",
        "--all-targets",
        "--",
        "-D",
        "warnings",
    ]))
}

/// Lints of the guests for the target they run on.
pub(crate) fn clippy_guests() -> Result<(), String> {
    crate::plugins::ensure_target()?;
    let mut command = cargo(&["clippy", "--target", "wasm32-wasip2"]);
    for package in packages()?.guests {
        command.args(["-p", &package]);
    }
    execute(command.args(["--", "-D", "warnings"]))
}

/// Documentation of the default members: broken links are errors.
pub(crate) fn doc() -> Result<(), String> {
    execute(cargo(&["doc", "--no-deps"]).env("RUSTDOCFLAGS", "-D warnings"))
}

/// The names of the workspace's members.
pub(crate) struct Packages {
    /// Built by plain `cargo build`.
    pub(crate) defaults: Vec<String>,
    /// Built for WebAssembly: the sdk, the plugins and the examples.
    pub(crate) guests: Vec<String>,
}

/// Reads the members from `cargo metadata`.
pub(crate) fn packages() -> Result<Packages, String> {
    let metadata = metadata()?;
    let ids = |key: &str| -> Vec<&str> {
        metadata[key]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect()
    };
    let defaults = ids("workspace_default_members");
    let mut packages = Packages {
        defaults: Vec::new(),
        guests: Vec::new(),
    };
    for package in metadata["packages"].as_array().into_iter().flatten() {
        let (Some(id), Some(name)) = (package["id"].as_str(), package["name"].as_str()) else {
            continue;
        };
        let side = if defaults.contains(&id) {
            &mut packages.defaults
        } else {
            &mut packages.guests
        };
        side.push(name.to_owned());
    }
    if packages.defaults.is_empty() || packages.guests.is_empty() {
        return Err("cargo metadata names no default members or no guests".to_owned());
    }
    Ok(packages)
}

/// The members of the workspace as cargo describes them, without their dependencies' own.
pub(crate) fn metadata() -> Result<Value, String> {
    let text = capture(&mut cargo(&[
        "metadata",
        "--format-version",
        "1",
        "--no-deps",
    ]))?;
    serde_json::from_str(&text).map_err(|error| format!("cargo metadata: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guests_and_rooms_are_kept_apart() {
        let packages = packages().expect("metadata");
        assert!(
            packages
                .defaults
                .iter()
                .any(|name| name == "jackfield-vocab")
        );
        assert!(packages.guests.iter().any(|name| name == "jackfield"));
        assert!(
            !packages
                .guests
                .iter()
                .any(|name| name.starts_with("jackfield-vocab"))
        );
    }
}
