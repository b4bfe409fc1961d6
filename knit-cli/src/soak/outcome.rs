//! The outcome of one call: waited for, and judged.

use super::tally::{Kind, Verdict};
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};
use knit_lanes::{Call, CallError, Decode, TaskFailure, WorkerExit};
use std::sync::Arc;
use std::task::Wake;
use std::thread::Thread;
use std::time::{Duration, Instant};

/// What an outcome says of the task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ran {
    /// It did not run.
    No,
    /// It may have run.
    Maybe,
    /// It has run.
    Yes,
}

impl Ran {
    /// The fault, when a call has run so often.
    pub fn against(self, runs: u32) -> Option<Verdict> {
        match (self, runs) {
            (Self::Yes, 1) | (Self::No, 0) | (Self::Maybe, 0 | 1) => None,
            (Self::Yes, 0) | (Self::No, 1) => Some(Verdict::Misreported),
            _ => Some(Verdict::Duplicated),
        }
    }
}

/// Waits for a call, as a thread or for its future; `None` when there is no outcome after so long.
pub fn of<T: Decode>(
    call: Call<T>,
    as_future: bool,
    patience: Duration,
) -> Option<Result<T, CallError>> {
    if !as_future {
        return call.wait_timeout(patience).ok();
    }
    let mut call = call;
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut context = Context::from_waker(&waker);
    let start = Instant::now();
    loop {
        if let Poll::Ready(outcome) = Pin::new(&mut call).poll(&mut context) {
            return Some(outcome);
        }
        std::thread::park_timeout(patience.checked_sub(start.elapsed())?);
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// What is to be thought of an outcome: `None` when there is none, otherwise its error if it has one.
pub fn judge(
    kind: Kind,
    outcome: Option<Option<&CallError>>,
    is_right: bool,
    kills: bool,
) -> (Verdict, Ran) {
    let Some(error) = outcome else { return (Verdict::Lost, Ran::Maybe) };
    if is_right {
        return (Verdict::Right, Ran::Yes);
    }
    let may = |may_have_run: bool| if may_have_run { Ran::Maybe } else { Ran::No };
    match error {
        Some(CallError::Aborted { may_have_run }) if kind == Kind::Aborted => {
            (Verdict::Aborted, may(*may_have_run))
        }
        Some(CallError::TimedOut { may_have_run, .. }) if kind == Kind::Timed => {
            (Verdict::TimedOut, may(*may_have_run))
        }
        Some(CallError::WorkerDied { exit: WorkerExit::Signal(9), may_have_run, .. }) if kills => {
            (Verdict::Died, may(*may_have_run))
        }
        // A value that is wrong, or a worker that was sent something wrong.
        None => (Verdict::Corrupted, Ran::Maybe),
        Some(CallError::Answer(_)) => (Verdict::Corrupted, Ran::Maybe),
        Some(CallError::Task(error)) if error.failure != TaskFailure::Unknown => {
            (Verdict::Corrupted, Ran::Maybe)
        }
        Some(_) => (Verdict::Unexpected, Ran::Maybe),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_that_were_not_reported_are_faults() {
        let against = |ran: Ran| [0, 1, 2, 3].map(|runs| ran.against(runs));
        let (wrong, twice) = (Some(Verdict::Misreported), Some(Verdict::Duplicated));
        assert_eq!(against(Ran::Yes), [wrong, None, twice, twice]);
        assert_eq!(against(Ran::Maybe), [None, None, twice, twice]);
        assert_eq!(against(Ran::No), [None, wrong, twice, twice]);
    }

    #[test]
    fn an_error_is_expected_only_where_it_was_caused() {
        let judge = |kind, error: &CallError, kills| judge(kind, Some(Some(error)), false, kills).0;
        let aborted = CallError::Aborted { may_have_run: false };
        assert_eq!(judge(Kind::Aborted, &aborted, false), Verdict::Aborted);
        assert_eq!(judge(Kind::Number, &aborted, false), Verdict::Unexpected);
        let (timeout, may_have_run) = (Duration::ZERO, true);
        let over = CallError::TimedOut { timeout, may_have_run };
        assert_eq!(judge(Kind::Timed, &over, false), Verdict::TimedOut);
        assert_eq!(judge(Kind::Aborted, &over, false), Verdict::Unexpected);
        let died = |exit| CallError::WorkerDied { lane: 0, exit, may_have_run };
        let killed = died(WorkerExit::Signal(9));
        assert_eq!(judge(Kind::Number, &killed, true), Verdict::Died);
        assert_eq!(judge(Kind::Number, &killed, false), Verdict::Unexpected);
        let crashed = died(WorkerExit::Signal(11));
        assert_eq!(judge(Kind::Number, &crashed, true), Verdict::Unexpected);
        assert_eq!(super::judge(Kind::Number, None, false, true).0, Verdict::Lost);
        assert_eq!(super::judge(Kind::Number, Some(None), false, true).0, Verdict::Corrupted);
        assert_eq!(super::judge(Kind::Number, Some(None), true, true), (Verdict::Right, Ran::Yes));
    }
}
