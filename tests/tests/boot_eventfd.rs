//! Hosts that sleep on descriptors alone, as an event loop does: the worker rings their eventfd.

mod boot_support;
mod pool_support;

use boot_support::{Memory, boot, fields, file, segment, segment_with, spawn, spawn_with_eventfd};
use knit_lanes::codec::Payload;
use knit_lanes::{Answer, Boot, Decode, Encode, HostLane, Limits};
use knit_proto::{Features, HeaderFields, Layout, Tag};
use knit_ring::{Doorbell, EventfdBell, FutexBell, Until, Waiter, Woken};
use pool_support::{DEADLINE, until, within_deadline};
use rustix::event::{PollFd, PollFlags, Timespec};
use std::os::fd::{AsFd, OwnedFd};
use std::process::Child;

const LIMITS: Limits = Limits::DEFAULT;

/// A worker, its hand-made host, and the eventfd on which that one sleeps.
struct Pair {
    memory: Memory,
    layout: Layout,
    waiter: Waiter<Memory>,
    bell: EventfdBell,
    worker: Child,
}

impl Pair {
    fn new() -> Self {
        let bell = EventfdBell::new().unwrap();
        let (memory, layout) = offering();
        let boot = boot().with_eventfd(4).to_json().unwrap();
        let worker = spawn_with_eventfd(boot, file(&memory), copy(&bell));
        let waiter = HostLane::waiter(&memory, &layout).unwrap();
        Self { memory, layout, waiter, bell, worker }
    }

    /// The host's end, once the worker is ready. The host sleeps until then.
    fn connect(&mut self) -> HostLane<Memory> {
        loop {
            let mut lane = None;
            let woken = self.waiter.park(&self.bell, Until::after(DEADLINE), || {
                lane = HostLane::connect(&self.memory, &self.layout, 1 << 17).unwrap();
                lane.is_some()
            });
            assert_ne!(woken, Woken::TimedOut, "the worker does not ring when it is ready");
            if let Some(lane) = lane {
                return lane;
            }
        }
    }

    /// A call whose host is parked before the worker can know of it, so that the worker must ring.
    fn call(
        &mut self,
        lane: &mut HostLane<Memory>,
        function: u16,
        argument: &Payload<'_>,
    ) -> Answer {
        self.waiter.announce(&self.bell);
        if lane.submit(function, argument).unwrap().wake {
            FutexBell.wake(lane.bell());
        }
        // A ring for something that was seen before comes late: look, and wait again.
        let answer = loop {
            assert!(readable(&self.bell), "the worker does not ring when it answers");
            self.bell.clear();
            if let Some(answer) = lane.take().unwrap() {
                break answer;
            }
        };
        self.waiter.retract();
        answer
    }

    /// Closes the lane. The worker rings once more, and ends.
    fn close(mut self, mut lane: HostLane<Memory>) {
        self.bell.clear();
        lane.close();
        FutexBell.wake(lane.bell());
        assert!(readable(&self.bell), "the worker does not ring when it leaves");
        assert!(self.worker.wait().unwrap().success());
    }
}

/// A segment that offers the feature.
fn offering() -> (Memory, Layout) {
    let optional = Features::STAMPS.or(Features::EVENTFD);
    segment_with(&HeaderFields { optional, ..fields() })
}

fn copy(bell: &EventfdBell) -> OwnedFd {
    bell.as_fd().try_clone_to_owned().unwrap()
}

/// Whether the descriptor becomes readable before the deadline.
fn readable(bell: &EventfdBell) -> bool {
    wait_readable(bell, Timespec { tv_sec: DEADLINE.as_secs() as i64, tv_nsec: 0 })
}

fn wait_readable(bell: &EventfdBell, longest: Timespec) -> bool {
    let mut fds = [PollFd::new(bell, PollFlags::IN)];
    rustix::event::poll(&mut fds, Some(&longest)).unwrap() == 1
}

#[track_caller]
fn assert_is_square(answer: Answer, of: f64) {
    assert!(!answer.rejected);
    assert_eq!(f64::decode(answer.payload, &LIMITS), Ok(of * of));
}

/// WAKE-9, WAKE-10: no wait here has any other end than the eventfd.
#[test]
fn a_host_that_sleeps_on_an_eventfd_hears_of_everything() {
    within_deadline(|| {
        let mut pair = Pair::new();
        let mut lane = pair.connect();
        assert!(lane.features().contains(Features::EVENTFD.or(Features::FUTEX_BELLS)));
        for n in (0..200).map(f64::from) {
            let answer = pair.call(&mut lane, 0, &n.encode(&LIMITS).unwrap());
            assert_is_square(answer, n);
        }
        let unknown = pair.call(&mut lane, 3, &Payload::bare(Tag::NULL));
        assert!(unknown.rejected);
        pair.close(lane);
    });
}

