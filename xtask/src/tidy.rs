//! `cargo xtask tidy`: the rules of the house that a compiler does not enforce.
//!
//! Enforced: the arrows between rooms, the banned calls, frozen WIT, the front of each file, and
//! text that names somebody's machine. Printed to steer by: the numbers of every room.

mod arrows;
mod banned;
mod code;
mod frozen;
mod links;
mod numbers;
mod text;
mod tree;

use std::fmt;

use self::tree::Tree;
use crate::step;

/// Options and examples.
pub(crate) const HELP: &str = "\
Usage: cargo xtask tidy

Checks the arrows between rooms, banned calls, frozen WIT, file fronts, links and names of machines,
and prints the numbers of every room. Reads the files git tracks or would add.

Examples:
  cargo xtask tidy
  cargo test -p xtask              the same as a test
";

/// One broken rule.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Violation {
    /// Relative to the root, with `/`.
    path: String,
    /// From 1; 0 if the rule is about the whole file.
    line: usize,
    /// The rule and the way out.
    what: String,
}

impl Violation {
    fn new(path: &str, line: usize, what: impl Into<String>) -> Self {
        Self {
            path: path.to_owned(),
            line,
            what: what.into(),
        }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{}: {}", self.path, self.what),
            line => write!(f, "{}:{line}: {}", self.path, self.what),
        }
    }
}

/// Prints the numbers and every violation; an error if there is one.
pub(crate) fn run(args: &[String]) -> Result<(), String> {
    if let Some(word) = args.first() {
        return Err(format!(
            "unknown option `{word}`; see `cargo xtask tidy --help`"
        ));
    }
    let tree = Tree::read(&step::root())?;
    println!("{}", numbers::table(&tree));
    let violations = violations(&tree)?;
    for violation in &violations {
        println!("{violation}");
    }
    match violations.len() {
        0 => Ok(()),
        1 => Err("1 rule is broken".to_owned()),
        count => Err(format!("{count} rules are broken")),
    }
}

/// Every broken rule of the tree, in the order of paths and lines.
fn violations(tree: &Tree) -> Result<Vec<Violation>, String> {
    let commands: Vec<&str> = crate::COMMANDS.iter().map(|command| command.name).collect();
    let mut found = arrows::check(&crate::check::metadata()?)?;
    found.extend(banned::check(tree));
    found.extend(text::check(tree));
    found.extend(links::check(tree, &commands));
    found.extend(frozen::check(tree));
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tree_is_tidy() {
        let tree = Tree::read(&step::root()).expect("the tree is readable");
        let violations = violations(&tree).expect("cargo metadata answers");
        let lines: Vec<String> = violations.iter().map(ToString::to_string).collect();
        assert!(lines.is_empty(), "\n{}\n", lines.join("\n"));
    }

    #[test]
    fn a_violation_points_at_its_line() {
        assert_eq!(Violation::new("a.rs", 3, "no").to_string(), "a.rs:3: no");
        assert_eq!(Violation::new("a.rs", 0, "no").to_string(), "a.rs: no");
    }
}
