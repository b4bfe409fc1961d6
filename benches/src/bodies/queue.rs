//! Numbers through a queue: one way, from several senders, there and back.

use super::together::{Part, Wait, timed};
use knit_cli::floor::Cpus;
use std::ops::Range;
use std::time::Duration;

/// A queue of numbers from one thread, or several, to one.
pub trait Queue {
    /// A sending end.
    type Sender: Sends;
    /// The receiving end.
    type Receiver: Receives;

    /// Name in the report.
    fn name(&self) -> String;

    /// Whether what one of several senders sends is received in the order in which it was sent. With
    /// one sender every queue keeps the order.
    fn keeps_order(&self) -> bool {
        true
    }

    /// A new queue with `senders` sending ends; `None` when it cannot have so many.
    fn start(&self, senders: usize) -> Option<(Vec<Self::Sender>, Self::Receiver)>;
}

/// A sending end.
pub trait Sends: Send {
    /// Sends `number` if there is room, and says whether it did.
    fn send(&mut self, number: u64) -> bool;

    /// Sends as many of the first of `numbers` as there is room for, as one batch where the
    /// implementation knows such a thing, and says how many.
    #[inline]
    fn send_some(&mut self, numbers: Range<u64>) -> u64 {
        let mut sent = 0;
        for number in numbers {
            if !self.send(number) {
                break;
            }
            sent += 1;
        }
        sent
    }

    /// Sends `number`, sooner or later.
    #[inline]
    fn send_waiting(&mut self, number: u64) {
        let mut wait = Wait::new();
        while !self.send(number) {
            wait.moment();
        }
    }
}

/// A receiving end.
pub trait Receives: Send {
    /// The next number, if there is one.
    fn receive(&mut self) -> Option<u64>;

    /// Hands all numbers that are there to `each`, in whatever way is best when there are many, and
    /// says how many there were.
    #[inline]
    fn receive_some(&mut self, mut each: impl FnMut(u64)) -> u64 {
        let mut received = 0;
        while let Some(number) = self.receive() {
            each(number);
            received += 1;
        }
        received
    }

    /// The next number, sooner or later.
    #[inline]
    fn receive_waiting(&mut self) -> u64 {
        let mut wait = Wait::new();
        loop {
            match self.receive() {
                Some(number) => return number,
                None => wait.moment(),
            }
        }
    }
}

/// Sends `messages` numbers one way, `batch` at a time, and returns how long it took until the last
/// one was received. Every number is checked: its value and its turn.
///
/// # Panics
///
/// Numbers are lost, doubled or out of order.
pub fn stream(
    cpus: &Cpus,
    sender: &mut impl Sends,
    receiver: &mut impl Receives,
    messages: u64,
    batch: u64,
) -> Duration {
    let send: Part<'_> = Box::new(|| send_all(sender, 0..messages, batch));
    timed(cpus, vec![send], || {
        let mut expected = 0;
        while expected < messages {
            if batch == 1 {
                in_order(receiver.receive_waiting(), &mut expected);
                continue;
            }
            let mut wait = Wait::new();
            while receiver.receive_some(|number| in_order(number, &mut expected)) == 0 {
                wait.moment();
            }
        }
    })
}

/// Sends all of `numbers`, `batch` at a time.
fn send_all(sender: &mut impl Sends, numbers: Range<u64>, batch: u64) {
    if batch == 1 {
        for number in numbers {
            sender.send_waiting(number);
        }
        return;
    }
    let mut next = numbers.start;
    while next < numbers.end {
        let end = numbers.end.min(next + batch);
        let mut wait = Wait::new();
        while next < end {
            match sender.send_some(next..end) {
                0 => wait.moment(),
                sent => next += sent,
            }
        }
    }
}

