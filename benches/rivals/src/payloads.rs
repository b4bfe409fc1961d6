//! Payloads to and fro.
//!
//! Rings of bytes carry the length before each payload. Queues of values carry boxes, which the two ends
//! hand to and fro, so that a round trip allocates nothing; one way, the sender allocates. The bench uses
//! mimalloc for that reason.

use crate::ringfire_file;
use disruptor::{
    BusySpin, EventPoller, Producer, SingleConsumerBarrier, SingleProducer, SingleProducerBarrier,
};
use knit_benches::bodies::carrier::room;
use knit_benches::bodies::{Carrier, Carries};
use ringbuf::HeapRb;
use ringbuf::traits::{Consumer as _, Observer as _, Producer as _, Split as _};
use ringfire::{RingConsumer, RingProducer};
use std::sync::Arc;

/// Bytes before a payload that say how long it is.
const PREFIX: usize = size_of::<u64>();

/// `rtrb` as a ring of bytes.
#[derive(Clone, Copy, Debug)]
pub struct Rtrb;

/// `ringbuf` as a ring of bytes.
#[derive(Clone, Copy, Debug)]
pub struct Ringbuf;

/// `crossbeam_queue::ArrayQueue` of boxes.
#[derive(Clone, Copy, Debug)]
pub struct ArrayQueue;

/// `crossbeam_channel::bounded` of boxes.
#[derive(Clone, Copy, Debug)]
pub struct Channel;

/// `disruptor` whose events hold the bytes.
#[derive(Clone, Copy, Debug)]
pub struct Disruptor;

/// `ringfire` with items of `BYTES` bytes.
#[derive(Clone, Copy, Debug)]
pub struct Ringfire<const BYTES: usize>;

/// Bytes of a ring for payloads of `bytes` bytes.
fn ring_bytes(bytes: usize) -> usize {
    room(bytes) * (PREFIX + bytes)
}

/// Bytes of the first payload in a ring, whose prefix is `prefix`.
fn whole(prefix: [u8; PREFIX], into: &[u8]) {
    let len = u64::from_ne_bytes(prefix);
    assert_eq!(len, into.len() as u64, "another length came than was sent");
}

impl Carrier for Rtrb {
    type End = RtrbEnd;

    fn name(&self) -> String {
        "rtrb".into()
    }

    fn pair(&self, bytes: usize) -> Option<(RtrbEnd, RtrbEnd)> {
        let ring = || rtrb::RingBuffer::new(ring_bytes(bytes));
        let ((out, there), (answer, back)) = (ring(), ring());
        Some((RtrbEnd { out, back }, RtrbEnd { out: answer, back: there }))
    }
}

/// Two rings, as one user has them.
#[derive(Debug)]
pub struct RtrbEnd {
    out: rtrb::Producer<u8>,
    back: rtrb::Consumer<u8>,
}

impl Carries for RtrbEnd {
    fn send(&mut self, payload: &[u8]) -> bool {
        if self.out.slots() < PREFIX + payload.len() {
            return false;
        }
        let prefix = (payload.len() as u64).to_ne_bytes();
        self.out.push_entire_slice(&prefix).expect("there is room");
        self.out.push_entire_slice(payload).expect("there is room");
        true
    }

    fn receive(&mut self, into: &mut [u8]) -> bool {
        if self.back.slots() < PREFIX + into.len() {
            return false;
        }
        let mut prefix = [0; PREFIX];
        self.back.pop_entire_slice(&mut prefix).expect("they are there");
        whole(prefix, into);
        self.back.pop_entire_slice(into).expect("they are there");
        true
    }
}

impl Carrier for Ringbuf {
    type End = RingbufEnd;

    fn name(&self) -> String {
        "ringbuf".into()
    }

    fn pair(&self, bytes: usize) -> Option<(RingbufEnd, RingbufEnd)> {
        let ring = || HeapRb::new(ring_bytes(bytes)).split();
        let ((out, there), (answer, back)) = (ring(), ring());
        Some((RingbufEnd { out, back }, RingbufEnd { out: answer, back: there }))
    }
}

/// Two rings, as one user has them.
pub struct RingbufEnd {
    out: ringbuf::HeapProd<u8>,
    back: ringbuf::HeapCons<u8>,
}

impl Carries for RingbufEnd {
    fn send(&mut self, payload: &[u8]) -> bool {
        if self.out.vacant_len() < PREFIX + payload.len() {
            return false;
        }
        self.out.push_slice(&(payload.len() as u64).to_ne_bytes());
        self.out.push_slice(payload) == payload.len()
    }

    fn receive(&mut self, into: &mut [u8]) -> bool {
        if self.back.occupied_len() < PREFIX + into.len() {
            return false;
        }
        let mut prefix = [0; PREFIX];
        self.back.pop_slice(&mut prefix);
        whole(prefix, into);
        self.back.pop_slice(into) == into.len()
    }
}

/// Boxes that one user has received and can send again.
#[derive(Debug, Default)]
struct Spare(Vec<Box<[u8]>>);

impl Spare {
    /// Boxes that are kept: enough for the room of large payloads.
    const MOST: usize = 4;

    fn filled(&mut self, payload: &[u8]) -> Box<[u8]> {
        match self.0.pop() {
            Some(mut spare) => {
                spare.copy_from_slice(payload);
                spare
            }
            None => payload.into(),
        }
    }

