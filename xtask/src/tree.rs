//! The files of the repository, read once.

use std::path::{Path, PathBuf};
use std::process::Command;

/// The folder of the workspace.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Every file that git knows or would add, with its text. Binary files are left out.
#[derive(Debug)]
pub(crate) struct Tree {
    /// Path from the root, with `/`, and text.
    pub(crate) files: Vec<(String, String)>,
}

impl Tree {
    /// Reads the checkout.
    ///
    /// # Errors
    ///
    /// When git cannot list the files.
    pub(crate) fn read() -> std::io::Result<Self> {
        let root = root();
        let listed = Command::new("git")
            .args(["ls-files", "--cached", "--others", "--exclude-standard"])
            .current_dir(&root)
            .output()?;
        let files: Vec<_> = String::from_utf8_lossy(&listed.stdout)
            .lines()
            .filter_map(|name| {
                Some((name.to_owned(), std::fs::read_to_string(root.join(name)).ok()?))
            })
            .collect();
        if !listed.status.success() || files.is_empty() {
            return Err(std::io::Error::other("git lists no files"));
        }
        Ok(Self { files })
    }

    /// The text of `name`, empty when there is no such file.
    pub(crate) fn text(&self, name: &str) -> &str {
        self.files.iter().find(|(file, _)| file == name).map_or("", |(_, text)| text)
    }

    /// Rust files outside this tool.
    pub(crate) fn sources(&self) -> impl Iterator<Item = (&str, &str)> {
        self.all().filter(|(name, _)| name.ends_with(".rs") && !name.starts_with("xtask/"))
    }

    /// The chapters of the specification: `spec/*.md`.
    pub(crate) fn chapters(&self) -> impl Iterator<Item = (&str, &str)> {
        self.all().filter(|(name, _)| {
            name.ends_with(".md")
                && name.strip_prefix("spec/").is_some_and(|name| !name.contains('/'))
        })
    }

    /// The test vectors: `spec/vectors/**/*.json`.
    pub(crate) fn vectors(&self) -> impl Iterator<Item = (&str, &str)> {
        self.all().filter(|(name, _)| name.starts_with("spec/vectors/") && name.ends_with(".json"))
    }

    /// Every file.
    pub(crate) fn all(&self) -> impl Iterator<Item = (&str, &str)> {
        self.files.iter().map(|(name, text)| (name.as_str(), text.as_str()))
    }
}

#[cfg(test)]
impl Tree {
    /// A tree of these files.
    pub(crate) fn of(files: &[(&str, &str)]) -> Self {
        let owned = |(name, text): &(&str, &str)| ((*name).to_owned(), (*text).to_owned());
        Self { files: files.iter().map(owned).collect() }
    }
}
