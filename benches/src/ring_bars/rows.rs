//! Every bar, and some figures to read beside them.

use super::{Bar, Measured, Reference, Row, Unit};
use crate::Failure;
use crate::bodies::mailbox::{Mailbox, SharedMailbox};
use crate::bodies::per_slot::PerSlot;
use crate::bodies::queue::{self, Queue};
use crate::bodies::set::SetOfMailboxes;
use crate::cases::mailbox;
use crate::lane::Wake;
use knit_cli::floor::{Cpus, Floor, Plan};
use knit_ring::Stamps;
use std::hint::black_box;
use std::time::{Duration, Instant};

const MIB: u32 = 1 << 20;
/// Messages of the first, short run of a stream, which tells how many fit the time.
const FIRST_MESSAGES: u64 = 20_000;

/// The receiver releases each message by a store of its own.
const EACH: Mailbox = Mailbox { release_every: 1 };
/// It releases eight by one store.
const EIGHT: Mailbox = Mailbox { release_every: 8 };

/// The bars, in the order of the report.
#[must_use]
pub fn all() -> Vec<Row> {
    let per_slot = || Reference::Other("per-slot ring", fastest(&PerSlot::ALL));
    let one_sender = || Reference::Other("one sender", one_way(EACH, 1));
    let copies = Floor::Copy { bytes: MIB };
    let header = || call(0, Wake::Never);
    let beside_header = || Reference::Other("call/header", header());
    vec![
        time("limit/two_lines", floor(Floor::TwoLines), Reference::PingPong, Bar::None),
        time("limit/rotating_lines", floor(Floor::RotatingLines), Reference::PingPong, Bar::None),
        time("call/header", header(), Reference::PingPong, Bar::AtMost(1.6)),
        time("call/64B", call(64, Wake::Never), Reference::PingPong, Bar::AtMost(2.2)),
        rate("stream", one_way(EACH, 1), per_slot(), Bar::AtLeast(0.75)),
        rate("stream/release_8", one_way(EIGHT, 1), per_slot(), Bar::AtLeast(0.75)),
        rate("stream/batch_8", one_way(EIGHT, 8), per_slot(), Bar::AtLeast(1.0)),
        rate("stream/batch_16", one_way(EIGHT, 16), per_slot(), Bar::AtLeast(1.0)),
        rate("mpsc/1_sender", one_way(SharedMailbox, 1), one_sender(), Bar::AtLeast(0.6)),
        rate("mpsc/2_senders", senders(SharedMailbox, 1), Reference::Nothing, Bar::Millions(60.0)),
        rate(
            "mpsc/2_senders/batch_8",
            senders(SharedMailbox, 8),
            Reference::Nothing,
            Bar::Millions(60.0),
        ),
        rate("mpsc/2_lanes", senders(SetOfMailboxes, 1), one_sender(), Bar::AtLeast(0.6)),
        rate("call/32_in_flight", in_flight(), Reference::PingPong, Bar::AtLeast(2.0)),
        time(
            "call/parked",
            call(0, Wake::Parked),
            Reference::Other("bare futex", floor(Floor::Futex)),
            Bar::AtMost(1.1),
        ),
        time(
            "call/1MiB/copied",
            call(MIB, Wake::Never),
            Reference::Other("its copies", floor(copies)),
            Bar::AtMost(1.1),
        ),
        time(
            "limit/copies/1MiB",
            floor(copies),
            Reference::Other("4 memcpys, 1 core", memcpys(MIB)),
            Bar::None,
        ),
        time("call/1MiB/loaned", loaned(true), beside_header(), Bar::AtMost(1.3)),
        time("call/1MiB/loaned_unread", loaned(false), beside_header(), Bar::AtMost(1.3)),
        time(
            "call/64B/hostile_safe",
            call(64, Wake::Never),
            Reference::Other("cooperative", cooperative(64)),
            Bar::AtMost(1.1),
        ),
        time(
            "call/4KiB/hostile_safe",
            call(4096, Wake::Never),
            Reference::Other("cooperative", cooperative(4096)),
            Bar::AtMost(1.15),
        ),
    ]
}

fn time(name: &'static str, figure: Measured, reference: Reference, bar: Bar) -> Row {
    Row { name, figure, reference, bar, unit: Unit::Time }
}

