//! The outcomes of a map for async programs.

use super::{Map, Source, Unordered};
use crate::error::CallError;
use crate::pool::Call;
use crate::pool::map::ends::Calls;
use crate::pool::room::InLine;
use core::fmt;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll};
use futures_core::{FusedStream, Stream};
use knit_codec::{Decode, Encode};
use std::collections::VecDeque;

/// [`Map`] as a stream: the outcomes in the order of the arguments. Made by [`Map::into_stream`].
///
/// It works under any executor and does nothing until it is polled. Where a full queue is waited for
/// ([`QueuePolicy::Wait`](crate::QueuePolicy::Wait)), it takes no more arguments until the queue has room, and blocks nobody. Those
/// calls that are under way when it is dropped are aborted.
#[must_use = "a stream does nothing until it is polled"]
pub struct MapStream<'p, I, In, Out> {
    // Dropped first: a call that has ended leaves the line.
    calls: VecDeque<Call<Out>>,
    source: Source<'p, I, In, Out>,
    over: bool,
}

/// [`Unordered`] as a stream: the outcomes in the order in which they come, each with the place of its argument. Made by
/// [`Unordered::into_stream`].
#[must_use = "a stream does nothing until it is polled"]
pub struct UnorderedStream<'p, I, In, Out> {
    // Dropped first: a call that has ended leaves the line.
    calls: Calls<Out>,
    source: Source<'p, I, In, Out>,
    over: bool,
}

impl<'p, I, In, Out> Map<'p, I, In, Out> {
    /// The same as a stream, with the same window. With the feature `stream`.
    ///
    /// # Examples
    ///
    /// ```
    /// use core::future::poll_fn;
    /// use core::pin::pin;
    /// use futures_core::Stream;
    /// use knit_lanes::{CallError, Pool, Task};
    ///
    /// /// Under any executor. `StreamExt::next` of the crate `futures` does what `poll_fn` does here.
    /// async fn sum(pool: &Pool, square: Task<f64, f64>) -> Result<f64, CallError> {
    ///     let mut squares = pin!(pool.map(square, [1.0, 2.0, 3.0]).into_stream());
    ///     let mut sum = 0.0;
    ///     while let Some(square) = poll_fn(|context| squares.as_mut().poll_next(context)).await {
    ///         sum += square?;
    ///     }
    ///     Ok(sum)
    /// }
    ///
    /// # use std::{sync::Arc, task::{Context, Poll, Wake}, thread::{Thread, current, park}};
    /// # struct Unpark(Thread);
    /// # impl Wake for Unpark {
    /// #     fn wake(self: Arc<Self>) { self.0.unpark() }
    /// # }
    /// # fn block_on<F: Future>(future: F) -> F::Output {
    /// #     let (mut future, waker) = (pin!(future), Arc::new(Unpark(current())).into());
    /// #     loop {
    /// #         match future.as_mut().poll(&mut Context::from_waker(&waker)) {
    /// #             Poll::Ready(output) => return output,
    /// #             Poll::Pending => park(),
    /// #         }
    /// #     }
    /// # }
    /// fn main() -> knit_lanes::Result<()> {
    ///     let mut tasks = knit_lanes::Tasks::new();
    ///     let square = tasks.add("square", |n: f64| n * n);
    ///     let pool = Pool::builder().threads(1).start(tasks)?;
    ///     assert_eq!(block_on(sum(&pool, square))?, 14.0);
    ///     Ok(())
    /// }
    /// ```
    pub fn into_stream(self) -> MapStream<'p, I, In, Out> {
        MapStream { source: self.source, calls: self.calls, over: false }
    }
}

impl<'p, I, In, Out> Unordered<'p, I, In, Out> {
    /// The same as a stream, with the same window. With the feature `stream`.
    pub fn into_stream(self) -> UnorderedStream<'p, I, In, Out> {
        UnorderedStream { source: self.source, calls: self.calls, over: false }
    }
}

