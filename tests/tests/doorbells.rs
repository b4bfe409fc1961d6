//! Every doorbell between real processes: a sender in another process wakes this one, and its death
//! by SIGKILL ends a wait that has no deadline.

mod pool_support;

use knit_ring::{
    Doorbell, EventfdBell, FutexBell, FutexPair, Mapped, MappedWord, Mapping, PeerDeath, Receiver,
    ReceiverSet, SetLane, SharedMemory, SharedWord, SpinBell, Stamps, Until, Waiter, Woken,
};
use knit_tests::lane;
use pool_support::process::{kill, this_thread, until_asleep};
use pool_support::{until, within_deadline};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use std::os::fd::{AsFd, OwnedFd};
use std::process::{Child, Command, Stdio};
use std::thread::JoinHandle;

const MESSAGES: u32 = 1000;

type Word = MappedWord<Mapping>;
type Memory = Mapped<Mapping>;

/// WAKE-2, WAKE-4, WAKE-7.
#[test]
fn a_spinning_side_hears_its_peer_and_the_end_of_it() {
    within_deadline(|| hear_and_outlive("spin", &SpinBell, None));
}

/// WAKE-2, WAKE-4, WAKE-7.
#[test]
fn a_side_that_sleeps_on_a_futex_hears_its_peer_and_the_end_of_it() {
    within_deadline(|| hear_and_outlive("futex", &FutexBell, None));
}

/// WAKE-2, WAKE-4, WAKE-7.
#[test]
fn a_side_that_sleeps_on_two_futexes_hears_its_peer_and_the_end_of_it() {
    within_deadline(|| hear_and_outlive("futex-pair", &FutexPair::default(), None));
}

/// WAKE-2, WAKE-4, WAKE-7.
#[test]
fn a_side_that_sleeps_on_an_eventfd_hears_its_peer_and_the_end_of_it() {
    within_deadline(|| {
        let doorbell = EventfdBell::new().unwrap();
        let fd = doorbell.as_fd().try_clone_to_owned().unwrap();
        hear_and_outlive("eventfd", &doorbell, Some(fd));
    });
}

/// WAKE-7: of two senders, one dies; the other is heard on.
#[test]
fn a_set_outlives_its_senders_one_by_one() {
    within_deadline(|| outlive_both("futex", &FutexBell, || None));
    within_deadline(|| {
        let doorbell = EventfdBell::new().unwrap();
        let fd = || Some(doorbell.as_fd().try_clone_to_owned().unwrap());
        outlive_both("eventfd", &doorbell, fd);
    });
}

fn hear_and_outlive(name: &str, doorbell: &impl Doorbell<Word>, eventfd: Option<OwnedFd>) {
    let mut peer = Peer::start(name, MESSAGES, eventfd);
    let SetLane { mut receiver, mut waiter, .. } = peer.ends();
    let mut next = 0;
    while next < MESSAGES {
        if let Some(taken) = receiver.take().unwrap() {
            assert_eq!(taken.header().0[1], next);
            next += 1;
            taken.release();
            continue;
        }
        let ready = || receiver.is_pending().unwrap();
        let woken = waiter.park(doorbell, Until::death(&peer.death), ready);
        assert_ne!(woken, Woken::PeerDied);
    }
    let killer = peer.kill_when_waited_for(name != "spin");
    let woken = loop {
        let ready = || receiver.is_pending().unwrap();
        match waiter.park(doorbell, Until::death(&peer.death), ready) {
            Woken::Rung => {}
            woken => break woken,
        }
    };
    assert_eq!(woken, Woken::PeerDied);
    assert!(peer.death.is_signalled());
    killer.join().unwrap();
}

fn outlive_both(name: &str, doorbell: &impl Doorbell<Word>, fd: impl Fn() -> Option<OwnedFd>) {
    let mut peers = [0, 1].map(|_| Peer::start(name, MESSAGES, fd()));
    let mut set = ReceiverSet::new();
    for (key, peer) in peers.iter().enumerate() {
        set.add(key, peer.ends()).unwrap();
    }
    let mut taken = [0; 2];
    for peer in [1, 0] {
        // Both senders have said everything: nothing else can end the wait.
        while taken != [MESSAGES; 2] {
            if let Some((key, message)) = set.take().unwrap() {
                assert_eq!(message.header().0[1], taken[key]);
                taken[key] += 1;
                message.release();
                continue;
            }
            assert_ne!(set.park(doorbell, None, || false), Ok(Woken::PeerDied));
        }
        let killer = peers[peer].kill_when_waited_for(true);
        let woken = loop {
            match set.park(doorbell, None, || false).unwrap() {
                Woken::Rung => {}
                woken => break woken,
            }
        };
        assert_eq!((woken, set.dead()), (Woken::PeerDied, Some(peer)));
        assert!(set.remove(peer).is_some());
        killer.join().unwrap();
    }
    assert!(set.is_empty());
}

/// A process that sends.
struct Peer {
    memory: Memory,
    death: PeerDeath,
    child: Child,
    /// Sleeps on the pidfd.
    watcher: Option<JoinHandle<()>>,
}

impl Peer {
    fn start(doorbell: &str, messages: u32, eventfd: Option<OwnedFd>) -> Self {
        let memory = Mapping::create(lane(1).bytes).unwrap();
        let file = memory.backing().file().try_clone_to_owned().unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_knit-test-bell"))
            .args([doorbell, &messages.to_string()])
            .stdin(file)
            .stdout(eventfd.map_or_else(Stdio::null, Stdio::from))
            .spawn()
            .unwrap();
        let pidfd = pidfd_open(Pid::from_child(&child), PidfdFlags::empty()).unwrap();
        let death = PeerDeath::new();
        let watcher = std::thread::spawn({
            let death = death.clone();
            move || death.watch(pidfd).unwrap()
        });
        Self { memory, death, child, watcher: Some(watcher) }
    }

    /// This side of the lane.
    fn ends(&self) -> SetLane<Memory> {
        let lane = lane(1);
        SetLane {
            receiver: Receiver::new(&self.memory, lane.mailbox, Stamps::On).unwrap(),
            waiter: Waiter::new(&self.memory, &lane.receiver, &lane.sender).unwrap(),
            death: Some(self.death.clone()),
        }
    }

    /// Kills the process once the calling thread has announced that it sleeps, and does if it
    /// `sleeps`.
    fn kill_when_waited_for(&mut self, sleeps: bool) -> JoinHandle<()> {
        let thread = this_thread();
        let parked = self.memory.word(lane(1).receiver.parked).unwrap();
        assert_eq!(parked.load_acquire(), 0);
        let pid = self.child.id();
        std::thread::spawn(move || {
            until("the side is parked", || parked.load_acquire() == 1);
            if sleeps {
                until_asleep(&thread);
            }
            kill(pid);
        })
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if let Some(watcher) = self.watcher.take() {
            let _ = watcher.join();
        }
    }
}
