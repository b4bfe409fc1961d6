//! Queues of numbers.

use crate::ringfire_file;
use disruptor::{
    BusySpin, EventPoller, MultiProducer, MultiProducerBarrier, Producer, SingleConsumerBarrier,
    SingleProducer, SingleProducerBarrier,
};
use knit_benches::bodies::together::PATIENCE;
use knit_benches::bodies::{Queue, Receives, SLOTS, Sends};
use ringbuf::HeapRb;
use ringbuf::traits::{Consumer as _, Observer as _, Producer as _, Split as _};
use ringfire::{RingConsumer, RingProducer};
use std::ops::Range;
use std::sync::Arc;

/// `rtrb`.
#[derive(Clone, Copy, Debug)]
pub struct Rtrb {
    /// Room, in numbers.
    pub capacity: usize,
}

/// `ringbuf`.
#[derive(Clone, Copy, Debug)]
pub struct Ringbuf {
    /// Room, in numbers.
    pub capacity: usize,
}

/// `crossbeam_queue::ArrayQueue`.
#[derive(Clone, Copy, Debug)]
pub struct ArrayQueue {
    /// Room, in numbers.
    pub capacity: usize,
}

/// `crossbeam_channel::bounded`, polled.
#[derive(Clone, Copy, Debug)]
pub struct Channel {
    /// Room, in numbers.
    pub capacity: usize,
}

/// `crossbeam_channel::bounded`, whose receiver blocks.
#[derive(Clone, Copy, Debug)]
pub struct BlockingChannel;

/// `disruptor` with a single producer and an event poller.
#[derive(Clone, Copy, Debug)]
pub struct Disruptor {
    /// Room, in numbers.
    pub capacity: usize,
}

/// `disruptor` with several producers and an event poller.
#[derive(Clone, Copy, Debug)]
pub struct SharedDisruptor {
    /// Room, in numbers.
    pub capacity: usize,
}

/// `ringfire`, lossless, in a file of `/dev/shm`.
#[derive(Clone, Copy, Debug)]
pub struct Ringfire {
    /// Room, in numbers.
    pub capacity: usize,
}

fn named(name: &str, capacity: usize) -> String {
    match capacity {
        SLOTS => name.to_owned(),
        larger => format!("{name}_{larger}"),
    }
}

impl Queue for Rtrb {
    type Sender = RtrbSender;
    type Receiver = RtrbReceiver;

    fn name(&self) -> String {
        named("rtrb", self.capacity)
    }

    fn start(&self, senders: usize) -> Option<(Vec<RtrbSender>, RtrbReceiver)> {
        let (sender, receiver) = rtrb::RingBuffer::new(self.capacity);
        (senders == 1).then(|| (vec![RtrbSender(sender)], RtrbReceiver(receiver)))
    }
}

/// Sending end of `rtrb`.
#[derive(Debug)]
pub struct RtrbSender(rtrb::Producer<u64>);

/// Receiving end of `rtrb`.
#[derive(Debug)]
pub struct RtrbReceiver(rtrb::Consumer<u64>);

impl Sends for RtrbSender {
    #[inline(always)]
    fn send(&mut self, number: u64) -> bool {
        self.0.push(number).is_ok()
    }

    #[inline(always)]
    fn send_some(&mut self, numbers: Range<u64>) -> u64 {
        let room = self.0.slots().min((numbers.end - numbers.start) as usize);
        let chunk = self.0.write_chunk_uninit(room).expect("there is so much room");
        chunk.fill_from_iter(numbers) as u64
    }
}

impl Receives for RtrbReceiver {
    #[inline(always)]
    fn receive(&mut self) -> Option<u64> {
        self.0.pop().ok()
    }

    #[inline(always)]
    fn receive_some(&mut self, each: impl FnMut(u64)) -> u64 {
        let count = self.0.slots();
        let chunk = self.0.read_chunk(count).expect("there are so many");
        chunk.into_iter().for_each(each);
        count as u64
    }
}

impl Queue for Ringbuf {
    type Sender = RingbufSender;
    type Receiver = RingbufReceiver;

    fn name(&self) -> String {
        named("ringbuf", self.capacity)
    }

    fn start(&self, senders: usize) -> Option<(Vec<RingbufSender>, RingbufReceiver)> {
        let (sender, receiver) = HeapRb::new(self.capacity).split();
        (senders == 1).then(|| {
            // Its caches of the other end's index, as its documentation recommends for threads.
            (vec![RingbufSender(sender)], RingbufReceiver(receiver))
        })
    }
}

