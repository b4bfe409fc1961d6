//! What some tests need of the system, and skip where it is refused.
//!
//! Those tests say so themselves, in output that is captured as they pass; what is skipped is named here, by asking for the same
//! things again.

use std::process::{Command, Stdio};

/// What is not tested where a command of a shell fails, and the command. `$0` is a program that was built.
const PROBES: &[(&str, &str)] = &[
    (
        "workers in a sandbox",
        "bwrap --unshare-all --die-with-parent --new-session --ro-bind / / --dev /dev --proc /proc /bin/true",
    ),
    (
        "a sweep of named lanes without /proc",
        "bwrap --ro-bind / / --tmpfs /proc --unshare-pid true",
    ),
    (
        "memory and lanes as another user finds them",
        "setpriv --reuid 65534 --regid 65534 --clear-groups true",
    ),
    (
        "a worker of another user",
        "setpriv --reuid 65534 --regid 65534 --clear-groups test -x \"$0\"",
    ),
    (
        "workers with a clock of their own",
        "unshare --time --monotonic 864000 --boottime 864000 /bin/true",
    ),
    (
        "a sweep of named lanes by another clock",
        "unshare --user --map-root-user --time --boottime 1000000 --fork true",
    ),
    (
        "a sweep of a name that is a mount point",
        // As root, otherwise as root of a namespace.
        "unshare -m mount --bind /etc /etc || unshare -mr mount --bind /etc /etc",
    ),
    ("a sweep past a socket of another user", "test \"$(id -u)\" = 0"),
    (
        "a worker whose Knitting host has ended already",
        // Root of the machine itself: the number of its first namespace is `PROC_PID_INIT_INO` of the kernel.
        "test \"$(id -u) $(readlink /proc/self/ns/pid)\" = '0 pid:[4026531836]'",
    ),
];

/// What the tests skip here, each with the command that fails.
pub(crate) fn skipped() -> impl Iterator<Item = String> {
    PROBES.iter().filter_map(|(what, command)| refused(what, command))
}

/// The line for what is not tested where this command fails.
fn refused(what: &str, command: &str) -> Option<String> {
    // This program stands where the workers do.
    let built = std::env::current_exe().unwrap_or_default();
    let mut shell = Command::new("sh");
    shell.args(["-c", command]).arg(built).stdout(Stdio::null()).stderr(Stdio::null());
    let runs = shell.status().is_ok_and(|status| status.success());
    (!runs).then(|| format!("{what}, `{command}` fails"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fails_or_is_missing_is_named() {
        assert_eq!(refused("nothing", "true"), None);
        assert_eq!(refused("nothing", "test -x \"$0\""), None);
        for command in ["exit 3", "knit-program-that-nobody-has"] {
            let expected = format!("a test, `{command}` fails");
            assert_eq!(refused("a test", command), Some(expected));
        }
    }
}
