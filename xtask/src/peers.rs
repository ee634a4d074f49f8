//! What the machine must have: a C compiler, and the phones of the interop tests.

use crate::step::{capture, command, execute, has};

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
        program: "espeak-ng",
        package: "espeak-ng",
    },
    Peer {
        program: "sox",
        package: "sox",
    },
];

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
