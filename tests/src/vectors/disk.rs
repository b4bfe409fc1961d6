//! The files of `spec/vectors/`, against what this project produces.

use super::{FOLDERS, VectorFile, all};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::{fmt, fs, io};

/// The folder of the vectors.
#[must_use]
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../spec/vectors")
}

/// What the folders hold: text by path below [`root`], with its ending.
///
/// # Errors
///
/// A folder or a file cannot be read. A folder that is missing holds nothing.
pub fn on_disk() -> io::Result<BTreeMap<String, String>> {
    let mut files = BTreeMap::new();
    for folder in FOLDERS {
        let entries = match fs::read_dir(root().join(folder)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            entries => entries?,
        };
        for entry in entries {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            files.insert(format!("{folder}/{name}"), fs::read_to_string(entry.path())?);
        }
    }
    Ok(files)
}

/// How a file is not as this project writes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Difference {
    /// It is not there.
    Missing(String),
    /// It is there and says something else.
    Differs(String),
    /// It is there, and nothing produces it.
    Extra(String),
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(path) => write!(f, "missing  {path}"),
            Self::Differs(path) => write!(f, "differs  {path}"),
            Self::Extra(path) => write!(f, "extra    {path}"),
        }
    }
}

/// Everything in which the folders differ from [`all`].
///
/// # Errors
///
/// As [`on_disk`].
pub fn differences() -> io::Result<Vec<Difference>> {
    let disk = on_disk()?;
    let mut expected = BTreeSet::new();
    let mut differences = Vec::new();
    for file in all() {
        let path = file_name(&file);
        match disk.get(&path) {
            None => differences.push(Difference::Missing(path.clone())),
            Some(text) if *text != file.text() => {
                differences.push(Difference::Differs(path.clone()));
            }
            Some(_) => {}
        }
        expected.insert(path);
    }
    let extra = disk.into_keys().filter(|path| !expected.contains(path));
    differences.extend(extra.map(Difference::Extra));
    Ok(differences)
}

/// Writes every vector, and deletes what nothing produces. Returns what was different before.
///
/// # Errors
///
/// A folder or a file cannot be read, written or deleted.
pub fn bless() -> io::Result<Vec<Difference>> {
    let before = differences()?;
    for folder in FOLDERS {
        fs::create_dir_all(root().join(folder))?;
    }
    for difference in &before {
        if let Difference::Extra(path) = difference {
            fs::remove_file(root().join(path))?;
        }
    }
    for file in all() {
        fs::write(root().join(file_name(&file)), file.text())?;
    }
    Ok(before)
}

fn file_name(file: &VectorFile) -> String {
    format!("{}.json", file.path)
}
