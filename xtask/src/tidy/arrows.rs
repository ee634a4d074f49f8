//! The arrows between rooms, over `cargo metadata`.
//!
//! A room imports only what its row names. A new arrow is a decision: it gets a record in
//! `docs/decisions/` and a word in its row here.

use std::collections::BTreeMap;

use serde_json::Value;

use super::Violation;

/// What a room under `runtime/` may import.
struct Room {
    /// Its folder under `runtime/`.
    name: &'static str,
    /// Rooms it sees.
    rooms: &'static [&'static str],
    /// Packages of others it sees; `None` for whatever it likes.
    packages: Option<&'static [&'static str]>,
    /// Packages only its tests see, beside [`FOR_TESTS`].
    for_tests: &'static [&'static str],
}

/// Packages every room's tests may see.
const FOR_TESTS: &[&str] = &["expect-test", "tempfile"];

/// The table of the architecture page: the rooms that exist by now.
const ROOMS: &[Room] = &[
    Room {
        name: "vocab",
        rooms: &[],
        // Decision 0001: std has no generator, and tags and nonces must not be guessed.
        packages: Some(&["rand_chacha"]),
        for_tests: &[],
    },
    Room {
        name: "sip",
        rooms: &["vocab"],
        packages: Some(&["thiserror", "md-5", "sha2", "hmac", "subtle", "memchr"]),
        for_tests: &[],
    },
    Room {
        name: "media",
        rooms: &["vocab"],
        // Decision 0014: SRTP is ours, its ciphers are not.
        packages: Some(&[
            "thiserror",
            "ogg",
            "symphonia",
            "opus",
            "hound",
            // Decision 0020: browsers are sessions, their way there is ICE and DTLS.
            "is",
            "dimpl",
            "sha2",
            "aes",
            "hmac",
            "sha1",
            "ring",
            "subtle",
            "zeroize",
            "base64",
        ]),
        for_tests: &["str0m", "rcgen"],
    },
    Room {
        name: "engine",
        rooms: &["vocab", "sip", "media"],
        packages: Some(&["thiserror"]),
        for_tests: &[],
    },
    Room {
        name: "plugin",
        rooms: &["vocab"],
        packages: Some(&[
            "thiserror",
            "wasmtime",
            "wasmtime-wasi",
            "wasmtime-wasi-io",
            "wasmparser",
            "jiff",
            "sha2",
            "hmac",
            "subtle",
            "toml",
            "serde",
        ]),
        // Small broken components, written as text.
        for_tests: &["wat"],
    },
    Room {
        name: "store",
        rooms: &["vocab"],
        // tokio is the runtime of sqlx; tasks are still spawned in `server` only.
        packages: Some(&["thiserror", "sqlx", "serde", "serde_json", "tokio"]),
        for_tests: &[],
    },
    Room {
        name: "node",
        rooms: &["vocab", "sip", "media", "engine", "plugin"],
        packages: Some(&["thiserror"]),
        for_tests: &[],
    },
    Room {
        name: "server",
        rooms: &["vocab", "sip", "media", "engine", "plugin", "store", "node"],
        packages: None,
        for_tests: &[],
    },
];

/// Where the packages that see no room live: guests talk to `wit/` only, and `xtask` to programs.
const OUTSIDE: &[&str] = &["sdk", "plugins", "examples", "xtask"];

/// Arrows that no row allows, and rooms without a row.
///
/// # Errors
/// The metadata is not what cargo writes.
pub(super) fn check(metadata: &Value) -> Result<Vec<Violation>, String> {
    let root = metadata["workspace_root"]
        .as_str()
        .ok_or("cargo metadata: no workspace_root")?;
    let packages = metadata["packages"]
        .as_array()
        .ok_or("cargo metadata: no packages")?;
    let mut places = BTreeMap::new();
    for package in packages {
        let name = package["name"]
            .as_str()
            .ok_or("cargo metadata: a package has no name")?;
        let manifest = package["manifest_path"].as_str().unwrap_or_default();
        let place = manifest
            .strip_prefix(root)
            .unwrap_or(manifest)
            .trim_start_matches('/');
        places.insert(name, place);
    }
    let mut found = Vec::new();
    for package in packages {
        let Some(place) = package["name"].as_str().and_then(|name| places.get(name)) else {
            continue;
        };
        for dependency in package["dependencies"].as_array().into_iter().flatten() {
            let Some(name) = dependency["name"].as_str() else {
                continue;
            };
            let for_tests = dependency["kind"].as_str() == Some("dev");
            if let Err(what) = allowed(place, name, places.get(name).copied(), for_tests) {
                found.push(Violation::new(place, 0, what));
            }
        }
        let room = place
            .strip_prefix("runtime/")
            .and_then(|rest| rest.split('/').next());
        if room.is_some_and(|room| !ROOMS.iter().any(|row| row.name == room)) {
            found.push(Violation::new(
                place,
                0,
                "is a room without a row in xtask/src/tidy/arrows.rs",
            ));
        }
    }
    Ok(found)
}

