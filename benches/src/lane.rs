//! A lane to measure: a host that asks and a worker that answers, over any shared memory.
//!
//! Both ends do what a lane cannot do without: they parse every header, check every call id, copy
//! every payload into private memory and back. Task lookup, codec and the call table are above this.

use crate::Failure;
use knit_cli::floor::{Patience, Peer};
use knit_proto::{
    ARENA_DATA_AT, CreatorId, Direction, ExtensionBytes, Features, Geometry, HeaderFields,
    INLINE_BYTES, LaneKind, Layout, MAX_ABORT_CAPACITY, PayloadPlace, SlotHeader, SlotIndex,
    SlotRules, Tag, Version, Word0,
};
use knit_ring::{
    ArenaReceiver, ArenaSender, BatchError, ClaimError, Notifier, Receiver, Sender, SharedMemory,
    Stamps,
};

/// What the worker does with a call: its function index.
mod function {
    /// Answers with the payload.
    pub const ECHO: u16 = 0;
    /// Counts it and releases its slot at once.
    pub const SINK: u16 = 1;
    /// Counts it and releases slots eight at a time.
    pub const SINK_EIGHT: u16 = 2;
    /// Answers with the number of counted calls since the last such question.
    pub const COUNT: u16 = 3;
    /// Ends the worker.
    pub const STOP: u16 = 4;
}

/// Whether an end looks, after each publish, if the other one is parked. Here it never is: this is
/// the price of the look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wake {
    /// No look.
    Never,
    /// A look after each publish.
    Checked,
}

/// When the worker releases the slots of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Release {
    /// Each by a store of its own.
    Each,
    /// Eight by one store.
    EveryEighth,
}

/// What the header of a lane with two arenas of `arena` bytes says.
///
/// # Errors
///
/// `arena` is no length that an arena can have.
pub fn fields(arena: u32, stamps: Stamps) -> Result<HeaderFields, Failure> {
    let arena = arena.next_multiple_of(64);
    Ok(HeaderFields {
        version: Version::CURRENT,
        required: match stamps {
            Stamps::On => Features::STAMPS,
            Stamps::Off => Features::NONE,
        },
        optional: Features::NONE,
        epoch: 1,
        creator: CreatorId::default(),
        kind: LaneKind::Process,
        geometry: Geometry::new(arena, arena, 0)?,
        extension: ExtensionBytes::MIN,
        tasks: 0,
        request_reserved: arena - ARENA_DATA_AT,
        response_reserved: arena - ARENA_DATA_AT,
    })
}

/// Whoever runs the worker.
pub trait Other {
    /// Call it after a poll that found nothing.
    ///
    /// # Errors
    ///
    /// Waiting makes no sense any more.
    fn spin(&mut self, patience: &mut Patience) -> Result<(), Failure>;
}

impl Other for Peer {
    #[inline]
    fn spin(&mut self, patience: &mut Patience) -> Result<(), Failure> {
        Ok(patience.spin(self)?)
    }
}

/// A thread of this process: it ends when it is told to.
#[derive(Clone, Copy, Debug)]
pub struct Thread;

impl Other for Thread {
    #[inline]
    fn spin(&mut self, patience: &mut Patience) -> Result<(), Failure> {
        patience.spin_forever();
        Ok(())
    }
}

/// The end that asks.
#[derive(Debug)]
pub struct Host<M: SharedMemory, O> {
    requests: Sender<M>,
    responses: Receiver<M>,
    request_arena: ArenaSender<M>,
    response_arena: ArenaReceiver<M>,
    wake: Option<Notifier<M>>,
    max_payload: u32,
    call: u32,
    other: O,
}

