//! What is wrong with a configuration, and where.

use std::cell::RefCell;
use std::fmt;
use std::path::{Path, PathBuf};

/// One thing to change. `Display` gives one line: `jackfield.toml:12: what is wrong; what to do`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Problem {
    /// The file that is wrong.
    pub file: PathBuf,
    /// The line, from 1; `None` if it is about the file as a whole.
    pub line: Option<usize>,
    /// What is wrong, and what to do about it.
    pub what: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let file = self.file.display();
        match self.line {
            Some(line) => write!(f, "{file}:{line}: {}", self.what),
            None => write!(f, "{file}: {}", self.what),
        }
    }
}

/// Everything that keeps a configuration from being used; never empty. `Display` gives one line
/// for each problem.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Errors(Vec<Problem>);

impl Errors {
    /// The problems, by file and line.
    pub fn problems(&self) -> &[Problem] {
        &self.0
    }
}

impl fmt::Display for Errors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, problem) in self.0.iter().enumerate() {
            if i > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Errors {}

/// Where problems are gathered while reading. Shared by everything that reads.
#[derive(Debug)]
pub(super) struct Report {
    /// The file that was asked for; its problems come first.
    main: PathBuf,
    errors: RefCell<Vec<Problem>>,
    warnings: RefCell<Vec<Problem>>,
    /// Keys that could have been there and were not, for the test of the reference.
    absent: RefCell<Vec<String>>,
}

impl Report {
    pub(super) fn new(main: &Path) -> Self {
        Self {
            main: main.to_owned(),
            errors: RefCell::default(),
            warnings: RefCell::default(),
            absent: RefCell::default(),
        }
    }

    pub(super) fn error(&self, file: &Path, line: Option<usize>, what: impl Into<String>) {
        note(&self.errors, file, line, what.into());
    }

    pub(super) fn warning(&self, file: &Path, line: Option<usize>, what: impl Into<String>) {
        note(&self.warnings, file, line, what.into());
    }

    pub(super) fn absent(&self, key: String) {
        self.absent.borrow_mut().push(key);
    }

    #[cfg(test)]
    pub(super) fn absent_keys(&self) -> Vec<String> {
        self.absent.borrow().clone()
    }

    /// The errors, if reading went no further.
    pub(super) fn errors(self) -> Errors {
        let errors = sorted(&self.main, self.errors.into_inner());
        assert!(!errors.is_empty(), "reading stops only at an error");
        Errors(errors)
    }

    /// What was read, if nothing was wrong with it.
    pub(super) fn finish(self, mut config: super::Config) -> Result<super::Config, Errors> {
        if !self.errors.borrow().is_empty() {
            return Err(self.errors());
        }
        config.warnings = sorted(&self.main, self.warnings.into_inner());
        Ok(config)
    }
}

fn note(list: &RefCell<Vec<Problem>>, file: &Path, line: Option<usize>, what: String) {
    // Values come from files: a line break in one must not break the line.
    let what = what
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    let problem = Problem {
        file: file.to_owned(),
        line,
        what,
    };
    let mut list = list.borrow_mut();
    if !list.contains(&problem) {
        list.push(problem);
    }
}

fn sorted(main: &Path, mut problems: Vec<Problem>) -> Vec<Problem> {
    problems.sort_by(|a, b| {
        let key = |problem: &Problem| (problem.file != main, problem.line);
        key(a).cmp(&key(b)).then_with(|| a.file.cmp(&b.file))
    });
    problems
}