fn rate(name: &'static str, figure: Measured, reference: Reference, bar: Bar) -> Row {
    Row { name, figure, reference, bar, unit: Unit::Rate }
}

/// A limit of the machine, between two processes.
fn floor(floor: Floor) -> Measured {
    Measured::new(move |plan| Ok(floor.measure(plan)?.percentile(50.0)))
}

/// Calls between two processes.
fn call(bytes: u32, wake: Wake) -> Measured {
    Measured::new(move |plan| Ok(mailbox::call(plan, bytes, Stamps::On, wake)?.percentile(50.0)))
}

fn cooperative(bytes: u32) -> Measured {
    Measured::new(move |plan| Ok(mailbox::call_cooperative(plan, bytes)?.percentile(50.0)))
}

fn loaned(read: bool) -> Measured {
    Measured::new(move |plan| Ok(mailbox::loaned(plan, MIB, read)?.percentile(50.0)))
}

fn in_flight() -> Measured {
    Measured::new(|plan| Ok(mailbox::in_flight(plan)?.percentile(50.0)))
}

/// Numbers one way between two threads, `batch` at a time.
fn one_way<Q: Queue + 'static>(queue: Q, batch: u64) -> Measured {
    Measured::new(move |plan| {
        queue::check(&plan.cpus, &queue);
        let (mut senders, mut receiver) = start(&queue, 1)?;
        Ok(per_message(plan, |cpus, messages| {
            queue::stream(cpus, &mut senders[0], &mut receiver, messages, batch)
        }))
    })
}

/// The fastest of some queues, with numbers one way between two threads: the reference is not to be
/// slow because of a detail.
fn fastest<Q: Queue + Copy + 'static>(queues: &'static [Q]) -> Measured {
    Measured::new(move |plan| {
        let plan = Plan { budget: plan.budget / 2, ..*plan };
        let times = queues.iter().map(|queue| one_way(*queue, 1).measure(&plan));
        times.reduce(|one, other| Ok(one?.min(other?))).ok_or("no queue")?
    })
}

/// Numbers from two threads that share a processor to one, `batch` at a time.
fn senders<Q: Queue + 'static>(queue: Q, batch: u64) -> Measured {
    Measured::new(move |plan| {
        queue::check(&plan.cpus, &queue);
        let (mut senders, mut receiver) = start(&queue, 2)?;
        let order = queue.keeps_order();
        let time = per_message(plan, |cpus, messages| {
            queue::contended(cpus, &mut senders, &mut receiver, messages, batch, order)
        });
        Ok(time / 2.0)
    })
}

fn start<Q: Queue>(queue: &Q, senders: usize) -> Result<(Vec<Q::Sender>, Q::Receiver), Failure> {
    let ends = queue.start(senders);
    ends.ok_or_else(|| format!("{} cannot have {senders} senders", queue.name()).into())
}

/// Nanoseconds for a message, in a run that takes about the time of the plan.
fn per_message(plan: &Plan, mut run: impl FnMut(&Cpus, u64) -> Duration) -> f64 {
    let nanoseconds = |time: Duration, messages: u64| time.as_secs_f64() * 1e9 / messages as f64;
    let first = nanoseconds(run(&plan.cpus, FIRST_MESSAGES), FIRST_MESSAGES);
    // A float that is too large saturates.
    let messages = (plan.budget.as_secs_f64() * 1e9 / first.max(0.1)) as u64;
    let messages = messages.max(FIRST_MESSAGES);
    nanoseconds(run(&plan.cpus, messages), messages)
}

/// Four copies of so many bytes on one processor, between buffers that stay where they are: what the
/// copies of a round trip cost where no line has to cross.
fn memcpys(bytes: u32) -> Measured {
    Measured::new(move |plan| {
        let pinned = plan.cpus.pin_here()?;
        let mut buffers = [1_u8, 2, 3, 4].map(|fill| vec![fill; bytes as usize]);
        let mut times = Vec::new();
        let end = Instant::now() + plan.budget;
        while times.is_empty() || Instant::now() < end {
            let start = Instant::now();
            for at in 0..4 {
                let [from, into] =
                    buffers.get_disjoint_mut([at, (at + 1) % 4]).expect("two of the four");
                black_box(&mut **into).copy_from_slice(black_box(&**from));
            }
            times.push(start.elapsed().as_secs_f64() * 1e9);
        }
        drop(pinned);
        Ok(super::run::median(&mut times))
    })
}
