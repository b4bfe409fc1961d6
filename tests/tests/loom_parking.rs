//! F1 and F2: a side that goes to sleep is woken for every message.
//!
//! The waiter sleeps without a timeout, so a wake-up that gets lost is a deadlock, which loom
//! reports. Two slots; the waiter looks at the publish word before it sleeps. What is slept on is a
//! futex, or an eventfd, by the doorbell or by an event loop that polls its descriptor.

use knit_proto::ProtocolViolation;
use knit_ring::{
    Doorbell, Notifier, Receiver, Sender, SharedMemory, SharedWord, Stamps, Ticket, Until, Waiter,
    Woken,
};
use knit_tests::{
    Bounds, LoomBell, LoomMemory, Rejection, Seen, Weaken, Weakening, explore, lane, read, reject,
    seen, send,
};
use loom::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What the waiter took, and whether the notifier found it parked at all.
type Outcome = Result<(Vec<Seen>, bool), ProtocolViolation>;

/// What is wrong with the two sides.
#[derive(Clone, Copy)]
struct Mutant {
    notifier: Weakening,
    waiter: Weakening,
    /// The waiter looks again between announcing that it parks and sleeping.
    looks_again: bool,
    /// The notifier advances the bell, but does not wake.
    wakes: bool,
}

const NONE: Mutant =
    Mutant { notifier: Weakening::None, waiter: Weakening::None, looks_again: true, wakes: true };

/// WAKE-1, WAKE-2.
#[test]
fn one_message_wakes_a_sleeping_receiver() {
    explore("parking, one message", Bounds::ALL, &permitted(1), || run(1, NONE));
}

/// WAKE-3.
#[test]
fn a_receiver_that_slept_can_sleep_again() {
    explore("parking, two messages", Bounds::preemptions(4), &permitted(2), || run(2, NONE));
}

/// WAKE-2.
#[test]
fn model_rejects_notifier_without_fence() {
    let mutant = Mutant { notifier: Weakening::NoFence, ..NONE };
    assert_eq!(rejection("notifier without fence", mutant), Rejection::Deadlock);
}

/// WAKE-1.
#[test]
fn model_rejects_waiter_without_fence() {
    let mutant = Mutant { waiter: Weakening::NoFence, ..NONE };
    assert_eq!(rejection("waiter without fence", mutant), Rejection::Deadlock);
}

/// WAKE-1, WAKE-6; KD-27: who does not look again after it has said that it sleeps may sleep on.
#[test]
fn model_rejects_waiter_without_second_look() {
    let mutant = Mutant { looks_again: false, ..NONE };
    assert_eq!(rejection("waiter without second look", mutant), Rejection::Deadlock);
}

#[test]
fn model_rejects_notifier_that_does_not_wake() {
    let mutant = Mutant { wakes: false, ..NONE };
    assert_eq!(rejection("notifier that does not wake", mutant), Rejection::Deadlock);
}

/// WAKE-1, WAKE-2.
#[test]
fn one_message_wakes_a_receiver_that_sleeps_on_an_eventfd() {
    explore("eventfd, one message", Bounds::ALL, &permitted(1), || {
        exchange(1, NONE, LoomEvent::new(), |receiver, waiter, doorbell| {
            next(receiver, waiter, doorbell, true)
        })
    });
}

/// WAKE-3.
#[test]
fn a_receiver_that_slept_on_an_eventfd_can_sleep_again() {
    explore("eventfd, two messages", Bounds::preemptions(4), &permitted(2), || {
        exchange(2, NONE, LoomEvent::new(), |receiver, waiter, doorbell| {
            next(receiver, waiter, doorbell, true)
        })
    });
}

/// WAKE-1, WAKE-3: announce, look, sleep until the descriptor is readable, clear it, look.
#[test]
fn an_event_loop_that_clears_before_it_looks_gets_every_message() {
    explore("event loop, two messages", Bounds::preemptions(4), &permitted(2), || {
        exchange(2, NONE, LoomEvent::new(), |receiver, waiter, doorbell| {
            next_by_event_loop(receiver, waiter, doorbell, true)
        })
    });
}

/// WAKE-1.
#[test]
fn model_rejects_event_loop_that_clears_after_its_last_look() {
    let rejection =
        reject("event loop, clears late", Bounds::preemptions(3), &permitted(2), || {
            exchange(2, NONE, LoomEvent::new(), |receiver, waiter, doorbell| {
                next_by_event_loop(receiver, waiter, doorbell, false)
            })
        });
    assert_eq!(rejection, Rejection::Deadlock);
}

/// WAKE-2.
#[test]
fn model_rejects_notifier_of_an_eventfd_without_fence() {
    let mutant = Mutant { notifier: Weakening::NoFence, ..NONE };
    let rejection = reject("eventfd, no fence", Bounds::ALL, &permitted(1), move || {
        exchange(1, mutant, LoomEvent::new(), |receiver, waiter, doorbell| {
            next(receiver, waiter, doorbell, true)
        })
    });
    assert_eq!(rejection, Rejection::Deadlock);
}

fn rejection(name: &str, mutant: Mutant) -> Rejection {
    reject(name, Bounds::ALL, &permitted(1), move || run(1, mutant))
}

