//! Calls whose argument is a future.

use super::call::Call;
use super::{CallAsync, Pool};
use crate::error::CallError;
use crate::parker::Parker;
use crate::tasks::Task;
use core::error::Error;
use core::fmt;
use core::future::Future;
use core::pin::{Pin, pin};
use core::task::{Context, Poll};
use knit_codec::{Decode, Encode};

/// A call that is made as soon as its argument is there: a future, and [`CallWhen::wait`] blocks.
///
/// It does nothing until it is polled or waited for. Dropped before its argument is there, it drops the
/// argument's future and no call is made; nor is one when it is dropped while the queue has no room ([`QueuePolicy::Wait`](crate::QueuePolicy::Wait)).
#[must_use = "nothing happens until it is awaited, or `.wait()` is called"]
pub struct CallWhen<'p, F, In, Out> {
    pool: &'p Pool,
    task: Task<In, Out>,
    state: State<F, In, Out>,
    abort_on_drop: bool,
}

enum State<F, In, Out> {
    /// The future is on the heap, so that whoever polls this type need not pin it.
    Argument(Pin<Box<F>>),
    Room(CallAsync<In, Out>),
    Call(Call<Out>),
    Over,
}

impl<'p, F, In, Out> CallWhen<'p, F, In, Out> {
    pub(super) fn new(pool: &'p Pool, task: Task<In, Out>, argument: F) -> Self {
        let state = State::Argument(Box::pin(argument));
        Self { pool, task, state, abort_on_drop: false }
    }

    /// The same, which aborts its call when it is dropped before the call has ended.
    pub fn abort_on_drop(mut self) -> Self {
        self.abort_on_drop = true;
        self
    }
}

impl<F, In, E, Out> CallWhen<'_, F, In, Out>
where
    F: Future<Output = Result<In, E>>,
    In: Encode,
    E: Into<Box<dyn Error + Send + Sync>>,
    Out: Decode,
{
    /// Blocks until the argument is there and its call has ended. The calling thread polls the future.
    ///
    /// # Errors
    ///
    /// Why there is no value; [`CallError::Input`] when there is no argument.
    pub fn wait(mut self) -> Result<Out, CallError> {
        let parker = Parker::new();
        let mut context = Context::from_waker(parker.waker());
        while self.poll_call(&mut context)?.is_pending() {
            parker.park();
        }
        match core::mem::replace(&mut self.state, State::Over) {
            State::Call(call) => call.wait(),
            _ => Err(CallError::Taken),
        }
    }

    /// Polls until the call is made.
    fn poll_call(&mut self, context: &mut Context<'_>) -> Result<Poll<()>, CallError> {
        loop {
            match &mut self.state {
                State::Argument(argument) => {
                    let Poll::Ready(argument) = argument.as_mut().poll(context) else {
                        return Ok(Poll::Pending);
                    };
                    // The argument's future is dropped before the call is made.
                    self.state = State::Over;
                    let argument =
                        argument.map_err(|error| CallError::Input(error.into().into()))?;
                    self.state = State::Room(self.pool.call_async(self.task, argument));
                }
                State::Room(room) => {
                    let Poll::Ready(call) = Pin::new(room).poll(context) else {
                        return Ok(Poll::Pending);
                    };
                    let call = if self.abort_on_drop { call.abort_on_drop() } else { call };
                    self.state = State::Call(call);
                }
                State::Call(_) => return Ok(Poll::Ready(())),
                State::Over => return Err(CallError::Taken),
            }
        }
    }
}

impl<F, In, E, Out> Future for CallWhen<'_, F, In, Out>
where
    F: Future<Output = Result<In, E>>,
    In: Encode,
    E: Into<Box<dyn Error + Send + Sync>>,
    Out: Decode,
{
    type Output = Result<Out, CallError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        if self.poll_call(context)?.is_pending() {
            return Poll::Pending;
        }
        match &mut self.state {
            State::Call(call) => pin!(call).poll(context),
            _ => Poll::Ready(Err(CallError::Taken)),
        }
    }
}

impl<F, In, Out> fmt::Debug for CallWhen<'_, F, In, Out> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let made = matches!(self.state, State::Call(_));
        f.debug_struct("CallWhen").field("made", &made).finish_non_exhaustive()
    }
}
