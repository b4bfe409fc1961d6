//! What is done with every implementation alike: a check, and a window of calls.

use crate::Failure;
use crate::jobs::Job;
use crate::link::{Client, Link};
use knit_cli::floor::{Plan, Sample};
use knit_codec::ErrorValue;

/// Makes calls and gives the answers in the order of the calls.
pub trait Caller<J: Job> {
    /// Begins a call. Does not wait for its answer.
    ///
    /// # Errors
    ///
    /// It cannot be begun.
    fn submit(&mut self, value: J::Value) -> Result<(), Failure>;

    /// Waits for the answer of the oldest call that was not taken. There is one.
    ///
    /// # Errors
    ///
    /// There is no answer, or it is that of another call.
    fn take(&mut self) -> Result<Result<J::Value, ErrorValue>, Failure>;
}

impl<J: Job, L: Link> Caller<J> for Client<L> {
    fn submit(&mut self, value: J::Value) -> Result<(), Failure> {
        self.begin(value)
    }

    fn take(&mut self) -> Result<Result<J::Value, ErrorValue>, Failure> {
        self.finish()
    }
}

/// Rounds of the check, in windows.
const CHECKED: u32 = 2;

/// Makes some windows of calls, each with another argument, and compares every answer with its own.
///
/// # Errors
///
/// A call has failed, or an answer is not the one of its call.
pub fn check<J: Job>(caller: &mut impl Caller<J>, window: u32) -> Result<(), Failure> {
    let calls = CHECKED * window + 3;
    for index in 0..calls + window {
        if index < calls {
            caller.submit(J::value(index))?;
        }
        if let Some(answered) = (index + 1).checked_sub(window)
            && answered < calls
        {
            is_answer_of::<J>(caller.take()?, answered)?;
        }
    }
    Ok(())
}

/// Mean nanoseconds of a call while `window` of them are in flight: as soon as the oldest is answered
/// the next one begins, with what it has brought. So each value goes through all rounds, and is the same at the
/// end only if all answers were right and in order.
///
/// # Errors
///
/// As [`check`].
pub fn measure<J: Job>(
    caller: &mut impl Caller<J>,
    window: u32,
    plan: &Plan,
) -> Result<f64, Failure> {
    for index in 1..window {
        caller.submit(J::value(index - 1))?;
    }
    // The last of the window is at hand, and goes out first.
    let mut at_hand = Some(J::value(window - 1));
    let mut rounds = 0;
    let sample = Sample::collect(plan, |calls| {
        for _ in 0..calls {
            caller.submit(at_hand.take().ok_or("a call has failed")?)?;
            at_hand = Some(J::argument_of(caller.take()?)?);
        }
        rounds += u64::from(calls);
        Ok::<_, Failure>(())
    })?;
    // The window has moved on by one value in each round.
    let at = |place: u32| ((rounds + u64::from(window - 1 + place)) % u64::from(window)) as u32;
    if at_hand != Some(J::value(at(0))) {
        return Err("a value has changed on its way".into());
    }
    for place in 1..window {
        is_answer_of::<J>(caller.take()?, at(place))?;
    }
    Ok(sample.median())
}

fn is_answer_of<J: Job>(answer: Result<J::Value, ErrorValue>, index: u32) -> Result<(), Failure> {
    if J::argument_of(answer)? == J::value(index) {
        return Ok(());
    }
    Err(format!("the answer of call {index} belongs to another argument").into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jobs::Text;
    use knit_cli::floor::Cpus;
    use std::collections::VecDeque;
    use std::time::Duration;

    /// Answers at once, except that it may do something wrong to one of the calls.
    #[derive(Default)]
    struct Here {
        calls: VecDeque<String>,
        submitted: u32,
        swap_at: Option<u32>,
        change_at: Option<u32>,
    }

    impl Caller<Text> for Here {
        fn submit(&mut self, mut value: String) -> Result<(), Failure> {
            if self.change_at == Some(self.submitted) {
                value.push('!');
            }
            self.calls.push_back(value);
            let last = self.calls.len() - 1;
            if self.swap_at == Some(self.submitted) && last > 0 {
                self.calls.swap(last, last - 1);
            }
            self.submitted += 1;
            Ok(())
        }

        fn take(&mut self) -> Result<Result<String, ErrorValue>, Failure> {
            Ok(Text::run(self.calls.pop_front().ok_or("nothing is in flight")?))
        }
    }

    fn plan() -> Plan {
        let (rounds, budget) = (500, Duration::from_millis(5));
        Plan { repetitions: 1, rounds, budget, ..Plan::quick(Cpus::ANY) }
    }

    #[test]
    fn right_answers_pass() {
        for window in [1, 2, 10, 100] {
            let mut caller = Here::default();
            check(&mut caller, window).unwrap();
            assert!(measure(&mut caller, window, &plan()).unwrap() > 0.0);
            assert!(caller.calls.is_empty(), "all answers were taken");
        }
    }

    #[test]
    fn changed_values_and_swapped_answers_are_noticed() {
        for wrong_at in [1, 5, 20] {
            let changed = || Here { change_at: Some(wrong_at), ..Here::default() };
            let swapped = || Here { swap_at: Some(wrong_at), ..Here::default() };
            assert!(check(&mut changed(), 10).is_err());
            assert!(check(&mut swapped(), 10).is_err());
            assert!(measure(&mut changed(), 10, &plan()).is_err());
            assert!(measure(&mut swapped(), 10, &plan()).is_err());
        }
    }
}
