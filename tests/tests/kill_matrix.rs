//! A short run of the kill matrix. `knit-kill-matrix --kills 10000` is a long one.

use std::process::Command;

/// LANE-13, LANE-20, LANE-36, LANE-37.
#[test]
fn every_call_is_accounted_for_whenever_a_worker_dies() {
    // C1, C9, C16: killed, stopped and killed, aborted, ended by themselves at any store; hosts too.
    let output = Command::new(env!("CARGO_BIN_EXE_knit-kill-matrix"))
        .args(["--kills", "40", "--seed", "1", "--dir", env!("CARGO_TARGET_TMPDIR")])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    println!("{text}{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{}", output.status);
    // Each kind of round took its part.
    for part in
        ["worker, from outside", "worker, at its n-th store", "host, at its n-th store", "host  "]
    {
        assert!(text.contains(part), "no {part}");
    }
}
