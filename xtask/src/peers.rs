//! What the machine must have: a C compiler, and the phones of the interop tests.

use crate::step::{capture, command, execute, has, root};

/// A program the tests run and the Debian package it comes in.
struct Peer {
    program: &'static str,
    package: &'static str,
}

/// Real peers and tools of the tests. Prompts in the repository need none of them.
const PEERS: &[Peer] = &[
    Peer {
        program: "sipp",
        package: "sip-tester",
    },
    // The core package holds the program, G.711 and file audio; the full one pulls in a desktop.
    Peer {
        program: "baresip",
        package: "baresip-core",
    },
    Peer {
        program: "kamailio",
        package: "kamailio",
    },
    Peer {
        program: "sngrep",
        package: "sngrep",
    },
    // Phones of browsers run in Node; npm installs them.
    Peer {
        program: "node",
        package: "nodejs",
    },
    Peer {
        program: "npm",
        package: "npm",
    },
    Peer {
        program: "espeak-ng",
        package: "espeak-ng",
    },
    Peer {
        program: "sox",
        package: "sox",
    },
];

/// A library that a C program of the tests is built with, known by its header.
struct Library {
    header: &'static str,
    package: &'static str,
}

/// Libraries of the oracles in `tests/oracles`. Nothing of ours is linked with them.
const LIBRARIES: &[Library] = &[Library {
    header: "spandsp.h",
    package: "libspandsp-dev",
}];

/// Checks for a C compiler: the bundled SQLite is C.
pub(crate) fn c_compiler() -> Result<(), String> {
    let chosen = std::env::var("CC").unwrap_or_else(|_| "cc".to_owned());
    // `CC` may hold a wrapper and options: `ccache gcc`.
    let program = chosen.split_whitespace().next().unwrap_or("cc");
    if has(program) || std::path::Path::new(program).is_file() {
        return Ok(());
    }
    Err(format!(
        "no C compiler `{program}`, which the bundled SQLite needs; run: {}",
        install_line(&["gcc", "libc6-dev"])
    ))
}

/// Installs the peers that are missing. As root by apt; else the error is the line to run.
pub(crate) fn test_peers() -> Result<(), String> {
    let missing: Vec<&str> = PEERS
        .iter()
        .filter(|peer| !has(peer.program))
        .map(|peer| peer.package)
        .chain(
            LIBRARIES
                .iter()
                .filter(|library| !has_header(library.header))
                .map(|library| library.package),
        )
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let by_hand = format!(
        "the tests need {}; run: {}",
        missing.join(", "),
        install_line(&missing)
    );
    if !has("apt-get") || capture(&mut command("id", &["-u"]))?.trim() != "0" {
        return Err(by_hand);
    }
    execute(command("apt-get", &["update"]).env("DEBIAN_FRONTEND", "noninteractive"))
        .map_err(|reason| format!("{reason}; {by_hand}"))?;
    execute(
        command("apt-get", &["install", "-y", "--no-install-recommends"])
            .args(&missing)
            .env("DEBIAN_FRONTEND", "noninteractive"),
    )
    .map_err(|reason| format!("{reason}; {by_hand}"))
}

/// Whether the C compiler finds a header: where it lies differs from system to system.
fn has_header(header: &str) -> bool {
    let arguments = ["-fsyntax-only", "-x", "c", "-include", header, "/dev/null"];
    command("cc", &arguments)
        .stderr(std::process::Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// Installs the libraries of the browser phones, of exactly the versions of the lock file, unless
/// they are there.
pub(crate) fn browser_libraries() -> Result<(), String> {
    let folder = root().join("tests/browser");
    let changed = |file: &str| {
        folder
            .join(file)
            .metadata()
            .and_then(|it| it.modified())
            .ok()
    };
    // npm writes the second one when it is done.
    let (wanted, installed) = (
        changed("package-lock.json"),
        changed("node_modules/.package-lock.json"),
    );
    if installed.is_some() && installed >= wanted {
        return Ok(());
    }
    execute(
        command("npm", &["ci", "--omit=optional", "--no-audit", "--no-fund"]).current_dir(folder),
    )
}

/// The line that installs these packages.
fn install_line(packages: &[&str]) -> String {
    format!(
        "sudo apt-get update && sudo apt-get install -y --no-install-recommends {}",
        packages.join(" ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_to_run_is_exact() {
        assert_eq!(
            install_line(&["sip-tester", "sox"]),
            "sudo apt-get update && sudo apt-get install -y --no-install-recommends sip-tester sox"
        );
    }
}
