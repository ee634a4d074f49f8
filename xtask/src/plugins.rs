//! `cargo xtask plugins`: builds every guest of the workspace into a component.
//!
//! A guest is a package with a `cdylib` target. The components lie in `target/guests`, named
//! after their packages, where the tests and the demo look for them.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::step;

/// Options and examples.
pub(crate) const HELP: &str = "
Builds every plugin for wasm32-wasip2 with the `guest` profile and puts the components into
target/guests/<package>.wasm. Adds the target through rustup where it is missing.

Usage: cargo xtask plugins [package…]

Examples:
  cargo xtask plugins              build all
  cargo xtask plugins hello-ivr    build one
";

/// What components are built for.
const TARGET: &str = "wasm32-wasip2";

/// The custom section that makes a component a plugin.
const MANIFEST_SECTION: &[u8] = b"jackfield:manifest";

/// Builds the guests named, or all, and prints their sizes.
pub(crate) fn run(args: &[String]) -> Result<(), String> {
    let guests = guests()?;
    if let Some(unknown) = args.iter().find(|name| !guests.contains(*name)) {
        let known: Vec<&str> = guests.iter().map(String::as_str).collect();
        return Err(format!(
            "no plugin `{unknown}`; there are: {}",
            known.join(", ")
        ));
    }
    let chosen: BTreeSet<String> = if args.is_empty() {
        guests
    } else {
        args.iter().cloned().collect()
    };
    ensure_target()?;

    let mut build = step::cargo(&["build", "--target", TARGET, "--profile", "guest"]);
    for name in &chosen {
        build.args(["--package", name]);
    }
    step::execute(&mut build)?;

    let folder = step::target_dir().join("guests");
    fs::create_dir_all(&folder).map_err(|e| format!("cannot make {}: {e}", folder.display()))?;
    let mut broken = Vec::new();
    for name in &chosen {
        match install(name, &folder) {
            Ok(size) => println!("{name:<24} {:>7.1} KB", size as f64 / 1_000.0),
            Err(reason) => broken.push(reason),
        }
    }
    if broken.is_empty() {
        Ok(())
    } else {
        Err(broken.join("\n       "))
    }
}

/// The workspace's packages with a `cdylib` target.
fn guests() -> Result<BTreeSet<String>, String> {
    let text = step::capture(&mut step::cargo(&[
        "metadata",
        "--no-deps",
        "--format-version",
        "1",
    ]))?;
    let metadata: serde_json::Value =
        serde_json::from_str(&text).map_err(|e| format!("cargo metadata: {e}"))?;
    let guests = guests_in(&metadata);
    // A test guest that is no member would silently be missing from the tests.
    let folder = step::root().join("tests/guests");
    for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
        let manifest = entry.path().join("Cargo.toml");
        let known = metadata["packages"]
            .as_array()
            .into_iter()
            .flatten()
            .any(|package| {
                package["manifest_path"]
                    .as_str()
                    .is_some_and(|path| Path::new(path) == manifest)
            });
        if manifest.is_file() && !known {
            return Err(format!(
                "add {} to the workspace's members",
                manifest.display()
            ));
        }
    }
    Ok(guests)
}

/// The same, from the text of `cargo metadata`.
fn guests_in(metadata: &serde_json::Value) -> BTreeSet<String> {
    let is_cdylib = |target: &serde_json::Value| {
        target["crate_types"]
            .as_array()
            .into_iter()
            .flatten()
            .any(|kind| kind == "cdylib")
    };
    metadata["packages"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|package| {
            package["targets"]
                .as_array()
                .into_iter()
                .flatten()
                .any(is_cdylib)
        })
        .filter_map(|package| package["name"].as_str().map(str::to_owned))
        .collect()
}

/// Adds the target to the toolchain unless its standard library is there.
pub(crate) fn ensure_target() -> Result<(), String> {
    let sysroot = step::capture(&mut step::command("rustc", &["--print", "sysroot"]))?;
    if Path::new(sysroot.trim())
        .join("lib/rustlib")
        .join(TARGET)
        .is_dir()
    {
        return Ok(());
    }
    if !step::has("rustup") {
        return Err(format!(
            "the Rust target {TARGET} is missing; install it with your Rust"
        ));
    }
    step::execute(&mut step::command("rustup", &["target", "add", TARGET]))
}

/// Copies one component into the folder, by rename, so that nobody reads half a file, and leaves
/// an equal one alone. Returns its size in bytes.
fn install(name: &str, folder: &Path) -> Result<usize, String> {
    let built: PathBuf = step::target_dir()
        .join(TARGET)
        .join("guest")
        .join(format!("{}.wasm", name.replace('-', "_")));
    let bytes = fs::read(&built).map_err(|e| format!("cannot read {}: {e}", built.display()))?;
    if !is_plugin(&bytes) {
        return Err(format!(
            "{name} has no jackfield:manifest section; is #[jackfield::ivr] there?"
        ));
    }
    let path = folder.join(format!("{name}.wasm"));
    if fs::read(&path).is_ok_and(|old| old == bytes) {
        return Ok(bytes.len());
    }
    let partial = folder.join(format!(".{name}.wasm.partial"));
    fs::write(&partial, &bytes)
        .and_then(|()| fs::rename(&partial, &path))
        .map_err(|e| format!("cannot write {}: {e}", path.display()))?;
    Ok(bytes.len())
}

/// A component (not a core module) that carries the manifest.
fn is_plugin(bytes: &[u8]) -> bool {
    // The preamble's second half: version 13, layer 1 (component model, binary format).
    bytes.starts_with(b"\0asm\x0d\0\x01\0")
        && bytes
            .windows(MANIFEST_SECTION.len())
            .any(|window| window == MANIFEST_SECTION)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guests_are_the_cdylib_packages() {
        let metadata = serde_json::json!({"packages": [
            {"name": "vocab", "targets": [{"crate_types": ["lib"]}]},
            {"name": "hello-ivr", "targets": [{"crate_types": ["cdylib"]}]},
            {"name": "ivr-menu", "targets": [{"crate_types": ["bin"]}, {"crate_types": ["cdylib", "rlib"]}]},
        ]});
        let names: Vec<String> = guests_in(&metadata).into_iter().collect();
        assert_eq!(names, ["hello-ivr", "ivr-menu"]);
    }

    #[test]
    fn a_core_module_is_no_plugin() {
        let component = [b"\0asm\x0d\0\x01\0".as_slice(), b"..jackfield:manifest.."].concat();
        assert!(is_plugin(&component));
        let module = [b"\0asm\x01\0\0\0".as_slice(), b"..jackfield:manifest.."].concat();
        assert!(!is_plugin(&module));
        assert!(!is_plugin(b"\0asm\x0d\0\x01\0 without a manifest"));
        assert!(!is_plugin(b""));
    }
}
