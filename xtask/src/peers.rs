//! What the machine must have: a C compiler, and the phones of the interop tests.

use std::path::Path;

use crate::step::{capture, command, execute, has, root};

/// A program the tests run, or a library that they link, and the Debian package it comes in.
struct Peer {
    sign: Sign,
    package: &'static str,
}

/// What tells that a peer is installed.
enum Sign {
    /// A program that is found by its name.
    Program(&'static str),
    /// A header that the C compiler finds.
    Header(&'static str),
}

impl Sign {
    fn is_there(&self) -> bool {
        match self {
            Self::Program(name) => has(name),
            Self::Header(name) => ["/usr/include", "/usr/local/include"]
                .iter()
                .any(|folder| Path::new(folder).join(name).is_file()),
        }
    }
}

/// Real peers and tools of the tests. Prompts in the repository need none of them.
const PEERS: &[Peer] = &[
    Peer {
        sign: Sign::Program("sipp"),
        package: "sip-tester",
    },
    // The core package holds the program, G.711 and file audio; the full one pulls in a desktop.
    Peer {
        sign: Sign::Program("baresip"),
        package: "baresip-core",
    },
    Peer {
        sign: Sign::Program("kamailio"),
        package: "kamailio",
    },
    Peer {
        sign: Sign::Program("sngrep"),
        package: "sngrep",
    },
    // Phones of browsers run in Node; npm installs them.
    Peer {
        sign: Sign::Program("node"),
        package: "nodejs",
    },
    Peer {
        sign: Sign::Program("npm"),
        package: "npm",
    },
    Peer {
        sign: Sign::Program("chromium"),
        package: "chromium",
    },
    Peer {
        sign: Sign::Program("espeak-ng"),
        package: "espeak-ng",
    },
    Peer {
        sign: Sign::Program("sox"),
        package: "sox",
    },
    // The other opinion on SRTP; the test compiles a program around it.
    Peer {
        sign: Sign::Header("srtp2/srtp.h"),
        package: "libsrtp2-dev",
    },
    // And those on codecs and digits.
    Peer {
        sign: Sign::Header("spandsp.h"),
        package: "libspandsp-dev",
    },
];

/// What builds the C libraries that come in source.
const BUILD_TOOLS: &[Peer] = &[
    Peer {
        sign: Sign::Program("cmake"),
        package: "cmake",
    },
    // Debian's cmake only recommends it.
    Peer {
        sign: Sign::Program("make"),
        package: "make",
    },
];

/// Checks for a C compiler, without which there is no linker either, and installs what else builds
/// the bundled SQLite and Opus.
pub(crate) fn build_tools() -> Result<(), String> {
    let chosen = std::env::var("CC").unwrap_or_else(|_| "cc".to_owned());
    // `CC` may hold a wrapper and options: `ccache gcc`.
    let program = chosen.split_whitespace().next().unwrap_or("cc");
    if !has(program) && !Path::new(program).is_file() {
        return Err(format!(
            "no C compiler `{program}`, which the bundled SQLite and Opus need; run: {}",
            install_line(&["gcc", "libc6-dev", "cmake", "make"])
        ));
    }
    install(BUILD_TOOLS, "building Opus")
}

/// Installs the peers that are missing.
pub(crate) fn test_peers() -> Result<(), String> {
    install(PEERS, "testing")
}

/// Installs what is missing: as root by apt; else the error is the line to run.
fn install(peers: &[Peer], what: &str) -> Result<(), String> {
    let missing: Vec<&str> = peers
        .iter()
        .filter(|peer| !peer.sign.is_there())
        .map(|peer| peer.package)
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let by_hand = format!(
        "{what} needs {}; run: {}",
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
