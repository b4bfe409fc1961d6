//! Scripts about mailbox and arena alone: what is agreed on before is not shown.

use super::Exchange;
use super::step::Message;
use super::step::Step::{Abandon, Allocate, Batch, Free, Poll, Read, Release, Send, Take};
use knit_proto::{BlockIndex, PayloadPlace, Tag};
use knit_ring::Stamps::{Off, On};

/// Messages in slots.
pub(super) fn mailbox() -> Vec<Exchange> {
    let text = || Send(Message::text(7, "hello"));
    let scalar = PayloadPlace::Scalar(0x3ff8_0000_0000_0000);
    vec![
        Exchange::new(
            "publish-inline",
            &["MBX-11", "MBX-2", "MBX-17"],
            "A sender writes bytes and header of a free slot, then stores the publish word with release.",
            Off,
            [text()],
        ),
        Exchange::new(
            "publish-stamped",
            &["MBX-9", "MBX-11"],
            "A sender that stamps stores the stamp after the publish word, with release.",
            On,
            [text()],
        ),
        Exchange::new(
            "publish-scalar",
            &["MBX-11", "PAY-2", "MBX-17"],
            "A scalar is in words 3 and 4; the inline area is not written.",
            On,
            [Send(Message::new(7, Tag::NUMBER, scalar, &[]))],
        ),
        Exchange::new(
            "publish-bare",
            &["MBX-11", "PAY-2"],
            "A payload that its tag says is in no word.",
            Off,
            [Send(Message::bare(7))],
        ),
        Exchange::new(
            "take-by-publish-word",
            &["MBX-12", "MBX-3", "MBX-16"],
            "The receiver loads the publish word with acquire, then every word of the header once, \
             then the bytes.",
            Off,
            [text(), Take],
        ),
        Exchange::new(
            "take-by-stamp",
            &["MBX-10", "MBX-16"],
            "The receiver loads the stamp of the slot that it expects with acquire, and not the \
             publish word.",
            On,
            [text(), Poll],
        ),
        Exchange::new(
            "poll-nothing",
            &["MBX-10", "MBX-3"],
            "While the stamp says that nothing was published, no word of the header is loaded.",
            On,
            [Poll, text(), Poll],
        ),
        Exchange::new(
            "release-one",
            &["MBX-13", "MBX-15"],
            "The receiver stores the release word with release, after it has read.",
            Off,
            [text(), Take, Release],
        ),
        Exchange::new(
            "release-several",
            &["MBX-13", "MBX-12"],
            "One look finds three messages, one store releases them all.",
            Off,
            [
                Send(Message::text(7, "one")),
                Send(Message::text(8, "two")),
                Send(Message::bare(9)),
                Take,
                Take,
                Take,
                Release,
            ],
        ),
        Exchange::new(
            "batch",
            &["MBX-11", "MBX-9"],
            "One store publishes three messages; their stamps follow it.",
            On,
            [Batch(vec![Message::text(7, "one"), Message::bare(8), Message::text(9, "three")])],
        ),
    ]
}

/// Which slots a sender may write.
pub(super) fn slots() -> Vec<Exchange> {
    let all = |stamps| {
        let bare: Vec<_> = (0..32).map(Message::bare).collect();
        (stamps, Batch(bare))
    };
    let (full, second) = (all(Off), all(On));
    vec![
        Exchange::new(
            "claim-abandoned",
            &["MBX-3", "MBX-11"],
            "A claim that is given up leaves nothing in shared memory; the slot is free as before.",
            Off,
            [Abandon, Send(Message::bare(7))],
        ),
        Exchange::new(
            "released-out-of-order",
            &["MBX-3", "MBX-15", "MBX-14"],
            "Neither side reads its own words back, whatever the other one does in between.",
            Off,
            [
                Send(Message::bare(7)),
                Take,
                Send(Message::bare(8)),
                Release,
                Send(Message::bare(9)),
                Take,
                Take,
                Release,
            ],
        ),
        Exchange::new(
            "mailbox-full",
            &["MBX-14", "MBX-1", "MBX-3", "MBX-7"],
            "With 32 messages pending the sender looks at the release word, and writes nothing until \
             that shows a free slot.",
            full.0,
            [full.1, Send(Message::bare(32)), Take, Release, Send(Message::bare(32))],
        ),
        Exchange::new(
            "second-use",
            &["MBX-3", "MBX-9", "MBX-14"],
            "The second use of a slot flips its bit back and stamps it 2.",
            second.0,
            [second.1, Poll, Release, Send(Message::text(32, "again"))],
        ),
    ]
}

pub(super) fn arena() -> Vec<Exchange> {
    let bytes = |fill: u8, len: usize| Allocate(vec![fill; len]);
    let block = |index, start, len| PayloadPlace::Arena {
        block: BlockIndex::from_low_bits(index),
        start,
        len,
    };
    let send = |call, index, start, len| {
        Send(Message::new(call, Tag::BYTES_ARENA, block(index, start, len), &[]))
    };
    vec![
        Exchange::new(
            "arena-payload",
            &["ARN-5", "ARN-6", "MBX-11"],
            "Bytes, allocate word, header, publish word; read, free word, release word.",
            Off,
            [bytes(0xa5, 70), send(7, 0, 0, 70), Take, Read(0, 70), Free(0), Release],
        ),
        Exchange::new(
            "block-reused",
            &["ARN-7", "ARN-6", "ARN-8"],
            "The free word is loaded with acquire before the bytes of a freed block are written again.",
            Off,
            [
                bytes(0x11, 64),
                send(7, 0, 0, 64),
                Take,
                Read(0, 64),
                Free(0),
                Release,
                bytes(0x22, 64),
                send(8, 0, 0, 64),
            ],
        ),
        Exchange::new(
            "blocks-freed-in-any-order",
            &["ARN-8", "ARN-2", "ARN-6", "ARN-7"],
            "The second of two blocks is freed first; the next payload takes its place, then that of \
             the first.",
            Off,
            [
                bytes(0x11, 100),
                send(7, 0, 0, 100),
                bytes(0x22, 10),
                send(8, 1, 128, 10),
                Take,
                Take,
                Read(128, 10),
                Free(1),
                bytes(0x33, 20),
                send(9, 1, 128, 20),
                Read(0, 100),
                Free(0),
                Release,
                bytes(0x44, 128),
                send(10, 0, 0, 128),
            ],
        ),
        Exchange::new(
            "arena-full",
            &["ARN-7", "ARN-1", "LANE-19"],
            "With 32 blocks live the sender writes nothing until the free word shows that one is not.",
            Off,
            (0..32).map(|index| bytes(index, 4)).chain([
                bytes(32, 4),
                send(7, 5, 320, 4),
                Take,
                Read(320, 4),
                Free(5),
                Release,
                bytes(32, 4),
            ]),
        ),
        Exchange::new(
            "envelope-inline-head",
            &["PAY-2", "ARN-5", "ARN-6"],
            "The header of an envelope is inline, its body in the arena.",
            On,
            [
                bytes(0xb0, 12),
                Send(Message::new(
                    7,
                    Tag::ENVELOPE_TEXT_INLINE,
                    PayloadPlace::InlineHead {
                        head: 5,
                        block: BlockIndex::from_low_bits(0),
                        start: 0,
                        body: 12,
                    },
                    b"title",
                )),
                Poll,
                Read(0, 12),
                Free(0),
                Release,
            ],
        ),
    ]
}
