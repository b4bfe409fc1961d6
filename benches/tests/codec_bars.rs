//! `codec_bars` measures every row. No figure is asserted.

use knit_benches::codec_bars;
use std::collections::BTreeSet;
use std::process::{Command, Output};

fn codec_bars(arguments: &[&str]) -> (bool, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_codec_bars")).args(arguments).output();
    let Output { status, stdout, stderr } = output.expect("it starts");
    let text = |bytes| String::from_utf8(bytes).expect("it writes text");
    (status.success(), text(stdout), text(stderr))
}

#[test]
fn every_row_is_measured_and_has_a_line() {
    let (success, out, errors) = codec_bars(&["--quick"]);
    assert!(success, "{errors}");
    let rows = codec_bars::all();
    let names: BTreeSet<_> = rows.iter().map(|row| row.name).collect();
    assert_eq!(names.len(), rows.len(), "two rows have one name");
    for name in names {
        let line = out.lines().find(|line| line.split_whitespace().next() == Some(name));
        let line = line.unwrap_or_else(|| panic!("no line for {name}:\n{out}"));
        assert!(!line.contains("NaN"), "{line}");
    }
}

#[test]
fn rows_are_listed_and_chosen_by_name() {
    let (success, out, _) = codec_bars(&["--list", "--only", "json_1KiB/both"]);
    assert!(success);
    assert_eq!(out.lines().count(), 1, "{out}");
    let (success, _, errors) = codec_bars(&["--only", "nothing like it"]);
    assert!(!success);
    assert!(errors.contains("no row has \"nothing like it\" in its name; see --list"), "{errors}");
}
