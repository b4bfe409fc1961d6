//! F1 and F2 for a set of mailboxes: a thread that sleeps on several bells is woken by each sender.
//!
//! Two lanes of one slot, a sender each, one set that sleeps without a timeout: a wake-up that gets
//! lost is a deadlock, which loom reports.

use knit_proto::ControlLayout;
use knit_ring::{
    Doorbell, LaneViolation, Notifier, Receiver, ReceiverSet, Sender, SetLane, SharedMemory,
    Stamps, Ticket, Until, Waiter, Woken,
};
use knit_tests::{
    Bounds, Lane, LoomBell, LoomMemory, Rejection, Seen, Weaken, Weakening, explore, lane, read,
    reject, seen, send,
};

type Memory = Weaken<LoomMemory>;

/// What was taken from each lane, and whether its sender found the set asleep.
type Outcome = Result<[(Seen, bool); 2], LaneViolation>;

/// What is wrong.
#[derive(Clone, Copy)]
struct Mutant {
    notifiers: [Weakening; 2],
    waiters: [Weakening; 2],
    /// Lanes that the set announces on.
    announced: usize,
    /// Lanes that the set looks at again.
    looked_at: usize,
    /// Bells that the set waits on.
    waited_on: usize,
}

const NONE: Mutant = Mutant {
    notifiers: [Weakening::None; 2],
    waiters: [Weakening::None; 2],
    announced: 2,
    looked_at: 2,
    waited_on: 2,
};

const BOUNDS: Bounds = Bounds::preemptions(3);

/// WAKE-1, WAKE-2, WAKE-3.
#[test]
fn each_of_two_senders_wakes_a_sleeping_set() {
    explore("set, two lanes", BOUNDS, &permitted(), || run(NONE));
}

/// WAKE-2.
#[test]
fn model_rejects_either_notifier_without_fence() {
    for lane in 0..2 {
        let mut mutant = NONE;
        mutant.notifiers[lane] = Weakening::NoFence;
        let name = format!("set, notifier {lane} without fence");
        assert_eq!(rejection(&name, mutant), Rejection::Deadlock);
    }
}

/// WAKE-1. The fence of the last lane orders the flags of all: the first one alone is not missed.
#[test]
fn model_rejects_set_without_last_fence() {
    let mutant = Mutant { waiters: [Weakening::None, Weakening::NoFence], ..NONE };
    assert_eq!(rejection("set without last fence", mutant), Rejection::Deadlock);
    let mutant = Mutant { waiters: [Weakening::NoFence, Weakening::None], ..NONE };
    explore("set without first fence", BOUNDS, &permitted(), move || run(mutant));
}

/// WAKE-1.
#[test]
fn model_rejects_set_that_announces_on_one_lane() {
    // With the flag of one lane, no sender of the other finds the set asleep: an outcome that does not
    // happen, besides the sleep that nobody ends.
    let mutant = Mutant { announced: 1, ..NONE };
    assert_eq!(rejection("set that announces on one lane", mutant), Rejection::Deadlock);
}

/// WAKE-1, WAKE-6.
#[test]
fn model_rejects_set_without_second_look_at_the_second_lane() {
    let mutant = Mutant { looked_at: 1, ..NONE };
    assert_eq!(rejection("set without second look at lane 1", mutant), Rejection::Deadlock);
}

/// WAKE-1.
#[test]
fn model_rejects_set_that_waits_on_one_bell() {
    let mutant = Mutant { waited_on: 1, ..NONE };
    assert_eq!(rejection("set that waits on one bell", mutant), Rejection::Deadlock);
}

fn rejection(name: &str, mutant: Mutant) -> Rejection {
    reject(name, BOUNDS, &permitted(), move || run(mutant))
}

fn permitted() -> Vec<Outcome> {
    let taken = |parked: [bool; 2]| Ok([(seen(0), parked[0]), (seen(1), parked[1])]);
    let flags = [false, true];
    flags.iter().flat_map(|first| flags.map(|second| taken([*first, second]))).collect()
}

