//! A set of mailboxes: no lane waits for more than its share of others, a lane that breaks the
//! protocol or dies leaves the others alone, and nothing is lost when lanes come and go.

use knit_proto::ProtocolViolation;
use knit_ring::{
    ClaimError, FutexBell, HeapBlock, HeapMemory, LaneTaken, LaneViolation, Mapped, PeerDeath,
    Receiver, ReceiverSet, Sender, SetLane, SharedMemory, SharedWord, Stamps, Until, Waiter, Woken,
};
use knit_tests::{lane, message};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed};
use std::collections::BTreeMap;

const SLOTS: u32 = 4;
/// Polls of a receiver between two looks at the publish word.
const POLLS_PER_LOOK: u32 = 64;
const BURST: u32 = ReceiverSet::<Memory>::BURST;

type Memory = Mapped<HeapBlock>;

/// The sending end of a lane, and what it sent that was not taken.
struct Source {
    memory: Memory,
    sender: Sender<Memory>,
    /// Call ids by slot are not needed: a lane's messages are counted.
    pending: u32,
    sent: u32,
    /// Messages of others that were served while this lane had one pending, since its last.
    others: u32,
}

impl Source {
    /// A lane under `key`; `stamps` says whether its sender stamps. Its receiver expects it to.
    fn new(set: &mut ReceiverSet<Memory>, key: usize, stamps: Stamps) -> Self {
        let lane = lane(SLOTS);
        let memory = HeapMemory::zeroed(lane.bytes).unwrap();
        let receiver = Receiver::new(&memory, lane.mailbox, Stamps::On).unwrap();
        let waiter = Waiter::new(&memory, &lane.receiver, &lane.sender).unwrap();
        set.add(key, SetLane { receiver, waiter, death: None }).unwrap();
        let sender = Sender::new(&memory, lane.mailbox, stamps).unwrap();
        Self { memory, sender, pending: 0, sent: 0, others: 0 }
    }

    /// Sends one more if there is room.
    fn send(&mut self) -> bool {
        match self.sender.claim() {
            Ok(claim) => {
                claim.publish(&message(self.sent));
                (self.sent, self.pending) = (self.sent + 1, self.pending + 1);
                true
            }
            Err(ClaimError::Full) => false,
            Err(error) => panic!("{error:?}"),
        }
    }

    /// Breaks the protocol: publishes slots that were never free.
    fn break_protocol(&self) {
        let publish = lane(SLOTS).mailbox.publish();
        self.memory.word(publish).unwrap().store_release(!0);
    }
}

/// How a test takes messages.
#[derive(Clone, Copy, Debug, PartialEq)]
enum By {
    Poll,
    Take,
}

/// Takes the next message, and counts for each lane how many of others went before one of its own.
/// Returns the lane that was served.
fn serve(
    set: &mut ReceiverSet<Memory>,
    sources: &mut BTreeMap<usize, Source>,
    by: By,
) -> Option<usize> {
    let next = match by {
        By::Poll => set.poll(),
        By::Take => set.take(),
    };
    let (key, taken) = next.unwrap()?;
    taken.release();
    for (other, source) in sources.iter_mut() {
        if *other == key {
            source.pending = source.pending.checked_sub(1).expect("only what was sent is taken");
            source.others = 0;
        } else if source.pending > 0 {
            source.others += 1;
        }
    }
    Some(key)
}

/// `lanes` lanes that send as fast as they can, and one that sends one message now and then. Returns
/// the most messages of others that went before one of it.
fn flooded(lanes: usize, by: By, quiet_stamps: Stamps) -> u32 {
    let mut set = ReceiverSet::new();
    let quiet = lanes;
    let mut sources: BTreeMap<_, _> =
        (0..lanes).map(|key| (key, Source::new(&mut set, key, Stamps::On))).collect();
    sources.insert(quiet, Source::new(&mut set, quiet, quiet_stamps));
    let mut longest = 0;
    // So many that the quiet lane is served a dozen times at least.
    let looks = if by == By::Poll && quiet_stamps == Stamps::Off { POLLS_PER_LOOK } else { 1 };
    for round in 0..12 * looks * BURST * lanes.max(4) as u32 {
        for key in 0..lanes {
            while sources.get_mut(&key).unwrap().send() {}
        }
        // At every phase of the rotation.
        if round.is_multiple_of(131) {
            sources.get_mut(&quiet).unwrap().send();
        }
        serve(&mut set, &mut sources, by).expect("the others always have one");
        longest = longest.max(sources[&quiet].others);
        let flooding = (0..lanes).map(|key| sources[&key].others).max().unwrap();
        assert!(flooding <= BURST * lanes as u32, "{flooding} of others before a flooding lane");
    }
    assert!(sources[&quiet].sent > 10);
    longest
}

