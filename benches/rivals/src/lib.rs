//! Queues and rings of other crates, as the bodies of `knit-benches` want them: [`numbers`] through
//! a queue, [`payloads`] to and fro. Formats of other crates beside the codec: those of serde in
//! [`formats`], `rkyv` in [`archives`].
//!
//! Each queue is used the way its documentation says is fastest between two threads: its own batches where it
//! has some, its polling interface, room for as many messages as a mailbox has slots and, where the
//! room matters, also for [`LARGE`]. What each one cannot do it says by `None`.

pub mod archives;
pub mod formats;
pub mod numbers;
pub mod payloads;
mod ringfire_file;

/// Room of the larger queues, in messages.
pub const LARGE: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use knit_benches::bodies::{SLOTS, carrier, queue};
    use knit_cli::floor::Cpus;
    use std::sync::{Mutex, PoisonError};

    /// One test at a time: all spin on the same two processors.
    static TURN: Mutex<()> = Mutex::new(());

    fn cpus() -> Cpus {
        Cpus::choose().expect("the kernel tells the processors")
    }

    #[test]
    fn every_queue_carries_numbers() {
        let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let cpus = cpus();
        for capacity in [SLOTS, LARGE] {
            queue::check(&cpus, &numbers::Rtrb { capacity });
            queue::check(&cpus, &numbers::Ringbuf { capacity });
            queue::check(&cpus, &numbers::ArrayQueue { capacity });
            queue::check(&cpus, &numbers::Channel { capacity });
            queue::check(&cpus, &numbers::Disruptor { capacity });
            queue::check(&cpus, &numbers::SharedDisruptor { capacity });
            queue::check(&cpus, &numbers::Ringfire { capacity });
        }
        queue::check(&cpus, &numbers::BlockingChannel);
    }

    #[test]
    fn every_carrier_carries_payloads() {
        let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let cpus = cpus();
        carrier::check(&cpus, &payloads::Rtrb);
        carrier::check(&cpus, &payloads::Ringbuf);
        carrier::check(&cpus, &payloads::ArrayQueue);
        carrier::check(&cpus, &payloads::Channel);
        carrier::check(&cpus, &payloads::Disruptor);
        carrier::check(&cpus, &payloads::Ringfire::<64>);
        carrier::check(&cpus, &payloads::Ringfire::<512>);
        carrier::check(&cpus, &payloads::Ringfire::<4096>);
    }
}
