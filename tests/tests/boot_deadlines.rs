//! Worker processes and hosts made by hand that offer deadlines: only a worker that has its host's clock accepts them.

mod boot_support;
mod pool_support;

use boot_support::{Memory, fields, file, hash, segment_with, spawn_worker};
use knit_lanes::{Boot, Decode, Encode, HostLane, Limits, MonotonicTime};
use knit_proto::{Features, HeaderFields, Layout};
use knit_ring::{Doorbell, FutexBell, SharedMemory, SharedWord};
use knit_tests::deadline_tasks::{Told, clock};
use pool_support::{until, within_deadline};
use std::process::Child;

const WORKER: &str = env!("CARGO_BIN_EXE_knit-test-async-worker");
const NAMES: [&str; 1] = ["told"];

struct Pair {
    memory: Memory,
    layout: Layout,
    worker: Child,
    lane: HostLane<Memory>,
}

impl Pair {
    fn new(boot: impl FnOnce(Boot) -> String) -> Self {
        let optional = Features::STAMPS.or(Features::DEADLINES);
        let fields = HeaderFields { optional, tasks: hash(&NAMES), ..fields() };
        let (memory, layout) = segment_with(&fields);
        let names = NAMES.map(str::to_owned).into();
        let boot = boot(Boot::new(1, 0, &Limits::default().with_payload(1 << 17), 0, names));
        let worker = spawn_worker(WORKER, boot, file(&memory));
        let mut lane = None;
        until("the worker is ready", || {
            lane = HostLane::connect(&memory, &layout, 1 << 17).unwrap();
            lane.is_some()
        });
        Self { lane: lane.unwrap(), memory, layout, worker }
    }

    /// Calls the task.
    fn told(&mut self, deadline: Option<MonotonicTime>) -> Told {
        let limits = Limits::default();
        let argument = ().encode(&limits).unwrap();
        let submitted = self.lane.submit_until(0, &argument, deadline).unwrap();
        if submitted.wake {
            FutexBell.wake(self.lane.bell());
        }
        let mut answer = None;
        until("the call is answered", || {
            answer = self.lane.take().unwrap();
            answer.is_some()
        });
        let answer = answer.unwrap();
        assert!(!answer.rejected);
        Told::from_words(&Vec::<u64>::decode(answer.payload, &limits).unwrap())
    }

    /// Says a deadline past the host's own end of the lane.
    fn say(&self, words: [u32; 2]) {
        for (at, word) in [0, 4].into_iter().zip(words) {
            let at = self.layout.deadlines().word(at).unwrap();
            self.memory.word(at).unwrap().store_relaxed(word);
        }
    }

    fn close(mut self) {
        self.lane.close();
        FutexBell.wake(self.lane.bell());
        assert!(self.worker.wait().unwrap().success());
    }
}

/// LANE-48: a worker in the time namespace of its host tells its tasks what the host says.
#[test]
fn a_worker_with_the_clock_of_its_host_accepts_deadlines() {
    within_deadline(|| {
        let mut pair = Pair::new(|boot| boot.to_json().unwrap());
        assert!(pair.lane.features().contains(Features::DEADLINES));
        let future = clock() + 1_000_000_000_000;
        let told = pair.told(Some(MonotonicTime::from_nanoseconds(future)));
        assert_eq!(told.deadline, Some(future));
        assert!(told.remaining.is_some_and(|left| left <= future - told.now), "{told:?}");
        // Over, long ago.
        let told = pair.told(Some(MonotonicTime::from_nanoseconds(1)));
        assert_eq!((told.deadline, told.remaining), (Some(1), Some(0)));
        assert_eq!(pair.told(None).deadline, None);
        pair.close();
    });
}

/// LANE-48, KD-2, C18: what a host of another time namespace says, or one that does not say which it has, is told to no task.
#[test]
fn a_worker_without_the_clock_of_its_host_accepts_no_deadlines() {
    let other = |mut boot: Boot| {
        boot.host_time_namespace += 1;
        boot.to_json().unwrap()
    };
    let unknown = |mut boot: Boot| {
        boot.host_time_namespace = 0;
        boot.to_json().unwrap()
    };
    let silent = |boot: Boot| {
        let member = format!("\"host_time_namespace\":{},", boot.host_time_namespace);
        let text = boot.to_json().unwrap();
        assert!(text.contains(&member), "{text}");
        text.replace(&member, "")
    };
    for boot in [other, unknown, silent] {
        within_deadline(move || {
            let mut pair = Pair::new(boot);
            assert!(!pair.lane.features().contains(Features::DEADLINES));
            let future = clock() + 1_000_000_000_000;
            let told = pair.told(Some(MonotonicTime::from_nanoseconds(future)));
            assert_eq!((told.deadline, told.remaining), (None, None));
            pair.close();
        });
    }
}

/// LANE-47: a hostile host says any number; a task that asks what is left gets a number, and its worker serves on.
#[test]
fn whatever_a_host_says_is_a_time() {
    within_deadline(|| {
        let mut pair = Pair::new(|boot| boot.to_json().unwrap());
        let all = [[1, 0], [0, 1], [u32::MAX, 0], [0, u32::MAX], [u32::MAX; 2], [0, 1 << 31]];
        for words in all {
            pair.say(words);
            // This host's end has not stated anything, so it stores nothing.
            let told = pair.told(None);
            let said = u64::from(words[1]) << 32 | u64::from(words[0]);
            assert_eq!(told.deadline, Some(said));
            let left = told.remaining.expect("there is a deadline");
            assert!(left <= said.saturating_sub(told.now), "{told:?}");
        }
        pair.say([0; 2]);
        assert_eq!(pair.told(None).deadline, None);
        pair.close();
    });
}