#[test]
fn no_lane_waits_for_more_than_a_burst_of_each_other() {
    for lanes in [1, 2, 3, 7] {
        let bound = BURST * lanes as u32;
        for by in [By::Poll, By::Take] {
            let longest = flooded(lanes, by, Stamps::On);
            assert!(longest <= bound, "{longest} of others, {lanes} other lanes, {by:?}");
            assert!(longest > lanes as u32, "{longest} of others: no lane had a burst");
        }
        let longest = flooded(lanes, By::Take, Stamps::Off);
        assert!(longest <= bound, "{longest} of others, {lanes} other lanes, no stamps");
    }
}

/// A lane that always has a message is served a burst, no more and no less, then the next.
#[test]
fn lanes_that_never_run_dry_have_a_burst_each() {
    for by in [By::Poll, By::Take] {
        let mut set = ReceiverSet::new();
        let mut sources: BTreeMap<_, _> =
            (0..3).map(|key| (key, Source::new(&mut set, key, Stamps::On))).collect();
        let mut turns: Vec<(usize, u32)> = Vec::new();
        for _ in 0..7 * BURST {
            for source in sources.values_mut() {
                while source.send() {}
            }
            let served = serve(&mut set, &mut sources, by).expect("every lane has one");
            match turns.last_mut() {
                Some((key, count)) if *key == served => *count += 1,
                _ => turns.push((served, 1)),
            }
        }
        let expected: Vec<_> = (0..7).map(|turn| (turn % 3, BURST)).collect();
        assert_eq!(turns, expected, "{by:?}");
    }
}

/// MBX-18: the lane that `poll` sees by its publish word alone.
#[test]
fn a_lane_without_stamps_is_polled_within_its_bound() {
    for lanes in [1, 2, 3] {
        let longest = flooded(lanes, By::Poll, Stamps::Off);
        let bound = POLLS_PER_LOOK * BURST * lanes as u32;
        assert!(longest <= bound, "{longest} of others, {lanes} other lanes");
        let with_stamps = BURST * lanes as u32;
        assert!(longest > with_stamps, "the stamps were missed: the bound is needed");
    }
}

#[derive(Clone, Debug)]
enum Op {
    Send(usize),
    Serve(By),
    Add(usize, Stamps),
    Remove(usize),
    IsPending,
}

fn op() -> impl Strategy<Value = Op> {
    let key = 0_usize..5;
    let stamps = any::<bool>().prop_map(|on| if on { Stamps::On } else { Stamps::Off });
    prop_oneof![
        8 => key.clone().prop_map(Op::Send),
        6 => any::<bool>().prop_map(|poll| Op::Serve(if poll { By::Poll } else { By::Take })),
        1 => (key.clone(), stamps).prop_map(|(key, stamps)| Op::Add(key, stamps)),
        1 => key.prop_map(Op::Remove),
        1 => Just(Op::IsPending),
    ]
}

/// Runs `ops`; whoever is served by `take` has the bound of `take`, over every change of the set.
fn run(ops: &[Op]) {
    let mut set = ReceiverSet::new();
    let mut sources = BTreeMap::new();
    // Lanes that were there at any time while a lane waited.
    let mut met: BTreeMap<usize, std::collections::BTreeSet<usize>> = BTreeMap::new();
    for op in ops {
        match *op {
            Op::Send(key) => {
                if let Some(source) = sources.get_mut(&key) {
                    Source::send(source);
                }
            }
            Op::Add(key, stamps) if !sources.contains_key(&key) => {
                sources.insert(key, Source::new(&mut set, key, stamps));
            }
            Op::Add(key, _) => {
                let lane = set.remove(key).unwrap();
                set.add(key, lane).unwrap();
                sources.get_mut(&key).unwrap().others = 0;
            }
            Op::Remove(key) => {
                assert_eq!(set.remove(key).is_some(), sources.remove(&key).is_some());
            }
            Op::IsPending => {
                let pending = sources.values().any(|source| source.pending > 0);
                assert_eq!(set.is_pending(), Ok(pending));
            }
            Op::Serve(by) => {
                let pending = sources.values().any(|source| source.pending > 0);
                let served = serve(&mut set, &mut sources, by);
                assert!(served.is_some() == pending || (by == By::Poll && served.is_none()));
            }
        }
        assert_eq!(set.len(), sources.len());
        for (key, source) in &sources {
            let others = met.entry(*key).or_default();
            if source.pending == 0 || source.others == 0 {
                others.clear();
            }
            others.extend(sources.keys().filter(|other| *other != key));
            // What `poll` misses at most, once for each of its looks.
            let bound = others.len() as u32 * POLLS_PER_LOOK * BURST;
            assert!(source.others <= bound, "lane {key}: {} of others", source.others);
        }
        met.retain(|key, _| sources.contains_key(key));
    }
    // Everything that was sent is taken in the end.
    while serve(&mut set, &mut sources, By::Take).is_some() {}
    assert!(sources.values().all(|source| source.pending == 0));
}

