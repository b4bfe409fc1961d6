//! `knit sweep`, as a user runs it.

use std::fs::{create_dir, read_dir, read_to_string, remove_dir_all};
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::process::{Command, Output};

fn knit(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_knit")).args(arguments).output().expect("the program starts")
}

fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("text")
}

/// A directory for sockets, whose paths have to be short wherever the project was cloned to.
fn fresh(name: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("knit-test-{name}-{}", std::process::id()));
    create_dir(&path).expect("a fresh name");
    path
}

/// As `skip` of `knit-tests`: fails only where a program is missing and `CI` is `true`.
fn skip(why: &str, needs: &[&str]) {
    let paths = std::env::var_os("PATH").unwrap_or_default();
    let is_there =
        |program: &str| std::env::split_paths(&paths).any(|path| path.join(program).is_file());
    let ci = std::env::var("CI").is_ok_and(|value| value == "true");
    assert!(!ci || needs.iter().all(|program| is_there(program)), "needs all of {needs:?}: {why}");
    eprintln!("skipped: {why}");
}

/// The name of a host that has ended, as `knit_lanes::named` says, made by other code.
fn dead_name(random: u32) -> String {
    let boot = read_to_string("/proc/sys/kernel/random/boot_id").expect("Linux");
    let processes = std::fs::metadata("/proc/self/ns/pid").expect("Linux").ino();
    // 0 where the system has none.
    let times = std::fs::metadata("/proc/self/ns/time").map_or(0, |file| file.ino());
    let namespaces = [processes, times].into_iter().flat_map(u64::to_le_bytes);
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for byte in boot.trim().bytes().chain(namespaces) {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }
    let mut child = Command::new("true").spawn().expect("it is everywhere");
    let pid = child.id();
    child.wait().expect("it is our child");
    // Whoever has that id by now has not started with the machine.
    format!("knit-{pid}-1-{hash:016x}-{random:016x}")
}

#[test]
fn a_dry_run_says_what_a_sweep_then_removes() {
    let directory = fresh("sweep");
    let at = directory.to_str().expect("text");
    let dead = directory.join(dead_name(7));
    let other = directory.join("other");
    for path in [&dead, &other] {
        drop(UnixListener::bind(path).expect("the path is short"));
    }
    let text = out(&knit(&["sweep", "--dry-run", at]));
    let path = dead.display();
    assert_eq!(
        text,
        format!("would remove {path}\nwould remove 1 name of hosts that have ended\n")
    );
    assert_eq!(read_dir(&directory).expect("it is there").count(), 2);
    let swept = knit(&["sweep", at]);
    assert!(swept.status.success());
    assert_eq!(out(&swept), format!("removed {path}\nremoved 1 name of hosts that have ended\n"));
    assert!(!dead.exists() && other.exists());
    assert_eq!(out(&knit(&["sweep", at])), "removed 0 names of hosts that have ended\n");
    remove_dir_all(directory).expect("it is ours");
}

/// A name that is a mount point cannot be removed, by nobody.
#[test]
fn a_name_that_cannot_be_removed_keeps_none_of_the_others() {
    let directory = fresh("left");
    let at = directory.to_str().expect("text");
    let names = [dead_name(1), dead_name(2), dead_name(3)];
    let paths = names.map(|name| directory.join(name));
    for path in &paths {
        drop(UnixListener::bind(path).expect("the path is short"));
    }
    // The other two stand before and behind it, in whatever order they are found.
    let kept = paths[1].display();
    let script = format!("mount --bind '{kept}' '{kept}' && touch '{at}/mounted' && exec \"$@\"");
    let knit = ["sh", env!("CARGO_BIN_EXE_knit"), "sweep", at];
    // As root the first, otherwise the second, where the system permits it.
    let worlds = [&["--mount"][..], &["--mount", "--map-root-user"]];
    let mounted = directory.join("mounted");
    let swept = worlds.iter().find_map(|world| {
        let mut command = Command::new("unshare");
        command.args(*world).args(["sh", "-c", &script]).args(knit);
        command.output().ok().filter(|_| mounted.exists())
    });
    if let Some(swept) = swept {
        assert_eq!(swept.status.code(), Some(1));
        let error = String::from_utf8_lossy(&swept.stderr).into_owned();
        assert!(error.contains(&format!("knit: cannot remove {kept}: ")), "{error}");
        assert!(error.contains("knit: 1 name could not be removed, see above"), "{error}");
        let mut removed =
            [&paths[0], &paths[2]].map(|path| format!("removed {}\n", path.display()));
        removed.sort();
        let text = format!("{}removed 2 names of hosts that have ended\n", removed.concat());
        assert_eq!(out(&swept), text);
        assert_eq!(paths.each_ref().map(|path| path.exists()), [false, true, false]);
    } else {
        skip("nothing can be mounted here", &["unshare", "mount"]);
    }
    remove_dir_all(directory).expect("it is ours");
}

#[test]
fn a_directory_that_is_not_there_is_named() {
    let output = knit(&["sweep", "/nowhere"]);
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(text.contains("cannot sweep /nowhere") && text.contains("No such file"), "{text}");
    let help = out(&knit(&["sweep", "--help"]));
    assert!(help.contains("--dry-run") && help.contains("DIRECTORY"), "{help}");
}