/// Whether the package whose manifest is at `from` may import `name`; `to` is that package's
/// manifest if it is one of ours.
fn allowed(from: &str, name: &str, to: Option<&str>, for_tests: bool) -> Result<(), String> {
    let room_of = |place: &str| -> Option<String> {
        Some(
            place
                .strip_prefix("runtime/")?
                .split('/')
                .next()?
                .to_owned(),
        )
    };
    let area = from.split('/').next().unwrap_or_default();
    if OUTSIDE.contains(&area) {
        return match to {
            Some(to) if to.starts_with("runtime/") || to.starts_with("tests/") => {
                Err(format!("imports {name}: `{area}` sees no room"))
            }
            Some(_) | None => Ok(()),
        };
    }
    let Some(row) = room_of(from).and_then(|room| ROOMS.iter().find(|row| row.name == room)) else {
        return Ok(());
    };
    if let Some(to) = to {
        return match room_of(to) {
            Some(room) if row.rooms.contains(&room.as_str()) => Ok(()),
            Some(room) => Err(format!("room `{}` may not see room `{room}`", row.name)),
            None => Err(format!("room `{}` may not see `{name}`", row.name)),
        };
    }
    let Some(packages) = row.packages else {
        return Ok(());
    };
    let tests_may = for_tests && (FOR_TESTS.contains(&name) || row.for_tests.contains(&name));
    if packages.contains(&name) || tests_may {
        return Ok(());
    }
    Err(format!(
        "room `{}` may not see the package `{name}`",
        row.name
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows() {
        let vocab = Some("runtime/vocab/Cargo.toml");
        let plugin = Some("runtime/plugin/Cargo.toml");
        for (from, name, to, for_tests, good) in [
            (
                "runtime/sip/Cargo.toml",
                "jackfield-vocab",
                vocab,
                false,
                true,
            ),
            (
                "runtime/vocab/Cargo.toml",
                "jackfield-plugin",
                plugin,
                false,
                false,
            ),
            (
                "runtime/engine/Cargo.toml",
                "jackfield-plugin",
                plugin,
                false,
                false,
            ),
            (
                "runtime/engine/Cargo.toml",
                "jackfield-plugin",
                plugin,
                true,
                false,
            ),
            (
                "runtime/node/Cargo.toml",
                "jackfield-plugin",
                plugin,
                false,
                true,
            ),
            ("runtime/sip/Cargo.toml", "tokio", None, false, false),
            ("runtime/sip/Cargo.toml", "expect-test", None, true, true),
            ("runtime/sip/Cargo.toml", "expect-test", None, false, false),
            ("runtime/store/Cargo.toml", "tokio", None, false, true),
            ("runtime/store/Cargo.toml", "axum", None, true, false),
            ("runtime/node/Cargo.toml", "wasmtime", None, false, false),
            ("runtime/server/Cargo.toml", "axum", None, false, true),
            (
                "plugins/ivr-menu/Cargo.toml",
                "jackfield-vocab",
                vocab,
                false,
                false,
            ),
            (
                "plugins/ivr-menu/Cargo.toml",
                "jackfield",
                Some("sdk/rust/Cargo.toml"),
                false,
                true,
            ),
            (
                "runtime/server/Cargo.toml",
                "jackfield",
                Some("sdk/rust/Cargo.toml"),
                false,
                false,
            ),
            ("tests/Cargo.toml", "jackfield-vocab", vocab, false, true),
            ("xtask/Cargo.toml", "jackfield-vocab", vocab, false, false),
        ] {
            assert_eq!(
                allowed(from, name, to, for_tests).is_ok(),
                good,
                "{from} -> {name}"
            );
        }
    }

    #[test]
    fn no_row_makes_a_circle() {
        // Each row names only rooms above it, so the arrows point one way.
        for (index, row) in ROOMS.iter().enumerate() {
            for room in row.rooms {
                let above = ROOMS[..index].iter().any(|other| other.name == *room);
                assert!(above, "{} -> {room}", row.name);
            }
        }
    }

    #[test]
    fn metadata_is_read() {
        let text = r#"{
            "workspace_root": "/r",
            "packages": [
                {"name": "a", "manifest_path": "/r/runtime/sip/Cargo.toml",
                 "dependencies": [{"name": "b", "kind": null}, {"name": "sha2", "kind": null}]},
                {"name": "b", "manifest_path": "/r/runtime/attic/Cargo.toml", "dependencies": []}
            ]
        }"#;
        let metadata = serde_json::from_str(text).expect("JSON");
        let found: Vec<String> = check(&metadata)
            .expect("metadata")
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(
            found,
            [
                "runtime/sip/Cargo.toml: room `sip` may not see room `attic`",
                "runtime/attic/Cargo.toml: is a room without a row in xtask/src/tidy/arrows.rs",
            ]
        );
        assert!(check(&Value::Null).is_err());
    }
}
