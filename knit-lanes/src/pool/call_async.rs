//! Calls that wait for room in the queue without blocking a thread.

use super::call::Call;
use super::shared::Shared;
use crate::error::CallError;
use crate::tasks::Task;
use core::fmt;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll};
use knit_codec::{Decode, Encode};
use std::sync::Arc;

/// A [`Call`] to come, once the queue has room for it. Made by [`Pool::call_async`](crate::Pool::call_async).
///
/// It does nothing until it is polled; then it has its place in the line. Dropped before it is ready, it leaves the line, and no call is made;
/// one that a worker has been given in that moment is aborted. After the pool is dropped it comes to a call that has failed with
/// [`CallError::Closed`].
#[must_use = "nothing happens until it is awaited"]
pub struct CallAsync<In, Out> {
    shared: Arc<Shared>,
    state: State<In, Out>,
}

enum State<In, Out> {
    Start(Task<In, Out>, In),
    /// The call, and its number in the line.
    InLine(Call<Out>, u64),
    Over,
}

impl<In, Out> CallAsync<In, Out> {
    pub(super) fn new(shared: &Arc<Shared>, task: Task<In, Out>, argument: In) -> Self {
        Self { shared: Arc::clone(shared), state: State::Start(task, argument) }
    }
}

/// Nothing in it is pinned.
impl<In, Out> Unpin for CallAsync<In, Out> {}

impl<In: Encode, Out: Decode> Future for CallAsync<In, Out> {
    type Output = Call<Out>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let (call, number) = match core::mem::replace(&mut self.state, State::Over) {
            State::Start(..) if self.shared.is_draining() => {
                return Poll::Ready(Call::failed(&self.shared, CallError::Closed));
            }
            State::Start(task, argument) => {
                let call = Call::begin(&self.shared, task, argument);
                let line = &self.shared.line;
                match if line.len() == 0 || !self.shared.origin.is_here() {
                    None
                } else {
                    line.number_of(&call.state)
                } {
                    Some(number) => (call, number),
                    None => return Poll::Ready(call),
                }
            }
            State::InLine(call, number) => (call, number),
            State::Over => return Poll::Ready(Call::failed(&self.shared, CallError::Taken)),
        };
        let ended = call.is_done_or_wakes(context.waker());
        // Looked at after the waker was left: who lets the call in after it wakes the future.
        if self.shared.line.has(number) && !ended {
            self.state = State::InLine(call, number);
            return Poll::Pending;
        }
        self.shared.leave_line(&call.state, number);
        Poll::Ready(call)
    }
}

impl<In, Out> Drop for CallAsync<In, Out> {
    fn drop(&mut self) {
        if let State::InLine(call, number) = &self.state {
            call.abort();
            self.shared.leave_line(&call.state, *number);
        }
    }
}

impl<In, Out> fmt::Debug for CallAsync<In, Out> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let waits = matches!(self.state, State::InLine(..));
        f.debug_struct("CallAsync").field("waits", &waits).finish_non_exhaustive()
    }
}
