//! What worker processes are given of their host, and what they may do. Looked at from outside.

mod pool_support;

use knit_lanes::{CallError, Isolation, Output, Pool, ResourceLimit};
use pool_support::worker::{Remote, builder, start};
use pool_support::{fresh_path, within_deadline};
use std::collections::BTreeMap;
use std::fs::{File, read_dir, read_link, read_to_string};
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

/// Targets of the descriptors of this process, the streams aside, that are not closed when a program starts.
fn inherited_by_everybody() -> Vec<String> {
    const CLOSE_ON_EXEC: u32 = 0o2_000_000;
    let mut targets = Vec::new();
    for entry in read_dir("/proc/self/fd").unwrap() {
        let path = entry.unwrap().path();
        let number: u32 = path.file_name().unwrap().to_str().unwrap().parse().unwrap();
        // That of the directory itself is gone by the end.
        let Ok(info) = read_to_string(format!("/proc/self/fdinfo/{number}")) else { continue };
        let flags = info.lines().find_map(|line| line.strip_prefix("flags:")).unwrap().trim();
        let flags = u32::from_str_radix(flags, 8).unwrap();
        // Descriptor 3 of workers is another one.
        if number > 3 && flags & CLOSE_ON_EXEC == 0 {
            targets.extend(read_link(path).map(|target| target.display().to_string()));
        }
    }
    targets
}

#[test]
fn workers_have_the_descriptors_of_their_lane_only() {
    within_deadline(|| {
        let path = fresh_path("open");
        let _open = File::create(&path).unwrap();
        let (pool, _) = with(Isolation::default().stdout(Output::Null).stderr(Output::Null));
        let pid = pool.worker_ids()[0];
        let descriptors = read_dir(format!("/proc/{pid}/fd")).unwrap();
        let targets = descriptors.map(|entry| read_link(entry.unwrap().path()).unwrap());
        let mut targets: Vec<_> = targets.map(|target| target.display().to_string()).collect();
        // What this test was started with and every program that it starts has too.
        for target in inherited_by_everybody() {
            if let Some(at) = targets.iter().position(|found| *found == target) {
                targets.remove(at);
            }
        }
        // The worker may have several for one thing.
        targets.sort();
        targets.dedup();
        let kinds = targets.iter().map(|target| target.split([':', '[']).next().unwrap());
        let kinds: Vec<_> = kinds.collect();
        // The streams, the segment, the control channel.
        assert_eq!(kinds, ["/dev/null", "/memfd", "socket"]);
        std::fs::remove_file(path).unwrap();
    });
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