impl<I, In, Out> Source<'_, I, In, Out>
where
    I: Iterator<Item = In>,
    In: Encode,
    Out: Decode,
{
    /// As [`Self::fill`], without blocking: while the last call is in the line for the queue no other one is made.
    fn fill_without_waiting(&mut self, under_way: usize, mut push: impl FnMut(usize, Call<Out>)) {
        if self.in_line.as_ref().is_some_and(InLine::waits) {
            return;
        }
        self.in_line = None;
        for _ in under_way..self.window {
            let Some(argument) = self.arguments.next() else { return };
            let shared = &self.pool.shared;
            let call = Call::begin(shared, self.task, argument).abort_on_drop();
            self.in_line = InLine::of(shared, &call.state);
            push(self.taken, call);
            self.taken += 1;
            if self.in_line.is_some() {
                return;
            }
        }
    }
}

impl<I, In, Out> Source<'_, I, In, Out> {
    /// Whether the last call has come out of the line since it was made: there may be room for more. Asked when a waker was left
    /// with that call, it sees to it that no such moment is missed.
    fn may_go_on(&self) -> bool {
        self.in_line.as_ref().is_some_and(|place| !place.waits())
    }
}

impl<I, In, Out> Stream for MapStream<'_, I, In, Out>
where
    I: Iterator<Item = In>,
    In: Encode,
    Out: Decode,
{
    type Item = Result<Out, CallError>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        loop {
            let calls = &mut this.calls;
            this.source.fill_without_waiting(calls.len(), |_, call| calls.push_back(call));
            let Some(first) = calls.front_mut() else {
                this.over = true;
                return Poll::Ready(None);
            };
            // Besides the last one, where that is in the line, only the first has a waker: the others are not waited for yet, and their
            // answers are read with its own.
            if let Poll::Ready(outcome) = Pin::new(first).poll(context) {
                calls.pop_front();
                return Poll::Ready(Some(outcome));
            }
            if this.source.in_line.is_some()
                && let Some(last) = calls.back()
            {
                last.is_done_or_wakes(context.waker());
            }
            if !this.source.may_go_on() {
                return Poll::Pending;
            }
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.source.size_hint(self.calls.len())
    }
}

impl<I, In, Out> Stream for UnorderedStream<'_, I, In, Out>
where
    I: Iterator<Item = In>,
    In: Encode,
    Out: Decode,
{
    type Item = (usize, Result<Out, CallError>);

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        loop {
            let calls = &mut this.calls;
            this.source.fill_without_waiting(calls.len(), |place, call| calls.push(place, call));
            if calls.len() == 0 {
                this.over = true;
                return Poll::Ready(None);
            }
            let mut found = calls.take();
            for _ in 0..this.source.pool.lanes() {
                if found.is_some() {
                    break;
                }
                calls.look();
                found = calls.take();
            }
            if let Some((place, call)) = found.or_else(|| calls.take_or_wakes(context.waker())) {
                // It has ended: this does not block.
                return Poll::Ready(Some((place, call.wait())));
            }
            if !this.source.may_go_on() {
                return Poll::Pending;
            }
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.source.size_hint(self.calls.len())
    }
}

impl<I, In, Out> FusedStream for MapStream<'_, I, In, Out>
where
    Self: Stream,
{
    fn is_terminated(&self) -> bool {
        self.over
    }
}

impl<I, In, Out> FusedStream for UnorderedStream<'_, I, In, Out>
where
    Self: Stream,
{
    fn is_terminated(&self) -> bool {
        self.over
    }
}

// Nothing in them is ever pinned: arguments are moved out of their iterator.
impl<I, In, Out> Unpin for MapStream<'_, I, In, Out> {}
impl<I, In, Out> Unpin for UnorderedStream<'_, I, In, Out> {}

impl<I, In, Out> fmt::Debug for MapStream<'_, I, In, Out> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MapStream").field("under_way", &self.calls.len()).finish_non_exhaustive()
    }
}

impl<I, In, Out> fmt::Debug for UnorderedStream<'_, I, In, Out> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let under_way = self.calls.len();
        f.debug_struct("UnorderedStream").field("under_way", &under_way).finish_non_exhaustive()
    }
}
