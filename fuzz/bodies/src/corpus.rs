//! Inputs that are kept: those that follow from `spec/vectors`, and those that once found something.
//!
//! They stand in `fuzz/corpus/<target>/`, packed: a line for each, its name and its bytes in hex.
//! `vectors.txt` is written by [`bless`], and a test compares it; `found.txt` by [`keep`], and is only
//! added to. [`unpack`] makes the files that libFuzzer wants.

use crate::{TARGETS, Target};
use knit_tests::vector_files::{File, folder, text};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::{fs, io};

/// Longest input that is kept, in bytes: a vector of a long payload shows nothing that a short one does not.
const LONGEST: usize = 4096;

/// An input that is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seed {
    /// What it is called, without spaces.
    pub name: String,
    /// The input.
    pub bytes: Vec<u8>,
}

impl Seed {
    /// An input of this name.
    #[must_use]
    pub fn new(name: impl Into<String>, bytes: Vec<u8>) -> Self {
        Self { name: name.into(), bytes }
    }

    /// The input that a vector is.
    pub(crate) fn of_vector(file: &File, bytes: Vec<u8>) -> Self {
        Self::new(text(&file.json, "name"), bytes)
    }
}

/// The vectors of a folder, and those that are refused of its kind.
pub(crate) fn of_kind(kind: &str) -> Vec<File> {
    let refused = folder("reject").into_iter().filter(|file| text(&file.json, "kind") == kind);
    folder(kind).into_iter().chain(refused).collect()
}

/// The folder of all corpora.
#[must_use]
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../corpus")
}

/// What `vectors.txt` of a target has to say: its seeds, without those that are too long or there already.
#[must_use]
pub fn of_vectors(target: &Target) -> String {
    let mut known = BTreeMap::new();
    let mut lines = String::new();
    for Seed { name, bytes } in (target.seeds)() {
        if bytes.len() <= LONGEST && known.insert(bytes.clone(), ()).is_none() {
            lines.push_str(&line(&name, &bytes));
        }
    }
    lines
}

/// The inputs that are kept for a target.
///
/// # Errors
///
/// A file cannot be read, or has a line that is no input. A file that is missing has none.
pub fn kept(target: &Target) -> io::Result<Vec<Seed>> {
    let mut seeds = Vec::new();
    for name in ["vectors.txt", "found.txt"] {
        let path = root().join(target.name).join(name);
        for line in read(&path)?.lines() {
            let wrong = || io::Error::other(format!("{}: {line}", path.display()));
            seeds.push(parse(line).ok_or_else(wrong)?);
        }
    }
    Ok(seeds)
}

/// The targets whose `vectors.txt` is not what the vectors imply.
///
/// # Errors
///
/// A file cannot be read.
pub fn stale() -> io::Result<Vec<&'static Target>> {
    let mut stale = Vec::new();
    for target in TARGETS {
        if read(&root().join(target.name).join("vectors.txt"))? != of_vectors(target) {
            stale.push(target);
        }
    }
    Ok(stale)
}

/// Writes `vectors.txt` of every target.
///
/// # Errors
///
/// A file cannot be written.
pub fn bless() -> io::Result<()> {
    for target in TARGETS {
        let folder = root().join(target.name);
        fs::create_dir_all(&folder)?;
        fs::write(folder.join("vectors.txt"), of_vectors(target))?;
    }
    Ok(())
}

/// Adds an input that has found something.
///
/// # Errors
///
/// The file cannot be written.
pub fn keep(target: &Target, name: &str, bytes: &[u8]) -> io::Result<()> {
    let folder = root().join(target.name);
    fs::create_dir_all(&folder)?;
    let path = folder.join("found.txt");
    let mut lines = read(&path)?;
    lines.push_str(&line(name, bytes));
    fs::write(path, lines)
}

/// Writes a file for each input that is kept into a folder. Says how many there are.
///
/// # Errors
///
/// The corpus cannot be read, or a file cannot be written.
pub fn unpack(target: &Target, folder: &Path) -> io::Result<usize> {
    fs::create_dir_all(folder)?;
    let kept = kept(target)?;
    for Seed { name, bytes } in &kept {
        fs::write(folder.join(name), bytes)?;
    }
    Ok(kept.len())
}

fn read(path: &Path) -> io::Result<String> {
    match fs::read_to_string(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
        text => text,
    }
}

fn line(name: &str, bytes: &[u8]) -> String {
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{name} {hex}\n")
}

fn parse(line: &str) -> Option<Seed> {
    let (name, hex) = line.split_once(' ')?;
    let digits: Option<Vec<u8>> =
        hex.chars().map(|digit| u8::try_from(digit.to_digit(16)?).ok()).collect();
    let (pairs, []) = digits.as_deref()?.as_chunks::<2>() else { return None };
    Some(Seed::new(name, pairs.iter().map(|[high, low]| high << 4 | low).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_the_input_that_it_was_written_for() {
        for bytes in [vec![], vec![0x0f, 0xf0, 7]] {
            let seed = Seed::new("MBX-1-name", bytes);
            assert_eq!(parse(line(&seed.name, &seed.bytes).trim_end_matches('\n')), Some(seed));
        }
        for wrong in ["", "name", "name 0", "name 0g"] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }
}