    fn keep(&mut self, used: Box<[u8]>) {
        if self.0.len() < Self::MOST {
            self.0.push(used);
        }
    }
}

impl Carrier for ArrayQueue {
    type End = ArrayQueueEnd;

    fn name(&self) -> String {
        "array_queue".into()
    }

    fn pair(&self, bytes: usize) -> Option<(ArrayQueueEnd, ArrayQueueEnd)> {
        let queue = || Arc::new(crossbeam_queue::ArrayQueue::new(room(bytes)));
        let (there, back) = (queue(), queue());
        let end = |out: &Arc<_>, back: &Arc<_>| ArrayQueueEnd {
            out: Arc::clone(out),
            back: Arc::clone(back),
            spare: Spare::default(),
        };
        Some((end(&there, &back), end(&back, &there)))
    }
}

type BoxQueue = Arc<crossbeam_queue::ArrayQueue<Box<[u8]>>>;

/// Two queues, as one user has them.
#[derive(Debug)]
pub struct ArrayQueueEnd {
    out: BoxQueue,
    back: BoxQueue,
    spare: Spare,
}

impl Carries for ArrayQueueEnd {
    fn send(&mut self, payload: &[u8]) -> bool {
        // This end alone sends, so that there is room when it is not full now.
        if self.out.is_full() {
            return false;
        }
        self.out.push(self.spare.filled(payload)).is_ok()
    }

    fn receive(&mut self, into: &mut [u8]) -> bool {
        let Some(payload) = self.back.pop() else { return false };
        into.copy_from_slice(&payload);
        self.spare.keep(payload);
        true
    }
}

impl Carrier for Channel {
    type End = ChannelEnd;

    fn name(&self) -> String {
        "crossbeam_channel".into()
    }

    fn pair(&self, bytes: usize) -> Option<(ChannelEnd, ChannelEnd)> {
        let channel = || crossbeam_channel::bounded(room(bytes));
        let ((out, there), (answer, back)) = (channel(), channel());
        let spare = Spare::default;
        Some((
            ChannelEnd { out, back, spare: spare() },
            ChannelEnd { out: answer, back: there, spare: spare() },
        ))
    }
}

/// Two channels, as one user has them.
#[derive(Debug)]
pub struct ChannelEnd {
    out: crossbeam_channel::Sender<Box<[u8]>>,
    back: crossbeam_channel::Receiver<Box<[u8]>>,
    spare: Spare,
}

impl Carries for ChannelEnd {
    fn send(&mut self, payload: &[u8]) -> bool {
        // This end alone sends, so that there is room when it is not full now.
        if self.out.is_full() {
            return false;
        }
        self.out.try_send(self.spare.filled(payload)).is_ok()
    }

    fn receive(&mut self, into: &mut [u8]) -> bool {
        let Ok(payload) = self.back.try_recv() else { return false };
        into.copy_from_slice(&payload);
        self.spare.keep(payload);
        true
    }
}

impl Carrier for Disruptor {
    type End = DisruptorEnd;

    fn name(&self) -> String {
        "disruptor".into()
    }

    fn pair(&self, bytes: usize) -> Option<(DisruptorEnd, DisruptorEnd)> {
        let start = || {
            let event = || vec![0; bytes].into_boxed_slice();
            let builder = disruptor::build_single_producer(room(bytes), event, BusySpin);
            let (poller, builder) = builder.new_event_poller();
            (builder.build(), poller)
        };
        let ((out, there), (answer, back)) = (start(), start());
        Some((DisruptorEnd { out, back }, DisruptorEnd { out: answer, back: there }))
    }
}

/// Two disruptors, as one user has them.
pub struct DisruptorEnd {
    out: SingleProducer<Box<[u8]>, SingleConsumerBarrier>,
    back: EventPoller<Box<[u8]>, SingleProducerBarrier>,
}

impl Carries for DisruptorEnd {
    fn send(&mut self, payload: &[u8]) -> bool {
        self.out.try_publish(|event| event.copy_from_slice(payload)).is_ok()
    }

    fn receive(&mut self, into: &mut [u8]) -> bool {
        let Ok(mut events) = self.back.take(1) else { return false };
        let Some(event) = (&mut events).next() else { return false };
        into.copy_from_slice(event);
        true
    }
}

impl<const BYTES: usize> Carrier for Ringfire<BYTES> {
    type End = RingfireEnd<BYTES>;

    fn name(&self) -> String {
        "ringfire".into()
    }

    fn pair(&self, bytes: usize) -> Option<(RingfireEnd<BYTES>, RingfireEnd<BYTES>)> {
        if bytes != BYTES {
            return None;
        }
        let ring = || ringfire_file::ring(room(bytes));
        let ((out, there), (answer, back)) = (ring(), ring());
        Some((RingfireEnd { out, back }, RingfireEnd { out: answer, back: there }))
    }
}

/// Two rings, as one user has them.
pub struct RingfireEnd<const BYTES: usize> {
    out: RingProducer<[u8; BYTES]>,
    back: RingConsumer<[u8; BYTES]>,
}

impl<const BYTES: usize> Carries for RingfireEnd<BYTES> {
    fn send(&mut self, payload: &[u8]) -> bool {
        self.out.try_push(payload.try_into().expect("the length it was made for")).is_ok()
    }

    fn receive(&mut self, into: &mut [u8]) -> bool {
        let Some(payload) = self.back.try_recv() else { return false };
        into.copy_from_slice(&payload);
        true
    }
}