impl<M: SharedMemory, O: Other> Host<M, O> {
    /// The host of a lane that was not used yet.
    ///
    /// # Errors
    ///
    /// The layout does not fit the memory.
    pub fn new(memory: &M, layout: &Layout, wake: Wake, other: O) -> Result<Self, Failure> {
        let stamps = stamps(layout);
        let arena = layout.arena(Direction::Request);
        let (mine, theirs) = (layout.host_control(), layout.worker_control());
        Ok(Self {
            requests: Sender::new(memory, layout.mailbox(Direction::Request), stamps)?,
            responses: Receiver::new(memory, layout.mailbox(Direction::Response), stamps)?,
            request_arena: ArenaSender::new(memory, &arena, arena.data().len())?,
            response_arena: ArenaReceiver::new(memory, &layout.arena(Direction::Response))?,
            wake: match wake {
                Wake::Never => None,
                Wake::Checked => Some(Notifier::new(memory, &mine, &theirs)?),
            },
            max_payload: arena.data().len(),
            call: 0,
            other,
        })
    }

    /// Sends `payload` and waits until it has come back into `answer`, which is as long. No payload:
    /// a scalar crosses in the header.
    ///
    /// # Errors
    ///
    /// The worker is gone, or answered something else than it was asked.
    #[inline]
    pub fn call(&mut self, payload: &[u8], answer: &mut [u8]) -> Result<(), Failure> {
        if payload.is_empty() {
            return self.call_scalar();
        }
        let len = u32::try_from(payload.len())?;
        if len <= INLINE_BYTES {
            let place = PayloadPlace::Inline { len };
            let message = self.next(function::ECHO, Tag::BYTES_INLINE, place);
            let claim = self.requests.claim()?;
            claim.deposit(payload)?;
            claim.publish(&message);
        } else {
            let reserved = self.request_arena.reserve(len)?;
            reserved.deposit(0, payload)?;
            let (block, start) = reserved.commit();
            let place = PayloadPlace::Arena { block, start, len };
            let message = self.next(function::ECHO, Tag::BYTES_ARENA, place);
            self.requests.claim()?.publish(&message);
        }
        self.wake();
        match self.answer(answer)? {
            PayloadPlace::Inline { len: found } | PayloadPlace::Arena { len: found, .. }
                if found == len =>
            {
                Ok(())
            }
            other => Err(format!("the answer to {len} bytes is {other:?}").into()),
        }
    }

    /// Sends `messages` header-only messages, `batch` of them published by one store, and waits
    /// until the worker has counted them all.
    ///
    /// # Errors
    ///
    /// The worker is gone, or counted something else.
    pub fn stream(&mut self, messages: u32, batch: u32, release: Release) -> Result<(), Failure> {
        let function = match release {
            Release::Each => function::SINK,
            Release::EveryEighth => function::SINK_EIGHT,
        };
        let mut rest = messages;
        while rest > 0 {
            let now = rest.min(batch);
            if batch == 1 {
                self.send(function)?;
            } else {
                self.send_batch(function, now)?;
            }
            rest -= now;
        }
        self.send(function::COUNT)?;
        match self.answer(&mut [])? {
            PayloadPlace::Scalar(count) if count == u64::from(messages) => Ok(()),
            other => Err(format!("the worker counted {other:?} of {messages} messages").into()),
        }
    }

    /// Ends the worker.
    ///
    /// # Errors
    ///
    /// The worker is gone.
    pub fn stop(&mut self) -> Result<(), Failure> {
        self.send(function::STOP)
    }

    #[inline]
    fn call_scalar(&mut self) -> Result<(), Failure> {
        let asked = u64::from(self.call) << 1;
        let message = self.next(function::ECHO, Tag::BIGINT_I64, PayloadPlace::Scalar(asked));
        self.requests.claim()?.publish(&message);
        self.wake();
        match self.answer(&mut [])? {
            PayloadPlace::Scalar(found) if found == asked => Ok(()),
            other => Err(format!("the answer to {asked} is {other:?}").into()),
        }
    }