/// WAKE-9: the worker waits for room in the arena of answers, and rings for each that it could send.
#[test]
fn a_worker_that_waits_for_room_rings_for_each_answer() {
    within_deadline(|| {
        let mut pair = Pair::new();
        let mut lane = pair.connect();
        // The arena holds seven of them.
        let payload = Payload::bytes(Tag::BYTES_ARENA, vec![5; 1 << 17]);
        let mut waiting = 24;
        let mut under_way = 0;
        while waiting + under_way > 0 {
            pair.waiter.announce(&pair.bell);
            while waiting > 0 {
                match lane.submit(2, &payload) {
                    Ok(submitted) => {
                        waiting -= 1;
                        under_way += 1;
                        if submitted.wake {
                            FutexBell.wake(lane.bell());
                        }
                    }
                    Err(error) => {
                        assert_eq!(error, knit_lanes::SendError::Full);
                        break;
                    }
                }
            }
            // Whatever was answered before the announcement was taken, so something new will ring.
            assert!(lane.is_pending().unwrap() || readable(&pair.bell), "no answer");
            pair.bell.clear();
            pair.waiter.retract();
            while let Some(answer) = lane.take().unwrap() {
                under_way -= 1;
                assert_eq!(answer.payload.as_bytes().len(), 1 << 17);
                if answer.wake {
                    FutexBell.wake(lane.bell());
                }
            }
        }
        pair.close(lane);
    });
}

#[test]
fn a_counter_that_is_full_holds_no_worker_up() {
    within_deadline(|| {
        let mut pair = Pair::new();
        let mut lane = pair.connect();
        pair.bell.clear();
        rustix::io::write(&pair.bell, &(u64::MAX - 1).to_ne_bytes()).unwrap();
        for n in (0..10).map(f64::from) {
            pair.waiter.announce(&pair.bell);
            if lane.submit(0, &n.encode(&LIMITS).unwrap()).unwrap().wake {
                FutexBell.wake(lane.bell());
            }
            let mut answer = None;
            until("the call is answered", || {
                answer = lane.take().unwrap();
                answer.is_some()
            });
            assert_is_square(answer.unwrap(), n);
        }
        pair.close(lane);
    });
}

/// WAKE-10: what is named is no eventfd, or nothing is named.
#[test]
fn a_worker_that_finds_no_eventfd_does_not_accept_the_feature() {
    within_deadline(|| {
        let null = || OwnedFd::from(std::fs::File::open("/dev/null").unwrap());
        let boots: [(&str, Boot); 4] = [
            ("not named", boot()),
            ("the segment", boot().with_eventfd(0)),
            ("another file", boot().with_eventfd(4)),
            ("not open", boot().with_eventfd(i32::MAX as u32)),
        ];
        for (case, boot) in boots {
            let (memory, layout) = offering();
            let worker = spawn_with_eventfd(boot.to_json().unwrap(), file(&memory), null());
            serves_without(case, &memory, &layout, worker);
        }
    });
}

/// WAKE-9: a feature that the header does not offer is not used, whatever the boot description says.
#[test]
fn an_eventfd_of_a_segment_without_the_feature_is_left_alone() {
    within_deadline(|| {
        let bell = EventfdBell::new().unwrap();
        let (memory, layout) = segment();
        let boot = boot().with_eventfd(4).to_json().unwrap();
        let worker = spawn_with_eventfd(boot, file(&memory), copy(&bell));
        serves_without("not offered", &memory, &layout, worker);
        assert!(!wait_readable(&bell, Timespec { tv_sec: 0, tv_nsec: 0 }));
        let (memory, layout) = offering();
        let worker = spawn(boot_json(), file(&memory));
        serves_without("nothing inherited", &memory, &layout, worker);
    });
}

fn boot_json() -> String {
    boot().to_json().unwrap()
}

/// The worker serves and ends, without the feature.
#[track_caller]
fn serves_without(case: &str, memory: &Memory, layout: &Layout, mut worker: Child) {
    let mut lane = None;
    until("the worker is ready", || {
        lane = HostLane::connect(memory, layout, 1 << 17).unwrap();
        lane.is_some()
    });
    let mut lane = lane.unwrap();
    assert!(!lane.features().contains(Features::EVENTFD), "{case}");
    let mut waiter = HostLane::waiter(memory, layout).unwrap();
    waiter.announce(&FutexBell);
    if lane.submit(0, &3.0.encode(&LIMITS).unwrap()).unwrap().wake {
        FutexBell.wake(lane.bell());
    }
    let mut answer = None;
    until("the call is answered", || {
        answer = lane.take().unwrap();
        answer.is_some()
    });
    assert_is_square(answer.unwrap(), 3.0);
    lane.close();
    FutexBell.wake(lane.bell());
    assert!(worker.wait().unwrap().success(), "{case}");
}
