//! What no tracked text may name: a place on somebody's machine, or a package registry.

use super::Violation;
use super::tree::Tree;

/// Folders that exist on one machine only. Split so that this file does not name them itself.
const PLACES: &[&str] = &[
    concat!("/wo", "rk"),
    concat!("/ro", "ot"),
    concat!("/t", "mp"),
    concat!("/ho", "me"),
];

/// Package registries: which one is used is the reader's setting, not ours.
const REGISTRIES: &[&str] = &[
    concat!("crates", ".io"),
    concat!("pypi", ".org"),
    concat!("npmjs", ".com"),
    concat!("npmjs", ".org"),
    concat!("proxy.go", "lang.org"),
    concat!("deb.deb", "ian.org"),
];

/// Files written by tools, which name the registry by design.
const WRITTEN_BY_TOOLS: &[&str] = &["Cargo.lock", "package-lock.json", "go.sum"];

/// Lines that name a place or a registry.
pub(super) fn check(tree: &Tree) -> Vec<Violation> {
    let mut found = Vec::new();
    for file in &tree.files {
        let name = file.path.rsplit('/').next().unwrap_or(&file.path);
        if WRITTEN_BY_TOOLS.contains(&name) || file.path.contains("/corpus/") {
            continue;
        }
        for (index, line) in file.text.lines().enumerate() {
            if let Some(place) = PLACES.iter().find(|place| names_place(line, place)) {
                let what = format!("names `{place}`: use a path relative to the repository");
                found.push(Violation::new(&file.path, index + 1, what));
            }
            if let Some(host) = REGISTRIES.iter().find(|host| line.contains(**host)) {
                let what = format!("names the registry `{host}`: say what the package is instead");
                found.push(Violation::new(&file.path, index + 1, what));
            }
        }
    }
    found
}

/// True if the line names a path that begins with `place`.
fn names_place(line: &str, place: &str) -> bool {
    line.match_indices(place).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = line[at + place.len()..].chars().next();
        // `src/work` and `a/tmp` are relative, `/workshop` is another word.
        let absolute = !before.is_some_and(|c| c.is_alphanumeric() || "._-/~$}>".contains(c));
        let whole = !after.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == '-');
        absolute && whole
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_and_registries() {
        let place = PLACES[0];
        let host = REGISTRIES[0];
        for (line, broken) in [
            (format!("see {place}/notes.md"), 1),
            (format!("`{place}`"), 1),
            (format!("dir = \"{place}/x\" # {host}"), 2),
            (
                format!("src{place}/x, ..{place}, {place}shop and {place}-bench"),
                0,
            ),
            ("target/demo and data/".to_owned(), 0),
        ] {
            assert_eq!(check(&Tree::of(&[("a.md", &line)])).len(), broken, "{line}");
        }
        let lock = format!("source = \"{host}\"");
        assert_eq!(check(&Tree::of(&[("Cargo.lock", &lock)])).len(), 0);
    }
}