fn run(mutant: Mutant) -> Outcome {
    let doorbell = SomeBells { bell: LoomBell::new(), waited_on: mutant.waited_on };
    let mut set = ReceiverSet::new();
    let threads = [0, 1].map(|index| {
        let lane = lane(1);
        let memory = LoomMemory::zeroed(lane.bytes);
        set.add(index, receiving_end(&memory, &lane, mutant, index)).unwrap();
        sending_end(&memory, &lane, mutant.notifiers[index], &doorbell.bell, index as u32)
    });
    let threads = threads.map(loom::thread::spawn);
    let mut taken = [None; 2];
    while taken.contains(&None) {
        if let Some((lane, message)) = set.take()? {
            assert!(taken[lane].replace(read(message, false)).is_none(), "lane {lane} twice");
            continue;
        }
        sleep(&mut set, &doorbell, mutant.looked_at)?;
    }
    let parked = threads.map(|thread| thread.join().unwrap());
    Ok([0, 1].map(|lane| (taken[lane].expect("both lanes were read"), parked[lane])))
}

/// The set's own way of sleeping, or the same with a look at one lane.
fn sleep(
    set: &mut ReceiverSet<Memory>,
    doorbell: &SomeBells,
    looked_at: usize,
) -> Result<(), LaneViolation> {
    if looked_at == 2 {
        return set.park(doorbell, None, || false).map(drop);
    }
    set.announce(doorbell);
    let pending = set.lane_mut(0).expect("lane 0 is there").receiver.is_pending();
    if pending == Ok(false) {
        set.wait(doorbell, Until::default());
    }
    set.retract();
    Ok(())
}

fn receiving_end(
    memory: &LoomMemory,
    lane: &Lane,
    mutant: Mutant,
    index: usize,
) -> SetLane<Memory> {
    let memory = Weaken::new(memory, mutant.waiters[index]);
    // One that is not announced stores its flag where nobody looks.
    let mine = if index < mutant.announced {
        lane.receiver
    } else {
        ControlLayout { parked: lane.receiver.pid, ..lane.receiver }
    };
    SetLane {
        receiver: Receiver::new(&memory, lane.mailbox, Stamps::Off).unwrap(),
        waiter: Waiter::new(&memory, &mine, &lane.sender).unwrap(),
        death: None,
    }
}

/// Sends message `call`, and returns whether the set was asleep.
fn sending_end(
    memory: &LoomMemory,
    lane: &Lane,
    weakening: Weakening,
    doorbell: &LoomBell,
    call: u32,
) -> impl FnOnce() -> bool + use<> {
    let memory = Weaken::new(memory, weakening);
    let mut sender = Sender::new(&memory, lane.mailbox, Stamps::Off).unwrap();
    let mut notifier = Notifier::new(&memory, &lane.sender, &lane.receiver).unwrap();
    let doorbell = doorbell.clone();
    move || {
        send(&mut sender, call).unwrap();
        let parked = notifier.notify();
        if parked {
            doorbell.wake(notifier.bell());
        }
        parked
    }
}

/// A doorbell that waits on the first bells only.
struct SomeBells {
    bell: LoomBell,
    waited_on: usize,
}

impl Doorbell<<Memory as SharedMemory>::Word> for SomeBells {
    fn ticket(&self, bell: &<Memory as SharedMemory>::Word) -> Ticket {
        self.bell.ticket(bell)
    }

    fn wait_any(
        &self,
        bells: &[(&<Memory as SharedMemory>::Word, Ticket)],
        until: Until<'_>,
    ) -> Woken {
        self.bell.wait_any(&bells[..self.waited_on.min(bells.len())], until)
    }

    fn wake(&self, bell: &<Memory as SharedMemory>::Word) {
        Doorbell::<<Memory as SharedMemory>::Word>::wake(&self.bell, bell);
    }
}
