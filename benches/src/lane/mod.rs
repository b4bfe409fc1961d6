//! A lane to measure: a host that asks and a worker that answers, over any shared memory.
//!
//! Both ends do what a lane cannot do without: they parse every header, check every call id, copy
//! every payload into private memory and back. Task lookup, codec and the call table are above this.

mod host;
mod wake;
mod worker;

pub use host::Host;
pub use wake::Wake;
pub use worker::Worker;

use crate::Failure;
use knit_cli::floor::{Patience, Peer};
use knit_proto::{
    ARENA_DATA_AT, CreatorId, Direction, ExtensionBytes, Features, Geometry, HeaderFields,
    LaneKind, Layout, MAX_ABORT_CAPACITY, PayloadPlace, SlotHeader, SlotRules, Version,
};
use knit_ring::{ArenaSender, SharedArenaReceiver, SharedMemory, SharedWordRmw, Stamps, Taken};

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
    /// Answers with the scalar, together with the calls that have come in the meantime.
    pub const ECHO_MANY: u16 = 5;
    /// Reads the first bytes of the payload where they lie, and answers with a payload as long.
    pub const LOAN: u16 = 6;
    /// The same without a look at the payload.
    pub const LOAN_UNREAD: u16 = 7;
}

/// Calls that are published, answered and released together when many are in flight.
const AT_ONCE: u32 = 8;

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

    /// Call it after a sleep that ended for no reason.
    ///
    /// # Errors
    ///
    /// Waiting makes no sense any more.
    fn alive(&mut self) -> Result<(), Failure>;
}

impl Other for Peer {
    #[inline]
    fn spin(&mut self, patience: &mut Patience) -> Result<(), Failure> {
        Ok(patience.spin(self)?)
    }

    fn alive(&mut self) -> Result<(), Failure> {
        Ok(Self::alive(self)?)
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

    fn alive(&mut self) -> Result<(), Failure> {
        Ok(())
    }
}

/// Copies `payload` into a block of `arena`, and says where it is.
#[inline]
fn copied<M: SharedMemory>(
    arena: &mut ArenaSender<M>,
    payload: &[u8],
) -> Result<PayloadPlace, Failure> {
    let len = u32::try_from(payload.len())?;
    let mut loan = arena.loan(len)?;
    loan.deposit(0, payload)?;
    let (block, start) = loan.commit();
    Ok(PayloadPlace::Arena { block, start, len })
}

/// Loans a block of `len` bytes, writes `number` to its start if there is one, and says where it is.
/// The rest of the block is whatever it was.
#[inline]
fn loaned<M: SharedMemory>(
    arena: &mut ArenaSender<M>,
    len: u32,
    number: Option<u64>,
) -> Result<PayloadPlace, Failure> {
    let mut loan = arena.loan(len)?;
    if let Some(number) = number {
        loan.deposit(0, &number.to_le_bytes())?;
    }
    let (block, start) = loan.commit();
    Ok(PayloadPlace::Arena { block, start, len })
}

/// The length of a loaned block and, if it is to be read, the number at its start. The block is given
/// back.
#[inline]
fn read_loan<M: SharedMemory<Word: SharedWordRmw>>(
    arena: &SharedArenaReceiver<M>,
    place: PayloadPlace,
    read: bool,
) -> Result<(u32, Option<u64>), Failure> {
    let PayloadPlace::Arena { block, start, len } = place else {
        return Err(format!("a block was loaned, {place:?} came").into());
    };
    let held = arena.hold(block, start, len)?;
    let number = if read { Some(u64::from_le_bytes(held.read(0)?)) } else { None };
    Ok((len, number))
}

/// What a message of `direction` says, after all checks.
#[inline(always)]
fn parse<M: SharedMemory>(
    taken: &Taken<'_, M>,
    direction: Direction,
    max_payload: u32,
) -> Result<SlotHeader, Failure> {
    let rules = SlotRules {
        direction,
        arena_bytes: max_payload,
        max_payload,
        abort_capacity: MAX_ABORT_CAPACITY,
    };
    Ok(taken.header().parse(&rules, taken.slot())?)
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
