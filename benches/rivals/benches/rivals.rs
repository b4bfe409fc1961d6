//! The mailbox beside other queues and rings: the same bodies, one run.

#[path = "../../benches/groups/mod.rs"]
mod groups;

use criterion::{Criterion, criterion_group, criterion_main};
use knit_benches::bodies::SLOTS;
use knit_benches::bodies::mailbox::{Mailbox, SharedMailbox};
use knit_benches::bodies::parked::Parked;
use knit_benches::bodies::per_slot::PerSlot;
use knit_benches::bodies::set::SetOfMailboxes;
use knit_cli::floor::Cpus;
use knit_rivals::numbers::{
    ArrayQueue, BlockingChannel, Channel, Disruptor, Ringbuf, Ringfire, Rtrb, SharedDisruptor,
};
use knit_rivals::{LARGE, payloads};

/// Queues of boxes allocate one way: not with the slowest allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

criterion_group!(benches, ping_pong, stream, batch, contended, echo, one_way, park);
criterion_main!(benches);

const EACH: Mailbox = Mailbox { release_every: 1 };
const EIGHT: Mailbox = Mailbox { release_every: 8 };

fn cpus() -> Cpus {
    Cpus::choose().expect("the kernel tells the processors")
}

fn ping_pong(criterion: &mut Criterion) {
    let (cpus, group, capacity) = (&cpus(), "rivals/ping_pong", SLOTS);
    groups::ping_pong(criterion, group, cpus, &EACH);
    groups::ping_pong(criterion, group, cpus, &PerSlot::PLAIN);
    groups::ping_pong(criterion, group, cpus, &Rtrb { capacity });
    groups::ping_pong(criterion, group, cpus, &Ringbuf { capacity });
    groups::ping_pong(criterion, group, cpus, &Disruptor { capacity });
    groups::ping_pong(criterion, group, cpus, &Ringfire { capacity });
    groups::ping_pong(criterion, group, cpus, &ArrayQueue { capacity });
    groups::ping_pong(criterion, group, cpus, &Channel { capacity });
}

fn stream(criterion: &mut Criterion) {
    let (cpus, group) = (&cpus(), "rivals/stream");
    groups::stream(criterion, group, cpus, &EACH);
    groups::stream(criterion, group, cpus, &EIGHT);
    for per_slot in PerSlot::ALL {
        groups::stream(criterion, group, cpus, &per_slot);
    }
    for capacity in [SLOTS, LARGE] {
        groups::stream(criterion, group, cpus, &Rtrb { capacity });
        groups::stream(criterion, group, cpus, &Ringbuf { capacity });
        groups::stream(criterion, group, cpus, &Disruptor { capacity });
        groups::stream(criterion, group, cpus, &Ringfire { capacity });
        groups::stream(criterion, group, cpus, &ArrayQueue { capacity });
        groups::stream(criterion, group, cpus, &Channel { capacity });
    }
}

fn batch(criterion: &mut Criterion) {
    let (cpus, group, capacity) = (&cpus(), "rivals/batch", SLOTS);
    groups::batch(criterion, group, cpus, &EIGHT);
    groups::batch(criterion, group, cpus, &PerSlot::PLAIN);
    groups::batch(criterion, group, cpus, &Rtrb { capacity });
    groups::batch(criterion, group, cpus, &Ringbuf { capacity });
    groups::batch(criterion, group, cpus, &Disruptor { capacity });
    groups::batch(criterion, group, cpus, &Ringfire { capacity });
}

fn contended(criterion: &mut Criterion) {
    let (cpus, group) = (&cpus(), "rivals/contended");
    groups::contended(criterion, group, cpus, &SharedMailbox);
    groups::contended(criterion, group, cpus, &SetOfMailboxes);
    for capacity in [SLOTS, LARGE] {
        groups::contended(criterion, group, cpus, &ArrayQueue { capacity });
        groups::contended(criterion, group, cpus, &Channel { capacity });
        groups::contended(criterion, group, cpus, &SharedDisruptor { capacity });
    }
}

fn echo(criterion: &mut Criterion) {
    let (cpus, group) = (&cpus(), "rivals/echo");
    groups::echo(criterion, group, cpus, &EACH);
    groups::echo(criterion, group, cpus, &payloads::Rtrb);
    groups::echo(criterion, group, cpus, &payloads::Ringbuf);
    groups::echo(criterion, group, cpus, &payloads::Disruptor);
    groups::echo(criterion, group, cpus, &payloads::Ringfire::<64>);
    groups::echo(criterion, group, cpus, &payloads::Ringfire::<512>);
    groups::echo(criterion, group, cpus, &payloads::Ringfire::<4096>);
    groups::echo(criterion, group, cpus, &payloads::ArrayQueue);
    groups::echo(criterion, group, cpus, &payloads::Channel);
}

fn one_way(criterion: &mut Criterion) {
    let (cpus, group) = (&cpus(), "rivals/one_way");
    groups::one_way(criterion, group, cpus, &EACH);
    groups::one_way(criterion, group, cpus, &payloads::Rtrb);
    groups::one_way(criterion, group, cpus, &payloads::Ringbuf);
    groups::one_way(criterion, group, cpus, &payloads::Disruptor);
    groups::one_way(criterion, group, cpus, &payloads::Ringfire::<64>);
    groups::one_way(criterion, group, cpus, &payloads::Ringfire::<512>);
    groups::one_way(criterion, group, cpus, &payloads::Ringfire::<4096>);
    groups::one_way(criterion, group, cpus, &payloads::ArrayQueue);
    groups::one_way(criterion, group, cpus, &payloads::Channel);
}

/// Receivers that sleep, to be read beside `rivals/ping_pong`, where they spin.
fn park(criterion: &mut Criterion) {
    let (cpus, group) = (&cpus(), "rivals/park");
    groups::ping_pong(criterion, group, cpus, &Parked);
    groups::ping_pong(criterion, group, cpus, &BlockingChannel);
}
