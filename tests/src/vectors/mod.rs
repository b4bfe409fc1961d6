//! The vectors of `spec/vectors/`: inputs with verdicts, for implementations in any language.
//!
//! This module writes them. It builds every byte by hand, from the offsets and numbers of the
//! description, and states every value and every error name as a literal: it asks no crate of the
//! workspace. `tests/tests/vectors.rs` reads the files and holds the crates against them, so that
//! each number stands in two places that know nothing of each other. Traces alone are recorded:
//! `tests/tests/traces.rs` holds them against the clauses.

mod boot;
mod build;
pub mod disk;
mod header;
mod payload;
mod reject;
mod slot;
mod trace;
mod value;

use serde_json::Value;

/// One file of `spec/vectors/`.
#[derive(Clone, Debug, PartialEq)]
pub struct VectorFile {
    /// Path below `spec/vectors/`, without `.json`, such as `reject/SEG-1-magic-0`.
    pub path: String,
    /// What the file says.
    pub json: Value,
}

impl VectorFile {
    /// The text of the file: two spaces for each level, a newline at the end.
    #[must_use]
    pub fn text(&self) -> String {
        format!("{:#}\n", self.json)
    }
}

/// The folders of `spec/vectors/`, one for each kind.
pub const FOLDERS: [&str; 6] = ["header", "slot", "payload", "reject", "boot", "trace"];

/// Every vector of this project, in the order of the folders.
#[must_use]
pub fn all() -> Vec<VectorFile> {
    [
        header::vectors(),
        slot::vectors(),
        payload::vectors(),
        reject::vectors(),
        boot::vectors(),
        trace::vectors(),
    ]
    .concat()
}