/// Sending end of `ringbuf`.
pub struct RingbufSender(ringbuf::HeapProd<u64>);

/// Receiving end of `ringbuf`.
pub struct RingbufReceiver(ringbuf::HeapCons<u64>);

impl Sends for RingbufSender {
    #[inline(always)]
    fn send(&mut self, number: u64) -> bool {
        self.0.try_push(number).is_ok()
    }

    #[inline(always)]
    fn send_some(&mut self, numbers: Range<u64>) -> u64 {
        self.0.push_iter(numbers) as u64
    }
}

impl Receives for RingbufReceiver {
    #[inline(always)]
    fn receive(&mut self) -> Option<u64> {
        self.0.try_pop()
    }

    #[inline(always)]
    fn receive_some(&mut self, each: impl FnMut(u64)) -> u64 {
        let count = self.0.occupied_len();
        self.0.pop_iter().take(count).for_each(each);
        count as u64
    }
}

impl Queue for ArrayQueue {
    type Sender = ArrayQueueEnd;
    type Receiver = ArrayQueueEnd;

    fn name(&self) -> String {
        named("array_queue", self.capacity)
    }

    fn start(&self, senders: usize) -> Option<(Vec<ArrayQueueEnd>, ArrayQueueEnd)> {
        let end = ArrayQueueEnd(Arc::new(crossbeam_queue::ArrayQueue::new(self.capacity)));
        Some((vec![end.clone(); senders], end))
    }
}

/// Either end of an `ArrayQueue`.
#[derive(Clone, Debug)]
pub struct ArrayQueueEnd(Arc<crossbeam_queue::ArrayQueue<u64>>);

impl Sends for ArrayQueueEnd {
    #[inline(always)]
    fn send(&mut self, number: u64) -> bool {
        self.0.push(number).is_ok()
    }
}

impl Receives for ArrayQueueEnd {
    #[inline(always)]
    fn receive(&mut self) -> Option<u64> {
        self.0.pop()
    }
}

impl Queue for Channel {
    type Sender = ChannelSender;
    type Receiver = ChannelReceiver;

    fn name(&self) -> String {
        named("crossbeam_channel", self.capacity)
    }

    fn start(&self, senders: usize) -> Option<(Vec<ChannelSender>, ChannelReceiver)> {
        let (sender, receiver) = crossbeam_channel::bounded(self.capacity);
        Some((vec![ChannelSender(sender); senders], ChannelReceiver(receiver)))
    }
}

/// Sending end of a channel.
#[derive(Clone, Debug)]
pub struct ChannelSender(crossbeam_channel::Sender<u64>);

/// Receiving end of a channel.
#[derive(Debug)]
pub struct ChannelReceiver(crossbeam_channel::Receiver<u64>);

impl Sends for ChannelSender {
    #[inline(always)]
    fn send(&mut self, number: u64) -> bool {
        self.0.try_send(number).is_ok()
    }
}

impl Receives for ChannelReceiver {
    #[inline(always)]
    fn receive(&mut self) -> Option<u64> {
        self.0.try_recv().ok()
    }
}

impl Queue for BlockingChannel {
    type Sender = ChannelSender;
    type Receiver = BlockingReceiver;

    fn name(&self) -> String {
        "crossbeam_channel".into()
    }

    fn start(&self, senders: usize) -> Option<(Vec<ChannelSender>, BlockingReceiver)> {
        let (senders, receiver) = Channel { capacity: SLOTS }.start(senders)?;
        Some((senders, BlockingReceiver(receiver)))
    }
}

/// Receiving end of a channel, which blocks. It spins for a moment first, as the crate does.
#[derive(Debug)]
pub struct BlockingReceiver(ChannelReceiver);

impl Receives for BlockingReceiver {
    fn receive(&mut self) -> Option<u64> {
        self.0.receive()
    }

    fn receive_waiting(&mut self) -> u64 {
        self.0.0.recv_timeout(PATIENCE).expect("nothing was lost")
    }
}

/// What lies in the ring of a disruptor.
#[derive(Debug)]
pub struct Event {
    number: u64,
}

fn event() -> Event {
    Event { number: 0 }
}

