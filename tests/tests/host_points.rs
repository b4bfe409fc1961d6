//! A host dies after its n-th store, for every n: its worker runs each call that was published once, and
//! takes the host for dead, not for hostile.

use knit_codec::Payload;
use knit_lanes::{HostLane, WorkerLane};
use knit_proto::{Direction, Layout, Stage, Tag};
use knit_ring::{HeapMemory, SharedMemory, SharedWord, create_segment};
use knit_tests::{CrashMemory, StopBehaviour, header_fields, until_stop};
use std::collections::BTreeSet;

const MAX: u32 = 512;
const ROUNDS: [u32; 3] = [1, 4, 3];

/// LANE-5, LANE-9, LANE-34, LANE-35.
#[test]
fn a_worker_runs_what_a_dead_host_had_published_and_once() {
    let stores = exchange(u64::MAX);
    assert!(stores > 60, "headers, payloads, toggles, stamps: {stores}");
    let runs: Vec<_> = (0..=stores).map(exchange).collect();
    assert_eq!(runs, (0..=stores).collect::<Vec<_>>(), "the host does the same every time");
}

/// Calls of a host that stops after so many stores. Returns how many there were.
fn exchange(stores: u64) -> u64 {
    let fields = header_fields(0, 32);
    let layout = Layout::new(fields);
    let memory = HeapMemory::zeroed(layout.len()).unwrap();
    create_segment(&memory, &fields).unwrap();
    let dying = CrashMemory::stopping_after(&memory, stores, StopBehaviour::Unwind);
    let stored = || dying.stores().len() as u64;
    if until_stop(|| HostLane::announce(&dying, &layout, 1).unwrap()).is_none() {
        // A worker is started later.
        WorkerLane::open(&memory, &layout, MAX, 2).unwrap_err();
        return stored();
    }
    let mut worker = WorkerLane::open(&memory, &layout, MAX, 2).unwrap();
    let host = until_stop(|| HostLane::connect(&dying, &layout, MAX).unwrap());
    let mut served = Vec::new();
    if let Some(host) = host {
        let mut host = host.expect("the worker is open");
        for round in ROUNDS {
            let alive = until_stop(|| {
                for n in 0..round {
                    host.submit(0, &payload(n)).unwrap();
                }
            });
            serve(&mut worker, &mut served);
            let alive = alive.and_then(|()| until_stop(|| while host.take().unwrap().is_some() {}));
            if alive.is_none() {
                break;
            }
        }
    }
    serve(&mut worker, &mut served);
    let publish = layout.mailbox(Direction::Request).publish().bytes();
    let published = dying.stores().iter().filter(|(at, _)| *at == publish).count();
    assert_eq!(served.len(), published, "after {stores} stores");
    assert_eq!(served.iter().collect::<BTreeSet<_>>().len(), published, "{served:?}");
    for call in served.iter().rev().take(1) {
        let word = memory.word(layout.journal().word(call % 32 * 4).unwrap()).unwrap();
        assert_eq!(word.load_relaxed(), Stage::Done.of_call(*call));
    }
    stored()
}

fn serve(worker: &mut WorkerLane<HeapMemory>, served: &mut Vec<u32>) {
    while let Some(request) = worker.take().unwrap() {
        served.push(request.call);
        worker.respond(request.call, false, &payload(request.call)).unwrap();
    }
    worker.host_state().unwrap();
}

/// A payload of another form for each number.
fn payload(number: u32) -> Payload<'static> {
    match number % 3 {
        0 => Payload::scalar(Tag::NUMBER, u64::from(number)),
        1 => Payload::bytes(Tag::BYTES_INLINE, vec![1; 10]),
        _ => Payload::bytes(Tag::BYTES_ARENA, vec![2; 20]),
    }
}
