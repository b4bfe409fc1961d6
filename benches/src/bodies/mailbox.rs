//! Ours: the mailbox as a queue of numbers, and as a carrier of payloads.
//!
//! Both ends do what a lane does: they write whole headers, parse every header and copy every payload
//! into private memory. A number crosses in the header, as the scalar of a call does.

use super::carrier::room;
use super::{Carrier, Carries, Queue, Receives, Sends};
use crate::lane;
use knit_proto::{
    ARENA_DATA_AT, Direction, INLINE_BYTES, Layout, MAX_ABORT_CAPACITY, PayloadPlace,
    ProtocolViolation, SlotHeader, SlotRules, Tag, Word0,
};
use knit_ring::{
    ArenaError, ArenaReceiver, ArenaSender, BatchError, ClaimError, HeapMemory, Receiver,
    SHARED_SENDER_BYTES, Sender, SharedSender, Stamps, Taken, create_segment,
};
use std::ops::Range;

/// Arenas of segments that carry numbers.
const NO_ARENA: u32 = ARENA_DATA_AT + 4096;

/// The mailbox with one sender.
#[derive(Clone, Copy, Debug)]
pub struct Mailbox {
    /// How many messages the receiver releases by one store, where it takes them one at a time.
    pub release_every: u32,
}

/// The mailbox whose sender several threads share.
#[derive(Clone, Copy, Debug)]
pub struct SharedMailbox;

/// A new segment on the heap, with arenas of `arena` bytes.
pub(super) fn segment(arena: u32) -> (HeapMemory, Layout) {
    let fields = lane::fields(arena, Stamps::On).expect("the geometry is valid");
    let memory = HeapMemory::zeroed(Layout::new(fields).len()).expect("there is memory");
    let layout = create_segment(&memory, &fields).expect("the memory has the right length");
    (memory, layout)
}

/// The header that carries `number`.
#[inline(always)]
pub(super) fn header(number: u64) -> SlotHeader {
    SlotHeader {
        word0: Word0::Call { function: 0, abort: None },
        // The low half: call ids wrap.
        call: number as u32,
        tag: Tag::BIGINT_I64,
        place: PayloadPlace::Scalar(number),
    }
}

/// The number that a message carries, all checks included.
#[inline(always)]
pub(super) fn number(taken: &Taken<'_, HeapMemory>, arena_bytes: u32) -> u64 {
    match parse(taken, arena_bytes).place {
        PayloadPlace::Scalar(number) => number,
        other => panic!("a number was sent, {other:?} came"),
    }
}

#[inline(always)]
fn parse(taken: &Taken<'_, HeapMemory>, arena_bytes: u32) -> SlotHeader {
    let rules = SlotRules {
        direction: Direction::Request,
        arena_bytes,
        max_payload: arena_bytes,
        abort_capacity: MAX_ABORT_CAPACITY,
    };
    polled(taken.header().parse(&rules, taken.slot()))
}

/// What the other end did, which is no violation.
#[inline(always)]
fn polled<T>(found: Result<T, ProtocolViolation>) -> T {
    found.unwrap_or_else(|violation| panic!("{violation}"))
}

impl Queue for Mailbox {
    type Sender = MailboxSender;
    type Receiver = MailboxReceiver;

    fn name(&self) -> String {
        match self.release_every {
            1 => "knit".into(),
            every => format!("knit_release_{every}"),
        }
    }

    fn start(&self, senders: usize) -> Option<(Vec<MailboxSender>, MailboxReceiver)> {
        if senders != 1 {
            return None;
        }
        let (memory, layout) = segment(NO_ARENA);
        let sender = Self::sender(&memory, &layout);
        Some((vec![sender], MailboxReceiver::new(&memory, &layout, self.release_every)))
    }
}

impl Mailbox {
    pub(super) fn sender(memory: &HeapMemory, layout: &Layout) -> MailboxSender {
        let sender = Sender::new(memory, layout.mailbox(Direction::Request), Stamps::On);
        MailboxSender(sender.expect("the layout fits"))
    }
}

/// The sending end of a mailbox.
#[derive(Debug)]
pub struct MailboxSender(Sender<HeapMemory>);

