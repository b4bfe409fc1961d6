//! The mailbox and the arena between two processes, without anything above them.

use crate::Failure;
use crate::case::Case;
use crate::cooperative;
use crate::lane::{self, Host, Release, Wake, Worker};
use knit_cli::floor::{Peer, Plan, Role, Sample, enter, leave, shared_memory};
use knit_proto::Layout;
use knit_ring::{
    Doorbell, FutexBell, Mapped, Mapping, SharedMemory, SharedWordRmw, Stamps, attach_segment,
    create_segment,
};

/// Environment variable that names the part of the second process.
const VARIABLE: &str = "KNIT_BENCH_PEER";
const ANSWER: Role = Role { variable: VARIABLE, name: "answer" };
const ANSWER_AND_WAKE: Role = Role { variable: VARIABLE, name: "answer_and_wake" };
const ANSWER_AND_SLEEP: Role = Role { variable: VARIABLE, name: "answer_and_sleep" };
const ANSWER_AND_TRUST: Role = Role { variable: VARIABLE, name: "answer_and_trust" };

/// Arenas of the cases that do not use them.
const SMALL_ARENA: u32 = 64 << 10;

/// Messages of a stream between two readings of the clock: the answer at the end must not count.
const STREAM_STRETCH: u32 = 20_000;

/// A call without payload, both sides spinning: the case that has a bar.
pub const HEADER: &str = "mailbox/call/header";

/// Calls in flight at a time, where there are many.
const IN_FLIGHT: u32 = 32;
/// Calls of a series with many in flight, between two readings of the clock: its begin and its end,
/// when there are fewer, must not count.
const IN_FLIGHT_STRETCH: u32 = 4096;

pub(super) fn cases() -> Vec<Case> {
    let calls = [
        (HEADER, 0, Stamps::On, Wake::Never),
        ("mailbox/call/header/wake_checked", 0, Stamps::On, Wake::Checked),
        ("mailbox/call/header/unstamped", 0, Stamps::Off, Wake::Never),
        ("mailbox/call/64B", 64, Stamps::On, Wake::Never),
        ("mailbox/call/64B/unstamped", 64, Stamps::Off, Wake::Never),
        ("mailbox/call/512B", 512, Stamps::On, Wake::Never),
    ]
    .map(|(name, bytes, stamps, wake)| {
        Case::round_trip(name, bytes, move |plan| call(plan, bytes, stamps, wake))
    });
    let arenas = [4 << 10, 64 << 10, 1 << 20].map(|bytes| {
        Case::round_trip(format!("mailbox/call/{}", size(bytes)), bytes, move |plan| {
            call(plan, bytes, Stamps::On, Wake::Never)
        })
    });
    let streams = [
        ("mailbox/stream", 1, Stamps::On),
        ("mailbox/stream/batch_8", 8, Stamps::On),
        ("mailbox/stream/unstamped", 1, Stamps::Off),
        ("mailbox/stream/batch_8/unstamped", 8, Stamps::Off),
    ]
    .map(|(name, batch, stamps)| Case::stream(name, move |plan| stream(plan, batch, stamps)));
    let others = [
        Case::round_trip("mailbox/call/1MiB/loaned", 1 << 20, |plan| loaned(plan, 1 << 20, true)),
        Case::round_trip("mailbox/call/64B/cooperative", 64, |plan| call_cooperative(plan, 64)),
        Case::calls("mailbox/32_in_flight/header", in_flight),
        Case::round_trip("mailbox/call/header/parked", 0, |plan| {
            call(plan, 0, Stamps::On, Wake::Parked)
        }),
    ];
    calls.into_iter().chain(arenas).chain(streams).chain(others).collect()
}

/// Call round trips: header-only for no bytes, inline up to 512 bytes, else through the arenas.
pub(crate) fn call(plan: &Plan, bytes: u32, stamps: Stamps, wake: Wake) -> Result<Sample, Failure> {
    let pinned = plan.cpus.pin_here()?;
    let sample = calls(plan, bytes, start(plan, bytes, stamps, wake)?);
    drop(pinned);
    sample
}

/// [`call`] between processes that trust each other: the payload is copied as private memory is.
pub(crate) fn call_cooperative(plan: &Plan, bytes: u32) -> Result<Sample, Failure> {
    let pinned = plan.cpus.pin_here()?;
    let (memory, layout, peer) = segment(plan, bytes, Stamps::On, ANSWER_AND_TRUST)?;
    let sample = calls(plan, bytes, cooperative::host(memory, &layout, peer)?);
    drop(pinned);
    sample
}

