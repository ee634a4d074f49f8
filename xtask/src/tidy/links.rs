//! Markdown: relative links lead somewhere, and the commands named are ones that exist.

use super::Violation;
use super::tree::Tree;

/// Broken links and unknown `cargo xtask` commands of every Markdown file, and a README without
/// its two commands.
pub(super) fn check(tree: &Tree, commands: &[&str]) -> Vec<Violation> {
    let mut found = Vec::new();
    for file in tree.files.iter().filter(|file| file.path.ends_with(".md")) {
        for (index, line) in file.text.lines().enumerate() {
            for target in targets(line) {
                if let Some(what) = broken(tree, &file.path, target) {
                    found.push(Violation::new(&file.path, index + 1, what));
                }
            }
            for command in xtask_commands(line) {
                if !commands.contains(&command) {
                    let what = format!("there is no `cargo xtask {command}`");
                    found.push(Violation::new(&file.path, index + 1, what));
                }
            }
        }
    }
    if let Some(readme) = tree.file("README.md") {
        for command in ["demo", "test"] {
            if !readme
                .text
                .lines()
                .any(|line| xtask_commands(line).any(|word| word == command))
            {
                let what = format!("the README shows `cargo xtask {command}`");
                found.push(Violation::new("README.md", 0, what));
            }
        }
    }
    found
}

/// The targets of `[text](target)` in a line.
fn targets(line: &str) -> impl Iterator<Item = &str> {
    line.split("](")
        .skip(1)
        .filter_map(|rest| rest.split([')', ' ']).next())
}

/// The words after `cargo xtask` in a line.
fn xtask_commands(line: &str) -> impl Iterator<Item = &str> {
    line.split("cargo xtask ").skip(1).filter_map(|rest| {
        let end = rest
            .find(|c: char| !c.is_ascii_lowercase())
            .unwrap_or(rest.len());
        Some(&rest[..end]).filter(|word| !word.is_empty())
    })
}

/// Why a link leads nowhere, if it is relative and does.
fn broken(tree: &Tree, from: &str, target: &str) -> Option<String> {
    if target.contains("://") || target.starts_with("mailto:") {
        return None;
    }
    let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
    let path = if path.is_empty() {
        from.to_owned()
    } else {
        join(from, path)?
    };
    if !tree.holds(&path) {
        return Some(format!("the link `{target}` leads nowhere"));
    }
    let page = tree.file(&path).filter(|file| file.path.ends_with(".md"))?;
    let known = anchor.is_empty() || headings(&page.text).any(|slug| slug == anchor);
    (!known).then(|| format!("`{path}` has no heading for `#{anchor}`"))
}

/// A path relative to the folder of `from`; `None` if it leaves the repository.
fn join(from: &str, path: &str) -> Option<String> {
    let mut parts: Vec<&str> = from.split('/').collect();
    parts.pop();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            name => parts.push(name),
        }
    }
    Some(parts.join("/"))
}

/// The anchors of a page's headings, as code hosts make them.
fn headings(text: &str) -> impl Iterator<Item = String> {
    text.lines()
        .filter(|line| line.starts_with('#'))
        .map(|line| {
            line.trim_start_matches('#')
                .trim()
                .chars()
                .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'))
                .map(|c| {
                    if c == ' ' {
                        '-'
                    } else {
                        c.to_ascii_lowercase()
                    }
                })
                .collect()
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links() {
        for (link, good) in [
            ("b.md", true),
            ("./b.md#two-words-here", true),
            ("b.md#three", false),
            ("../README.md", true),
            ("../docs", true),
            ("../docs/", true),
            ("#own", true),
            ("c.md", false),
            ("../../outside.md", true),
            ("https://example.org/x", true),
        ] {
            let tree = Tree::of(&[
                ("docs/a.md", &format!("# Own\nsee [it]({link}).")),
                ("docs/b.md", "## Two words, here"),
                ("README.md", "`cargo xtask demo` and `cargo xtask test`"),
            ]);
            assert_eq!(check(&tree, &["demo", "test"]).is_empty(), good, "{link}");
        }
    }

    #[test]
    fn commands() {
        let line =
            "run `cargo xtask sim`, then SEED=1 cargo xtask simm --seeds 2, cargo xtask --help";
        let tree = Tree::of(&[("docs/a.md", line)]);
        let found = check(&tree, &["sim"]);
        assert_eq!(
            found,
            [Violation::new(
                "docs/a.md",
                1,
                "there is no `cargo xtask simm`"
            )]
        );
    }

    #[test]
    fn the_readme_shows_both_commands() {
        let tree = Tree::of(&[("README.md", "`cargo xtask demo`")]);
        assert_eq!(check(&tree, &["demo", "test"]).len(), 1);
    }
}
