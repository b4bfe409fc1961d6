//! tokio's channels to a *thread*: no process, no bytes. Values are cloned on the way there and on the way
//! back, as they would be where neither side gives its own away.

use crate::Failure;
use crate::caller::Caller;
use crate::jobs::Job;
use knit_cli::floor::{Cpus, PATIENCE};
use knit_codec::ErrorValue;
use knit_ring::Relax;
use std::collections::VecDeque;
use std::thread::{self, JoinHandle};
use std::time::Instant;
use tokio::sync::mpsc::error::TryRecvError;
use tokio::sync::{mpsc, oneshot};

/// Room of the channel: more than the largest window.
const ROOM: usize = 128;

/// Polls between two readings of the clock.
const POLLS: u32 = 1 << 16;

type Answer<J> = Result<<J as Job>::Value, ErrorValue>;
type Request<J> = (<J as Job>::Value, oneshot::Sender<Answer<J>>);

/// An `mpsc` channel to the thread, and a `oneshot` for each answer.
pub struct ThreadCaller<J: Job> {
    requests: Option<mpsc::Sender<Request<J>>>,
    answers: VecDeque<oneshot::Receiver<Answer<J>>>,
    polled: bool,
    thread: Option<JoinHandle<Result<(), Failure>>>,
}

impl<J: Job> ThreadCaller<J> {
    /// Starts the thread on the second processor. With `polled` both sides poll their channels, otherwise both
    /// block.
    ///
    /// # Errors
    ///
    /// The system refuses.
    pub fn start(cpus: &Cpus, polled: bool) -> Result<Self, Failure> {
        let (requests, receiver) = mpsc::channel(ROOM);
        let cpus = *cpus;
        let work = move || {
            let _pinned = cpus.pin_there()?;
            if polled { poll::<J>(receiver) } else { block::<J>(receiver) }
        };
        let thread = thread::Builder::new().name("tokio".to_owned()).spawn(work)?;
        let (requests, thread) = (Some(requests), Some(thread));
        Ok(Self { requests, answers: VecDeque::new(), polled, thread })
    }
}

fn block<J: Job>(mut requests: mpsc::Receiver<Request<J>>) -> Result<(), Failure> {
    while let Some((value, reply)) = requests.blocking_recv() {
        answer::<J>(&value, reply)?;
    }
    Ok(())
}

fn poll<J: Job>(mut requests: mpsc::Receiver<Request<J>>) -> Result<(), Failure> {
    let mut relax = Relax::new();
    loop {
        match requests.try_recv() {
            Ok((value, reply)) => {
                answer::<J>(&value, reply)?;
                relax = Relax::new();
            }
            Err(TryRecvError::Empty) => relax.moment(),
            Err(TryRecvError::Disconnected) => return Ok(()),
        }
    }
}

fn answer<J: Job>(value: &J::Value, reply: oneshot::Sender<Answer<J>>) -> Result<(), Failure> {
    reply.send(J::run(value.clone())).map_err(|_| "nobody waits for an answer".into())
}

impl<J: Job> Caller<J> for ThreadCaller<J> {
    fn submit(&mut self, value: J::Value) -> Result<(), Failure> {
        let (reply, answer) = oneshot::channel();
        let requests = self.requests.as_ref().ok_or("the channel is closed")?;
        if requests.try_send((value.clone(), reply)).is_err() {
            return Err("the channel is full or closed".into());
        }
        self.answers.push_back(answer);
        Ok(())
    }

    fn take(&mut self) -> Result<Answer<J>, Failure> {
        let mut answer = self.answers.pop_front().ok_or("nothing is in flight")?;
        if !self.polled {
            return Ok(answer.blocking_recv()?);
        }
        let mut since = None;
        let mut relax = Relax::new();
        for polls in 1_u32.. {
            match answer.try_recv() {
                Ok(answer) => return Ok(answer),
                Err(oneshot::error::TryRecvError::Empty) => relax.moment(),
                Err(error) => return Err(error.into()),
            }
            if polls.is_multiple_of(POLLS)
                && since.get_or_insert_with(Instant::now).elapsed() > PATIENCE
            {
                return Err(format!("the thread is silent for {PATIENCE:?}").into());
            }
        }
        Err("the thread is silent".into())
    }
}

impl<J: Job> Drop for ThreadCaller<J> {
    fn drop(&mut self) {
        self.requests = None;
        self.answers.clear();
        if let Some(thread) = self.thread.take() {
            // Its error was reported as that of a call.
            let _ = thread.join();
        }
    }
}
