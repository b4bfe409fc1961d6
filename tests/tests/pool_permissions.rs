//! Who can get at the memory of a pool: H14, H22. It has no name, is sealed, is closed when a program starts, and
//! is open to nobody but its user.
//!
//! Memory with a name does not exist; sockets with names are in `pool_named`.

mod pool_support;

use core::ops::Range;
use knit_lanes::{Limits, Pool, SharedBuffer};
use knit_tests::skip;
use pool_support::worker::{Remote, builder, pool, start};
use pool_support::{Random, within_deadline};
use rustix::fs::SealFlags;
use std::fs::{File, read_dir, read_link, read_to_string};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};

const SEALS: SealFlags = SealFlags::SHRINK.union(SealFlags::GROW).union(SealFlags::SEAL);
/// `O_CLOEXEC`, as `/proc` shows it.
const CLOSE_ON_EXEC: u32 = 0o2_000_000;
/// A user that is not root; nothing else is asked of it.
const SOMEBODY: &str = "65534";

/// One pool at a time: the descriptors of this process that are looked at belong to one test.
static ALONE: Mutex<()> = Mutex::new(());

/// Its pool is dropped before the lock: the next test begins when this pool is gone.
struct Memories {
    /// The descriptors of both processes that are of such memory: a segment and a buffer in each.
    paths: Vec<PathBuf>,
    worker: u32,
    _buffer: SharedBuffer,
    _pool: Pool,
    _alone: MutexGuard<'static, ()>,
}

/// A pool with a buffer that its worker has too.
fn memories() -> Memories {
    let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let (pool, remote): (Pool, Remote) = pool(1);
    let buffer = SharedBuffer::new(4096).unwrap();
    pool.call(remote.keep, buffer.clone()).wait().unwrap();
    let worker = pool.worker_ids()[0];
    let mut found = Vec::new();
    for process in [std::process::id(), worker] {
        let paths = read_dir(format!("/proc/{process}/fd")).unwrap();
        let mut ours = 0;
        for path in paths.map(|entry| entry.unwrap().path()) {
            let Ok(link) = read_link(&path) else { continue };
            if link.to_string_lossy().starts_with("/memfd:knit-") {
                found.push(path);
                ours += 1;
            }
        }
        assert!(ours >= 2, "process {process} has {ours} of them");
    }
    Memories { paths: found, worker, _buffer: buffer, _pool: pool, _alone: alone }
}

#[test]
fn every_memory_is_sealed_and_close_on_exec_and_its_users_alone() {
    within_deadline(|| {
        let memories = memories();
        for path in &memories.paths {
            let at = path.display();
            let file = File::options().read(true).write(true).open(path).unwrap();
            let seals = rustix::fs::fcntl_get_seals(&file).unwrap();
            assert!(seals.contains(SEALS), "{at}: {seals:?}");
            assert!(rustix::fs::ftruncate(&file, 0).is_err(), "{at} was truncated");
            let mode = file.metadata().unwrap().mode() & 0o777;
            assert_eq!(mode, 0o600, "{at}: mode {mode:o}");
            let info = read_to_string(at.to_string().replace("/fd/", "/fdinfo/")).unwrap();
            let flags = info.lines().find_map(|line| line.strip_prefix("flags:")).unwrap();
            let flags = u32::from_str_radix(flags.trim(), 8).unwrap();
            assert!(flags & CLOSE_ON_EXEC != 0, "{at}: {flags:o}");
        }
    });
}

#[test]
fn no_memory_has_a_name_in_a_file_system() {
    within_deadline(|| {
        let names = || -> Vec<_> {
            let entries = read_dir("/dev/shm").unwrap().map(|entry| entry.unwrap().file_name());
            let ours = entries.map(|name| name.to_string_lossy().into_owned());
            ours.filter(|name| name.contains("knit")).collect()
        };
        let before = names();
        let memories = memories();
        let added: Vec<_> = names().into_iter().filter(|name| !before.contains(name)).collect();
        assert_eq!(added, [""; 0]);
        for path in &memories.paths {
            // Nothing links to the file: only who has a descriptor has it.
            assert_eq!(File::open(path).unwrap().metadata().unwrap().nlink(), 0, "{path:?}");
        }
    });
}