    #[inline]
    fn send(&mut self, function: u16) -> Result<(), Failure> {
        let message = self.next(function, Tag::UNDEFINED, PayloadPlace::Bare);
        let mut patience = Patience::relaxed();
        loop {
            match self.requests.claim() {
                Ok(claim) => {
                    claim.publish(&message);
                    return Ok(());
                }
                Err(ClaimError::Full) => self.other.spin(&mut patience)?,
                Err(error) => return Err(error.into()),
            }
        }
    }

    #[inline]
    fn send_batch(&mut self, function: u16, messages: u32) -> Result<(), Failure> {
        let mut patience = Patience::relaxed();
        let mut rest = messages;
        while rest > 0 {
            let first = self.call;
            let mut batch = self.requests.batch();
            while batch.len() < rest {
                let message = SlotHeader {
                    word0: Word0::Call { function, abort: None },
                    call: first.wrapping_add(batch.len() + 1),
                    tag: Tag::UNDEFINED,
                    place: PayloadPlace::Bare,
                };
                match batch.add(&message, &[]) {
                    Ok(_) => {}
                    Err(BatchError::Claim(ClaimError::Full)) => break,
                    Err(error) => return Err(error.into()),
                }
            }
            let sent = batch.publish().len();
            self.call = first.wrapping_add(sent);
            rest -= sent;
            if rest > 0 {
                self.other.spin(&mut patience)?;
            }
        }
        Ok(())
    }

    #[inline]
    fn next(&mut self, function: u16, tag: Tag, place: PayloadPlace) -> SlotHeader {
        self.call = self.call.wrapping_add(1);
        SlotHeader { word0: Word0::Call { function, abort: None }, call: self.call, tag, place }
    }

    #[inline]
    fn wake(&mut self) {
        if let Some(notifier) = &mut self.wake {
            notifier.notify();
        }
    }

    /// Waits for the answer to the last call and copies its payload.
    #[inline]
    fn answer(&mut self, into: &mut [u8]) -> Result<PayloadPlace, Failure> {
        let mut patience = Patience::relaxed();
        let taken = loop {
            match self.responses.poll()? {
                Some(taken) => break taken,
                None => self.other.spin(&mut patience)?,
            }
        };
        let message = taken.header().parse(
            &SlotRules {
                direction: Direction::Response,
                arena_bytes: self.max_payload,
                max_payload: self.max_payload,
                abort_capacity: MAX_ABORT_CAPACITY,
            },
            taken.slot(),
        )?;
        if message.call != self.call {
            return Err(format!("answer to call {}, asked {}", message.call, self.call).into());
        }
        match message.place {
            PayloadPlace::Inline { len } => taken.snapshot(part(into, len)?)?,
            PayloadPlace::Arena { block, start, len } => {
                self.response_arena.snapshot(start, part(into, len)?)?;
                self.response_arena.free(block);
            }
            _ => {}
        }
        taken.release();
        Ok(message.place)
    }
}

/// The end that answers.
#[derive(Debug)]
pub struct Worker<M: SharedMemory> {
    requests: Receiver<M>,
    responses: Sender<M>,
    request_arena: ArenaReceiver<M>,
    response_arena: ArenaSender<M>,
    wake: Option<Notifier<M>>,
    max_payload: u32,
}

impl<M: SharedMemory> Worker<M> {
    /// The worker of a lane that was not used yet.
    ///
    /// # Errors
    ///
    /// The layout does not fit the memory.
    pub fn new(memory: &M, layout: &Layout, wake: Wake) -> Result<Self, Failure> {
        let stamps = stamps(layout);
        let arena = layout.arena(Direction::Response);
        let (mine, theirs) = (layout.worker_control(), layout.host_control());
        Ok(Self {
            requests: Receiver::new(memory, layout.mailbox(Direction::Request), stamps)?,
            responses: Sender::new(memory, layout.mailbox(Direction::Response), stamps)?,
            request_arena: ArenaReceiver::new(memory, &layout.arena(Direction::Request))?,
            response_arena: ArenaSender::new(memory, &arena, arena.data().len())?,
            wake: match wake {
                Wake::Never => None,
                Wake::Checked => Some(Notifier::new(memory, &mine, &theirs)?),
            },
            max_payload: arena.data().len(),
        })
    }

