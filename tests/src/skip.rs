//! Tests that not every system can run.

/// Says that a test, or a part of one, does not run here: the system refuses what it needs. Output of tests that pass is not seen, so
/// `cargo xtask test` asks for the same things, in `xtask/src/probes.rs`, and names what was skipped in its last lines.
///
/// # Panics
///
/// One of the programs in `needs` is missing and `CI` is `true`: those can be installed.
pub fn skip(why: &str, needs: &[&str]) {
    let paths = std::env::var_os("PATH").unwrap_or_default();
    let is_there =
        |program: &str| std::env::split_paths(&paths).any(|path| path.join(program).is_file());
    if let Some(missing) = needs.iter().find(|program| !is_there(program)) {
        let ci = std::env::var("CI").is_ok_and(|value| value == "true");
        assert!(!ci, "{missing} is not on the PATH, and CI skips nothing for that: {why}");
    }
    eprintln!("skipped: {why}");
}