#[test]
fn random_histories_keep_the_bound_and_lose_nothing() {
    let config = Config {
        cases: 300,
        rng_seed: RngSeed::Fixed(0x6b6e_6974),
        failure_persistence: None,
        ..Config::default()
    };
    proptest!(config, |(ops in prop::collection::vec(op(), 1..400))| run(&ops));
}

/// The order of `take` is the rotation, and neither adding nor removing lanes changes it for others.
#[test]
fn lanes_are_served_in_turn_while_others_come_and_go() {
    let mut set = ReceiverSet::new();
    let mut sources = BTreeMap::new();
    let add = |set: &mut ReceiverSet<Memory>, sources: &mut BTreeMap<usize, Source>, key| {
        let mut source = Source::new(set, key, Stamps::On);
        source.send();
        sources.insert(key, source);
    };
    for key in [10, 20, 30] {
        add(&mut set, &mut sources, key);
    }
    let mut order = Vec::new();
    for step in 0..8 {
        let served = serve(&mut set, &mut sources, By::Take);
        // A lane whose turn is over has its next message.
        if let Some(source) = order.last().and_then(|before| sources.get_mut(before)) {
            source.send();
        }
        order.extend(served);
        match step {
            // It is the turn of lane 10: the new one comes after 30.
            0 => add(&mut set, &mut sources, 40),
            // It is the turn of lane 40, which goes.
            3 => drop((set.remove(40), sources.remove(&40))),
            // As for lane 40.
            5 => drop((set.remove(20), sources.remove(&20))),
            _ => {}
        }
    }
    assert_eq!(order, [10, 20, 30, 40, 10, 20, 30, 10]);
}

/// The lane behind one that goes in the middle of its turn has a whole burst.
#[test]
fn a_lane_that_goes_leaves_its_turn_to_nobody() {
    let mut set = ReceiverSet::new();
    let mut sources: BTreeMap<_, _> =
        (0..3).map(|key| (key, Source::new(&mut set, key, Stamps::On))).collect();
    let next = |set: &mut ReceiverSet<Memory>, sources: &mut BTreeMap<usize, Source>| {
        for source in sources.values_mut() {
            while source.send() {}
        }
        serve(set, sources, By::Take).expect("every lane has one")
    };
    for _ in 1..BURST {
        assert_eq!(next(&mut set, &mut sources), 0);
    }
    drop((set.remove(0), sources.remove(&0)));
    for key in [1, 2, 1] {
        for _ in 0..BURST {
            assert_eq!(next(&mut set, &mut sources), key);
        }
    }
}

#[test]
fn a_key_is_taken_once() {
    let mut set = ReceiverSet::new();
    Source::new(&mut set, 3, Stamps::On);
    let lane = set.remove(3).unwrap();
    assert!(set.remove(3).is_none());
    set.add(3, lane).unwrap();
    let mut other = ReceiverSet::new();
    Source::new(&mut other, 0, Stamps::On);
    assert_eq!(set.add(3, other.remove(0).unwrap()), Err(LaneTaken { lane: 3 }));
    assert!(set.lane_mut(3).is_some() && set.lane_mut(0).is_none());
}

