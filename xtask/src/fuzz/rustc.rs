//! What cargo calls in place of rustc while it builds the fuzz targets.
//!
//! cargo-fuzz has every crate count its edges and report its comparisons. Of a fuzzer's time most goes there, and
//! what it learns of crates of others is no news: only what lies in this tree is told to. AddressSanitizer is on
//! everywhere.

use crate::tree;
use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::process::{Command, ExitCode};

/// Says to this program that it is called as rustc.
pub(super) const AS_RUSTC: &str = "KNIT_FUZZ_RUSTC";

/// Whether this program is called in place of rustc.
pub(crate) fn is_meant() -> bool {
    std::env::var_os(AS_RUSTC).is_some()
}

/// Runs rustc, whose path is the first argument, with what is left of the others.
pub(crate) fn run() -> ExitCode {
    let ours = std::env::var_os("CARGO_MANIFEST_DIR").is_some_and(|folder| is_ours(&folder));
    let mut arguments = std::env::args_os().skip(1);
    let Some(rustc) = arguments.next() else {
        eprintln!("xtask: cargo calls this with the path of rustc");
        return ExitCode::from(2);
    };
    let kept = arguments.filter(|argument| ours || !counts(argument));
    match Command::new(&rustc).args(kept.collect::<Vec<OsString>>()).status() {
        Ok(status) if status.success() => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("xtask: cannot run {}: {error}", rustc.display());
            ExitCode::FAILURE
        }
    }
}

/// Whether a crate lies in this tree, by its folder.
fn is_ours(folder: &OsStr) -> bool {
    let [folder, root] = [Path::new(folder), &tree::root()].map(|path| path.canonicalize());
    folder.is_ok_and(|folder| root.is_ok_and(|root| folder.starts_with(root)))
}

/// Whether an argument has edges counted or comparisons reported.
fn counts(argument: &OsStr) -> bool {
    let argument = argument.to_string_lossy();
    argument == "-Cpasses=sancov-module" || argument.contains("-sanitizer-coverage-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_in_this_tree_is_ours() {
        assert!(is_ours(OsStr::new(env!("CARGO_MANIFEST_DIR"))));
        assert!(!is_ours(OsStr::new("/")) && !is_ours(OsStr::new("no/such/folder")));
    }

    #[test]
    fn what_counts_edges_is_left_out_and_nothing_else() {
        for argument in [
            "-Cpasses=sancov-module",
            "-Cllvm-args=-sanitizer-coverage-level=4",
            "-Cllvm-args=-sanitizer-coverage-trace-compares",
        ] {
            assert!(counts(OsStr::new(argument)), "{argument}");
        }
        for argument in ["-Zsanitizer=address", "-Cdebug-assertions", "--crate-name", "serde_json"]
        {
            assert!(!counts(OsStr::new(argument)), "{argument}");
        }
    }
}
