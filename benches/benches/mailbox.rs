//! The mailbox between two threads of one process, and the copies it is made of.

mod groups;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use knit_benches::Failure;
use knit_benches::bodies::mailbox::{Mailbox, SharedMailbox};
use knit_benches::bodies::per_slot::PerSlot;
use knit_benches::bodies::set::SetOfMailboxes;
use knit_benches::lane::{self, Host, Release, Thread, Wake, Worker};
use knit_cli::floor::{Cpus, Pinned};
use knit_proto::{Layout, SLOTS, Span};
use knit_ring::{HeapMemory, SharedBytes, SharedMemory, Stamps, create_segment};
use std::hint::black_box;
use std::sync::mpsc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

criterion_group!(
    benches, ping_pong, stream, batch, contended, in_flight, loan, park, reference, copies
);
criterion_main!(benches);

const ARENA_BYTES: u32 = 4 << 20;

/// A lane whose worker is a thread on the other processor.
struct Lane {
    host: Host<HeapMemory, Thread>,
    worker: Option<JoinHandle<()>>,
    _pinned: Pinned,
}

impl Lane {
    /// Starts the worker, and checks that the lane carries what it is about to be measured with.
    fn start(stamps: Stamps, wake: Wake) -> Self {
        let cpus = Cpus::choose().expect("the kernel tells the processors");
        let fields = lane::fields(ARENA_BYTES, stamps).expect("the geometry is valid");
        let memory = HeapMemory::zeroed(Layout::new(fields).len()).expect("there is memory");
        let layout = create_segment(&memory, &fields).expect("the memory has the right length");
        let mut worker = Worker::new(&memory, &layout, wake).expect("the layout fits");
        let (ready, is_ready) = mpsc::channel();
        let worker = thread::spawn(move || {
            let _pinned = cpus.pin_there().expect("the processor is allowed");
            ready.send(()).expect("the bench waits");
            worker.serve().expect("the host keeps to the protocol");
        });
        is_ready.recv().expect("the worker starts");
        let pinned = cpus.pin_here().expect("the processor is allowed");
        let host = Host::new(&memory, &layout, wake, Thread).expect("the layout fits");
        let mut lane = Self { host, worker: Some(worker), _pinned: pinned };
        lane.check();
        lane
    }

    fn check(&mut self) {
        for bytes in [0, 1, 64, 512, 513, 100_000] {
            let payload: Vec<u8> = (0..bytes).map(|at| (at % 251) as u8).collect();
            let mut answer = vec![0; payload.len()];
            self.host.call(&payload, &mut answer).expect("the worker answers");
            assert_eq!(answer, payload);
        }
        for (batch, release) in [(1, Release::Each), (8, Release::EveryEighth), (32, Release::Each)]
        {
            self.host.stream(1000, batch, release).expect("the worker counts");
        }
        self.host.in_flight(1000, SLOTS).expect("the worker answers");
        for bytes in [64, 100_000] {
            self.host.call_loaned(bytes, true).expect("the worker answers");
            self.host.call_loaned(bytes, false).expect("the worker answers");
        }
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        self.host.stop().expect("the worker listens");
        let worker = self.worker.take().expect("joined once");
        worker.join().expect("the worker ends");
    }
}

fn ping_pong(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("mailbox/ping_pong");
    for (name, stamps) in [("stamps", Stamps::On), ("toggle", Stamps::Off)] {
        let mut lane = Lane::start(stamps, Wake::Never);
        for bytes in [0_usize, 64, 512, 4 << 10, 64 << 10, 1 << 20] {
            let payload = vec![7; bytes];
            let mut answer = payload.clone();
            group.bench_function(BenchmarkId::new(name, bytes), |bencher| {
                bencher.iter_custom(|rounds| {
                    timed_each(rounds, || lane.host.call(&payload, &mut answer))
                });
            });
        }
    }
    group.finish();
}

fn stream(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("mailbox/stream");
    group.throughput(Throughput::Elements(1));
    for (name, stamps) in [("stamps", Stamps::On), ("toggle", Stamps::Off)] {
        let mut lane = Lane::start(stamps, Wake::Never);
        for (slug, release) in
            [("release_each", Release::Each), ("release_8", Release::EveryEighth)]
        {
            bench_stream(&mut group, BenchmarkId::new(name, slug), &mut lane, 1, release);
        }
    }
    group.finish();
}

fn batch(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("mailbox/batch");
    group.throughput(Throughput::Elements(1));
    let mut lane = Lane::start(Stamps::On, Wake::Never);
    for batch in [1, 2, 4, 8, 16, 32] {
        let id = BenchmarkId::new("stamps", batch);
        bench_stream(&mut group, id, &mut lane, batch, Release::EveryEighth);
    }
    group.finish();
}

/// Time per message; the answer at the end of each series is part of it.
fn bench_stream(
    group: &mut criterion::BenchmarkGroup<'_, criterion::measurement::WallTime>,
    id: BenchmarkId,
    lane: &mut Lane,
    batch: u32,
    release: Release,
) {
    group.bench_function(id, |bencher| {
        bencher.iter_custom(|messages| {
            timed(messages, |now| {
                lane.host.stream(now, batch, release).expect("the worker counts");
            })
        });
    });
}

/// Several senders of one mailbox, and of one mailbox each, beside a mailbox with one sender.
fn contended(criterion: &mut Criterion) {
    let (group, cpus) = ("mailbox/contended", &Cpus::choose().expect("the kernel tells them"));
    groups::contended(criterion, group, cpus, &Mailbox { release_every: 8 });
    groups::contended(criterion, group, cpus, &SharedMailbox);
    groups::contended(criterion, group, cpus, &SetOfMailboxes);
}

