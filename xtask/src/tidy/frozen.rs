//! Released WIT never changes: `wit/RELEASED` names each released file and its hash.
//!
//! One line a file: the package with its version, the path under `wit/`, and the SHA-256 of the
//! file's bytes. Lines that begin with `#` and blank lines are skipped.

use sha2::{Digest as _, Sha256};

use super::Violation;
use super::tree::Tree;

/// Where the released files are named.
const LIST: &str = "wit/RELEASED";

/// Released files that changed, are gone, or are no longer the package they were.
pub(super) fn check(tree: &Tree) -> Vec<Violation> {
    let Some(list) = tree.file(LIST) else {
        return vec![Violation::new(LIST, 0, "is missing; it may be empty")];
    };
    let mut found = Vec::new();
    for (index, line) in list.text.lines().enumerate() {
        if line.trim().is_empty() || line.starts_with('#') {
            continue;
        }
        if let Err(what) = released(tree, line) {
            found.push(Violation::new(LIST, index + 1, what));
        }
    }
    found
}

/// Checks one line of the list.
fn released(tree: &Tree, line: &str) -> Result<(), String> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let [package, path, hash] = words[..] else {
        return Err("a line holds package@version, path and SHA-256".to_owned());
    };
    let path = format!("wit/{path}");
    let file = tree
        .file(&path)
        .ok_or_else(|| format!("{package} is released, {path} is gone"))?;
    let named = format!("package {package};");
    if !file.text.lines().any(|line| line.trim() == named) {
        return Err(format!("{path} does not say `{named}`"));
    }
    let now = hex(&Sha256::digest(file.text.as_bytes()));
    if now == hash {
        return Ok(());
    }
    Err(format!(
        "{package} is released and {path} changed (now {now}): add a new version instead"
    ))
}

/// Lower-case hexadecimal.
fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// SHA-256 of [`TEXT`], from another tool (`sha256sum`).
    const HASH: &str = "7d8e7b983944f34dcc50578ad430e099ca78d1a5da463269f554b8e905cde371";
    const TEXT: &str = "package jackfield:ivr@1.0.0;\n";

    fn check_with(list: &str, text: &str) -> Vec<String> {
        let tree = Tree::of(&[(LIST, list), ("wit/ivr/ivr.wit", text)]);
        check(&tree)
            .into_iter()
            .map(|violation| violation.what)
            .collect()
    }

    #[test]
    fn released_files_are_frozen() {
        let list = format!("# frozen\n\njackfield:ivr@1.0.0 ivr/ivr.wit {HASH}\n");
        assert_eq!(check_with(&list, TEXT), Vec::<String>::new());
        let changed = check_with(&list, &format!("{TEXT}world w {{}}\n"));
        assert!(changed[0].contains("add a new version"), "{changed:?}");
    }

    #[test]
    fn bad_lists_are_named() {
        for (list, part) in [
            ("jackfield:ivr@1.0.0 ivr/ivr.wit", "a line holds"),
            ("jackfield:ivr@1.0.0 ivr/gone.wit 00", "is gone"),
            ("jackfield:ivr@1.1.0 ivr/ivr.wit 00", "does not say"),
        ] {
            let found = check_with(list, TEXT);
            assert!(
                found.len() == 1 && found[0].contains(part),
                "{list}: {found:?}"
            );
        }
        assert_eq!(check(&Tree::of(&[])).len(), 1, "a missing list is named");
    }
}