fn permitted(messages: u32) -> Vec<Outcome> {
    let all: Vec<Seen> = (0..messages).map(seen).collect();
    vec![Ok((all.clone(), false)), Ok((all, true))]
}

fn run(messages: u32, mutant: Mutant) -> Outcome {
    exchange(messages, mutant, LoomBell::new(), |receiver, waiter, doorbell| {
        next(receiver, waiter, doorbell, mutant.looks_again)
    })
}

type Memory = Weaken<LoomMemory>;
type Next = Result<Option<Seen>, ProtocolViolation>;

fn exchange<D: Doorbell<<Memory as SharedMemory>::Word> + Clone + Send + 'static>(
    messages: u32,
    mutant: Mutant,
    doorbell: D,
    next: impl Fn(&mut Receiver<Memory>, &mut Waiter<Memory>, &D) -> Next,
) -> Outcome {
    let lane = lane(2);
    let memory = LoomMemory::zeroed(lane.bytes);
    let ours = Weaken::new(&memory, mutant.notifier);
    let theirs = Weaken::new(&memory, mutant.waiter);
    let mut sender = Sender::new(&ours, lane.mailbox, Stamps::Off).unwrap();
    let mut notifier = Notifier::new(&ours, &lane.sender, &lane.receiver).unwrap();
    let mut receiver = Receiver::new(&theirs, lane.mailbox, Stamps::Off).unwrap();
    let mut waiter = Waiter::new(&theirs, &lane.receiver, &lane.sender).unwrap();
    let thread = loom::thread::spawn({
        let doorbell = doorbell.clone();
        move || {
            let mut parked = false;
            for call in 0..messages {
                send(&mut sender, call)?;
                if notifier.notify() {
                    parked = true;
                    if mutant.wakes {
                        doorbell.wake(notifier.bell());
                    }
                }
            }
            Ok(parked)
        }
    });
    let mut taken = Vec::new();
    while taken.len() < messages as usize {
        match next(&mut receiver, &mut waiter, &doorbell) {
            Ok(seen) => taken.extend(seen),
            Err(violation) => return Err(violation),
        }
    }
    let parked: Result<bool, _> = thread.join().unwrap();
    Ok((taken, parked?))
}

fn next<M: SharedMemory>(
    receiver: &mut Receiver<M>,
    waiter: &mut Waiter<M>,
    doorbell: &impl Doorbell<M::Word>,
    looks_again: bool,
) -> Next {
    if let Some(taken) = receiver.take()? {
        return Ok(Some(read(taken, false)));
    }
    let mut looked = Ok(false);
    waiter.park(doorbell, None, || {
        looked = if looks_again { receiver.is_pending() } else { Ok(false) };
        // A violation is something to do, too.
        !matches!(looked, Ok(false))
    });
    looked.map(|_| None)
}

/// What an event loop does. One that does not clear in time clears when it has looked again.
fn next_by_event_loop(
    receiver: &mut Receiver<Memory>,
    waiter: &mut Waiter<Memory>,
    doorbell: &LoomEvent,
    clears_in_time: bool,
) -> Next {
    if let Some(taken) = receiver.take()? {
        return Ok(Some(read(taken, false)));
    }
    waiter.announce(doorbell);
    let pending = receiver.is_pending()?;
    if !pending {
        if !clears_in_time {
            doorbell.clear();
        }
        doorbell.until_readable();
        if clears_in_time {
            doorbell.clear();
        }
    }
    waiter.retract();
    Ok(None)
}

/// A doorbell in the image of an eventfd. One thread waits.
#[derive(Clone)]
struct LoomEvent {
    /// The counter. Every access passes through the kernel's lock.
    count: Arc<AtomicU32>,
    /// Who sleeps, or is about to.
    asleep: Arc<Mutex<Option<loom::thread::Thread>>>,
}

impl LoomEvent {
    fn new() -> Self {
        Self { count: Arc::new(AtomicU32::new(0)), asleep: Arc::default() }
    }

    fn until_readable(&self) {
        loop {
            *self.asleep() = Some(loom::thread::current());
            if self.count.fetch_add(0, Ordering::AcqRel) != 0 {
                break;
            }
            loom::thread::park();
        }
        *self.asleep() = None;
    }

    /// Touched right after the counter, with no schedule in between.
    fn asleep(&self) -> MutexGuard<'_, Option<loom::thread::Thread>> {
        self.asleep.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn clear(&self) {
        self.count.swap(0, Ordering::AcqRel);
    }
}

impl<W: SharedWord> Doorbell<W> for LoomEvent {
    fn ticket(&self, bell: &W) -> Ticket {
        Ticket { bell: bell.load_acquire(), local: 0 }
    }

    fn wait_any(&self, bells: &[(&W, Ticket)], _: Until<'_>) -> Woken {
        if bells.iter().all(|(bell, ticket)| bell.load_acquire() == ticket.bell) {
            self.until_readable();
            self.clear();
        }
        Woken::Rung
    }

    fn wake(&self, _: &W) {
        self.count.fetch_add(1, Ordering::AcqRel);
        let asleep = self.asleep().take();
        if let Some(thread) = asleep {
            thread.unpark();
        }
    }
}
