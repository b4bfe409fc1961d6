//! Queues whose receiver sleeps: the mailbox with its doorbells.

use super::mailbox::{header, number, segment};
use super::{Queue, Receives, Sends};
use knit_proto::{ARENA_DATA_AT, Direction};
use knit_ring::{Doorbell, FutexBell, HeapMemory, Notifier, Receiver, Sender, Stamps, Waiter};
use std::time::Duration;

/// Longest sleep before another look.
const NAP: Duration = Duration::from_millis(200);
/// Naps before something was lost.
const NAPS: u32 = 50;

/// The mailbox with one sender, whose receiver never spins.
#[derive(Clone, Copy, Debug)]
pub struct Parked;

/// The sending end: it wakes the receiver.
#[derive(Debug)]
pub struct ParkedSender {
    sender: Sender<HeapMemory>,
    notifier: Notifier<HeapMemory>,
}

/// The receiving end: it sleeps.
#[derive(Debug)]
pub struct ParkedReceiver {
    receiver: Receiver<HeapMemory>,
    waiter: Waiter<HeapMemory>,
    arena_bytes: u32,
}

impl Queue for Parked {
    type Sender = ParkedSender;
    type Receiver = ParkedReceiver;

    fn name(&self) -> String {
        "knit".into()
    }

    fn start(&self, senders: usize) -> Option<(Vec<ParkedSender>, ParkedReceiver)> {
        let (memory, layout) = segment(ARENA_DATA_AT + 4096);
        let mailbox = layout.mailbox(Direction::Request);
        let (host, worker) = (layout.host_control(), layout.worker_control());
        let sender = Sender::new(&memory, mailbox, Stamps::On).expect("the layout fits");
        let receiver = Receiver::new(&memory, mailbox, Stamps::On).expect("the layout fits");
        let notifier = Notifier::new(&memory, &host, &worker).expect("the layout fits");
        let waiter = Waiter::new(&memory, &worker, &host).expect("the layout fits");
        let arena_bytes = layout.arena(Direction::Request).data().len();
        (senders == 1).then(|| {
            let sender = ParkedSender { sender, notifier };
            (vec![sender], ParkedReceiver { receiver, waiter, arena_bytes })
        })
    }
}

impl Sends for ParkedSender {
    #[inline]
    fn send(&mut self, number: u64) -> bool {
        let Ok(claim) = self.sender.claim() else { return false };
        claim.publish(&header(number));
        if self.notifier.notify() {
            FutexBell.wake(self.notifier.bell());
        }
        true
    }
}

impl Receives for ParkedReceiver {
    #[inline]
    fn receive(&mut self) -> Option<u64> {
        let taken = self.receiver.take().unwrap_or_else(|violation| panic!("{violation}"))?;
        Some(number(&taken, self.arena_bytes))
    }

    #[inline]
    fn receive_waiting(&mut self) -> u64 {
        for _ in 0..NAPS {
            if let Some(number) = self.receive() {
                return number;
            }
            let receiver = &mut self.receiver;
            // A violation is something to wake up for: the next `receive` tells it.
            self.waiter.park(&FutexBell, Some(NAP), || receiver.is_pending().unwrap_or(true));
        }
        panic!("nothing came for {} s: lost?", (NAP * NAPS).as_secs())
    }
}