/// Sends `messages` numbers from each of `senders`, `batch` at a time, and returns how long it took
/// until the last one was received. The senders share a processor.
///
/// The numbers of each sender are counted and summed up; where the queue `keeps_order`, each is also
/// checked for its turn.
///
/// # Panics
///
/// Numbers of a sender are lost, doubled or, where the queue keeps it, out of order.
pub fn contended<S: Sends>(
    cpus: &Cpus,
    senders: &mut [S],
    receiver: &mut impl Receives,
    messages: u64,
    batch: u64,
    keeps_order: bool,
) -> Duration {
    let mut tallies = vec![Tally::default(); senders.len()];
    let mut rest = messages * senders.len() as u64;
    let parts = senders.iter_mut().zip(0_u64..).map(|(sender, index)| {
        let first = index << TURN_BITS;
        let send = move || send_all(sender, first..first + messages, batch);
        Box::new(send) as Part<'_>
    });
    let time = timed(cpus, parts.collect(), || {
        let mut wait = Wait::new();
        while rest > 0 {
            let received = receiver.receive_some(|number| {
                let index = (number >> TURN_BITS) as usize;
                let Some(tally) = tallies.get_mut(index) else { panic!("no sender {index}") };
                tally.add(number & TURN, keeps_order);
            });
            if received == 0 {
                wait.moment();
            } else {
                rest = rest.checked_sub(received).expect("no more comes than was sent");
                wait = Wait::new();
            }
        }
    });
    let all = Tally::of(messages);
    assert!(tallies.iter().all(|tally| *tally == all), "{tallies:?}, each should be {all:?}");
    time
}

/// Bits of a number of several senders for its turn; those above name the sender.
const TURN_BITS: u32 = 48;
const TURN: u64 = (1 << TURN_BITS) - 1;

/// What came from one sender.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Tally {
    count: u64,
    sum: u64,
    squares: u64,
}

impl Tally {
    /// The turns below `messages`, each once.
    fn of(messages: u64) -> Self {
        let mut all = Self::default();
        (0..messages).for_each(|turn| all.add(turn, true));
        all
    }

    #[inline(always)]
    fn add(&mut self, turn: u64, in_order: bool) {
        if in_order && turn != self.count {
            out_of_order(turn, self.count);
        }
        self.count += 1;
        self.sum = self.sum.wrapping_add(turn);
        self.squares = self.squares.wrapping_add(turn.wrapping_mul(turn));
    }
}

/// The ends that one thread has of two queues: it sends into the one and receives from the other.
#[derive(Debug)]
pub struct Duplex<S, R> {
    /// Where it sends.
    pub out: S,
    /// Where it receives.
    pub back: R,
}

/// What one of the two users of two queues `Q` has.
pub type DuplexOf<Q> = Duplex<<Q as Queue>::Sender, <Q as Queue>::Receiver>;

/// Two new queues, one each way, as their two users see them.
///
/// # Panics
///
/// The implementation has no queue with one sender.
pub fn duplex<Q: Queue>(queue: &Q) -> (DuplexOf<Q>, DuplexOf<Q>) {
    let start = || {
        let (mut senders, receiver) = queue.start(1).expect("every queue has one sender");
        (senders.remove(0), receiver)
    };
    let ((out, there), (answer, back)) = (start(), start());
    (Duplex { out, back }, Duplex { out: answer, back: there })
}

/// Sends `rounds` numbers there and back, one at a time, and returns how long it took. Every answer
/// is checked.
///
/// # Panics
///
/// An answer is another number.
pub fn ping_pong(
    cpus: &Cpus,
    here: &mut Duplex<impl Sends, impl Receives>,
    there: &mut Duplex<impl Sends, impl Receives>,
    rounds: u64,
) -> Duration {
    let answer: Part<'_> = Box::new(|| {
        for _ in 0..rounds {
            let number = there.back.receive_waiting();
            there.out.send_waiting(number);
        }
    });
    timed(cpus, vec![answer], || {
        for mut number in 0..rounds {
            here.out.send_waiting(number);
            in_order(here.back.receive_waiting(), &mut number);
        }
    })
}

