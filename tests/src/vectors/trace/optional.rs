//! Scripts about features that a lane may do without: withdrawal and deadlines.

use super::Exchange;
use super::lanes::{entered, text};
use super::step::Step::{
    self, Announce, Answer, Collect, Connect, Deadline, GiveBack, OpenApart, Serve, Settle, Submit,
    SubmitUntil, Withdraw,
};
use knit_codec::Payload;
use knit_proto::{Features, Tag};
use knit_ring::Stamps::{Off, On};

/// 2^32 + 5: both words of such a deadline say something.
const UNTIL: u64 = 0x1_0000_0005;

fn task() -> Step {
    Submit(3, text("ping"))
}

fn task_until(until: u64) -> Step {
    SubmitUntil(3, text("ping"), until)
}

fn done(call: u32) -> Step {
    Answer(call, false, Payload::bare(Tag::TRUE))
}

pub(super) fn withdrawal() -> Vec<Exchange> {
    let exchanges = vec![
        Exchange::new(
            "withdrawn-before-it-was-begun",
            &["LANE-41", "LANE-38", "LANE-39", "LANE-40"],
            "The worker is at the first call, so the second is not begun for certain once its bit is set: the host \
             knows before the worker has answered anything. The worker finds the bit and gives the call back.",
            On,
            entered([
                task(),
                task(),
                Serve,
                Withdraw(vec![1]),
                done(0),
                Serve,
                GiveBack(1),
                Collect,
                Collect,
            ]),
        ),
        Exchange::new(
            "withdrawn-while-the-worker-is-at-no-call",
            &["LANE-41", "LANE-38", "LANE-39"],
            "A worker that is at no call may take the next one at any moment: the host knows nothing before the \
             answer, which says that the call was withdrawn.",
            On,
            entered([task(), Withdraw(vec![0]), Serve, GiveBack(0), Collect]),
        ),
        Exchange::new(
            "found-not-begun-later",
            &["LANE-41", "LANE-38"],
            "The host looks again, without another fence, when the worker is at a call: now the other one is not \
             begun for certain.",
            On,
            entered([
                task(),
                task(),
                Withdraw(vec![1]),
                Serve,
                Settle,
                done(0),
                Serve,
                GiveBack(1),
                Collect,
                Collect,
            ]),
        ),
        Exchange::new(
            "withdrawn-too-late",
            &["LANE-39", "LANE-38", "LANE-41", "LANE-42"],
            "Everything has begun when the bits are set: no call is not begun, each is answered with its result, and \
             its bit is cleared then.",
            On,
            entered([
                task(),
                task(),
                Serve,
                Serve,
                Withdraw(vec![0, 1]),
                done(0),
                done(1),
                Collect,
                Collect,
            ]),
        ),
        Exchange::new(
            "fence-while-a-call-is-open",
            &["LANE-40", "LANE-39", "LANE-34"],
            "A worker that takes a request while another one is open executes a full fence between *taken* and its \
             look at the bits; the first request of all, and one after everything is answered, need none.",
            Off,
            entered([
                task(),
                task(),
                task(),
                Serve,
                Withdraw(vec![2]),
                Serve,
                Serve,
                GiveBack(2),
                done(1),
                done(0),
                Collect,
                Collect,
                Collect,
                task(),
                Serve,
                done(32),
                Collect,
            ]),
        ),
        Exchange::new(
            "calls-go-on-after-a-withdrawal",
            &["LANE-42", "LANE-39", "LANE-35"],
            "The host clears the bit when the withdrawn call is answered, before it sends the next call with the same \
             id modulo 32; that one runs.",
            On,
            entered([
                task(),
                task(),
                Serve,
                Withdraw(vec![1]),
                done(0),
                Serve,
                GiveBack(1),
                Collect,
                Collect,
                task(),
                task(),
                Serve,
                done(32),
                Serve,
                done(33),
                Collect,
                Collect,
            ]),
        ),
    ];
    let features = Features::JOURNAL.or(Features::WITHDRAW);
    exchanges.into_iter().map(|exchange| exchange.offering(features)).collect()
}

pub(super) fn deadlines() -> Vec<Exchange> {
    let exchanges = vec![
        Exchange::new(
            "call-with-a-deadline",
            &["LANE-46", "LANE-47"],
            "The host stores the low half and the high half before it publishes the request; the worker looks when it \
             has taken it.",
            On,
            entered([task_until(UNTIL), Serve, Deadline(0), done(0), Collect]),
        ),
        Exchange::new(
            "call-without-a-deadline",
            &["LANE-46", "LANE-47"],
            "The words are 0 from the start: nothing is stored, and they say that the caller waits without end.",
            On,
            entered([task(), Serve, Deadline(0), done(0), Collect]),
        ),
        Exchange::new(
            "deadlines-in-one-place",
            &["LANE-46"],
            "Three calls whose ids are the same modulo 32. The second has no deadline, so both words are 0 again \
             before its request; before the third nothing is to be stored.",
            On,
            entered([
                task_until(UNTIL),
                Serve,
                Deadline(0),
                done(0),
                Collect,
                task(),
                Serve,
                Deadline(32),
                done(32),
                Collect,
                task(),
                Serve,
                Deadline(64),
                done(64),
                Collect,
            ]),
        ),
        Exchange::new(
            "deadlines-side-by-side",
            &["LANE-46", "LANE-47", "LANE-33"],
            "Each call in flight has an entry of its own: the largest number, none, and the number 1, whose high \
             word is 0. They stay as they are after the answers.",
            Off,
            entered([
                task_until(u64::MAX),
                task(),
                task_until(1),
                Serve,
                Serve,
                Serve,
                Deadline(2),
                Deadline(1),
                Deadline(0),
                done(0),
                Deadline(2),
                done(2),
                done(1),
                Collect,
                Collect,
                Collect,
            ]),
        ),
        Exchange::new(
            "worker-with-another-clock",
            &["LANE-48", "SEG-9"],
            "A worker whose clock is not the one of its host does not accept the feature: the deadline of a call \
             is not stored.",
            On,
            [Announce, OpenApart, Connect, task_until(UNTIL), Serve, done(0), Collect],
        ),
    ];
    exchanges.into_iter().map(|exchange| exchange.offering(Features::DEADLINES)).collect()
}
