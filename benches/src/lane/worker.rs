//! The end that answers.

use super::wake::Bells;
use super::{AT_ONCE, Wake, copied, function, loaned, parse, part, read_loan, stamps};
use crate::Failure;
use knit_cli::floor::Patience;
use knit_proto::{Direction, Layout, PayloadPlace, SlotHeader, Tag, Word0};
use knit_ring::{
    ArenaSender, Doorbell, FutexBell, Receiver, Sender, SharedArenaReceiver, SharedMemory,
    SharedWordRmw,
};

/// The end that answers.
#[derive(Debug)]
pub struct Worker<M: SharedMemory<Word: SharedWordRmw>> {
    requests: Receiver<M>,
    responses: Sender<M>,
    request_arena: SharedArenaReceiver<M>,
    response_arena: ArenaSender<M>,
    bells: Bells<M>,
    max_payload: u32,
    /// The last call that came.
    last: u32,
}

impl<M: SharedMemory<Word: SharedWordRmw>> Worker<M>
where
    FutexBell: Doorbell<M::Word>,
{
    /// The worker of a lane that was not used yet.
    ///
    /// # Errors
    ///
    /// The layout does not fit the memory.
    pub fn new(memory: &M, layout: &Layout, wake: Wake) -> Result<Self, Failure> {
        let stamps = stamps(layout);
        let arena = layout.arena(Direction::Response);
        Ok(Self {
            requests: Receiver::new(memory, layout.mailbox(Direction::Request), stamps)?,
            responses: Sender::new(memory, layout.mailbox(Direction::Response), stamps)?,
            request_arena: SharedArenaReceiver::new(memory, &layout.arena(Direction::Request))?,
            response_arena: ArenaSender::new(memory, &arena, arena.data().len())?,
            bells: Bells::new(memory, &layout.worker_control(), &layout.host_control(), wake)?,
            max_payload: arena.data().len(),
            last: 0,
        })
    }

    /// Answers until it is told to stop.
    ///
    /// # Errors
    ///
    /// The host broke the protocol.
    pub fn serve(&mut self) -> Result<(), Failure> {
        let mut private = vec![0; self.max_payload as usize];
        let mut patience = Patience::relaxed();
        let (mut counted, mut unreleased) = (0_u64, 0_u32);
        loop {
            let Some(taken) = self.requests.poll()? else {
                if unreleased > 0 {
                    self.requests.release();
                    unreleased = 0;
                }
                if !self.bells.sleep(&mut self.requests)? {
                    patience.spin_forever();
                }
                continue;
            };
            let (message, function) = request(&taken, self.max_payload, &mut self.last)?;
            let (tag, place) = match function {
                function::SINK => {
                    counted += 1;
                    continue;
                }
                function::SINK_EIGHT => {
                    counted += 1;
                    unreleased += 1;
                    if unreleased == 8 {
                        unreleased = 0;
                        taken.release();
                    } else {
                        taken.finish();
                    }
                    continue;
                }
                function::ECHO => match message.place {
                    PayloadPlace::Inline { len } => {
                        taken.snapshot(part(&mut private, len)?)?;
                        (message.tag, message.place)
                    }
                    PayloadPlace::Arena { block, start, len } => {
                        self.request_arena.snapshot(start, part(&mut private, len)?)?;
                        self.request_arena.free(block);
                        let place = copied(&mut self.response_arena, part(&mut private, len)?)?;
                        (message.tag, place)
                    }
                    place => (message.tag, place),
                },
                function::ECHO_MANY => {
                    taken.finish();
                    self.echo_many(&message)?;
                    unreleased = 0;
                    continue;
                }
                function::LOAN | function::LOAN_UNREAD => {
                    let read = function == function::LOAN;
                    let (len, number) = read_loan(&self.request_arena, message.place, read)?;
                    (message.tag, loaned(&mut self.response_arena, len, number)?)
                }
                function::COUNT => {
                    let count = std::mem::take(&mut counted);
                    (Tag::BIGINT_I64, PayloadPlace::Scalar(count))
                }
                _ => return Ok(()),
            };
            let claim = self.responses.claim()?;
            if let PayloadPlace::Inline { len } = place {
                claim.deposit(part(&mut private, len)?)?;
            }
            claim.publish(&answer(message.call, tag, place));
            self.bells.ring();
            // The host does not wait for the slot: it is released after the answer.
            unreleased = 0;
            taken.release();
        }
    }

    /// Answers `first` and the calls of its kind that are there: their answers are published by one
    /// store, and their slots released by one.
    #[inline]
    fn echo_many(&mut self, first: &SlotHeader) -> Result<(), Failure> {
        let mut batch = self.responses.batch();
        batch.add(&answer(first.call, first.tag, first.place), &[])?;
        while batch.len() < AT_ONCE
            && let Some(taken) = self.requests.poll()?
        {
            let (message, function) = request(&taken, self.max_payload, &mut self.last)?;
            if function != function::ECHO_MANY {
                return Err(format!("function {function} among calls in flight").into());
            }
            batch.add(&answer(message.call, message.tag, message.place), &[])?;
            taken.finish();
        }
        batch.publish();
        self.bells.ring();
        self.requests.release();
        Ok(())
    }
}

/// What a request says, after all checks, and its function.
#[inline(always)]
fn request<M: SharedMemory>(
    taken: &knit_ring::Taken<'_, M>,
    max_payload: u32,
    last: &mut u32,
) -> Result<(SlotHeader, u16), Failure> {
    let message = parse(taken, Direction::Request, max_payload)?;
    let expected = last.wrapping_add(1);
    if message.call != expected {
        return Err(format!("call {}, expected {expected}", message.call).into());
    }
    *last = expected;
    let Word0::Call { function, .. } = message.word0 else { unreachable!("a request") };
    Ok((message, function))
}

#[inline(always)]
fn answer(call: u32, tag: Tag, place: PayloadPlace) -> SlotHeader {
    SlotHeader { word0: Word0::Answer { rejected: false }, call, tag, place }
}