/// Time per call, with more and more calls on their way.
fn in_flight(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("mailbox/in_flight");
    group.throughput(Throughput::Elements(1));
    let mut lane = Lane::start(Stamps::On, Wake::Never);
    for window in [1, 2, 4, 8, 16, SLOTS] {
        group.bench_function(BenchmarkId::new("stamps", window), |bencher| {
            bencher.iter_custom(|calls| {
                timed(calls, |now| lane.host.in_flight(now, window).expect("the worker answers"))
            });
        });
    }
    group.finish();
}

/// Payloads there and back, copied four times or not at all; of a loaned one its first bytes are
/// written and read on both sides, or not even they.
fn loan(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("mailbox/loan");
    let mut lane = Lane::start(Stamps::On, Wake::Never);
    for bytes in [4_u32 << 10, 64 << 10, 1 << 20] {
        let payload = vec![7; bytes as usize];
        let mut answer = payload.clone();
        group.bench_function(BenchmarkId::new("copied", bytes), |bencher| {
            bencher.iter_custom(|rounds| {
                let call = || lane.host.call(&payload, &mut answer);
                timed_each(rounds, call)
            });
        });
        for (name, read) in [("loaned", true), ("loaned_unread", false)] {
            group.bench_function(BenchmarkId::new(name, bytes), |bencher| {
                bencher.iter_custom(|rounds| {
                    timed_each(rounds, || lane.host.call_loaned(bytes, read))
                });
            });
        }
    }
    group.finish();
}

/// A call whose two sides spin, beside one whose two sides sleep.
fn park(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("mailbox/park");
    for (name, wake) in
        [("spin", Wake::Never), ("spin_and_look", Wake::Checked), ("park", Wake::Parked)]
    {
        let mut lane = Lane::start(Stamps::On, wake);
        group.bench_function(BenchmarkId::new(name, 0), |bencher| {
            bencher.iter_custom(|rounds| timed_each(rounds, || lane.host.call(&[], &mut [])));
        });
    }
    group.finish();
}

/// The mailbox as a plain queue, beside a ring that is written by hand.
fn reference(criterion: &mut Criterion) {
    let cpus = &Cpus::choose().expect("the kernel tells the processors");
    for release_every in [1, 8] {
        let mailbox = Mailbox { release_every };
        groups::ping_pong(criterion, "reference/ping_pong", cpus, &mailbox);
        groups::stream(criterion, "reference/stream", cpus, &mailbox);
        groups::batch(criterion, "reference/batch", cpus, &mailbox);
    }
    for per_slot in PerSlot::ALL {
        groups::ping_pong(criterion, "reference/ping_pong", cpus, &per_slot);
        groups::stream(criterion, "reference/stream", cpus, &per_slot);
    }
    groups::echo(criterion, "mailbox/echo", cpus, &Mailbox { release_every: 1 });
    groups::one_way(criterion, "mailbox/one_way", cpus, &Mailbox { release_every: 1 });
}

/// How long `count` calls take, in series as long as a `u32` can count.
fn timed(count: u64, mut series: impl FnMut(u32)) -> Duration {
    let mut rest = count;
    let start = Instant::now();
    while rest > 0 {
        let now = u32::try_from(rest).unwrap_or(u32::MAX);
        series(now);
        rest -= u64::from(now);
    }
    start.elapsed()
}

fn timed_each(rounds: u64, mut call: impl FnMut() -> Result<(), Failure>) -> Duration {
    let start = Instant::now();
    for _ in 0..rounds {
        call().expect("the worker answers");
    }
    start.elapsed()
}

fn copies(criterion: &mut Criterion) {
    const LARGEST: u32 = 1 << 20;
    let memory = HeapMemory::zeroed(LARGEST).expect("there is memory");
    let shared = memory.bytes(Span::new(0, LARGEST).expect("whole words")).expect("all of it");
    let sizes = [64, 128, 256, 512, 1 << 10, 4 << 10, 16 << 10, 64 << 10, 256 << 10, LARGEST];

    let pattern: Vec<u8> = (0..LARGEST).map(|at| (at % 251) as u8).collect();
    let mut group = criterion.benchmark_group("copy/deposit");
    for bytes in sizes {
        let private = &pattern[..bytes as usize];
        let mut back = vec![0; private.len()];
        shared.deposit(0, private).expect("it fits");
        shared.snapshot(0, &mut back).expect("it fits");
        assert_eq!(back, private, "what was deposited is there");
        group.throughput(Throughput::Bytes(bytes.into()));
        group.bench_function(BenchmarkId::new("heap", bytes), |bencher| {
            bencher.iter(|| shared.deposit(0, black_box(private)).expect("it fits"));
        });
    }
    group.finish();

    shared.deposit(0, &pattern).expect("it fits");

    let mut group = criterion.benchmark_group("copy/snapshot");
    for bytes in sizes {
        let mut private = vec![0; bytes as usize];
        shared.snapshot(0, &mut private).expect("it fits");
        assert_eq!(private, pattern[..private.len()], "what is there is read");
        group.throughput(Throughput::Bytes(bytes.into()));
        group.bench_function(BenchmarkId::new("heap", bytes), |bencher| {
            bencher.iter(|| shared.snapshot(0, black_box(&mut private)).expect("it fits"));
        });
    }
    group.finish();
}