/// The same for both kinds of disruptor: the trait that their pollers have in common is private.
macro_rules! disruptor_ends {
    ($sender:ident, $receiver:ident) => {
        impl Sends for $sender {
            #[inline(always)]
            fn send(&mut self, number: u64) -> bool {
                self.0.try_publish(|event| event.number = number).is_ok()
            }

            #[inline(always)]
            fn send_some(&mut self, numbers: Range<u64>) -> u64 {
                let count = numbers.end - numbers.start;
                let published = self.0.try_batch_publish(count as usize, |events| {
                    for (event, number) in events.zip(numbers) {
                        event.number = number;
                    }
                });
                if published.is_ok() { count } else { 0 }
            }
        }

        impl Receives for $receiver {
            #[inline(always)]
            fn receive(&mut self) -> Option<u64> {
                let mut events = self.0.take(1).ok()?;
                (&mut events).next().map(|event| event.number)
            }

            #[inline(always)]
            fn receive_some(&mut self, mut each: impl FnMut(u64)) -> u64 {
                let Ok(mut events) = self.0.poll() else { return 0 };
                let mut count = 0;
                for event in &mut events {
                    each(event.number);
                    count += 1;
                }
                count
            }
        }
    };
}

disruptor_ends!(DisruptorSender, DisruptorReceiver);
disruptor_ends!(SharedDisruptorSender, SharedDisruptorReceiver);

impl Queue for Disruptor {
    type Sender = DisruptorSender;
    type Receiver = DisruptorReceiver;

    fn name(&self) -> String {
        named("disruptor", self.capacity)
    }

    fn start(&self, senders: usize) -> Option<(Vec<DisruptorSender>, DisruptorReceiver)> {
        let builder = disruptor::build_single_producer(self.capacity, event, BusySpin);
        let (poller, builder) = builder.new_event_poller();
        let sender = DisruptorSender(builder.build());
        (senders == 1).then(|| (vec![sender], DisruptorReceiver(poller)))
    }
}

/// Sending end of a disruptor.
pub struct DisruptorSender(SingleProducer<Event, SingleConsumerBarrier>);

/// Receiving end of a disruptor.
pub struct DisruptorReceiver(EventPoller<Event, SingleProducerBarrier>);

impl Queue for SharedDisruptor {
    type Sender = SharedDisruptorSender;
    type Receiver = SharedDisruptorReceiver;

    fn name(&self) -> String {
        named("disruptor_multi", self.capacity)
    }

    fn start(
        &self,
        senders: usize,
    ) -> Option<(Vec<SharedDisruptorSender>, SharedDisruptorReceiver)> {
        // It keeps track of 64 slots at a time.
        let capacity = self.capacity.max(64);
        let builder = disruptor::build_multi_producer(capacity, event, BusySpin);
        let (poller, builder) = builder.new_event_poller();
        let sender = builder.build();
        let senders = (1..senders).map(|_| sender.clone()).collect::<Vec<_>>();
        let senders = senders.into_iter().chain([sender]).map(SharedDisruptorSender).collect();
        Some((senders, SharedDisruptorReceiver(poller)))
    }
}

/// Sending end of a disruptor that has several.
pub struct SharedDisruptorSender(MultiProducer<Event, SingleConsumerBarrier>);

/// Receiving end of a disruptor with several sending ends.
pub struct SharedDisruptorReceiver(EventPoller<Event, MultiProducerBarrier>);

impl Queue for Ringfire {
    type Sender = RingfireSender;
    type Receiver = RingfireReceiver;

    fn name(&self) -> String {
        named("ringfire", self.capacity)
    }

    fn start(&self, senders: usize) -> Option<(Vec<RingfireSender>, RingfireReceiver)> {
        // Its ring with several senders overwrites what was not read.
        if senders != 1 {
            return None;
        }
        let (sender, receiver) = ringfire_file::ring(self.capacity);
        Some((vec![RingfireSender(sender)], RingfireReceiver(receiver)))
    }
}

/// Sending end of `ringfire`.
pub struct RingfireSender(RingProducer<u64>);

/// Receiving end of `ringfire`.
pub struct RingfireReceiver(RingConsumer<u64>);

impl Sends for RingfireSender {
    #[inline(always)]
    fn send(&mut self, number: u64) -> bool {
        self.0.try_push(&number).is_ok()
    }
}

impl Receives for RingfireReceiver {
    #[inline(always)]
    fn receive(&mut self) -> Option<u64> {
        self.0.try_recv()
    }

    #[inline(always)]
    fn receive_some(&mut self, each: impl FnMut(u64)) -> u64 {
        let mut numbers = [0; SLOTS];
        let count = self.0.recv_batch(&mut numbers);
        numbers[..count].iter().copied().for_each(each);
        count as u64
    }
}
