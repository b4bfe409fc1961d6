//! Calls whose argument is a future.

use super::Pool;
use super::call::Call;
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
/// argument's future and no call is made.
#[must_use = "nothing happens until it is awaited, or `.wait()` is called"]
pub struct CallWhen<'p, F, In, Out> {
    pool: &'p Pool,
    task: Task<In, Out>,
    state: State<F, Out>,
    abort_on_drop: bool,
}

enum State<F, Out> {
    /// The future is on the heap, so that whoever polls this type need not pin it.
    Argument(Pin<Box<F>>),
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
        while let State::Argument(argument) = &mut self.state {
            match argument.as_mut().poll(&mut context) {
                Poll::Ready(argument) => self.call(argument)?,
                Poll::Pending => parker.park(),
            }
        }
        match core::mem::replace(&mut self.state, State::Over) {
            State::Call(call) => call.wait(),
            _ => Err(CallError::Taken),
        }
    }

    fn call(&mut self, argument: Result<In, E>) -> Result<(), CallError> {
        // The argument's future is dropped before the call is made.
        self.state = State::Over;
        let argument = argument.map_err(|error| CallError::Input(error.into().into()))?;
        let call = self.pool.call(self.task, argument);
        self.state = State::Call(if self.abort_on_drop { call.abort_on_drop() } else { call });
        Ok(())
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
        let this = &mut *self;
        if let State::Argument(argument) = &mut this.state {
            let Poll::Ready(argument) = argument.as_mut().poll(context) else {
                return Poll::Pending;
            };
            if let Err(error) = this.call(argument) {
                return Poll::Ready(Err(error));
            }
        }
        match &mut this.state {
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