impl Sends for MailboxSender {
    #[inline(always)]
    fn send(&mut self, number: u64) -> bool {
        match self.0.claim() {
            Ok(claim) => {
                claim.publish(&header(number));
                true
            }
            Err(error) => full(error),
        }
    }

    #[inline(always)]
    fn send_some(&mut self, numbers: Range<u64>) -> u64 {
        let mut batch = self.0.batch();
        for number in numbers {
            if let Err(error) = batch.add(&header(number), &[]) {
                batch_full(error);
                break;
            }
        }
        batch.publish().len().into()
    }
}

/// The receiving end of a mailbox.
#[derive(Debug)]
pub struct MailboxReceiver {
    receiver: Receiver<HeapMemory>,
    arena_bytes: u32,
    release_every: u32,
    unreleased: u32,
}

impl MailboxReceiver {
    fn new(memory: &HeapMemory, layout: &Layout, release_every: u32) -> Self {
        let mailbox = layout.mailbox(Direction::Request);
        Self {
            receiver: Receiver::new(memory, mailbox, Stamps::On).expect("the layout fits"),
            arena_bytes: layout.arena(Direction::Request).data().len(),
            release_every,
            unreleased: 0,
        }
    }

    /// The next number; released with every `every`th, or when there is none.
    #[inline(always)]
    fn next(&mut self, every: u32) -> Option<u64> {
        let Some(taken) = polled(self.receiver.poll()) else {
            if self.unreleased > 0 {
                self.receiver.release();
                self.unreleased = 0;
            }
            return None;
        };
        let number = number(&taken, self.arena_bytes);
        self.unreleased += 1;
        if self.unreleased >= every {
            self.unreleased = 0;
            taken.release();
        } else {
            taken.finish();
        }
        Some(number)
    }
}

impl Receives for MailboxReceiver {
    #[inline(always)]
    fn receive(&mut self) -> Option<u64> {
        self.next(self.release_every)
    }

    #[inline(always)]
    fn receive_some(&mut self, mut each: impl FnMut(u64)) -> u64 {
        let mut received = 0;
        while let Some(number) = self.next(8) {
            each(number);
            received += 1;
        }
        received
    }
}

impl Queue for SharedMailbox {
    type Sender = SharedMailboxSender;
    type Receiver = MailboxReceiver;

    fn name(&self) -> String {
        "knit_shared".into()
    }

    /// A mailbox is taken in the order of its slots, and each thread fills those that it finds free.
    fn keeps_order(&self) -> bool {
        false
    }

    fn start(&self, senders: usize) -> Option<(Vec<SharedMailboxSender>, MailboxReceiver)> {
        let (memory, layout) = segment(NO_ARENA);
        let private = HeapMemory::zeroed(SHARED_SENDER_BYTES).expect("there is memory");
        let mailbox = layout.mailbox(Direction::Request);
        let first = SharedSender::new(&memory, &private, mailbox, Stamps::On);
        let first = first.expect("the layout fits");
        let senders = (1..senders).map(|_| first.clone()).collect::<Vec<_>>();
        let senders = senders.into_iter().chain([first]).map(SharedMailboxSender).collect();
        Some((senders, MailboxReceiver::new(&memory, &layout, 1)))
    }
}

/// A sending end that several threads have.
#[derive(Debug)]
pub struct SharedMailboxSender(SharedSender<HeapMemory, HeapMemory>);

impl Sends for SharedMailboxSender {
    #[inline(always)]
    fn send(&mut self, number: u64) -> bool {
        match self.0.claim() {
            Ok(claim) => {
                claim.publish(&header(number));
                true
            }
            Err(error) => full(error),
        }
    }

    #[inline(always)]
    fn send_some(&mut self, numbers: Range<u64>) -> u64 {
        let mut batch = self.0.batch();
        for number in numbers {
            if let Err(error) = batch.add(&header(number), &[]) {
                batch_full(error);
                break;
            }
        }
        batch.publish().len().into()
    }
}

impl Carrier for Mailbox {
    type End = MailboxEnd;

    fn name(&self) -> String {
        "knit".into()
    }

