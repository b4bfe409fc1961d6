//! How much room is left on the disk that builds go to. A full one fails steps with errors that do not always say so.

use crate::tree;
use std::process::Command;

/// What a build of everything takes, the fuzz targets included: 5.4 GiB after a first `cargo xtask test`, as `du -s target` counts.
const FIRST_RUN_GIB: f64 = 5.4;

/// With less than this nothing can be built, whatever was built before.
const LEAST_GIB: f64 = 0.25;

/// Says how much room there is. Whether there is any; where that cannot be told, yes.
pub(crate) fn report() -> bool {
    let Some(free) = free_gib() else { return true };
    println!("disk: {free:.1} GiB free, a first run takes {FIRST_RUN_GIB}");
    let room = free >= LEAST_GIB;
    if !room {
        eprintln!(
            "xtask: the disk of {} is full; `cargo clean` removes what builds have left",
            tree::root().join("target").display()
        );
    }
    room
}

fn free_gib() -> Option<f64> {
    let listed = Command::new("df").arg("-Pk").arg(tree::root()).output().ok()?;
    parse(&String::from_utf8_lossy(&listed.stdout))
}

/// The fourth column of POSIX's format, in KiB.
fn parse(listed: &str) -> Option<f64> {
    let kib: f64 = listed.lines().nth(1)?.split_whitespace().nth(3)?.parse().ok()?;
    Some(kib / f64::from(1 << 20))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_room_on_a_disk_is_read() {
        let listed = "Filesystem 1024-blocks Used Available Capacity Mounted on\n/dev/x 30 20 3145728 67% /\n";
        assert_eq!(parse(listed), Some(3.0));
        assert_eq!(parse("Filesystem"), None);
        assert_eq!(parse("a\nb c d many"), None);
        // This machine has a disk, and it has some room: the tests were built on it.
        assert!(free_gib().is_none_or(|free| free > 0.0));
    }
}