/// H18: nothing of a process gets into a segment but what was sent: no address of its code, stack or heap. What is
/// sent here has no bytes above 15.
#[test]
fn no_address_of_either_process_gets_into_a_segment() {
    within_deadline(|| {
        let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        let limits = Limits::default().with_payload(64 << 10);
        let (pool, remote) = start(builder(1).limits(limits).arena_bytes(1 << 20));
        let mut random = Random::new(1);
        for _ in 0..300 {
            let sent = vec![random.below(16) as u8; random.below(10_000)];
            assert_eq!(pool.call(remote.bytes, sent.clone()).wait().unwrap(), sent);
            pool.call(remote.fail, ()).wait().unwrap_err();
            let text = "a".repeat(random.below(700));
            assert_eq!(pool.call(remote.text, text.clone()).wait().unwrap(), text);
        }
        let worker = pool.worker_ids()[0].to_string();
        let ranges: Vec<_> = ["self", &worker].iter().flat_map(|process| ranges(process)).collect();
        let paths = read_dir("/proc/self/fd").unwrap().map(|entry| entry.unwrap().path());
        let is_segment = |path: &PathBuf| {
            read_link(path).is_ok_and(|link| link.to_string_lossy().starts_with("/memfd:knit-lane"))
        };
        let segments: Vec<_> = paths.filter(is_segment).collect();
        assert!(!segments.is_empty());
        for path in segments {
            let segment = std::fs::read(&path).unwrap();
            let used = segment.iter().filter(|byte| **byte != 0).count();
            assert!(used > 10_000, "{used} bytes were written: the test tells nothing");
            // At any word, since headers are words.
            for (at, bytes) in segment.windows(8).enumerate().step_by(4) {
                let word = u64::from_le_bytes(bytes.try_into().unwrap());
                let inside = ranges.iter().find(|range| range.contains(&word));
                assert!(inside.is_none(), "{word:#x} at {at} lies in {inside:x?} of a process");
            }
        }
    });
}

/// The addresses that a process has mapped.
fn ranges(process: &str) -> Vec<Range<u64>> {
    let maps = read_to_string(format!("/proc/{process}/maps")).unwrap();
    let ranges = maps.lines().filter_map(|line| {
        let (from, to) = line.split_whitespace().next()?.split_once('-')?;
        Some(u64::from_str_radix(from, 16).ok()?..u64::from_str_radix(to, 16).ok()?)
    });
    ranges.collect()
}

/// A shell, as the user of this test or as somebody else.
fn shell(user: Option<&str>, script: &str) -> Command {
    let mut command = Command::new(if user.is_some() { "setpriv" } else { "sh" });
    if let Some(user) = user {
        command.args(["--reuid", user, "--regid", user, "--clear-groups", "sh"]);
    }
    command.args(["-c", script]).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

/// Whether a shell can act as another user here. Where it cannot, the test says so and tests nothing.
fn somebody_is_there() -> bool {
    let can = shell(Some(SOMEBODY), "test \"$(id -u)\" = 65534").status();
    let can = can.as_ref().is_ok_and(std::process::ExitStatus::success);
    if !can {
        skip("nobody can act as another user here (needs root)", &["setpriv"]);
    }
    can
}

#[test]
fn another_user_can_open_nothing_of_it() {
    if !somebody_is_there() {
        return;
    }
    within_deadline(|| {
        let memories = memories();
        let worker = memories.worker;
        let succeeds = |user, script: &str| shell(user, script).status().unwrap().success();
        for path in &memories.paths {
            let at = path.display();
            for (way, script) in
                [("read", format!("exec 9<{at}")), ("write", format!("exec 9<>{at}"))]
            {
                assert!(succeeds(None, &script), "its own user cannot {way} {at}");
                assert!(!succeeds(Some(SOMEBODY), &script), "another user can {way} {at}");
            }
        }
        // The boot description, and all memory of the worker.
        for file in ["environ", "mem", "maps"] {
            let script = format!("head -c 1 /proc/{worker}/{file}");
            assert!(!succeeds(Some(SOMEBODY), &script), "another user can read {file}");
        }
        assert!(succeeds(None, &format!("head -c 1 /proc/{worker}/environ")));
    });
}
