//! Criterion groups over the shared bodies: one call measures one implementation. The bench `rivals`
//! of the package of that name uses this file too.

use criterion::{BenchmarkId, Criterion, Throughput};
use knit_benches::bodies::carrier::{self, SIZES};
use knit_benches::bodies::queue::{self, Queue};
use knit_benches::bodies::{Carrier, together};
use knit_cli::floor::Cpus;

/// Batch sizes that are measured.
pub const BATCHES: [u64; 6] = [1, 2, 4, 8, 16, 32];

/// Bytes of a number.
const NUMBER: usize = 8;

/// A number there and back; both sides wait as the implementation does.
pub fn ping_pong<Q: Queue>(criterion: &mut Criterion, group: &str, cpus: &Cpus, queue: &Q) {
    queue::check(cpus, queue);
    let (mut here, mut there) = queue::duplex(queue);
    let mut group = criterion.benchmark_group(group);
    group.bench_function(BenchmarkId::new(queue.name(), NUMBER), |bencher| {
        bencher.iter_custom(|rounds| queue::ping_pong(cpus, &mut here, &mut there, rounds));
    });
}

/// Numbers one way, one at a time.
pub fn stream<Q: Queue>(criterion: &mut Criterion, group: &str, cpus: &Cpus, queue: &Q) {
    batches(criterion, group, cpus, queue, &[1], |_| NUMBER as u64);
}

/// Numbers one way, in batches of all sizes.
pub fn batch<Q: Queue>(criterion: &mut Criterion, group: &str, cpus: &Cpus, queue: &Q) {
    batches(criterion, group, cpus, queue, &BATCHES, |batch| batch);
}

fn batches<Q: Queue>(
    criterion: &mut Criterion,
    group: &str,
    cpus: &Cpus,
    queue: &Q,
    batches: &[u64],
    parameter: impl Fn(u64) -> u64,
) {
    queue::check(cpus, queue);
    let (mut senders, mut receiver) = queue.start(1).expect("every queue has one sender");
    let mut group = criterion.benchmark_group(group);
    group.throughput(Throughput::Elements(1));
    for &batch in batches {
        group.bench_function(BenchmarkId::new(queue.name(), parameter(batch)), |bencher| {
            bencher.iter_custom(|messages| {
                queue::stream(cpus, &mut senders[0], &mut receiver, messages, batch)
            });
        });
    }
}

/// Numbers from one sender, then from two that share a processor, to one receiver.
pub fn contended<Q: Queue>(criterion: &mut Criterion, group: &str, cpus: &Cpus, queue: &Q) {
    queue::check(cpus, queue);
    let mut group = criterion.benchmark_group(group);
    group.throughput(Throughput::Elements(1));
    for count in [1, 2] {
        let Some((mut senders, mut receiver)) = queue.start(count) else { continue };
        group.bench_function(BenchmarkId::new(queue.name(), count), |bencher| {
            bencher.iter_custom(|messages| {
                // As many of each sender, so that it can be one or two more than asked for.
                let each = messages.div_ceil(count as u64);
                let time = queue::contended(
                    cpus,
                    &mut senders,
                    &mut receiver,
                    each,
                    1,
                    queue.keeps_order(),
                );
                together::scaled(time, messages, each * count as u64)
            });
        });
    }
}

/// Payloads of all sizes there and back: four copies.
pub fn echo<C: Carrier>(criterion: &mut Criterion, group: &str, cpus: &Cpus, carrier: &C) {
    payloads(criterion, group, carrier, cpus, 2, carrier::echo);
}

/// Payloads of all sizes one way: two copies.
pub fn one_way<C: Carrier>(criterion: &mut Criterion, group: &str, cpus: &Cpus, carrier: &C) {
    payloads(criterion, group, carrier, cpus, 1, carrier::one_way);
}

fn payloads<C: Carrier>(
    criterion: &mut Criterion,
    group: &str,
    carrier: &C,
    cpus: &Cpus,
    crossings: u64,
    body: impl Fn(&Cpus, &mut C::End, &mut C::End, usize, u64) -> std::time::Duration,
) {
    carrier::check(cpus, carrier);
    let mut group = criterion.benchmark_group(group);
    for bytes in SIZES {
        let Some((mut here, mut there)) = carrier.pair(bytes) else { continue };
        if bytes > 0 {
            group.throughput(Throughput::Bytes(crossings * bytes as u64));
        }
        group.bench_function(BenchmarkId::new(carrier.name(), bytes), |bencher| {
            bencher.iter_custom(|rounds| body(cpus, &mut here, &mut there, bytes, rounds));
        });
    }
}
