//! Second opinions: small C programs around libraries of others, compiled when a test needs them.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail};

/// Compiles `oracles/<source>.c` into `folder`, linked with a library.
///
/// # Errors
/// When that fails: what the compiler says, and the line that installs what may be missing.
pub fn compile(
    folder: &Path,
    source: &str,
    library: &str,
    package: &str,
) -> anyhow::Result<PathBuf> {
    let install = format!("run: sudo apt-get install -y gcc libc6-dev {package}");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("oracles/{source}.c"));
    // Tests run at the same time, each in a process or in a thread of its own.
    let (process, thread) = (std::process::id(), std::thread::current().id());
    let program = folder.join(format!("{source}-{process}-{thread:?}"));
    let output = Command::new("cc")
        .args(["-std=c99", "-O2", "-Wall", "-Wextra", "-Werror", "-o"])
        .args([&program, &path])
        .arg(format!("-l{library}"))
        .output()
        .with_context(|| format!("no C compiler `cc`; {install}"))?;
    if !output.status.success() {
        let errors = String::from_utf8_lossy(&output.stderr);
        bail!("cc cannot build {source}.c; if {library} is missing, {install}\n{errors}");
    }
    Ok(program)
}