fn calls<M>(plan: &Plan, bytes: u32, mut host: Host<M, Peer>) -> Result<Sample, Failure>
where
    M: SharedMemory<Word: SharedWordRmw>,
    FutexBell: Doorbell<M::Word>,
{
    let payload: Vec<u8> = (0..bytes).map(|at| (at % 251) as u8).collect();
    let mut answer = vec![0; payload.len()];
    host.call(&payload, &mut answer)?;
    if answer != payload {
        return Err("the answer holds other bytes than the call".into());
    }
    Sample::collect(plan, |rounds| {
        for _ in 0..rounds {
            host.call(&payload, &mut answer)?;
        }
        Ok::<_, Failure>(())
    })
}

/// Messages one way, `batch` of them published at a time, with one answer at the end of a stretch.
fn stream(plan: &Plan, batch: u32, stamps: Stamps) -> Result<Sample, Failure> {
    let pinned = plan.cpus.pin_here()?;
    let mut host = start(plan, 0, stamps, Wake::Never)?;
    let release = if batch == 1 { Release::Each } else { Release::EveryEighth };
    let plan =
        Plan { stretch: Some(STREAM_STRETCH), rounds: plan.rounds.saturating_mul(10), ..*plan };
    let sample = Sample::collect(&plan, |messages| host.stream(messages, batch, release));
    drop(pinned);
    sample
}

/// Round trips of payloads that are not copied; if they are to be `read`, the first bytes of them are
/// written and read where they lie.
pub(crate) fn loaned(plan: &Plan, bytes: u32, read: bool) -> Result<Sample, Failure> {
    let pinned = plan.cpus.pin_here()?;
    let mut host = start(plan, bytes, Stamps::On, Wake::Never)?;
    let sample =
        Sample::collect(plan, |rounds| (0..rounds).try_for_each(|_| host.call_loaned(bytes, read)));
    drop(pinned);
    sample
}

/// Header-only calls, many of them in flight.
pub(crate) fn in_flight(plan: &Plan) -> Result<Sample, Failure> {
    let pinned = plan.cpus.pin_here()?;
    let mut host = start(plan, 0, Stamps::On, Wake::Never)?;
    let rounds = plan.rounds.saturating_mul(10);
    let plan = Plan { stretch: Some(IN_FLIGHT_STRETCH), rounds, ..*plan };
    let sample = Sample::collect(&plan, |calls| host.in_flight(calls, IN_FLIGHT));
    drop(pinned);
    sample
}

fn start(
    plan: &Plan,
    bytes: u32,
    stamps: Stamps,
    wake: Wake,
) -> Result<Host<Mapped<Mapping>, Peer>, Failure> {
    let role = match wake {
        Wake::Never => ANSWER,
        Wake::Checked => ANSWER_AND_WAKE,
        Wake::Parked => ANSWER_AND_SLEEP,
    };
    let (memory, layout, peer) = segment(plan, bytes, stamps, role)?;
    Host::new(&memory, &layout, wake, peer)
}

/// A new segment for payloads of `bytes` bytes, and a peer that has it.
fn segment(
    plan: &Plan,
    bytes: u32,
    stamps: Stamps,
    role: Role,
) -> Result<(Mapped<Mapping>, Layout, Peer), Failure> {
    // Room for two payloads: the peer frees a block after it has begun to answer.
    let arena = SMALL_ARENA.max(2 * bytes + 4096);
    let fields = lane::fields(arena, stamps)?;
    let memory = Mapping::create(Layout::new(fields).len())?;
    let layout = create_segment(&memory, &fields)?;
    let peer = Peer::start_with_memory(role, &memory, &plan.cpus)?;
    Ok((memory, layout, peer))
}

/// Plays the worker when this process was started for that.
pub(super) fn serve_if_peer() {
    let Some(name) = enter(VARIABLE) else { return };
    leave(match name.as_str() {
        "answer" => serve(Wake::Never),
        "answer_and_wake" => serve(Wake::Checked),
        "answer_and_sleep" => serve(Wake::Parked),
        "answer_and_trust" => serve_cooperative(),
        _ => Err(format!("{name:?} is no part that a second process can play").into()),
    });
}

fn serve(wake: Wake) -> Result<(), Failure> {
    let memory = shared_memory()?;
    let layout = attach_segment(&memory)?;
    Worker::new(&memory, &layout, wake)?.serve()
}

fn serve_cooperative() -> Result<(), Failure> {
    let memory = shared_memory()?;
    let layout = attach_segment(&memory)?;
    cooperative::worker(memory, &layout)?.serve()
}

/// A number of bytes in words: a whole number of KiB or MiB where it is one.
pub(super) fn size(bytes: u32) -> String {
    const KIB: u32 = 1 << 10;
    const MIB: u32 = 1 << 20;
    match bytes {
        0 => "0B".into(),
        bytes if bytes.is_multiple_of(MIB) => format!("{}MiB", bytes / MIB),
        bytes if bytes.is_multiple_of(KIB) => format!("{}KiB", bytes / KIB),
        bytes => format!("{bytes}B"),
    }
}
