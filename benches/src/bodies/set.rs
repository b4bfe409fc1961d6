//! One mailbox for each sender, and one receiver that goes round.

use super::mailbox::{Mailbox, MailboxSender, number, segment};
use super::{Queue, Receives};
use knit_proto::{ARENA_DATA_AT, Direction};
use knit_ring::{HeapMemory, Receiver, ReceiverSet, SetLane, Stamps, Waiter};

/// How many messages the receiver releases together, where it takes all that there are.
const AT_ONCE: u32 = 8;

/// A lane for each sender, polled through a [`ReceiverSet`].
#[derive(Clone, Copy, Debug)]
pub struct SetOfMailboxes;

/// The receiving end of all lanes.
#[derive(Debug)]
pub struct SetReceiver {
    set: ReceiverSet<HeapMemory>,
    arena_bytes: u32,
    unreleased: u32,
}

impl Queue for SetOfMailboxes {
    type Sender = MailboxSender;
    type Receiver = SetReceiver;

    fn name(&self) -> String {
        "knit_set".into()
    }

    fn start(&self, senders: usize) -> Option<(Vec<MailboxSender>, SetReceiver)> {
        let mut set = ReceiverSet::new();
        let mut arena_bytes = 0;
        let senders = (0..senders).map(|key| {
            let (memory, layout) = segment(ARENA_DATA_AT + 4096);
            let mailbox = layout.mailbox(Direction::Request);
            let (host, worker) = (layout.host_control(), layout.worker_control());
            arena_bytes = layout.arena(Direction::Request).data().len();
            let lane = SetLane {
                receiver: Receiver::new(&memory, mailbox, Stamps::On).expect("the layout fits"),
                waiter: Waiter::new(&memory, &worker, &host).expect("the layout fits"),
                death: None,
            };
            set.add(key, lane).expect("a new key");
            Mailbox::sender(&memory, &layout)
        });
        let senders = senders.collect();
        Some((senders, SetReceiver { set, arena_bytes, unreleased: 0 }))
    }
}

impl SetReceiver {
    /// The next number; its slot is given back at once or with the next [`Self::release`].
    #[inline(always)]
    fn next(&mut self, release: bool) -> Option<u64> {
        let polled = self.set.poll().unwrap_or_else(|violation| panic!("{violation}"));
        let (_, taken) = polled?;
        let number = number(&taken, self.arena_bytes);
        if release {
            taken.release();
        } else {
            taken.finish();
            self.unreleased += 1;
        }
        Some(number)
    }

    /// Gives back everything that was read.
    #[inline(always)]
    fn release(&mut self) {
        if self.unreleased > 0 {
            self.set.release();
            self.unreleased = 0;
        }
    }
}

impl Receives for SetReceiver {
    #[inline(always)]
    fn receive(&mut self) -> Option<u64> {
        self.next(true)
    }

    #[inline(always)]
    fn receive_some(&mut self, mut each: impl FnMut(u64)) -> u64 {
        let mut received = 0;
        while let Some(number) = self.next(false) {
            each(number);
            received += 1;
            if self.unreleased == AT_ONCE {
                self.release();
            }
        }
        self.release();
        received
    }
}
