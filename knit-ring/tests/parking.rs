//! Every doorbell over real memory and real threads: rings, deadlines, deaths, several bells at once.

#![cfg(feature = "mapped")]

mod support;

use knit_proto::WordOffset;
use knit_ring::{
    Doorbell, EventfdBell, FutexBell, FutexPair, MAX_BELLS, Mapped, MappedWord, Mapping, Notifier,
    PeerDeath, Receiver, Sender, SharedMemory, SharedWord, SpinBell, Stamps, Ticket, Until, Waiter,
    Woken,
};
use rustix::event::{PollFd, PollFlags};
use rustix::fs::OFlags;
use rustix::time::Timespec;
use std::os::fd::AsFd;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};
use support::{DEADLINE, Places, inline_message};

type Word = MappedWord<Mapping>;

/// Long enough to be a sleep, short enough to wait for.
const SHORT: Duration = Duration::from_millis(5);
const ROUNDS: u32 = 500;

/// Runs a generic test with each doorbell.
macro_rules! with_every_doorbell {
    ($($(#[$meta:meta])* $name:ident)*) => {
        mod spin { $($(#[$meta])* #[test] fn $name() { super::$name(&knit_ring::SpinBell); })* }
        mod futex { $($(#[$meta])* #[test] fn $name() { super::$name(&knit_ring::FutexBell); })* }
        mod futex_pair {
            $($(#[$meta])* #[test] fn $name() { super::$name(&knit_ring::FutexPair::default()); })*
        }
        mod eventfd {
            $($(#[$meta])* #[test] fn $name() {
                super::$name(&knit_ring::EventfdBell::new().unwrap());
            })*
        }
    };
}

with_every_doorbell! {
    a_wait_ends_at_its_deadline
    a_ring_before_the_wait_is_not_lost
    a_ring_ends_a_wait
    any_of_several_bells_ends_a_wait
    more_bells_than_one_wait_covers_are_all_heard
    a_death_ends_a_wait_without_deadline
    every_wait_after_a_death_ends_at_once
    a_wait_without_bells_ends_by_its_deadline_or_a_death
    a_parked_receiver_gets_every_message
}

/// WAKE-5: the end of a wait by its deadline says so.
fn a_wait_ends_at_its_deadline(doorbell: &impl Doorbell<Word>) {
    let bells = bells(1);
    let start = Instant::now();
    // A wait may end for no reason.
    while Doorbell::wait(doorbell, &bells[0], ticket(doorbell, &bells[0]), Some(SHORT))
        != Woken::TimedOut
    {
        assert!(start.elapsed() < DEADLINE);
    }
    assert!(start.elapsed() >= SHORT);
    let ticket = ticket(doorbell, &bells[0]);
    let woken = doorbell.wait(&bells[0], ticket, Some(Duration::ZERO));
    assert_eq!(woken, Woken::TimedOut);
}

/// WAKE-1: the wait goes on only while the bell has the value of the ticket.
fn a_ring_before_the_wait_is_not_lost(doorbell: &impl Doorbell<Word>) {
    let bells = bells(3);
    for rung in 0..3 {
        let tickets = tickets(doorbell, &bells);
        // Its wake-up comes late.
        bells[rung].store_release(7 + rung as u32);
        assert_eq!(doorbell.wait_any(&tickets, Until::default()), Woken::Rung);
        doorbell.wake(&bells[rung]);
    }
}

/// WAKE-4.
fn a_ring_ends_a_wait(doorbell: &(impl Doorbell<Word> + Clone + Send + 'static)) {
    let [ping, pong] = pair();
    let other = doorbell.clone();
    // The answer travels by a channel: one doorbell serves one direction.
    let (answer, answers) = channel();
    let thread = std::thread::spawn(move || {
        let mut seen = 0;
        while seen < ROUNDS {
            let ticket = other.ticket(&ping);
            let value = ping.load_acquire();
            if value == seen {
                assert_ne!(other.wait(&ping, ticket, Some(DEADLINE)), Woken::TimedOut);
                continue;
            }
            assert_eq!(value, seen + 1);
            seen = value;
            answer.send(seen).unwrap();
        }
    });
    for round in 1..=ROUNDS {
        pong.store_release(round);
        doorbell.wake(&pong);
        assert_eq!(answers.recv_timeout(DEADLINE), Ok(round));
    }
    thread.join().unwrap();
}

fn any_of_several_bells_ends_a_wait(doorbell: &(impl Doorbell<Word> + Clone + Send + 'static)) {
    rings_of_each(doorbell, 5, &[0, 4, 2, 1, 3, 3, 0]);
}

fn more_bells_than_one_wait_covers_are_all_heard(
    doorbell: &(impl Doorbell<Word> + Clone + Send + 'static),
) {
    let count = MAX_BELLS + 20;
    rings_of_each(doorbell, count, &[count - 1, 0, MAX_BELLS, MAX_BELLS - 1, count - 1]);
}

/// A thread waits on `count` bells, those of `order` ring one by one.
fn rings_of_each(
    doorbell: &(impl Doorbell<Word> + Clone + Send + 'static),
    count: usize,
    order: &[usize],
) {
    let [memory, theirs] = memories();
    let (ours, theirs) = (words(&memory, count), words(&theirs, count));
    let other = doorbell.clone();
    let expected = order.to_vec();
    let (answer, answers) = channel();
    let thread = std::thread::spawn(move || {
        let mut rung = vec![0; count];
        for bell in expected {
            rung[bell] += 1;
            loop {
                let tickets = tickets(&other, &theirs);
                if theirs[bell].load_acquire() == rung[bell] {
                    break;
                }
                let until = Until::after(DEADLINE);
                assert_eq!(other.wait_any(&tickets, until), Woken::Rung, "bell {bell}");
            }
            answer.send(bell).unwrap();
        }
    });
    let mut rung = vec![0; count];
    for bell in order {
        rung[*bell] += 1;
        ours[*bell].store_release(rung[*bell]);
        doorbell.wake(&ours[*bell]);
        assert_eq!(answers.recv_timeout(DEADLINE), Ok(*bell));
    }
    thread.join().unwrap();
}

/// WAKE-7.
fn a_death_ends_a_wait_without_deadline(doorbell: &(impl Doorbell<Word> + Clone + Send + 'static)) {
    for _ in 0..20 {
        let bells = bells(2);
        let deaths = [PeerDeath::new(), PeerDeath::new()];
        let (started, start) = channel();
        let (woken, wakes) = channel();
        let thread = std::thread::spawn({
            let (doorbell, deaths) = (doorbell.clone(), deaths.clone());
            move || {
                let tickets = tickets(&doorbell, &bells);
                started.send(()).unwrap();
                let until = Until { timeout: None, deaths: &deaths };
                loop {
                    match doorbell.wait_any(&tickets, until) {
                        // For no reason.
                        Woken::Rung => {}
                        other => break woken.send(other).unwrap(),
                    }
                }
            }
        });
        start.recv().unwrap();
        deaths[1].signal();
        assert_eq!(wakes.recv_timeout(DEADLINE), Ok(Woken::PeerDied));
        assert_eq!(deaths.map(|death| death.is_signalled()), [false, true]);
        thread.join().unwrap();
    }
}

/// WAKE-7.
fn every_wait_after_a_death_ends_at_once(doorbell: &impl Doorbell<Word>) {
    let bells = bells(2);
    let death = PeerDeath::new();
    // The descriptor of a wait before the death is there, too.
    let until = Until::death(&death).or_after(Duration::ZERO);
    assert_eq!(doorbell.wait_any(&tickets(doorbell, &bells), until), Woken::TimedOut);
    death.clone().signal();
    death.signal();
    for _ in 0..3 {
        let tickets = tickets(doorbell, &bells);
        assert_eq!(doorbell.wait_any(&tickets, Until::death(&death)), Woken::PeerDied);
        assert_eq!(doorbell.wait_any(&tickets[..1], until), Woken::PeerDied);
        // A bell that rang as well does not hide it.
        bells[0].store_release(1);
        assert_eq!(doorbell.wait_any(&tickets, Until::death(&death)), Woken::PeerDied);
    }
}

fn a_wait_without_bells_ends_by_its_deadline_or_a_death(doorbell: &impl Doorbell<Word>) {
    assert_eq!(doorbell.wait_any(&[], Until::after(SHORT)), Woken::TimedOut);
    let death = PeerDeath::new();
    let until = Until::death(&death).or_after(SHORT);
    assert_eq!(doorbell.wait_any(&[], until), Woken::TimedOut);
    std::thread::scope(|scope| {
        scope.spawn(|| death.signal());
        while doorbell.wait_any(&[], Until::death(&death)) != Woken::PeerDied {}
    });
}

/// WAKE-1, WAKE-2: the whole protocol, one message at a time.
fn a_parked_receiver_gets_every_message(doorbell: &(impl Doorbell<Word> + Clone + Send + 'static)) {
    let [ours, theirs] = memories();
    let places = Places::new();
    let [host, worker] = places.control;
    let mut sender = Sender::new(&ours, places.mailbox, Stamps::Off).unwrap();
    let mut notifier = Notifier::new(&ours, &host, &worker).unwrap();
    let mut receiver = Receiver::new(&theirs, places.mailbox, Stamps::Off).unwrap();
    let mut waiter = Waiter::new(&theirs, &worker, &host).unwrap();
    let other = doorbell.clone();
    let (answer, answers) = channel();
    let thread = std::thread::spawn(move || {
        let death = PeerDeath::new();
        for call in 0..ROUNDS {
            loop {
                if let Some(taken) = receiver.take().unwrap() {
                    assert_eq!(taken.header().0[1], call);
                    break taken.release();
                }
                let until = Until::death(&death).or_after(DEADLINE);
                let woken = waiter.park(&other, until, || receiver.is_pending().unwrap());
                assert_ne!(woken, Woken::TimedOut, "nobody woke the waiter for call {call}");
            }
            answer.send(call).unwrap();
        }
    });
    for call in 0..ROUNDS {
        sender.claim().unwrap().publish(&inline_message(call, 0));
        if notifier.notify() {
            doorbell.wake(notifier.bell());
        }
        assert_eq!(answers.recv_timeout(DEADLINE), Ok(call));
    }
    thread.join().unwrap();
}

#[test]
fn a_local_ring_ends_a_wait_on_both_words() {
    let bells = bells(1);
    let pair = FutexPair::default();
    let ticket = pair.ticket(&bells[0]);
    pair.ring_local();
    assert_eq!(pair.wait(&bells[0], ticket, None), Woken::Rung);
    let other = bells[0].clone();
    let tickets = [(&bells[0], pair.ticket(&bells[0])), (&other, ticket)];
    assert_eq!(pair.wait_any(&tickets, Until::default()), Woken::Rung, "one ticket is older");
    assert_eq!(pair.wait_bells(&tickets, pair.local(), Until::after(SHORT)), Woken::TimedOut);
}

/// For event loops: the descriptor is readable from a wake-up on until it is cleared.
#[test]
fn the_descriptor_of_an_eventfd_is_readable_until_it_is_cleared() {
    let bells = bells(1);
    let doorbell = EventfdBell::new().unwrap();
    assert!(!readable(&doorbell));
    doorbell.wake(&bells[0]);
    doorbell.wake(&bells[0]);
    assert!(readable(&doorbell) && readable(&doorbell));
    doorbell.clear();
    assert!(!readable(&doorbell));
    doorbell.clear();
    // A wait clears it, too, and then looks at the word alone.
    doorbell.wake(&bells[0]);
    let ticket = ticket(&doorbell, &bells[0]);
    assert_eq!(doorbell.wait(&bells[0], ticket, None), Woken::Rung);
    assert!(!readable(&doorbell));
    assert_eq!(doorbell.wait(&bells[0], ticket, Some(Duration::ZERO)), Woken::TimedOut);
}

/// The peer has the same open file, and may do with it what it likes.
#[test]
fn a_peer_that_makes_the_eventfd_block_blocks_no_wait() {
    let bells = bells(1);
    let doorbell = EventfdBell::new().unwrap();
    let peer = EventfdBell::from_fd(doorbell.as_fd().try_clone_to_owned().unwrap());
    rustix::fs::fcntl_setfl(&peer, OFlags::empty()).unwrap();
    doorbell.clear();
    let ticket = ticket(&doorbell, &bells[0]);
    assert_eq!(doorbell.wait(&bells[0], ticket, Some(SHORT)), Woken::TimedOut);
    peer.wake(&bells[0]);
    assert_eq!(doorbell.wait(&bells[0], ticket, None), Woken::Rung);
    // A full counter is readable already: to wake does not wait for room.
    rustix::fs::fcntl_setfl(&peer, OFlags::NONBLOCK).unwrap();
    rustix::io::write(&peer, &(u64::MAX - 1).to_ne_bytes()).unwrap();
    doorbell.wake(&bells[0]);
    assert!(readable(&doorbell));
    doorbell.clear();
    assert!(!readable(&doorbell));
}

/// Something that is no eventfd: waits end, and nothing breaks.
#[test]
fn a_descriptor_that_is_no_eventfd_does_no_harm() {
    let bells = bells(1);
    let null = std::fs::File::open("/dev/null").unwrap();
    let doorbell = EventfdBell::from_fd(null.into());
    doorbell.wake(&bells[0]);
    doorbell.clear();
    let ticket = ticket(&doorbell, &bells[0]);
    assert_eq!(doorbell.wait(&bells[0], ticket, Some(DEADLINE)), Woken::Rung);
}

#[test]
fn a_watched_descriptor_signals_the_death() {
    let death = PeerDeath::new();
    let stands_for_a_pidfd = EventfdBell::new().unwrap();
    std::thread::scope(|scope| {
        let watcher = scope.spawn(|| death.watch(&stands_for_a_pidfd).unwrap());
        assert!(!death.is_signalled());
        stands_for_a_pidfd.wake(&bells(1)[0]);
        watcher.join().unwrap();
    });
    assert!(death.is_signalled());
}

/// A descriptor that cannot be waited on is an error, and no death.
#[test]
fn a_descriptor_that_cannot_be_watched_signals_nothing() {
    use std::os::unix::fs::OpenOptionsExt;
    // O_PATH of Linux on x86-64 and AArch64: a descriptor that poll refuses.
    let path_only = std::fs::OpenOptions::new().read(true).custom_flags(0o10_000_000).open("/");
    let death = PeerDeath::new();
    assert!(death.watch(path_only.unwrap()).is_err());
    assert!(!death.is_signalled());
}

#[test]
fn deadlines_take_the_shorter_one() {
    let until = Until::after(SHORT);
    assert_eq!(until.or_after(DEADLINE).timeout, Some(SHORT));
    assert_eq!(Until::after(DEADLINE).or_after(SHORT).timeout, Some(SHORT));
    assert_eq!(Until::from(None).timeout, None);
    // A time that no clock shows is for ever: the bell ends the wait.
    let bells = bells(1);
    let ticket = Ticket { bell: 1, local: 0 };
    assert_eq!(SpinBell.wait(&bells[0], ticket, Some(Duration::MAX)), Woken::Rung);
    assert_eq!(FutexBell.wait(&bells[0], ticket, Some(Duration::MAX)), Woken::Rung);
}

fn readable(doorbell: &EventfdBell) -> bool {
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    rustix::event::poll(&mut [PollFd::new(doorbell, PollFlags::IN)], Some(&now)).unwrap() > 0
}

fn ticket(doorbell: &impl Doorbell<Word>, bell: &Word) -> Ticket {
    doorbell.ticket(bell)
}

fn tickets<'w>(doorbell: &impl Doorbell<Word>, bells: &'w [Word]) -> Vec<(&'w Word, Ticket)> {
    bells.iter().map(|bell| (bell, doorbell.ticket(bell))).collect()
}

fn bells(count: usize) -> Vec<Word> {
    words(&memories()[0], count)
}

/// One word in two mappings.
fn pair() -> [Word; 2] {
    memories().map(|memory| words(&memory, 1).remove(0))
}

fn words(memory: &Mapped<Mapping>, count: usize) -> Vec<Word> {
    let at = |index| WordOffset::new(index * 8).unwrap();
    (0..count as u32).map(|index| memory.word(at(index)).unwrap()).collect()
}

/// Two mappings of one memory, as two processes have them.
fn memories() -> [Mapped<Mapping>; 2] {
    let ours = Mapping::create(Places::new().bytes).unwrap();
    let theirs = Mapping::attach(ours.backing().file().try_clone_to_owned().unwrap()).unwrap();
    [ours, theirs]
}
