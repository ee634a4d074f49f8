//! The numbers of every room, to steer by. None of them is a gate.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::tree::{File, Tree};

/// What was counted in one room.
#[derive(Default)]
struct Numbers {
    /// Lines of each file, tests not counted.
    file_lines: Vec<usize>,
    /// Lines of code of each function.
    function_lines: Vec<usize>,
    /// Lines of code.
    code_lines: usize,
    /// Public items, and how many of them have a comment.
    public: usize,
    documented: usize,
    /// `.unwrap()` and assertions outside tests.
    unwraps: usize,
    assertions: usize,
    /// Files, and how many open with `//!`.
    files: usize,
    fronts: usize,
}

/// The table of all rooms and the longest functions.
pub(super) fn table(tree: &Tree) -> String {
    let mut rooms: BTreeMap<String, Numbers> = BTreeMap::new();
    let mut longest = Vec::new();
    for file in &tree.files {
        let Some(code) = &file.code else { continue };
        count(rooms.entry(area(&file.path)).or_default(), file);
        for function in code.functions() {
            longest.push((
                function.code_lines,
                function.name,
                &file.path,
                function.line + 1,
            ));
        }
    }
    let mut text = format!(
        "{:<18} {:>5} {:>7}  {:>14}  {:>9} {:>5} {:>5} {:>7} {:>7}\n{:<18} {:>5} {:>7}  {:>14}  {:>9} {:>5} {:>5} {:>7} {:>7}\n",
        "",
        "",
        "code",
        "file lines",
        "fn lines",
        "doc",
        "//!",
        "unwrap",
        "assert", //
        "room",
        "files",
        "lines",
        "med/p95/max",
        "p95/max",
        "%",
        "%",
        "/kLOC",
        "/kLOC",
    );
    for (name, numbers) in &mut rooms {
        text.push_str(&row(name, numbers));
    }
    text.push_str("aim                                 ~200/ - /600      - /70   100   100     0.0    >=3.0\n");
    longest.sort_by(|a, b| b.0.cmp(&a.0).then_with(|| a.2.cmp(b.2)));
    text.push_str("longest functions:");
    for (lines, name, path, line) in longest.iter().take(5) {
        let _ = write!(text, " {name} {lines} ({path}:{line})");
    }
    text
}

/// One line of the table.
fn row(name: &str, numbers: &mut Numbers) -> String {
    numbers.file_lines.sort_unstable();
    numbers.function_lines.sort_unstable();
    let files = &numbers.file_lines;
    let functions = &numbers.function_lines;
    let per_thousand = |count: usize| count as f64 * 1000.0 / numbers.code_lines.max(1) as f64;
    let percent = |part: usize, whole: usize| (part * 100).checked_div(whole).unwrap_or(100);
    format!(
        "{name:<18} {:>5} {:>7}  {:>14}  {:>9} {:>5} {:>5} {:>7.1} {:>7.1}\n",
        numbers.files,
        numbers.code_lines,
        format!(
            "{}/{}/{}",
            rank(files, 50),
            rank(files, 95),
            rank(files, 100)
        ),
        format!("{}/{}", rank(functions, 95), rank(functions, 100)),
        percent(numbers.documented, numbers.public),
        percent(numbers.fronts, numbers.files),
        per_thousand(numbers.unwraps),
        per_thousand(numbers.assertions),
    )
}

/// Adds one file to its room.
fn count(numbers: &mut Numbers, file: &File) {
    let Some(code) = &file.code else { return };
    numbers.files += 1;
    numbers.fronts += usize::from(file.text.starts_with("//!"));
    let shipped = file
        .text
        .lines()
        .zip(&code.test)
        .filter(|(_, test)| !**test)
        .count();
    if shipped > 0 {
        numbers.file_lines.push(shipped);
    }
    let lines: Vec<&str> = file.text.lines().collect();
    for (index, line) in code.shipped() {
        numbers.code_lines += 1;
        numbers.unwraps += line.matches(".unwrap()").count();
        // Also finds the `debug_` forms.
        for word in ["assert!(", "assert_eq!(", "assert_ne!("] {
            numbers.assertions += line.matches(word).count();
        }
        if is_public_item(line) {
            numbers.public += 1;
            numbers.documented += usize::from(has_comment(&lines[..index]));
        }
    }
    numbers
        .function_lines
        .extend(code.functions().iter().map(|function| function.code_lines));
}

/// The row a file is counted in.
fn area(path: &str) -> String {
    let depth = if path.starts_with("runtime/") || path.starts_with("plugins/") {
        2
    } else {
        1
    };
    path.split('/').take(depth).collect::<Vec<_>>().join("/")
}

/// The smallest value with at least `percent` of the sorted values at or below it.
fn rank(sorted: &[usize], percent: usize) -> usize {
    let index = (sorted.len() * percent).div_ceil(100).saturating_sub(1);
    sorted.get(index).copied().unwrap_or(0)
}

/// True for a line that opens a public item other than a module or a re-export.
fn is_public_item(line: &str) -> bool {
    const KINDS: &[&str] = &[
        "fn ",
        "struct ",
        "enum ",
        "trait ",
        "type ",
        "const ",
        "static ",
        "async fn ",
        "unsafe fn ",
    ];
    let line = line.trim_start();
    line.strip_prefix("pub ")
        .is_some_and(|rest| KINDS.iter().any(|kind| rest.starts_with(kind)))
}

/// True if the lines before an item end in a comment, attributes aside.
fn has_comment(before: &[&str]) -> bool {
    let attribute = |line: &&&str| line.trim().starts_with("#[") || line.trim().ends_with(")]");
    before
        .iter()
        .rev()
        .find(|line| !attribute(line))
        .is_some_and(|line| line.trim_start().starts_with("///") || line.contains("#[doc"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks() {
        for (values, percent, expected) in [
            (&[1, 2, 3, 4][..], 50, 2),
            (&[1, 2, 3, 4], 95, 4),
            (&[7], 50, 7),
            (&[], 95, 0),
        ] {
            assert_eq!(rank(values, percent), expected, "{values:?} {percent}");
        }
    }

    #[test]
    fn one_room_is_counted_without_its_tests() {
        let text = "//! Front.\n\n/// Doc.\n#[inline]\npub fn a() {\n    x.unwrap();\n    debug_assert!(y);\n}\npub struct B;\n#[cfg(test)]\nmod tests {\n    fn t() { z.unwrap() }\n}\n";
        let tree = Tree::of(&[("runtime/sip/src/a.rs", text)]);
        let mut numbers = Numbers::default();
        count(&mut numbers, &tree.files[0]);
        assert_eq!(
            (numbers.files, numbers.fronts, numbers.code_lines),
            (1, 1, 6)
        );
        assert_eq!((numbers.public, numbers.documented), (2, 1));
        assert_eq!((numbers.unwraps, numbers.assertions), (1, 1));
        assert_eq!(
            (numbers.file_lines, numbers.function_lines),
            (vec![9], vec![4])
        );
        assert!(table(&tree).contains("runtime/sip"));
    }
}
