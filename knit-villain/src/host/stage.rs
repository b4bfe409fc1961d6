//! A lane with a worker under test at its other end.

use super::start::{ABSENT, ECHO, EPOCH, Lock};
use crate::case::{End, Expect};
use crate::channel::Channel;
use crate::child::Process;
use crate::line::{Incoming, Line};
use crate::options::Options;
use crate::wire::{Body, Raw};
use knit_proto::{LaneState, Tag};
use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

/// Time between two looks at a lane.
const LOOK: Duration = Duration::from_micros(200);

/// A lane and the process at its other end.
#[derive(Debug)]
pub struct Stage<'p> {
    /// The host's end.
    pub line: Line,
    /// The host's end of the control channel.
    pub channel: Option<Channel>,
    /// Features that the worker has accepted.
    pub features: u32,
    /// A call that has to stay without an answer.
    pub forbidden: Option<u32>,
    /// The file that the worker has instead of the segment.
    pub shadow: Option<OwnedFd>,
    /// Whether the host has closed the lane.
    pub closed: bool,
    process: &'p mut Process,
    patience: Duration,
    next_call: u32,
    answers: Vec<Incoming>,
    /// Calls that may be answered, and how often.
    owed: BTreeMap<u32, u32>,
    /// Whether an answer that nobody has asked for is a finding.
    strict: bool,
}

/// Ids that a stage chooses come after this one, which is no place of a table.
const FIRST_CALL: u32 = 0x4b00_0000;

impl<'p> Stage<'p> {
    pub(super) fn new(
        line: Line,
        channel: Option<Channel>,
        process: &'p mut Process,
        options: &Options,
        expect: Expect,
    ) -> Self {
        Self {
            line,
            channel,
            features: 0,
            forbidden: None,
            shadow: None,
            closed: false,
            process,
            patience: options.deadline,
            next_call: FIRST_CALL,
            answers: Vec::new(),
            owed: BTreeMap::new(),
            // What a worker makes of slots that flicker may be any number of answers.
            strict: expect != Expect::Survives,
        }
    }

    /// Waits until `ready` gives something, looking at the process in between.
    ///
    /// # Errors
    ///
    /// The process has ended, or the deadline has passed.
    pub fn until<T>(
        &mut self,
        what: &str,
        mut ready: impl FnMut(&mut Self) -> Result<Option<T>, End>,
    ) -> Result<T, End> {
        let end = Instant::now() + self.patience;
        loop {
            if let Some(found) = ready(self)? {
                return Ok(found);
            }
            if self.process.ended_within(LOOK).is_some() {
                // What it said before its end counts.
                return ready(self)?.ok_or(End::Exited);
            }
            if Instant::now() >= end {
                return Err(End::Late(format!("no {what} within {:?}", self.patience)));
            }
        }
    }

    /// Waits until the worker is open, and locks features.
    ///
    /// # Errors
    ///
    /// It does not come, or says what it may not say.
    pub fn open(&mut self, lock: Lock) -> Result<(), End> {
        let control = self.line.theirs();
        let state = self.until("worker that is open", |stage| {
            let state = stage.state_in_file().unwrap_or_else(|| stage.line.load(control.state));
            Ok((state != LaneState::Absent.word()).then_some(state))
        })?;
        if self.shadow.is_some() {
            return Err(End::Wrong("it attached".to_owned()));
        }
        let (epoch, features) = (self.line.load(control.epoch), self.line.load(control.features));
        let fields = self.line.layout.fields();
        let (required, optional) = (fields.required.bits(), fields.optional.bits());
        if state != LaneState::Open.word() {
            return Err(End::Wrong(format!(
                "the worker's state is {state} before the host closes"
            )));
        }
        if epoch != EPOCH {
            return Err(End::Wrong(format!("the worker speaks for epoch {epoch}, not {EPOCH}")));
        }
        if features & required != required || features & !(required | optional) != 0 {
            return Err(End::Wrong(format!("the worker accepted features {features:#x}")));
        }
        self.features = features;
        self.line.stamps = features & knit_proto::Features::STAMPS.bits() != 0;
        self.line.withdraws = features & knit_proto::Features::WITHDRAW.bits() != 0;
        match lock {
            Lock::Accepted => self.line.store(self.line.mine().features, features),
            Lock::Flipped(bits) => self.line.store(self.line.mine().features, features ^ bits),
            Lock::Nothing => {}
        }
        Ok(())
    }

