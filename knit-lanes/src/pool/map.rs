//! One task over many arguments.

mod ends;
#[cfg(feature = "stream")]
mod stream;

#[cfg(feature = "stream")]
pub use stream::{MapStream, UnorderedStream};

#[cfg(feature = "stream")]
use super::room::InLine;
use super::{Call, Pool};
use crate::error::CallError;
use crate::tasks::Task;
use core::fmt;
use core::iter::Fuse;
use ends::Calls;
use knit_codec::{Decode, Encode};
use knit_proto::SLOTS;
use std::collections::VecDeque;

/// The outcomes of one task for many arguments, in the order of the arguments. Made by [`Pool::map`].
///
/// An iterator that calls ahead: so many calls are under way ([`Self::window`]), and no more
/// arguments are taken than that. Those that are under way when it is dropped are aborted.
#[must_use = "an iterator does nothing until it is asked for its first element"]
pub struct Map<'p, I, In, Out> {
    source: Source<'p, I, In, Out>,
    calls: VecDeque<Call<Out>>,
}

/// The same in the order in which the calls end, each with the place of its argument. Made by
/// [`Map::unordered`].
#[must_use = "an iterator does nothing until it is asked for its first element"]
pub struct Unordered<'p, I, In, Out> {
    source: Source<'p, I, In, Out>,
    calls: Calls<Out>,
}

/// Where calls come from.
struct Source<'p, I, In, Out> {
    pool: &'p Pool,
    task: Task<In, Out>,
    arguments: Fuse<I>,
    window: usize,
    /// How many arguments were taken.
    taken: usize,
    /// The last call, where it is in the line for the queue and nobody blocks for that.
    #[cfg(feature = "stream")]
    in_line: Option<InLine>,
}

impl Pool {
    /// Calls a task for each argument, and gives the outcomes in their order.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use knit_lanes::{Pool, Tasks};
    ///
    /// # fn main() -> knit_lanes::Result<()> {
    /// let mut tasks = Tasks::new();
    /// let square = tasks.add("square", |n: f64| n * n);
    /// tasks.serve_if_worker();
    ///
    /// let pool = Pool::builder().start(tasks)?;
    /// let squares: Vec<f64> = pool.map(square, (0..1000).map(f64::from)).collect::<Result<_, _>>()?;
    /// for (place, square) in pool.map(square, (0..1000).map(f64::from)).unordered() {
    ///     assert_eq!(square?, squares[place]);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn map<In, Out, A>(
        &self,
        task: Task<In, Out>,
        arguments: A,
    ) -> Map<'_, A::IntoIter, In, Out>
    where
        A: IntoIterator<Item = In>,
    {
        let arguments = arguments.into_iter().fuse();
        let window = self.lanes() * SLOTS as usize;
        let source = Source {
            pool: self,
            task,
            arguments,
            window,
            taken: 0,
            #[cfg(feature = "stream")]
            in_line: None,
        };
        Map { source, calls: VecDeque::new() }
    }
}

impl<'p, I, In, Out> Map<'p, I, In, Out> {
    /// The same with at most so many calls under way at a time, at least one. Default: as many as the
    /// lanes of the pool take together.
    pub fn window(mut self, calls: usize) -> Self {
        self.source.window = calls.max(1);
        self
    }

    /// The outcomes in the order in which they come, each with the place of its argument.
    pub fn unordered(self) -> Unordered<'p, I, In, Out> {
        let first = self.source.taken - self.calls.len();
        let mut calls = Calls::new(&self.source.pool.shared);
        (first..).zip(self.calls).for_each(|(place, call)| calls.push(place, call));
        Unordered { calls, source: self.source }
    }
}

impl<I, In, Out> Source<'_, I, In, Out>
where
    I: Iterator<Item = In>,
    In: Encode,
    Out: Decode,
{
    /// Makes calls for the next arguments until as many are under way as the window takes.
    fn fill(&mut self, under_way: usize, mut push: impl FnMut(usize, Call<Out>)) {
        for _ in under_way..self.window {
            let Some(argument) = self.arguments.next() else { return };
            let call = self.pool.call(self.task, argument).abort_on_drop();
            push(self.taken, call);
            self.taken += 1;
        }
    }

    fn size_hint(&self, under_way: usize) -> (usize, Option<usize>) {
        let (least, most) = self.arguments.size_hint();
        (least.saturating_add(under_way), most.and_then(|most| most.checked_add(under_way)))
    }
}

impl<I, In, Out> Iterator for Map<'_, I, In, Out>
where
    I: Iterator<Item = In>,
    In: Encode,
    Out: Decode,
{
    type Item = Result<Out, CallError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.source.fill(self.calls.len(), |_, call| self.calls.push_back(call));
        self.calls.pop_front().map(Call::wait)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.source.size_hint(self.calls.len())
    }
}

impl<I, In, Out> Iterator for Unordered<'_, I, In, Out>
where
    I: Iterator<Item = In>,
    In: Encode,
    Out: Decode,
{
    type Item = (usize, Result<Out, CallError>);

    fn next(&mut self) -> Option<Self::Item> {
        self.source.fill(self.calls.len(), |place, call| self.calls.push(place, call));
        self.calls.wait().map(|(place, call)| (place, call.wait()))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.source.size_hint(self.calls.len())
    }
}

impl<I, In, Out> fmt::Debug for Map<'_, I, In, Out> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Map").field("under_way", &self.calls.len()).finish_non_exhaustive()
    }
}

impl<I, In, Out> fmt::Debug for Unordered<'_, I, In, Out> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Unordered").field("under_way", &self.calls.len()).finish_non_exhaustive()
    }
}
