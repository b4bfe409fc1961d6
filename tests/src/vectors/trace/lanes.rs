//! Scripts about segments, sleep, and whole lanes.

use super::Exchange;
use super::step::Message;
use super::step::Step::{
    self, Announce, Answer, Attach, Close, Collect, Connect, Create, Look, Notify, Open, Park,
    Release, Send, Serve, Submit, Take, WakeUp,
};
use crate::Who::{Host, Worker};
use knit_codec::Payload;
use knit_proto::{Features, Tag};
use knit_ring::Stamps::{Off, On};

pub(super) fn segment() -> Vec<Exchange> {
    vec![
        Exchange::new(
            "created",
            &["SEG-4", "SEG-6"],
            "The creator stores every word of the header, then the ready word with release.",
            On,
            [Create],
        ),
        Exchange::new(
            "attached",
            &["SEG-7", "SEG-4", "SEG-10"],
            "The reader loads the ready word with acquire, then every other word of the header once.",
            On,
            [Create, Attach],
        ),
        Exchange::new(
            "attach-before-ready",
            &["SEG-7"],
            "While the ready word is 0, a reader looks at nothing else.",
            On,
            [Attach],
        ),
    ]
}

pub(super) fn parking() -> Vec<Exchange> {
    vec![
        Exchange::new(
            "notify-awake",
            &["WAKE-2"],
            "What is new, a full fence, the parked flag: it is 0, so the bell stays as it is.",
            Off,
            [Send(Message::bare(7)), Notify],
        ),
        Exchange::new(
            "park-and-wait",
            &["WAKE-1", "MBX-18"],
            "The bell, the parked flag, a full fence, the publish word: nothing there, so the worker \
             waits.",
            Off,
            [Park(Worker)],
        ),
        Exchange::new(
            "park-with-a-message",
            &["WAKE-1", "WAKE-6", "MBX-18", "WAKE-3"],
            "The last look, at the publish word, finds a message: the worker does not wait.",
            On,
            [Send(Message::bare(7)), Notify, Park(Worker), Take, Release],
        ),
        Exchange::new(
            "notify-parked",
            &["WAKE-2", "WAKE-1", "WAKE-3", "WAKE-5"],
            "The parked flag is not 0: the bell is advanced, and the worker wakes up.",
            On,
            [Park(Worker), Send(Message::bare(7)), Notify, WakeUp(Worker), Take, Release],
        ),
        Exchange::new(
            "rung-before-the-wait",
            &["WAKE-1", "WAKE-2", "WAKE-3"],
            "A second rest waits for the bell as it is now, not as it was the first time.",
            Off,
            [
                Park(Worker),
                Send(Message::bare(7)),
                Notify,
                WakeUp(Worker),
                Take,
                Release,
                Park(Worker),
                Send(Message::bare(8)),
                Notify,
                WakeUp(Worker),
            ],
        ),
    ]
}

/// A script that begins with a lane that both sides enter.
pub(super) fn entered(then: impl IntoIterator<Item = Step>) -> Vec<Step> {
    [Announce, Open, Connect].into_iter().chain(then).collect()
}