    /// Answers until it is told to stop.
    ///
    /// # Errors
    ///
    /// The host broke the protocol.
    pub fn serve(&mut self) -> Result<(), Failure> {
        let max = self.max_payload;
        let mut private = vec![0; max as usize];
        let mut patience = Patience::relaxed();
        let (mut expected, mut counted, mut unreleased) = (1_u32, 0_u64, 0_u32);
        loop {
            let Some(taken) = self.requests.poll()? else {
                if unreleased > 0 {
                    self.requests.release();
                    unreleased = 0;
                }
                patience.spin_forever();
                continue;
            };
            let message = taken.header().parse(
                &SlotRules {
                    direction: Direction::Request,
                    arena_bytes: max,
                    max_payload: max,
                    abort_capacity: MAX_ABORT_CAPACITY,
                },
                taken.slot(),
            )?;
            if message.call != expected {
                return Err(format!("call {}, expected {expected}", message.call).into());
            }
            expected = expected.wrapping_add(1);
            let Word0::Call { function, .. } = message.word0 else { unreachable!("a request") };
            let (tag, place) = match function {
                function::SINK => {
                    counted += 1;
                    continue;
                }
                function::SINK_EIGHT => {
                    counted += 1;
                    unreleased += 1;
                    if unreleased == 8 {
                        unreleased = 0;
                        taken.release();
                    } else {
                        taken.finish();
                    }
                    continue;
                }
                function::ECHO => match message.place {
                    PayloadPlace::Inline { len } => {
                        taken.snapshot(part(&mut private, len)?)?;
                        (message.tag, message.place)
                    }
                    PayloadPlace::Arena { block, start, len } => {
                        self.request_arena.snapshot(start, part(&mut private, len)?)?;
                        self.request_arena.free(block);
                        let place = arena(&mut self.response_arena, part(&mut private, len)?)?;
                        (message.tag, place)
                    }
                    place => (message.tag, place),
                },
                function::COUNT => {
                    let count = std::mem::take(&mut counted);
                    (Tag::BIGINT_I64, PayloadPlace::Scalar(count))
                }
                _ => return Ok(()),
            };
            let answer = SlotHeader {
                word0: Word0::Answer { rejected: false },
                call: message.call,
                tag,
                place,
            };
            let claim = self.responses.claim()?;
            if let PayloadPlace::Inline { len } = place {
                claim.deposit(part(&mut private, len)?)?;
            }
            let _: SlotIndex = claim.publish(&answer);
            if let Some(notifier) = &mut self.wake {
                notifier.notify();
            }
            // The host does not wait for the slot: it is released after the answer.
            unreleased = 0;
            taken.release();
        }
    }
}

fn arena<M: SharedMemory>(
    arena: &mut ArenaSender<M>,
    payload: &[u8],
) -> Result<PayloadPlace, Failure> {
    let len = u32::try_from(payload.len())?;
    let reserved = arena.reserve(len)?;
    reserved.deposit(0, payload)?;
    let (block, start) = reserved.commit();
    Ok(PayloadPlace::Arena { block, start, len })
}

/// The first `len` bytes of `of`.
#[inline]
fn part(of: &mut [u8], len: u32) -> Result<&mut [u8], Failure> {
    let room = of.len();
    of.get_mut(..len as usize)
        .ok_or_else(|| format!("a payload of {len} bytes where {room} were expected").into())
}

fn stamps(layout: &Layout) -> Stamps {
    if layout.fields().required.contains(Features::STAMPS) { Stamps::On } else { Stamps::Off }
}