    fn pair(&self, bytes: usize) -> Option<(MailboxEnd, MailboxEnd)> {
        let data = room(bytes) * bytes.next_multiple_of(64);
        let arena = NO_ARENA + u32::try_from(data).ok()?;
        let ((there, there_layout), (back, back_layout)) = (segment(arena), segment(arena));
        Some((
            MailboxEnd::new(&there, &there_layout, &back, &back_layout),
            MailboxEnd::new(&back, &back_layout, &there, &there_layout),
        ))
    }
}

/// Two mailboxes with their arenas, as one of their two users has them.
#[derive(Debug)]
pub struct MailboxEnd {
    sender: Sender<HeapMemory>,
    arena_sender: ArenaSender<HeapMemory>,
    receiver: Receiver<HeapMemory>,
    arena_receiver: ArenaReceiver<HeapMemory>,
    call: u32,
}

impl MailboxEnd {
    fn new(out: &HeapMemory, out_layout: &Layout, back: &HeapMemory, back_layout: &Layout) -> Self {
        const REQUEST: Direction = Direction::Request;
        let (out_arena, back_arena) = (out_layout.arena(REQUEST), back_layout.arena(REQUEST));
        let sender = Sender::new(out, out_layout.mailbox(REQUEST), Stamps::On);
        let receiver = Receiver::new(back, back_layout.mailbox(REQUEST), Stamps::On);
        let arena_sender = ArenaSender::new(out, &out_arena, out_arena.data().len());
        let arena_receiver = ArenaReceiver::new(back, &back_arena);
        Self {
            sender: sender.expect("the layout fits"),
            arena_sender: arena_sender.expect("the layout fits"),
            receiver: receiver.expect("the layout fits"),
            arena_receiver: arena_receiver.expect("the layout fits"),
            call: 0,
        }
    }
}

impl Carries for MailboxEnd {
    #[inline]
    fn send(&mut self, payload: &[u8]) -> bool {
        let len = u32::try_from(payload.len()).expect("a payload");
        let claim = match self.sender.claim() {
            Ok(claim) => claim,
            Err(error) => return full(error),
        };
        let (tag, place) = if len == 0 {
            (Tag::UNDEFINED, PayloadPlace::Bare)
        } else if len <= INLINE_BYTES {
            claim.deposit(payload).expect("it fits");
            (Tag::BYTES_INLINE, PayloadPlace::Inline { len })
        } else {
            let mut loan = match self.arena_sender.loan(len) {
                Ok(loan) => loan,
                Err(ArenaError::Full) => return false,
                Err(error) => panic!("{error}"),
            };
            loan.deposit(0, payload).expect("it fits");
            let (block, start) = loan.commit();
            (Tag::BYTES_ARENA, PayloadPlace::Arena { block, start, len })
        };
        self.call = self.call.wrapping_add(1);
        let word0 = Word0::Call { function: 0, abort: None };
        claim.publish(&SlotHeader { word0, call: self.call, tag, place });
        true
    }

    #[inline]
    fn receive(&mut self, into: &mut [u8]) -> bool {
        let Some(taken) = polled(self.receiver.poll()) else { return false };
        match parse(&taken, self.arena_receiver.capacity()).place {
            PayloadPlace::Bare if into.is_empty() => {}
            PayloadPlace::Inline { len } if len as usize == into.len() => {
                taken.snapshot(into).expect("it is inline");
            }
            PayloadPlace::Arena { block, start, len } if len as usize == into.len() => {
                self.arena_receiver.snapshot(start, into).expect("the header was checked");
                self.arena_receiver.free(block);
            }
            other => panic!("{} bytes were sent, {other:?} came", into.len()),
        }
        taken.release();
        true
    }
}

/// What `full` says: no room, unless something is wrong.
#[cold]
#[inline(never)]
fn full(error: ClaimError) -> bool {
    match error {
        ClaimError::Full => false,
        error => panic!("{error}"),
    }
}

#[cold]
#[inline(never)]
fn batch_full(error: BatchError) {
    match error {
        BatchError::Claim(ClaimError::Full) => {}
        error => panic!("{error}"),
    }
}
