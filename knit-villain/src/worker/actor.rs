//! A worker's end of a lane, in the hands of a villain.

use super::Log;
use crate::channel::Channel;
use crate::line::{Incoming, Line, Side};
use crate::wire::Body;
use knit_lanes::Boot;
use knit_proto::{Features, LaneState, Tag};
use knit_ring::{Mapping, attach_segment};
use std::error::Error;
use std::process::exit;
use std::time::Duration;

/// Pause between two looks at the lane.
const LOOK: Duration = Duration::from_micros(200);
/// Exit status of a villain whose host broke the protocol.
const BROKEN: i32 = 76;

/// A call that the host has made.
#[derive(Clone, Debug)]
pub struct Call {
    /// Its id.
    pub id: u32,
    message: Incoming,
}

impl Call {
    /// Its argument, to be sent back.
    #[must_use]
    pub fn argument(&self) -> Body {
        let Incoming { tag, bytes, .. } = &self.message;
        match *tag {
            Tag::STRING_INLINE | Tag::STRING_ARENA => Body::text(bytes.clone()),
            // The contract has texts alone.
            other => Body::bare(other),
        }
    }
}

/// A worker's end of a lane.
#[derive(Debug)]
pub struct Actor {
    /// The lane.
    pub line: Line,
    epoch: u32,
    log: Log,
    channel: Option<Channel>,
    opened: bool,
}

impl Actor {
    /// Takes the segment off standard input. Says nothing yet.
    pub(super) fn attach(boot: &Boot, log: Log) -> Result<Self, Box<dyn Error>> {
        let file = rustix::stdio::stdin().try_clone_to_owned()?;
        let memory = Mapping::attach(file)?;
        let layout = attach_segment(&memory)?;
        let line = Line::new(&memory, &layout, Side::Worker, boot.max_payload);
        Ok(Self { line, epoch: boot.epoch, log, channel: None, opened: false })
    }

    /// The features that an honest worker with a control channel and without a journal would accept: a host that trusts in a journal
    /// would make calls again that this worker has begun.
    #[must_use]
    pub fn features(&self) -> u32 {
        let fields = self.line.layout.fields();
        let known = Features::STAMPS.or(Features::FUTEX_BELLS).or(Features::BUFFER_HANDLES);
        fields.required.or(fields.optional.and(known)).bits()
    }

    /// The epoch of the boot description.
    #[must_use]
    pub fn epoch(&self) -> u32 {
        self.epoch
    }

    /// Says that the worker is ready, in these words.
    pub fn open_as(&mut self, epoch: u32, features: u32, state: u32) {
        self.opened = true;
        self.line.stamps = features & Features::STAMPS.bits() != 0;
        self.line.say(epoch, features, state);
    }

    /// Says that the worker is ready, as every worker does.
    pub fn open(&mut self) {
        if !self.opened {
            self.open_as(self.epoch, self.features(), LaneState::Open.word());
        }
    }

    /// Notes that the case happens: from here on the host has something to find, and may end this process.
    pub fn acted(&self) {
        self.log.note("acted");
    }

    /// Notes that a call gets an answer that an honest worker would not give.
    pub fn note_bad(&self) {
        self.log.note("bad");
    }

    /// The inherited end of the control channel.
    ///
    /// # Panics
    ///
    /// The host has given none; then there is no case.
    pub fn channel(&mut self) -> &Channel {
        if self.channel.is_none() {
            match Channel::inherited() {
                Ok(channel) => self.channel = Some(channel),
                Err(_) => self.end("skip the host gives no control channel"),
            }
        }
        self.channel.as_ref().expect("taken above")
    }

    /// Waits for a call. Ends with the lane.
    pub fn next_call(&mut self) -> Call {
        self.open();
        loop {
            if let Some(call) = self.poll() {
                return call;
            }
            if self.line.peer_is(LaneState::Closing) {
                self.leave();
            }
            std::thread::sleep(LOOK);
        }
    }

    /// A call, if there is one.
    pub fn poll(&mut self) -> Option<Call> {
        match self.line.take() {
            Ok(message) => message.map(|message| {
                self.log.note("call");
                Call { id: message.call, message }
            }),
            Err(what) => {
                self.log.note(&format!("host {what}"));
                exit(BROKEN)
            }
        }
    }

    /// Answers with word 0 and payload as they are, and notes that it was a bad answer.
    pub fn answer_badly(&mut self, call: &Call, body: &Body) {
        self.note_bad();
        self.acted();
        self.answer_with(0, call.id, body);
    }

    /// Answers with these words.
    pub fn answer_with(&mut self, word0: u32, call: u32, body: &Body) {
        self.wait_for_room();
        let raw = self.line.forge(word0, call, body);
        self.line.post(&raw);
        self.line.ring();
    }

    /// Answers as every worker does: `echo` gives its argument back.
    pub fn answer(&mut self, call: &Call) {
        self.answer_with(0, call.id, &call.argument());
    }

    /// Serves until the host closes the lane. Returns the exit status.
    pub fn serve(&mut self) -> ! {
        loop {
            let call = self.next_call();
            self.answer(&call);
        }
    }

    /// Ends this process after a note.
    pub fn end(&self, note: &str) -> ! {
        self.log.note(note);
        exit(0)
    }

    fn wait_for_room(&mut self) {
        while !self.line.has_room() {
            if self.line.peer_is(LaneState::Closing) {
                self.leave();
            }
            std::thread::sleep(LOOK);
        }
    }

    /// Ends as a worker whose host has closed.
    fn leave(&mut self) -> ! {
        self.log.note("closed");
        self.line.store(self.line.mine().state, LaneState::Closing.word());
        self.line.ring();
        exit(0)
    }
}
