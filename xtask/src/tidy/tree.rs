//! The files of the repository, as git knows them.

use std::fs;
use std::path::Path;

use super::code::Code;
use crate::step::{capture, command};

/// One text file.
pub(super) struct File {
    /// Relative to the root, with `/`.
    pub(super) path: String,
    /// Its text.
    pub(super) text: String,
    /// Its code without comments and strings; only of Rust files.
    pub(super) code: Option<Code>,
}

/// Every text file git tracks or would add, and the names of all files.
pub(super) struct Tree {
    /// Text files in the order of their paths.
    pub(super) files: Vec<File>,
    /// Paths of all files, text or not.
    pub(super) paths: Vec<String>,
}

impl Tree {
    /// Reads the tree at a root.
    ///
    /// # Errors
    /// Git does not answer. A file that is listed but gone is left out.
    pub(super) fn read(root: &Path) -> Result<Self, String> {
        let list = [
            "ls-files",
            "-z",
            "--cached",
            "--others",
            "--exclude-standard",
        ];
        let names = capture(command("git", &list).current_dir(root))
            .map_err(|reason| format!("tidy asks git for the list of files: {reason}"))?;
        let mut paths: Vec<String> = names
            .split('\0')
            .filter(|path| root.join(path).is_file())
            .map(str::to_owned)
            .collect();
        paths.sort();
        let files = paths
            .iter()
            .filter_map(|path| {
                let text = String::from_utf8(fs::read(root.join(path)).ok()?).ok()?;
                Some(File::new(path, text))
            })
            .collect();
        Ok(Self { files, paths })
    }

    /// A tree of the given files, for tests of the rules.
    #[cfg(test)]
    pub(super) fn of(files: &[(&str, &str)]) -> Self {
        let files: Vec<File> = files
            .iter()
            .map(|(path, text)| File::new(path, (*text).to_owned()))
            .collect();
        let paths = files.iter().map(|file| file.path.clone()).collect();
        Self { files, paths }
    }

    /// The file at a path.
    pub(super) fn file(&self, path: &str) -> Option<&File> {
        self.files.iter().find(|file| file.path == path)
    }

    /// True if there is a file or a folder of this path; the empty path is the root.
    pub(super) fn holds(&self, path: &str) -> bool {
        let folder = format!("{path}/");
        path.is_empty()
            || self
                .paths
                .iter()
                .any(|held| held == path || held.starts_with(&folder))
    }
}

impl File {
    fn new(path: &str, text: String) -> Self {
        let code = path.ends_with(".rs").then(|| Code::new(path, &text));
        Self {
            path: path.to_owned(),
            text,
            code,
        }
    }

    /// The room under `runtime/` this file belongs to.
    pub(super) fn room(&self) -> Option<&str> {
        self.path.strip_prefix("runtime/")?.split('/').next()
    }
}
