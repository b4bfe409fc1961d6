//! Rings of `ringfire` live in files.

use ringfire::{
    CleanupMode, FlowControl, RingConsumer, RingConsumerBuilder, RingProducer, RingProducerBuilder,
};
use std::process;
use std::sync::atomic::{AtomicU32, Ordering};

static COUNT: AtomicU32 = AtomicU32::new(0);

/// A new ring with room for `capacity` items, in which nothing is overwritten before it was read. Its
/// file goes with the sending end.
pub fn ring<T: Copy + 'static>(capacity: usize) -> (RingProducer<T>, RingConsumer<T>) {
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    let path = format!("/dev/shm/knit-rivals-{}-{number}", process::id());
    let producer = RingProducerBuilder::new(capacity as u64)
        .flow_control(FlowControl::LosslessBackpressure)
        .cleanup_mode(CleanupMode::UnlinkOnDrop)
        .build(&path)
        .expect("there is room in /dev/shm");
    let consumer = RingConsumerBuilder::new().start_from_head().attach(&path);
    (producer, consumer.expect("the ring was just made"))
}
