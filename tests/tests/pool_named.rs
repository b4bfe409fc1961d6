//! Workers that inherit no descriptors: they are handed their lanes over sockets with names, which leave nothing behind. C5, H22.

mod pool_support;

use knit_lanes::named::{stale, sweep};
use knit_lanes::{Builder, Error, Pool, SharedBuffer, StartError, WorkerExit};
use knit_tests::skip;
use pool_support::gate::Gate;
use pool_support::process::{kill, until_gone, with_argument};
use pool_support::worker::{Remote, WORKER, builder, only_worker, start, tasks};
use pool_support::{fresh_path, fresh_short_path, until, within_deadline};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketType, bind, socket};
use std::fs::{DirBuilder, read_dir};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::JoinHandle;
use std::time::Duration;

/// A host program whose workers are handed their lanes by name.
const HOST: &str = env!("CARGO_BIN_EXE_knit-test-host");
/// A user that is not root; nothing else is asked of it.
const SOMEBODY: &str = "65534";

/// A directory of this test alone, open to everybody as `/dev/shm` is. It is removed in the end.
struct Directory(PathBuf);

impl Directory {
    fn new(name: &str) -> Self {
        let path = PathBuf::from(fresh_short_path(name));
        DirBuilder::new().mode(0o755).create(&path).unwrap();
        Self(path)
    }

    /// What is in it, in order.
    fn names(&self) -> Vec<PathBuf> {
        let mut names: Vec<_> =
            read_dir(&self.0).unwrap().map(|entry| entry.unwrap().path()).collect();
        names.sort();
        names
    }

    /// The one socket in it, as soon as there is one.
    fn only_name(&self) -> PathBuf {
        until("a lane has a name", || self.names().len() == 1);
        self.names().remove(0)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        // What is left of a test that failed harms nobody.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn named(builder: Builder, directory: &Directory) -> Builder {
    builder.named_lanes(&directory.0)
}

/// A pool of one worker that begins when the gate is let go of. `script` is what the shell runs then.
fn held(directory: &Directory, gate: &Gate, script: &str) -> JoinHandle<Result<Pool, Error>> {
    let script = format!("read line < {}; {script}", gate.path());
    let builder = Pool::builder().processes(1).command("sh", ["-c", &script]);
    let builder = builder.named_lanes(&directory.0).ready_timeout(Duration::from_secs(60));
    std::thread::spawn(move || builder.start(tasks().0))
}

fn status(error: Error) -> i32 {
    match error {
        Error::Start(StartError::Exited { exit: WorkerExit::Code(status) }) => status,
        other => panic!("{other}"),
    }
}

/// Calls and buffers both ways, and the worker's descriptors: none of the host's is among them.
fn serves(pool: &Pool, remote: &Remote) {
    for n in 0..100 {
        assert_eq!(pool.call(remote.square, f64::from(n)).wait().unwrap(), f64::from(n * n));
    }
    let large = vec![7; 5 << 20];
    assert_eq!(pool.call(remote.bytes, large.clone()).wait().unwrap(), large);
    let buffer = SharedBuffer::new(4).unwrap();
    buffer.write(0, &[1, 2, 3, 4]).unwrap();
    assert_eq!(pool.call(remote.sum, buffer).wait().unwrap(), 10.0);
    assert_eq!(pool.call(remote.new_buffer, 3).wait().unwrap().to_vec(), [7; 3]);
    let text = pool.call(remote.descriptors, ()).wait().unwrap();
    let stdin = text.lines().find(|line| line.starts_with("0 "));
    assert_eq!(stdin, Some("0 /dev/null"), "{text}");
}

/// LANE-43, LANE-45.
#[test]
fn a_worker_that_inherits_nothing_serves_calls_and_buffers() {
    within_deadline(|| {
        let directory = Directory::new("named");
        let (pool, remote) = start(named(builder(2), &directory));
        serves(&pool, &remote);
        assert_eq!(directory.names(), [""; 0].map(PathBuf::from));
        // The next ones are handed theirs in the same way.
        let before = pool.worker_ids();
        before.iter().for_each(|worker| kill(*worker));
        until("new workers", || {
            let now = pool.worker_ids();
            now.len() == 2 && now.iter().all(|worker| !before.contains(worker))
        });
        serves(&pool, &remote);
        assert_eq!(directory.names(), [""; 0].map(PathBuf::from));
        let last = pool.worker_ids();
        drop(pool);
        until_gone(&last);
        assert_eq!(directory.names(), [""; 0].map(PathBuf::from));
    });
}

/// A container without descriptors: all that it shares with the host is the directory.
#[test]
fn a_worker_in_a_container_is_handed_its_lane() {
    let prefix = |directory: &str| {
        let words = ["--unshare-all", "--die-with-parent", "--new-session", "--ro-bind", "/", "/"];
        let more = ["--dev", "/dev", "--proc", "/proc", "--bind", directory, directory];
        words.into_iter().chain(more).map(str::to_owned).collect::<Vec<_>>()
    };
    let status =
        Command::new("bwrap").args(prefix("/tmp")).arg("true").stderr(Stdio::null()).status();
    if !status.as_ref().is_ok_and(std::process::ExitStatus::success) {
        return skip(&format!("bwrap cannot make a sandbox here ({status:?})"), &["bwrap"]);
    }
    within_deadline(move || {
        let directory = Directory::new("container");
        let mut words = prefix(directory.0.to_str().unwrap());
        words.push(WORKER.to_owned());
        let builder = Pool::builder().processes(1).command("bwrap", words);
        let (pool, remote) = start(named(builder, &directory));
        serves(&pool, &remote);
        // It counts its processes from one, and knows nothing of those outside.
        assert!(pool.call(remote.pid, ()).wait().unwrap() < 10);
        assert_eq!(directory.names(), [""; 0].map(PathBuf::from));
    });
}

fn somebody_is_there() -> bool {
    let mut command = as_somebody("exit 0");
    let can = command.status().is_ok_and(|status| status.success());
    if !can {
        skip("nobody can act as another user here (needs root)", &["setpriv"]);
    }
    can
}

fn as_somebody(script: &str) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--reuid", SOMEBODY, "--regid", SOMEBODY, "--clear-groups", "sh", "-c", script]);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    command
}

