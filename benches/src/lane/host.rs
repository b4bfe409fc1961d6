//! The end that asks.

use super::wake::Bells;
use super::{
    AT_ONCE, Other, Release, Wake, copied, function, loaned, parse, part, read_loan, stamps,
};
use crate::Failure;
use knit_cli::floor::Patience;
use knit_proto::{Direction, INLINE_BYTES, Layout, PayloadPlace, SlotHeader, Tag, Word0};
use knit_ring::{
    ArenaSender, BatchError, ClaimError, Doorbell, FutexBell, Receiver, Sender,
    SharedArenaReceiver, SharedMemory, SharedWordRmw,
};

/// The end that asks.
#[derive(Debug)]
pub struct Host<M: SharedMemory<Word: SharedWordRmw>, O> {
    requests: Sender<M>,
    responses: Receiver<M>,
    request_arena: ArenaSender<M>,
    response_arena: SharedArenaReceiver<M>,
    bells: Bells<M>,
    max_payload: u32,
    call: u32,
    other: O,
}

impl<M: SharedMemory<Word: SharedWordRmw>, O: Other> Host<M, O>
where
    FutexBell: Doorbell<M::Word>,
{
    /// The host of a lane that was not used yet.
    ///
    /// # Errors
    ///
    /// The layout does not fit the memory.
    pub fn new(memory: &M, layout: &Layout, wake: Wake, other: O) -> Result<Self, Failure> {
        let stamps = stamps(layout);
        let arena = layout.arena(Direction::Request);
        Ok(Self {
            requests: Sender::new(memory, layout.mailbox(Direction::Request), stamps)?,
            responses: Receiver::new(memory, layout.mailbox(Direction::Response), stamps)?,
            request_arena: ArenaSender::new(memory, &arena, arena.data().len())?,
            response_arena: SharedArenaReceiver::new(memory, &layout.arena(Direction::Response))?,
            bells: Bells::new(memory, &layout.host_control(), &layout.worker_control(), wake)?,
            max_payload: arena.data().len(),
            call: 0,
            other,
        })
    }

    /// Sends `payload` and waits until it has come back into `answer`, which is as long. No payload:
    /// a scalar crosses in the header.
    ///
    /// # Errors
    ///
    /// The worker is gone, or answered something else than it was asked.
    #[inline]
    pub fn call(&mut self, payload: &[u8], answer: &mut [u8]) -> Result<(), Failure> {
        if payload.is_empty() {
            return self.call_scalar();
        }
        let len = u32::try_from(payload.len())?;
        if len <= INLINE_BYTES {
            let place = PayloadPlace::Inline { len };
            let message = self.next(function::ECHO, Tag::BYTES_INLINE, place);
            let claim = self.requests.claim()?;
            claim.deposit(payload)?;
            claim.publish(&message);
        } else {
            let place = copied(&mut self.request_arena, payload)?;
            let message = self.next(function::ECHO, Tag::BYTES_ARENA, place);
            self.requests.claim()?.publish(&message);
        }
        self.bells.ring();
        match self.answer(answer)? {
            PayloadPlace::Inline { len: found } | PayloadPlace::Arena { len: found, .. }
                if found == len =>
            {
                Ok(())
            }
            other => Err(format!("the answer to {len} bytes is {other:?}").into()),
        }
    }

    /// Hands `len` bytes over in place and waits for as many. Nothing is copied: if the block is to be
    /// `read`, both sides write and read its first eight bytes where they lie, and else nothing.
    ///
    /// # Errors
    ///
    /// The worker is gone, or answered something else than it was asked.
    #[inline]
    pub fn call_loaned(&mut self, len: u32, read: bool) -> Result<(), Failure> {
        let number = read.then_some(u64::from(self.call) << 1);
        let function = if read { function::LOAN } else { function::LOAN_UNREAD };
        let place = loaned(&mut self.request_arena, len, number)?;
        let message = self.next(function, Tag::BYTES_ARENA, place);
        self.requests.claim()?.publish(&message);
        self.bells.ring();
        match self.await_answer(|message, arena, _| read_loan(arena, message.place, read))? {
            found if found == (len, number) => Ok(()),
            other => Err(format!("the answer to {len} bytes, {number:?}, is {other:?}").into()),
        }
    }

    /// Makes `calls` header-only calls, up to `window` of them in flight, and checks that each is
    /// answered with its number.
    ///
    /// # Errors
    ///
    /// The worker is gone, or answered something else than it was asked.
    pub fn in_flight(&mut self, calls: u32, window: u32) -> Result<(), Failure> {
        let first = self.call;
        let (mut sent, mut answered) = (0, 0);
        let mut patience = Patience::relaxed();
        while answered < calls {
            let room = (window - (sent - answered)).min(calls - sent);
            if room > 0 && (room >= AT_ONCE || sent + room == calls) {
                sent += self.send_numbers(first.wrapping_add(sent), room)?;
            }
            match self.numbers_back(first.wrapping_add(answered))? {
                0 => self.other.spin(&mut patience)?,
                found => {
                    answered += found;
                    patience = Patience::relaxed();
                }
            }
        }
        self.call = first.wrapping_add(calls);
        Ok(())
    }

    /// Sends `messages` header-only messages, `batch` of them published by one store, and waits
    /// until the worker has counted them all.
    ///
    /// # Errors
    ///
    /// The worker is gone, or counted something else.
    pub fn stream(&mut self, messages: u32, batch: u32, release: Release) -> Result<(), Failure> {
        let function = match release {
            Release::Each => function::SINK,
            Release::EveryEighth => function::SINK_EIGHT,
        };
        let mut rest = messages;
        while rest > 0 {
            let now = rest.min(batch);
            if batch == 1 {
                self.send(function)?;
            } else {
                self.send_batch(function, now)?;
            }
            rest -= now;
        }
        self.send(function::COUNT)?;
        match self.answer(&mut [])? {
            PayloadPlace::Scalar(count) if count == u64::from(messages) => Ok(()),
            other => Err(format!("the worker counted {other:?} of {messages} messages").into()),
        }
    }

    /// Ends the worker.
    ///
    /// # Errors
    ///
    /// The worker is gone.
    pub fn stop(&mut self) -> Result<(), Failure> {
        self.send(function::STOP)
    }

    #[inline]
    fn call_scalar(&mut self) -> Result<(), Failure> {
        let asked = u64::from(self.call) << 1;
        let message = self.next(function::ECHO, Tag::BIGINT_I64, PayloadPlace::Scalar(asked));
        self.requests.claim()?.publish(&message);
        self.bells.ring();
        match self.answer(&mut [])? {
            PayloadPlace::Scalar(found) if found == asked => Ok(()),
            other => Err(format!("the answer to {asked} is {other:?}").into()),
        }
    }

    #[inline]
    fn send(&mut self, function: u16) -> Result<(), Failure> {
        let message = self.next(function, Tag::UNDEFINED, PayloadPlace::Bare);
        let mut patience = Patience::relaxed();
        loop {
            match self.requests.claim() {
                Ok(claim) => {
                    claim.publish(&message);
                    self.bells.ring();
                    return Ok(());
                }
                Err(ClaimError::Full) => self.other.spin(&mut patience)?,
                Err(error) => return Err(error.into()),
            }
        }
    }

    #[inline]
    fn send_batch(&mut self, function: u16, messages: u32) -> Result<(), Failure> {
        let mut patience = Patience::relaxed();
        let mut rest = messages;
        while rest > 0 {
            let first = self.call;
            let mut batch = self.requests.batch();
            while batch.len() < rest {
                let message = SlotHeader {
                    word0: Word0::Call { function, abort: None },
                    call: first.wrapping_add(batch.len() + 1),
                    tag: Tag::UNDEFINED,
                    place: PayloadPlace::Bare,
                };
                match batch.add(&message, &[]) {
                    Ok(_) => {}
                    Err(BatchError::Claim(ClaimError::Full)) => break,
                    Err(error) => return Err(error.into()),
                }
            }
            let sent = batch.publish().len();
            self.call = first.wrapping_add(sent);
            rest -= sent;
            if rest > 0 {
                self.other.spin(&mut patience)?;
            }
        }
        Ok(())
    }

    /// Sends up to `count` calls after the call `last`, each with its id as number.
    #[inline]
    fn send_numbers(&mut self, last: u32, count: u32) -> Result<u32, Failure> {
        let mut batch = self.requests.batch();
        while batch.len() < count {
            let call = last.wrapping_add(batch.len() + 1);
            let message = SlotHeader {
                word0: Word0::Call { function: function::ECHO_MANY, abort: None },
                call,
                tag: Tag::BIGINT_I64,
                place: PayloadPlace::Scalar(call.into()),
            };
            match batch.add(&message, &[]) {
                Ok(_) => {}
                Err(BatchError::Claim(ClaimError::Full)) => break,
                Err(error) => return Err(error.into()),
            }
        }
        Ok(batch.publish().len())
    }

    /// Takes the answers that are there, of the calls after `last`, and says how many.
    #[inline]
    fn numbers_back(&mut self, last: u32) -> Result<u32, Failure> {
        let mut found = 0;
        while found < AT_ONCE
            && let Some(taken) = self.responses.poll()?
        {
            found += 1;
            let call = last.wrapping_add(found);
            let message = parse(&taken, Direction::Response, self.max_payload)?;
            taken.finish();
            if message.call != call || message.place != PayloadPlace::Scalar(call.into()) {
                return Err(format!("the answer to {call} is {message:?}").into());
            }
        }
        if found > 0 {
            self.responses.release();
        }
        Ok(found)
    }

    #[inline]
    fn next(&mut self, function: u16, tag: Tag, place: PayloadPlace) -> SlotHeader {
        self.call = self.call.wrapping_add(1);
        SlotHeader { word0: Word0::Call { function, abort: None }, call: self.call, tag, place }
    }

    /// Waits for the answer to the last call and copies its payload.
    #[inline]
    fn answer(&mut self, into: &mut [u8]) -> Result<PayloadPlace, Failure> {
        self.await_answer(|message, arena, taken| {
            match message.place {
                PayloadPlace::Inline { len } => taken.snapshot(part(into, len)?)?,
                PayloadPlace::Arena { block, start, len } => {
                    arena.snapshot(start, part(into, len)?)?;
                    arena.free(block);
                }
                _ => {}
            }
            Ok(message.place)
        })
    }

    #[inline(always)]
    fn await_answer<T>(
        &mut self,
        read: impl FnOnce(
            &SlotHeader,
            &SharedArenaReceiver<M>,
            &knit_ring::Taken<'_, M>,
        ) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let mut patience = Patience::relaxed();
        let taken = loop {
            if let Some(taken) = self.responses.poll()? {
                break taken;
            }
            if self.bells.sleep(&mut self.responses)? {
                self.other.alive()?;
            } else {
                self.other.spin(&mut patience)?;
            }
        };
        let message = parse(&taken, Direction::Response, self.max_payload)?;
        if message.call != self.call {
            return Err(format!("answer to call {}, asked {}", message.call, self.call).into());
        }
        let answer = read(&message, &self.response_arena, &taken)?;
        taken.release();
        Ok(answer)
    }
}