    /// The worker's state, where the worker has another file than the segment.
    fn state_in_file(&self) -> Option<u32> {
        let mut word = [0; 4];
        let at = self.line.theirs().state.bytes();
        // A file that is too short, or of another kind, has no such word.
        let _ = rustix::io::pread(self.shadow.as_ref()?, &mut word[..], at.into());
        Some(u32::from_le_bytes(word))
    }

    /// A call id that was not used before.
    pub fn new_call(&mut self) -> u32 {
        self.next_call += 1;
        self.owed.insert(self.next_call, 1);
        self.next_call
    }

    /// Publishes a call of `function` and rings, as soon as there is room; returns its id.
    ///
    /// # Errors
    ///
    /// The process has ended, or gives no room.
    pub fn submit(&mut self, function: u32, body: &Body) -> Result<u32, End> {
        let call = self.new_call();
        self.submit_as(function, call, body)?;
        Ok(call)
    }

    /// The same with word 0 and call id as they are.
    ///
    /// # Errors
    ///
    /// As [`Self::submit`].
    pub fn submit_as(&mut self, word0: u32, call: u32, body: &Body) -> Result<u32, End> {
        self.until("room for a request", |stage| {
            stage.collect()?;
            Ok(stage.line.has_room().then_some(()))
        })?;
        if !(FIRST_CALL + 1..=self.next_call).contains(&call) {
            *self.owed.entry(call).or_default() += 1;
        }
        let raw = self.line.forge(word0, call, body);
        let slot = self.line.post(&raw);
        self.line.ring();
        Ok(slot)
    }

    /// Publishes a message that must not be answered.
    ///
    /// # Errors
    ///
    /// As [`Self::submit`].
    pub fn offend(&mut self, word0: u32, body: &Body) -> Result<(), End> {
        let call = self.submit(word0, body)?;
        self.forbidden = Some(call);
        Ok(())
    }

    /// The message of `body`, for the next slot, as a request for `echo`.
    pub fn echo_of(&mut self, body: &Body) -> (u32, Raw) {
        let call = self.new_call();
        (call, self.line.forge(ECHO, call, body))
    }

    /// Waits for the answer to a call.
    ///
    /// # Errors
    ///
    /// The process has ended, or does not answer, or answers what was not asked.
    pub fn answer(&mut self, call: u32) -> Result<Incoming, End> {
        self.until("answer", |stage| {
            stage.collect()?;
            let at = stage.answers.iter().position(|answer| answer.call == call);
            Ok(at.map(|at| stage.answers.swap_remove(at)))
        })
    }

    /// Takes what answers there are.
    ///
    /// # Errors
    ///
    /// The worker broke the protocol, or answered what it must not.
    pub fn collect(&mut self) -> Result<(), End> {
        while let Some(answer) = self.line.take().map_err(End::Wrong)? {
            if self.forbidden == Some(answer.call) {
                let tag = answer.tag;
                return Err(End::Wrong(format!("it took the message and answered with {tag}")));
            }
            match self.owed.get_mut(&answer.call) {
                Some(owed) if *owed > 0 => *owed -= 1,
                _ if self.strict => {
                    let call = answer.call;
                    return Err(End::Wrong(format!(
                        "it answers call {call:#x}, which is not in flight"
                    )));
                }
                _ => {}
            }
            self.answers.push(answer);
        }
        Ok(())
    }

    /// Calls `echo` with `body`, and expects it back as it is.
    ///
    /// # Errors
    ///
    /// Anything else happens.
    pub fn echo(&mut self, body: &Body) -> Result<(), End> {
        let (call, raw) = self.echo_of(body);
        self.submit_as(ECHO, call, body)?;
        self.expect_back(call, &raw)
    }