pub(super) fn text(text: &'static str) -> Payload<'static> {
    Payload::bytes(Tag::STRING_INLINE, text.as_bytes())
}

pub(super) fn lane() -> Vec<Exchange> {
    let number = || Payload::scalar(Tag::NUMBER, 0x3ff8_0000_0000_0000);
    let error = r#"{"name":"Error","message":"no","stack":""}"#.as_bytes();
    let refused = || Payload::bytes(Tag::ERROR, error);
    let long = || Payload::bytes(Tag::BYTES_ARENA, vec![0xa5; 70]);
    let envelope = || Payload::two_parts(Tag::ENVELOPE_TEXT_INLINE, b"titlebody".into(), 5);
    vec![
        Exchange::new(
            "host-announced",
            &["LANE-5", "LANE-4"],
            "The host stores its epoch, then its state with release, before the worker starts.",
            On,
            [Announce],
        ),
        Exchange::new(
            "worker-opened",
            &["LANE-7", "LANE-4", "SEG-9"],
            "The worker loads the host's state with acquire, checks it, stores epoch and accepted \
             features, then its state with release.",
            On,
            [Announce, Open],
        ),
        Exchange::new(
            "worker-before-host",
            &["LANE-7", "LANE-5"],
            "A worker whose host has not spoken stores nothing.",
            On,
            [Open],
        ),
        Exchange::new(
            "host-before-worker",
            &["LANE-8", "LANE-9"],
            "The host locks nothing while the worker's state is 0.",
            On,
            [Announce, Connect],
        ),
        Exchange::new(
            "features-locked",
            &["LANE-9", "SEG-9", "LANE-8"],
            "The host loads the worker's state with acquire, checks its features, and stores them \
             into its own line.",
            On,
            entered([]),
        ),
        Exchange::new(
            "features-locked-without-stamps",
            &["LANE-9", "SEG-9", "MBX-9"],
            "Without the feature STAMPS no slot is stamped and the receiver goes by the publish word.",
            Off,
            entered([Submit(3, number()), Serve]),
        ),
        Exchange::new(
            "first-request",
            &["LANE-9", "LANE-8", "MBX-12"],
            "With its first request the worker loads the host's control line, in which the features \
             are locked now; with the second it does not.",
            On,
            entered([Submit(3, number()), Serve, Submit(4, number()), Serve]),
        ),
        Exchange::new(
            "call-answered",
            &["LANE-10", "LANE-2"],
            "The answer has the id of the call.",
            On,
            entered([Submit(3, text("ping")), Serve, Answer(0, false, text("pong")), Collect]),
        ),
        Exchange::new(
            "call-rejected",
            &["LANE-10", "MBX-5", "ARN-5"],
            "The answer of a failed call has 1 in word 0; the error is in the arena of the responses.",
            On,
            entered([Submit(3, number()), Serve, Answer(0, true, refused()), Collect]),
        ),
        Exchange::new(
            "answers-in-another-order",
            &["LANE-2", "LANE-10"],
            "The second call is answered first; the third takes the place of the second.",
            On,
            entered([
                Submit(3, number()),
                Submit(4, number()),
                Serve,
                Serve,
                Answer(1, false, Payload::bare(Tag::TRUE)),
                Collect,
                Submit(5, number()),
                Answer(0, false, Payload::bare(Tag::FALSE)),
                Collect,
            ]),
        ),
        Exchange::new(
            "call-journaled",
            &["LANE-34", "LANE-35"],
            "With the feature JOURNAL the worker notes the call when it has taken it, and that it is done before \
             it answers; the next call in its place gets the same word.",
            On,
            entered([
                Submit(3, text("ping")),
                Serve,
                Answer(0, false, text("pong")),
                Collect,
                Submit(3, text("ping")),
                Serve,
                Answer(32, true, refused()),
                Collect,
            ]),
        )
        .offering(Features::JOURNAL),
        Exchange::new(
            "calls-journaled-side-by-side",
            &["LANE-34", "LANE-35"],
            "Each call has a word of its own while both run; the one of the second is done first.",
            On,
            entered([
                Submit(3, number()),
                Submit(4, number()),
                Serve,
                Serve,
                Answer(1, false, Payload::bare(Tag::TRUE)),
                Answer(0, false, Payload::bare(Tag::FALSE)),
                Collect,
            ]),
        )
        .offering(Features::JOURNAL),
        Exchange::new(
            "call-with-arena-payload",
            &["ARN-5", "ARN-6", "WAKE-2"],
            "Who frees a block notifies as well: the sender may wait for room.",
            On,
            entered([Submit(3, long()), Serve, Answer(0, false, envelope()), Collect]),
        ),
        Exchange::new(
            "host-sleeps",
            &["WAKE-1", "WAKE-2", "WAKE-3"],
            "The host waits for its answer, looking at the worker's control line as well before.",
            On,
            entered([
                Submit(3, number()),
                Park(Host),
                Serve,
                Answer(0, false, number()),
                WakeUp(Host),
                Collect,
            ]),
        ),
    ]
}

pub(super) fn closing() -> Vec<Exchange> {
    vec![
        Exchange::new(
            "closed",
            &["LANE-12", "LANE-3"],
            "The host leaves first, the worker after it; both ring without a look at the parked flag.",
            On,
            entered([Close(Host), Look(Worker), Close(Worker), Look(Host)]),
        ),
        Exchange::new(
            "closed-while-the-worker-sleeps",
            &["LANE-12", "WAKE-2", "WAKE-5"],
            "The worker looks at the host's control line before it waits and after; the bell ends its \
             wait.",
            On,
            entered([Park(Worker), Close(Host), WakeUp(Worker), Look(Worker), Close(Worker)]),
        ),
        Exchange::new(
            "closed-while-a-call-runs",
            &["LANE-12", "LANE-10"],
            "The call that the worker is running when the host leaves is answered before the worker leaves.",
            On,
            entered([
                Submit(3, text("last")),
                Serve,
                Close(Host),
                Answer(0, false, text("done")),
                Look(Worker),
                Close(Worker),
                Collect,
                Look(Host),
            ]),
        ),
        Exchange::new(
            "whole-life",
            &["LANE-2", "SEG-4", "SEG-7", "LANE-7", "LANE-9", "LANE-10", "LANE-12"],
            "A lane from its creation to its end, with one call.",
            On,
            [
                Create,
                Announce,
                Attach,
                Open,
                Connect,
                Submit(3, text("ping")),
                Serve,
                Answer(0, false, text("pong")),
                Collect,
                Close(Host),
                Look(Worker),
                Close(Worker),
                Look(Host),
            ],
        ),
    ]
}