/// The socket of a lane that no worker has taken yet.
#[test]
fn nobody_but_its_user_can_connect_to_a_lane() {
    let somebody = somebody_is_there();
    within_deadline(move || {
        let directory = Directory::new("private");
        let gate = Gate::new();
        let starting = held(&directory, &gate, &format!("exec {WORKER}"));
        let name = directory.only_name();
        let about = name.symlink_metadata().unwrap();
        assert!(about.file_type().is_socket());
        assert_eq!(about.mode() & 0o7777, 0o600);
        assert_eq!(about.uid(), rustix::process::geteuid().as_raw());
        if somebody {
            let can = |path: &Path| {
                let script = format!("test -w {}", path.display());
                as_somebody(&script).status().unwrap().success()
            };
            assert!(!can(&name));
            assert!(can(Path::new("/dev/null")));
        }
        drop(gate.entered());
        let pool = starting.join().unwrap().unwrap();
        let square = pool.task::<f64, f64>("square").unwrap();
        assert_eq!(pool.call(square, 3.0).wait().unwrap(), 9.0);
        assert_eq!(directory.names(), [""; 0].map(PathBuf::from));
    });
}

/// A worker of another user: cannot connect; where somebody has opened the socket to it, refuses what is not its user's. LANE-44.
#[test]
fn a_worker_of_another_user_is_handed_nothing() {
    if !somebody_is_there() {
        return;
    }
    // Without a boot description it says that it is no worker.
    let alone = as_somebody(&format!("exec {WORKER}")).status().unwrap();
    if alone.code() != Some(2) {
        return skip(&format!("another user cannot run the worker program ({alone})"), &[]);
    }
    within_deadline(|| {
        for open in [false, true] {
            let directory = Directory::new("foreign");
            let (gate, said) = (Gate::new(), fresh_path("said"));
            let user = format!("--reuid {SOMEBODY} --regid {SOMEBODY} --clear-groups");
            let script = format!("exec setpriv {user} {WORKER} 2> {said}");
            let starting = held(&directory, &gate, &script);
            let name = directory.only_name();
            if open {
                std::fs::set_permissions(&name, PermissionsExt::from_mode(0o666)).unwrap();
            }
            drop(gate.entered());
            let error = starting.join().unwrap().unwrap_err();
            assert_eq!(status(error), knit_lanes::EXIT_BOOT_FAILED);
            let text = std::fs::read_to_string(&said).unwrap();
            let wanted = if open { "belongs to user 0" } else { "Permission denied" };
            assert!(text.contains(wanted), "{text}");
            assert_eq!(directory.names(), [""; 0].map(PathBuf::from));
            std::fs::remove_file(said).unwrap();
        }
    });
}