/// Checks that an implementation carries what it is about to be measured with: one way, one at a time
/// and in batches up to a whole mailbox; from two senders, where it can have them; there and back.
///
/// # Panics
///
/// It does not.
pub fn check<Q: Queue>(cpus: &Cpus, queue: &Q) {
    const MESSAGES: u64 = 1000;
    let (mut senders, mut receiver) = queue.start(1).expect("every queue has one sender");
    for batch in [1, 2, 8, 16, 32] {
        stream(cpus, &mut senders[0], &mut receiver, MESSAGES, batch);
    }
    assert_eq!(receiver.receive(), None, "{}: more came than was sent", queue.name());
    if let Some((mut senders, mut receiver)) = queue.start(2) {
        for batch in [1, 8] {
            contended(cpus, &mut senders, &mut receiver, MESSAGES, batch, queue.keeps_order());
        }
        assert_eq!(receiver.receive(), None, "{}: more came than was sent", queue.name());
    }
    let (mut here, mut there) = duplex(queue);
    ping_pong(cpus, &mut here, &mut there, MESSAGES / 10);
}

#[inline(always)]
fn in_order(found: u64, expected: &mut u64) {
    if found != *expected {
        out_of_order(found, *expected);
    }
    *expected += 1;
}

#[cold]
fn out_of_order(found: u64, expected: u64) -> ! {
    panic!("received {found} where {expected} was sent")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::VecDeque;
    use std::sync::{Arc, Mutex};

    /// A queue that does something wrong.
    #[derive(Clone, Copy)]
    enum Wrong {
        Nothing,
        Doubled,
        OutOfOrder,
        Changed,
    }

    struct End(Wrong, Arc<Mutex<VecDeque<u64>>>);

    impl Queue for Wrong {
        type Sender = End;
        type Receiver = End;

        fn name(&self) -> String {
            "wrong".into()
        }

        fn start(&self, senders: usize) -> Option<(Vec<End>, End)> {
            let shared = Arc::new(Mutex::new(VecDeque::new()));
            let end = || End(*self, Arc::clone(&shared));
            Some(((0..senders).map(|_| end()).collect(), end()))
        }
    }

    impl Sends for End {
        fn send(&mut self, number: u64) -> bool {
            let mut queue = self.1.lock().unwrap();
            match self.0 {
                Wrong::Doubled if number == 500 => queue.extend([number; 2]),
                Wrong::OutOfOrder if number == 500 => queue.push_front(number),
                Wrong::Changed if number == 500 => queue.push_back(1),
                _ => queue.push_back(number),
            }
            true
        }
    }

    impl Receives for End {
        fn receive(&mut self) -> Option<u64> {
            // Slower than the sender, so that there is something to get wrong.
            std::thread::yield_now();
            self.1.lock().unwrap().pop_front()
        }
    }

    fn check_it(wrong: Wrong) {
        check(&Cpus::choose().unwrap(), &wrong);
    }

    #[test]
    fn a_right_queue_passes() {
        check_it(Wrong::Nothing);
    }

    #[test]
    #[should_panic(expected = "received 500 where 501 was sent")]
    fn a_doubled_number_is_noticed() {
        check_it(Wrong::Doubled);
    }

    #[test]
    #[should_panic(expected = "received 500 where")]
    fn a_number_out_of_order_is_noticed() {
        let (mut senders, mut receiver) = Wrong::OutOfOrder.start(1).unwrap();
        // Numbers that wait already.
        (0..10).for_each(|number| assert!(senders[0].send(number)));
        assert!(senders[0].send(500));
        stream(&Cpus::ANY, &mut senders[0], &mut receiver, 1, 1);
    }

    #[test]
    #[should_panic(expected = "received 1 where 500 was sent")]
    fn a_changed_number_is_noticed() {
        check_it(Wrong::Changed);
    }

    #[test]
    fn a_tally_notices_what_is_missing_doubled_or_changed() {
        let all = Tally::of(4);
        let tally = |turns: &[u64]| {
            let mut tally = Tally::default();
            turns.iter().for_each(|turn| tally.add(*turn, false));
            tally
        };
        assert_eq!(tally(&[3, 1, 0, 2]), all);
        for wrong in [&[3, 1, 0][..], &[3, 1, 0, 0], &[1, 1, 1, 3], &[0, 1, 2, 3, 3]] {
            assert_ne!(tally(wrong), all, "{wrong:?}");
        }
    }
}