/// MBX-7.
#[test]
fn a_violation_names_its_lane_and_stops_no_other() {
    for by_park in [false, true] {
        let mut set = ReceiverSet::new();
        let mut sources: BTreeMap<_, _> =
            [5, 6, 7].map(|key| (key, Source::new(&mut set, key, Stamps::On))).into();
        sources[&6].break_protocol();
        let error = if by_park {
            set.park(&FutexBell, None, || false).unwrap_err()
        } else {
            set.take().unwrap_err()
        };
        assert_eq!(error.lane, 6);
        assert!(matches!(error.violation, ProtocolViolation::NoSuchSlot { .. }), "{error}");
        // It is told once; the others are as before.
        let broken = sources.remove(&6).unwrap();
        assert_eq!((set.len(), set.is_pending()), (2, Ok(false)));
        for key in [7, 5, 7, 5] {
            sources.get_mut(&key).unwrap().send();
        }
        let served: Vec<_> = (0..4).map(|_| serve(&mut set, &mut sources, By::Take)).collect();
        assert_eq!(served.iter().flatten().filter(|key| **key == 7).count(), 2, "{served:?}");
        assert!(set.take().unwrap().is_none());
        // Nobody is told that this side sleeps on the lane's bell.
        let parked = broken.memory.word(lane(SLOTS).receiver.parked).unwrap();
        assert_eq!(parked.load_acquire(), 0);
        assert!(set.remove(6).is_some());
    }
}

/// WAKE-3, WAKE-6.
#[test]
fn a_message_that_is_pending_keeps_the_set_awake() {
    let mut set = ReceiverSet::new();
    let mut sources: BTreeMap<_, _> =
        [0, 1].map(|key| (key, Source::new(&mut set, key, Stamps::On))).into();
    let parked = |sources: &BTreeMap<usize, Source>| {
        sources
            .values()
            .map(|source| source.memory.word(lane(SLOTS).receiver.parked).unwrap().load_acquire())
            .collect::<Vec<_>>()
    };
    sources.get_mut(&1).unwrap().send();
    assert_eq!(set.park(&FutexBell, None, || false), Ok(Woken::Ready));
    serve(&mut set, &mut sources, By::Take).unwrap();
    assert_eq!(set.park(&FutexBell, None, || true), Ok(Woken::Ready));
    assert_eq!(parked(&sources), [0, 0]);
    set.announce(&FutexBell);
    assert_eq!(parked(&sources), [1, 1]);
    set.retract();
    assert_eq!(parked(&sources), [0, 0]);
}

/// WAKE-7: what a dead peer left is taken before its lane goes.
#[test]
fn a_dead_lane_is_named_when_nothing_is_left_to_take() {
    let mut set = ReceiverSet::new();
    let mut sources: BTreeMap<_, _> =
        [0, 1].map(|key| (key, Source::new(&mut set, key, Stamps::On))).into();
    let deaths = [PeerDeath::new(), PeerDeath::new()];
    for (key, death) in deaths.iter().enumerate() {
        set.lane_mut(key).unwrap().death = Some(death.clone());
    }
    sources.get_mut(&1).unwrap().send();
    deaths[1].signal();
    assert_eq!(set.park(&FutexBell, None, || false), Ok(Woken::Ready));
    assert_eq!(serve(&mut set, &mut sources, By::Take), Some(1));
    assert_eq!(set.park(&FutexBell, None, || false), Ok(Woken::PeerDied));
    assert_eq!(set.dead(), Some(1));
    assert!(set.remove(1).is_some());
    assert_eq!(set.dead(), None);
    let timeout = std::time::Duration::from_millis(1);
    assert_eq!(set.park(&FutexBell, Until::after(timeout), || false), Ok(Woken::TimedOut));
    assert!(set.remove(0).is_some());
    assert_eq!(set.park(&FutexBell, None, || false), Ok(Woken::Ready), "nobody could wake it");
}

#[test]
fn violations_say_which_lane() {
    let violation = ProtocolViolation::NoSuchSlot { slots: knit_proto::SlotMask::EMPTY };
    let error = LaneViolation { lane: 12, violation };
    assert_eq!(error.to_string(), format!("lane 12: {violation}"));
}

/// MBX-19: a set does not sleep on slots that it has finished with. A sender may wait for them.
#[test]
fn a_set_releases_before_it_parks() {
    let mut set = ReceiverSet::new();
    let mut source = Source::new(&mut set, 0, Stamps::On);
    while source.send() {}
    assert_eq!(source.sent, SLOTS);
    while let Some((_, taken)) = set.take().unwrap() {
        taken.finish();
    }
    assert!(!source.send(), "nothing is released yet");
    let woken = set.park(&FutexBell, Until::default(), || false);
    assert_eq!(woken, Ok(Woken::Ready), "the caller has the turn, to tell the sender");
    assert!(source.send(), "the slots are released");
}
