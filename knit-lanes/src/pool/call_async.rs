//! Calls that wait for room in the queue without blocking a thread.

use super::call::Call;
use super::room::InLine;
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
    /// The call, and its place in the line.
    InLine(Call<Out>, InLine),
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
        let (call, place) = match core::mem::replace(&mut self.state, State::Over) {
            State::Start(..) if self.shared.is_draining() => {
                return Poll::Ready(Call::failed(&self.shared, CallError::Closed));
            }
            State::Start(task, argument) => {
                let call = Call::begin(&self.shared, task, argument);
                match InLine::of(&self.shared, &call.state) {
                    Some(place) => (call, place),
                    None => return Poll::Ready(call),
                }
            }
            State::InLine(call, place) => (call, place),
            State::Over => return Poll::Ready(Call::failed(&self.shared, CallError::Taken)),
        };
        let ended = call.is_done_or_wakes(context.waker());
        // Looked at after the waker was left: who lets the call in after it wakes the future.
        if place.waits() && !ended {
            self.state = State::InLine(call, place);
            return Poll::Pending;
        }
        Poll::Ready(call)
    }
}

impl<In, Out> Drop for CallAsync<In, Out> {
    fn drop(&mut self) {
        // Before its place goes.
        if let State::InLine(call, _) = &self.state {
            call.abort();
        }
    }
}

impl<In, Out> fmt::Debug for CallAsync<In, Out> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let waits = matches!(self.state, State::InLine(..));
        f.debug_struct("CallAsync").field("waits", &waits).finish_non_exhaustive()
    }
}