/// Whatever ends a start, the name is gone. LANE-45.
#[test]
fn a_worker_that_never_takes_its_lane_leaves_no_name() {
    within_deadline(|| {
        let directory = Directory::new("never");
        let with = |program: &str, arguments: &[&str], ready_timeout| {
            let builder = Pool::builder().processes(1).command(program, arguments);
            let builder = builder.ready_timeout(ready_timeout);
            let error = named(builder, &directory).start(tasks().0).unwrap_err();
            assert_eq!(directory.names(), [""; 0].map(PathBuf::from));
            error
        };
        // Those that end by themselves have all the time that they need.
        let enough = Duration::from_secs(60);
        assert_eq!(status(with("sh", &["-c", "exit 5"], enough)), 5);
        let late = with("sleep", &["1000"], Duration::from_millis(100));
        assert!(matches!(late, Error::Start(StartError::NotReady { .. })), "{late}");
        let none = with("/nowhere", &[], enough);
        assert!(matches!(none, Error::Start(StartError::Spawn { .. })), "{none}");
    });
}

#[test]
fn directories_that_cannot_hold_a_name_are_refused() {
    within_deadline(|| {
        let directory = Directory::new("refused");
        let file = directory.0.join("file");
        std::fs::write(&file, "").unwrap();
        let long = directory.0.join("x".repeat(200));
        for path in [directory.0.join("missing"), file, long] {
            let error = builder(1).named_lanes(&path).start(tasks().0).unwrap_err();
            let setting = StartError::Setting { setting: "named_lanes", problem: String::new() };
            let Error::Start(StartError::Setting { setting: found, problem }) = &error else {
                panic!("{error}, not {setting}");
            };
            assert_eq!(*found, "named_lanes");
            assert!(problem.contains(path.to_str().unwrap()), "{problem}");
        }
    });
}

/// A host of its own, which prints the id of its worker when that is ready.
fn host(mode: &str, directory: &Directory, rest: &str) -> Child {
    let mut command = Command::new(HOST);
    command.arg(mode).arg(&directory.0).arg(rest);
    command.stdout(Stdio::piped()).spawn().unwrap()
}