    /// Waits for the answer to a call of `echo` whose argument was `sent`.
    ///
    /// # Errors
    ///
    /// It is another one.
    pub fn expect_back(&mut self, call: u32, sent: &Raw) -> Result<(), End> {
        let answer = self.answer(call)?;
        if answer.word0 != 0 {
            return Err(End::Wrong(format!("the call failed: {}", error_text(&answer))));
        }
        let bytes = match sent {
            Raw { arena, .. } if !arena.is_empty() => [&*sent.inline, arena].concat(),
            Raw { inline, .. } => inline.clone(),
        };
        // Other kinds may come back in another form.
        let verbatim = [Tag::STRING_INLINE, Tag::STRING_ARENA, Tag::BYTES_INLINE, Tag::BYTES_ARENA];
        let any = !verbatim.contains(&Tag(sent.words[2]));
        if !any && !bytes.is_empty() && answer.bytes != bytes {
            return Err(End::Wrong(format!(
                "{} bytes came back as {} other ones",
                bytes.len(),
                answer.bytes.len()
            )));
        }
        Ok(())
    }

    /// Waits for the answer to a call, which must be an error.
    ///
    /// # Errors
    ///
    /// It is another one.
    pub fn expect_failure(&mut self, call: u32) -> Result<(), End> {
        let answer = self.answer(call)?;
        if answer.word0 == 0 {
            return Err(End::Wrong(format!("the call succeeded with {}", answer.tag)));
        }
        Ok(())
    }

    /// Calls that must succeed: the lane serves.
    ///
    /// # Errors
    ///
    /// It does not.
    pub fn probe(&mut self) -> Result<(), End> {
        let call = self.submit(ECHO, &Body::scalar(Tag::NUMBER, 3.5_f64.to_bits()))?;
        let answer = self.answer(call)?;
        if (answer.word0, answer.tag) != (0, Tag::NUMBER) || answer.bytes != 3.5_f64.to_le_bytes() {
            return Err(End::Wrong(format!(
                "3.5 came back as {} of {:?}",
                answer.tag, answer.bytes
            )));
        }
        self.echo(&Body::text("inline"))?;
        self.echo(&Body::text("arena ".repeat(200)))
    }

    /// A call that must fail.
    ///
    /// # Errors
    ///
    /// It does not.
    pub fn probe_failure(&mut self) -> Result<(), End> {
        let call = self.submit(ABSENT, &Body::bare(Tag::NULL))?;
        self.expect_failure(call)
    }

    /// Closes the lane and waits for the end of the worker.
    ///
    /// # Errors
    ///
    /// [`End::Exited`] when it has ended, otherwise that it has not.
    pub fn close(&mut self) -> Result<(), End> {
        self.closed = true;
        self.line.store(self.line.mine().state, LaneState::Closing.word());
        self.line.ring();
        self.until_gone()
    }

    /// Waits for the end of the worker of a lane that is closed.
    ///
    /// # Errors
    ///
    /// As [`Self::close`].
    pub fn until_gone(&mut self) -> Result<(), End> {
        self.until("end of the worker after the host has closed", |_| Ok(None::<()>))
    }

    /// Rings now and then until the worker ends, which it has to.
    ///
    /// # Errors
    ///
    /// [`End::Exited`] when it has ended, otherwise that it has not.
    pub fn until_refused(&mut self) -> Result<(), End> {
        let mut looks = 0_u32;
        let outcome: Result<(), End> = self.until("reaction", |stage| {
            stage.collect()?;
            looks += 1;
            if looks.is_multiple_of(64) {
                stage.line.ring();
            }
            Ok(None)
        });
        let Err(End::Late(late)) = outcome else { return outcome };
        // It goes on, or it hangs.
        match self.probe() {
            Ok(()) => Err(End::Wrong("it took the offence and went on".to_owned())),
            Err(End::Late(_)) => Err(End::Late(late)),
            Err(end) => Err(end),
        }
    }
}

/// The text of an error value, as far as it can be told.
fn error_text(answer: &Incoming) -> String {
    String::from_utf8_lossy(&answer.bytes).chars().take(200).collect()
}
