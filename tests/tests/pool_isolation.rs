//! What worker processes are given of their host, and what they may do. Looked at from outside.

mod pool_support;

use knit_lanes::{
    Builder, CallError, Error, Isolation, Output, Pool, ResourceLimit, StartError, Tasks,
};
use pool_support::worker::{Remote, WORKER, builder, start};
use pool_support::{fresh_path, within_deadline};
use rustix::io::FdFlags;
use std::collections::BTreeMap;
use std::fs::{File, read_to_string};
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::Arc;

fn with(isolation: Isolation) -> (Pool, Remote) {
    start(builder(1).isolation(isolation))
}

/// A file of the worker's directory under `/proc`.
fn proc(pool: &Pool, file: &str) -> String {
    let pid = pool.worker_ids()[0];
    read_to_string(format!("/proc/{pid}/{file}")).unwrap()
}

/// The environment that the worker was started with.
fn environment(pool: &Pool) -> BTreeMap<String, String> {
    let text = proc(pool, "environ");
    let variables = text.split_terminator('\0').filter_map(|variable| variable.split_once('='));
    variables.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

#[test]
fn workers_have_the_listed_variables_and_no_others() {
    within_deadline(|| {
        let boot = knit_lanes::BOOT_ENV;
        let (pool, _) = with(Isolation::default().env("MODEL", "small").inherit_env(["CARGO"]));
        let found = environment(&pool);
        assert_eq!(found["MODEL"], "small");
        // Cargo gives tests this one, and a dozen others.
        assert_eq!(found.get("CARGO"), std::env::var("CARGO").ok().as_ref());
        assert!(std::env::var_os("CARGO_PKG_NAME").is_some());
        let allowed = |name: &str| {
            ["MODEL", "CARGO", boot].contains(&name) || Isolation::INHERITED.contains(&name)
        };
        assert!(found.keys().all(|name| allowed(name)), "{:?}", found.keys());
        let (pool, _) = with(Isolation::none());
        let all = environment(&pool);
        assert!(std::env::vars().all(|(name, value)| all.get(&name) == Some(&value)));
        assert!(all.contains_key(boot));
    });
}

#[test]
fn programs_of_workers_gain_no_privileges_unless_they_may() {
    within_deadline(|| {
        let flag = |isolation| {
            let (pool, _) = with(isolation);
            let status = proc(&pool, "status");
            let line = status.lines().find_map(|line| line.strip_prefix("NoNewPrivs:"));
            line.map(str::trim).map(str::to_owned)
        };
        assert_eq!(flag(Isolation::default()).as_deref(), Some("1"));
        // As its host, which is not the business of this test.
        let own = read_to_string("/proc/self/status").unwrap();
        let own = own.lines().find_map(|line| line.strip_prefix("NoNewPrivs:")).map(str::trim);
        for isolation in [Isolation::none(), Isolation::default().allow_new_privileges()] {
            assert_eq!(flag(isolation).as_deref(), own);
        }
    });
}

/// A file that every program which this process starts in the usual way has too.
fn inheritable(name: &str, text: &str) -> (OwnedFd, String) {
    let path = fresh_path(name);
    std::fs::write(&path, text).unwrap();
    // Above what workers have for themselves.
    let file = rustix::io::fcntl_dupfd_cloexec(File::open(&path).unwrap(), 50).unwrap();
    rustix::io::fcntl_setfd(&file, FdFlags::empty()).unwrap();
    (file, path)
}

/// Numbers and kinds of the descriptors of a worker, as its task sees them, in their order.
fn descriptors(pool: &Pool, remote: &Remote) -> Vec<(u32, String)> {
    let text = pool.call(remote.descriptors, ()).wait().unwrap();
    let lines = text.lines().map(|line| line.split_once(' ').unwrap());
    let mut found: Vec<_> = lines
        .map(|(number, target)| {
            let kind = target.split([':', '[']).next().unwrap();
            (number.parse().unwrap(), kind.to_owned())
        })
        .collect();
    found.sort();
    found
}

/// Kinds of what the worker of a pool with no output has open, each once: it may have several descriptors for one thing.
fn kinds(builder: Builder) -> Vec<String> {
    let (pool, remote) = start(builder);
    let mut kinds: Vec<_> = descriptors(&pool, &remote).into_iter().map(|(_, kind)| kind).collect();
    kinds.sort();
    kinds.dedup();
    kinds
}

fn silent(isolation: Isolation) -> Isolation {
    isolation.stdout(Output::Null).stderr(Output::Null)
}

/// However a descriptor of the host was opened, and whatever stands between host and worker: the streams, the segment, the
/// control channel, nothing else.
#[test]
fn workers_have_the_descriptors_of_their_lane_only() {
    within_deadline(|| {
        let (_open, path) = inheritable("open", "");
        let lane = ["/dev/null", "/memfd", "socket"];
        let strict = || silent(Isolation::default());
        assert_eq!(kinds(builder(1).isolation(strict())), lane);
        let prefixed = Pool::builder().processes(1).command("/usr/bin/env", ["A=b", WORKER]);
        assert_eq!(kinds(prefixed.isolation(strict())), lane);
        let open = |found: &[String]| found.contains(&path);
        assert!(open(&kinds(builder(1).isolation(strict().inherit_descriptors()))));
        assert!(open(&kinds(builder(1).isolation(silent(Isolation::none())))));
        std::fs::remove_file(path).unwrap();
    });
}

/// What is passed has its number in the worker, also where the host has another descriptor of that number.
#[test]
fn a_descriptor_can_be_passed_under_a_number() {
    within_deadline(|| {
        let (first, path) = inheritable("first", "one");
        let (second, other) = inheritable("second", "two");
        let taken = u16::try_from(second.as_raw_fd()).unwrap();
        let isolation = silent(Isolation::default())
            .descriptor(4, first.try_clone().unwrap())
            .descriptor(taken, first)
            .descriptor(7, second);
        for builder in [
            builder(2).isolation(isolation.clone()),
            Pool::builder().processes(2).command("/usr/bin/env", [WORKER]).isolation(isolation),
        ] {
            let (pool, remote) = start(builder);
            let found = descriptors(&pool, &remote);
            let at = |path: &str| -> Vec<_> {
                let numbers = found.iter().filter(|(_, kind)| kind == path);
                numbers.map(|(number, _)| *number).collect()
            };
            assert_eq!(at(&path), [4, u32::from(taken)], "{found:?}");
            assert_eq!(at(&other), [7], "{found:?}");
            let text = pool.call(remote.read_from, "/proc/self/fd/7".to_owned()).wait();
            assert_eq!(text.unwrap(), "two");
        }
        for path in [path, other] {
            std::fs::remove_file(path).unwrap();
        }
    });
}

/// One of so many numbers is that of the pipe through which a process says that its program could not be run.
#[test]
fn whatever_number_is_passed_a_program_that_does_not_exist_is_named() {
    within_deadline(|| {
        let path = fresh_path("passed");
        let file = File::create(&path).unwrap();
        for number in 4..100 {
            let isolation = Isolation::default().descriptor(number, file.try_clone().unwrap());
            let builder = Pool::builder().processes(1).command("/nonexistent", [""; 0]);
            let error = builder.isolation(isolation).start(Tasks::new()).unwrap_err();
            let named = matches!(error, Error::Start(StartError::Spawn { .. }));
            assert!(named, "{number}: {error}");
            assert_eq!(file.metadata().unwrap().len(), 0, "{number}: nobody has written there");
        }
        std::fs::remove_file(path).unwrap();
    });
}

/// A number that no process of this user may open keeps the pool from starting.
#[test]
fn a_descriptor_that_cannot_have_its_number_is_an_error() {
    within_deadline(|| {
        let most = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
        let Some(number) = most.and_then(|most| u16::try_from(most).ok()) else {
            // Every number of the type can be had here.
            assert!(most.is_none_or(|most| most > u16::MAX.into()));
            return;
        };
        let isolation = Isolation::default().descriptor(number, File::open("/dev/null").unwrap());
        let error = builder(1).isolation(isolation).start(Tasks::new()).unwrap_err();
        let named =
            matches!(error, Error::Start(StartError::Setting { setting: "descriptor", .. }));
        assert!(named, "{error}");
    });
}

#[test]
#[should_panic(expected = "descriptor 3: those below 4 are taken")]
fn a_number_of_the_lane_cannot_be_passed() {
    drop(Isolation::default().descriptor(3, File::open("/dev/null").unwrap()));
}

#[test]
fn output_goes_where_it_was_sent() {
    within_deadline(|| {
        let paths = [fresh_path("stdout"), fresh_path("stderr")];
        let [out, error] = paths.each_ref().map(|path| Arc::new(File::create(path).unwrap()));
        let isolation = Isolation::default().stdout(Output::File(out)).stderr(Output::File(error));
        let (pool, remote) = start(builder(2).isolation(isolation));
        for n in 0..4 {
            pool.call(remote.shout, format!("{n}")).wait().unwrap();
        }
        drop(pool);
        let sorted = |path: &str| {
            let text = read_to_string(path).unwrap();
            let mut lines: Vec<_> = text.lines().map(str::to_owned).collect();
            lines.sort();
            lines
        };
        assert_eq!(sorted(&paths[0]), ["out 0", "out 1", "out 2", "out 3"]);
        assert_eq!(sorted(&paths[1]), ["error 0", "error 1", "error 2", "error 3"]);
        for path in paths {
            std::fs::remove_file(path).unwrap();
        }
    });
}

#[test]
fn resources_have_their_limits() {
    within_deadline(|| {
        let isolation = Isolation::default()
            .limit(ResourceLimit::OpenFiles, 77)
            .limit(ResourceLimit::CoreBytes, 0)
            .limit(ResourceLimit::AddressSpace, 3 << 30);
        let (pool, remote) = with(isolation);
        let limits = proc(&pool, "limits");
        for (name, most) in [
            ("Max open files", "77"),
            ("Max core file size", "0"),
            ("Max address space", "3221225472"),
        ] {
            let line = limits.lines().find_map(|line| line.strip_prefix(name)).unwrap();
            let found: Vec<_> = line.split_whitespace().take(2).collect();
            assert_eq!(found, [most, most], "{name}");
        }
        assert_eq!(pool.call(remote.square, 3.0).wait().unwrap(), 9.0);
    });
}

/// A worker that has used up its processor time is killed by the system, and replaced.
#[test]
fn a_worker_without_time_left_is_replaced() {
    within_deadline(|| {
        let (pool, remote) = with(Isolation::default().limit(ResourceLimit::ProcessorSeconds, 1));
        let error = pool.call(remote.spin, ()).wait().unwrap_err();
        assert!(matches!(error, CallError::WorkerDied { lane: 0, .. }), "{error}");
        assert_eq!(pool.call(remote.square, 3.0).wait().unwrap(), 9.0);
    });
}