/// Between host and worker stands a program that lives on when the host is killed: the worker does not.
#[test]
fn a_worker_ends_with_its_host_whatever_is_between_them() {
    within_deadline(|| {
        let directory = Directory::new("between");
        let mut host = host("named", &directory, &format!("{WORKER}; exit 3"));
        let mut line = String::new();
        BufReader::new(host.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let worker: u32 = line.trim().parse().unwrap();
        host.kill().unwrap();
        host.wait().unwrap();
        until_gone(&[worker]);
        assert_eq!(directory.names(), [""; 0].map(PathBuf::from));
    });
}

/// A socket with this name that nobody listens on.
fn socket_at(path: &Path) {
    let socket = socket(AddressFamily::UNIX, SocketType::SEQPACKET, None).unwrap();
    bind(&socket, &SocketAddrUnix::new(path).unwrap()).unwrap();
}

/// What a sweep removes, where nothing keeps it from that.
fn swept(directory: &Directory) -> Vec<PathBuf> {
    let swept = sweep(&directory.0).unwrap();
    assert!(swept.left.is_empty(), "{swept:?}");
    swept.removed
}

/// C5: sweeping takes what a killed host has left, and nothing else: not what hosts at work have, not what looks like it.
#[test]
fn a_sweep_takes_what_killed_hosts_have_left_and_nothing_else() {
    within_deadline(|| {
        let directory = Directory::new("sweep");
        // A host that is killed while its worker has yet to begin.
        let dead_gate = Gate::new();
        let mut killed = host("named", &directory, &format!("read line < {}", dead_gate.path()));
        let dead = directory.only_name();
        // Both have the path among their arguments.
        until("the shell runs", || with_argument(&dead_gate.path()).len() == 2);
        assert_eq!(stale(&directory.0).unwrap(), [""; 0].map(PathBuf::from));
        assert_eq!(swept(&directory), [""; 0].map(PathBuf::from));
        killed.kill().unwrap();
        // Not reaped yet, and ended all the same when its last thread has.
        until("it has ended", || stale(&directory.0).unwrap() == [dead.clone()]);
        killed.wait().unwrap();
        drop(dead_gate.entered());

        // A host at work: this process.
        let gate = Gate::new();
        let starting = held(&directory, &gate, &format!("exec {WORKER}"));
        until("the live lane has a name", || directory.names().len() == 2);
        let live = directory.names().into_iter().find(|name| *name != dead).unwrap();

        let text = |path: &Path| path.file_name().unwrap().to_str().unwrap().to_owned();
        let (dead_text, live_text) = (text(&dead), text(&live));
        let parts: Vec<_> = dead_text.split('-').collect();
        let [_, dead_pid, start, world, random] = parts[..] else { panic!("{dead_text}") };
        let [_, live_pid, live_start, live_world, _] = live_text.split('-').collect::<Vec<_>>()[..]
        else {
            panic!("{live_text}")
        };
        assert_eq!((live_pid, live_world), (&*std::process::id().to_string(), world));
        let later = live_start.parse::<u64>().unwrap() + 1;
        let other = |n: u64| format!("{n:016x}");
        // The id of a process that lives, and another start: that process has ended.
        let reused = directory.0.join(format!("knit-{live_pid}-{later}-{world}-{}", other(1)));
        socket_at(&reused);
        // What is no proof, or no name.
        let sockets = [
            format!("knit-{dead_pid}-{start}-{}-{random}", other(7)),
            format!("knit-{live_pid}-0-{world}-{random}"),
            format!("knit-{live_pid}-{live_start}-{world}-{}", other(2)),
            format!("knit-0-{start}-{world}-{random}"),
            format!("knit-{}-{start}-{world}-{random}", u32::MAX),
            format!("knit-{dead_pid}-{start}-{world}"),
            format!("knit-0{dead_pid}-{start}-{world}-{random}"),
            format!("{dead_text}x"),
            format!("x{dead_text}"),
            "knit".to_owned(),
            "other.sock".to_owned(),
        ];
        for name in &sockets {
            socket_at(&directory.0.join(name));
        }
        let like =
            |n: u64| directory.0.join(format!("knit-{dead_pid}-{start}-{world}-{}", other(n)));
        std::fs::write(like(10), "a file").unwrap();
        std::fs::create_dir(like(11)).unwrap();
        std::fs::write(like(11).join("inside"), "").unwrap();
        std::os::unix::fs::symlink(&dead, like(12)).unwrap();
        std::os::unix::fs::symlink("/nowhere", like(13)).unwrap();
        rustix::fs::mknodat(
            rustix::fs::CWD,
            like(14),
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::RUSR,
            0,
        )
        .unwrap();
        std::fs::write(directory.0.join("k".repeat(255)), "").unwrap();
        let odd: &std::ffi::OsStr = std::os::unix::ffi::OsStrExt::from_bytes(b"knit-\xff\xfe");
        std::fs::write(directory.0.join(odd), "").unwrap();
        if rustix::process::geteuid().is_root() {
            socket_at(&like(15));
            std::os::unix::fs::chown(like(15), Some(65534), None).unwrap();
        } else {
            skip("only root can make a socket of another user", &[]);
        }

        let mut wanted = vec![dead.clone(), reused];
        wanted.sort();
        let before = directory.names();
        assert_eq!(stale(&directory.0).unwrap(), wanted);
        assert_eq!(directory.names(), before);
        assert_eq!(swept(&directory), wanted);
        let left: Vec<_> = before.into_iter().filter(|name| !wanted.contains(name)).collect();
        assert_eq!(directory.names(), left);
        assert!(left.contains(&live));
        assert_eq!(swept(&directory), [""; 0].map(PathBuf::from));

        // The host at work has noticed nothing.
        drop(gate.entered());
        let pool = starting.join().unwrap().unwrap();
        only_worker(&pool);
        assert!(!directory.names().contains(&live));
        assert!(sweep(directory.0.join("missing")).is_err());
    });
}

/// Says to this program that it looks from another world; what is stale in this directory it leaves to its exit status.
const LOOKS: &str = "KNIT_TEST_LOOKS_AT";

/// Whether a command can run others here.
fn runs(world: &[&str]) -> bool {
    let status =
        Command::new(world[0]).args(&world[1..]).arg("true").stdout(Stdio::null()).status();
    let runs = status.is_ok_and(|status| status.success());
    if !runs {
        skip(&format!("{world:?} does not run here"), &world[..1]);
    }
    runs
}

/// Whether this program finds nothing stale in the directory when `world`, a command, runs it.
fn finds_nothing(world: &[&str], directory: &Directory) -> bool {
    let this = std::env::current_exe().unwrap();
    let test = "a_sweep_from_elsewhere_takes_nothing";
    let mut command = Command::new(world[0]);
    command.args(&world[1..]).arg(this).args(["--exact", test, "--nocapture"]);
    command.env(LOOKS, &directory.0).stdout(Stdio::null()).status().unwrap().success()
}

/// C5: what a start or an id means in another time namespace, or where `/proc` says nothing, is not known.
#[test]
fn a_sweep_from_elsewhere_takes_nothing() {
    if let Some(directory) = std::env::var_os(LOOKS) {
        return assert_eq!(stale(directory).unwrap(), [""; 0].map(PathBuf::from));
    }
    // Starts are shifted there.
    let clock =
        ["unshare", "--user", "--map-root-user", "--time", "--boottime", "1000000", "--fork"];
    let blind = ["bwrap", "--ro-bind", "/", "/", "--tmpfs", "/proc", "--unshare-pid"];
    let (clock_runs, blind_runs) = (runs(&clock), runs(&blind));
    within_deadline(move || {
        let directory = Directory::new("elsewhere");
        let gate = Gate::new();
        let starting = held(&directory, &gate, &format!("exec {WORKER}"));
        let live = directory.only_name();
        let by_another_clock = !clock_runs || finds_nothing(&clock, &directory);
        // Made where `/proc` says nothing, as names are now and as they once were.
        let fnv1a = |hash: u64, byte: u64| (hash ^ byte).wrapping_mul(0x100_0000_01b3);
        let nothing = [0; 8].into_iter().fold(0xcbf2_9ce4_8422_2325, fnv1a);
        for world in [0, nothing] {
            let name = format!("knit-{}-1-{world:016x}-{:016x}", i32::MAX, 1);
            socket_at(&directory.0.join(name));
        }
        let without_proc = !blind_runs || finds_nothing(&blind, &directory);
        let names = directory.names();
        drop(gate.entered());
        only_worker(&starting.join().unwrap().unwrap());
        assert!(names.contains(&live));
        assert!(by_another_clock);
        assert!(without_proc);
    });
}
