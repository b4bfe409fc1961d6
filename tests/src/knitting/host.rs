//! The host's ends of both mailboxes, and the worker process.

use super::regions::Regions;
use super::{Part, Places, boot};
use core::sync::atomic::Ordering::SeqCst;
use knit_proto::{Span, WordOffset};
use knit_ring::{Doorbell, FutexBell, Mapped, MappedWord, Mapping, SharedBytes, SharedMemory};
use rustix::fs::MemfdFlags;
use std::os::fd::OwnedFd;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// How long anything may take before a test fails instead of hanging.
const DEADLINE: Duration = Duration::from_secs(20);

type Word = MappedWord<Mapping>;

/// What a call carries: words 2 to 5, of which word 3 is replaced where there are dynamic bytes, and bytes.
#[derive(Clone, Debug, Default)]
pub struct Argument {
    /// Tag, start or low half, end or high half, length.
    pub words: [u32; 4],
    /// Bytes in the slot.
    pub inline: Vec<u8>,
    /// Bytes in the payload region.
    pub dynamic: Vec<u8>,
}

impl Argument {
    /// A number.
    #[must_use]
    pub fn number(value: f64) -> Self {
        let bits = value.to_bits();
        // The casts take the two halves apart.
        Self { words: [9, bits as u32, (bits >> 32) as u32, 0], ..Self::default() }
    }

    /// Bytes, in the slot if they fit.
    #[must_use]
    pub fn bytes(bytes: Vec<u8>) -> Self {
        Self::run([18, 17], bytes)
    }

    /// Text, in the slot if it fits.
    #[must_use]
    pub fn text(text: &str) -> Self {
        Self::run([15, 11], text.into())
    }

    fn run([inline, dynamic]: [u32; 2], bytes: Vec<u8>) -> Self {
        let len = u32::try_from(bytes.len()).expect("a short argument");
        if len <= 512 {
            Self { words: [inline, 0, 0, len], inline: bytes, dynamic: Vec::new() }
        } else {
            Self { words: [dynamic, 0, 0, len], inline: Vec::new(), dynamic: bytes }
        }
    }
}

/// An answer, copied out of shared memory.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Words 0 to 7.
    pub words: [u32; 8],
    /// Bytes in the slot.
    pub inline: Vec<u8>,
    /// Bytes in the payload region.
    pub dynamic: Vec<u8>,
}

impl Answer {
    /// The id of the call.
    #[must_use]
    pub const fn call(&self) -> u32 {
        self.words[1]
    }

    /// Whether the call failed.
    #[must_use]
    pub const fn rejected(&self) -> bool {
        self.words[0] != 0
    }

    /// The number that it is.
    ///
    /// # Panics
    ///
    /// It is none.
    #[must_use]
    pub fn number(&self) -> f64 {
        assert_eq!((self.words[0], self.words[2]), (0, 9), "{self:?}");
        f64::from_bits(u64::from(self.words[4]) << 32 | u64::from(self.words[3]))
    }

    /// All bytes, those in the slot first.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        [&self.inline[..], &self.dynamic].concat()
    }

    /// The JSON of the error that the call was rejected with.
    ///
    /// # Panics
    ///
    /// It was not rejected, or with something else.
    #[must_use]
    pub fn error(&self) -> serde_json::Value {
        assert_eq!((self.words[0], self.words[2]), (1, 24), "{self:?}");
        serde_json::from_slice(&self.dynamic).expect("the text of an error is JSON")
    }
}

/// One direction, as the host sees it.
struct Mailbox {
    sender: Word,
    receiver: Word,
    payload_sender: Word,
    payload_receiver: Word,
    headers: <Mapped<Mapping> as SharedMemory>::Bytes,
    payload: <Mapped<Mapping> as SharedMemory>::Bytes,
}

/// A host of one lane.
pub struct Host {
    /// Where everything is.
    pub places: Places,
    memory: Mapped<Mapping>,
    file: OwnedFd,
    requests: Mailbox,
    responses: Mailbox,
    signals: [Word; 3],
    /// The sender word of requests, and the receiver word as seen last.
    sent: u32,
    seen: u32,
    /// The receiver word of responses.
    received: u32,
    last: u32,
    regions: Regions,
    child: Option<Child>,
}

impl Host {
    /// A host with payload regions of `payload` bytes and bits for `aborts` signals, without a worker.
    ///
    /// # Panics
    ///
    /// The system has no memory.
    #[must_use]
    pub fn new(payload: u32, aborts: Option<u32>) -> Self {
        let flags = MemfdFlags::CLOEXEC;
        let file = rustix::fs::memfd_create(c"knitting_shared_memory", flags).expect("a memfd");
        Self::over(file, Places::new(payload, aborts))
    }

    /// A host over a file of zeros.
    ///
    /// # Panics
    ///
    /// The file cannot be mapped.
    #[must_use]
    pub fn over(file: OwnedFd, places: Places) -> Self {
        rustix::fs::ftruncate(&file, places.size.into()).expect("room");
        let copy = file.try_clone().expect("a descriptor");
        let memory = Mapping::attach_unsealed(copy, places.size).expect("memory");
        let word = |at: u32| memory.word(WordOffset::new(at).expect("aligned")).expect("inside");
        let bytes = |(at, len)| memory.bytes(Span::new(at, len).expect("aligned")).expect("inside");
        let mailbox = |which: usize| {
            let at = places.locks[which].0;
            Mailbox {
                sender: word(at),
                receiver: word(at + 64),
                payload_sender: word(at + 128),
                payload_receiver: word(at + 192),
                headers: bytes(places.headers[which]),
                payload: bytes(places.payloads[which]),
            }
        };
        let signals = [0, 64, 128].map(|at| word(places.signals.0 + at));
        signals[0].as_atomic().store(0, SeqCst);
        signals[1].as_atomic().store(1, SeqCst);
        Self {
            requests: mailbox(0),
            responses: mailbox(1),
            signals,
            sent: 0,
            seen: 0,
            received: 0,
            last: 32,
            regions: Regions::new(places.payloads[0].1 - 64),
            child: None,
            places,
            memory,
            file,
        }
    }

    /// Starts a worker for these tasks.
    ///
    /// # Panics
    ///
    /// The program cannot be started.
    pub fn start(&mut self, program: &str, names: &[&str]) {
        let boot = boot(&self.places, names, None);
        self.start_with(&mut Command::new(program), &boot.to_string());
    }

    /// Starts this command as a worker with this boot description; what upstream appends to the
    /// command is appended.
    ///
    /// # Panics
    ///
    /// The program cannot be started.
    pub fn start_with(&mut self, command: &mut Command, boot: &str) {
        let file = self.file.try_clone().expect("a descriptor");
        let child = command
            .args(["node", "--no-warnings", "--experimental-transform-types", "worker.js"])
            .env("KNITTING_PROCESS_WORKER", "1")
            .env("KNITTING_POOL_DEPTH", "1")
            .env("KNITTING_PROCESS_WORKER_BOOT", boot)
            .stdin(Stdio::from(file))
            .spawn();
        self.child = Some(child.expect("the worker's program"));
    }

    /// The worker process.
    ///
    /// # Panics
    ///
    /// None was started.
    pub fn child(&mut self) -> &mut Child {
        self.child.as_mut().expect("a worker was started")
    }

    /// Waits until the worker's process has ended.
    ///
    /// # Panics
    ///
    /// It does not.
    pub fn ended(&mut self) -> ExitStatus {
        let start = Instant::now();
        loop {
            if let Some(status) = self.child().try_wait().expect("a child") {
                return status;
            }
            assert!(start.elapsed() < DEADLINE, "the worker does not end");
            std::thread::yield_now();
        }
    }

    /// Publishes a call; false when there is no slot or no room for it.
    pub fn post(&mut self, word0: u32, call: u32, argument: &Argument) -> bool {
        let [tag, mut w3, w4, w5] = argument.words;
        if self.sent ^ self.seen == u32::MAX {
            self.seen = self.requests.receiver.as_atomic().load(SeqCst);
        }
        let free = !(self.sent ^ self.seen);
        if free == 0 {
            return false;
        }
        let slot = 31 - free.leading_zeros();
        let mut w6 = 0x5a5a_5a40;
        if matches!(Part::of(tag), Some(Part::Dynamic | Part::StaticHead | Part::DynamicHead)) {
            let released = self.requests.payload_receiver.as_atomic().load(SeqCst);
            let len = u32::try_from(argument.dynamic.len()).expect("a short argument");
            let Some((index, start)) = self.regions.place(len, released) else { return false };
            self.requests.payload_sender.as_atomic().store(self.regions.word, SeqCst);
            self.requests.payload.deposit(64 + start, &argument.dynamic).expect("placed inside");
            (w3, w6) = (start, w6 | index);
        }
        self.publish(slot, [word0, call, tag, w3, w4, w5, w6, 0], &argument.inline);
        true
    }

    /// Publishes these words in a slot, whatever they are.
    ///
    /// # Panics
    ///
    /// More bytes than the slot holds.
    pub fn publish(&mut self, slot: u32, words: [u32; 8], inline: &[u8]) {
        self.publish_unheard(slot, words, inline);
        if self.signals[1].as_atomic().load(SeqCst) == 0 {
            self.signals[0].as_atomic().fetch_add(1, SeqCst);
            FutexBell.wake(&self.signals[0]);
        }
    }

    /// The same without a wake-up, as of a host that has no means for it.
    ///
    /// # Panics
    ///
    /// More bytes than the slot holds.
    pub fn publish_unheard(&mut self, slot: u32, words: [u32; 8], inline: &[u8]) {
        let at = slot * 576;
        self.requests.headers.deposit(at, inline).expect("512 bytes");
        self.requests.headers.store_words(at + 512, &words).expect("the line of a slot");
        self.toggle(1 << slot);
    }

    /// Flips these bits of the sender word.
    pub fn toggle(&mut self, bits: u32) {
        self.sent ^= bits;
        self.requests.sender.as_atomic().store(self.sent, SeqCst);
    }

    /// Allocates a region and takes it back, as after an encoding that failed.
    ///
    /// # Panics
    ///
    /// There is no room.
    pub fn roll_back(&mut self) {
        let receiver = self.requests.payload_receiver.as_atomic();
        let place = self.regions.place(100, receiver.load(SeqCst));
        let (index, _) = place.expect("room");
        self.requests.payload_sender.as_atomic().store(self.regions.word, SeqCst);
        receiver.fetch_xor(1 << index, SeqCst);
    }

    /// Every answer that is there, held against what no answer may be.
    pub fn poll(&mut self) -> Vec<Answer> {
        let mut answers = Vec::new();
        let sent = self.responses.sender.as_atomic().load(SeqCst);
        let mut pending = sent ^ self.received;
        while pending != 0 {
            // The highest below the last one, cyclically.
            let below = pending & (1_u32.checked_shl(self.last).unwrap_or(0).wrapping_sub(1));
            let from = if below == 0 { pending } else { below };
            let slot = 31 - from.leading_zeros();
            pending &= !(1 << slot);
            self.last = slot;
            answers.push(self.copy(slot));
            self.received ^= 1 << slot;
            if answers.len().is_multiple_of(8) {
                self.responses.receiver.as_atomic().store(self.received, SeqCst);
            }
        }
        self.responses.receiver.as_atomic().store(self.received, SeqCst);
        answers
    }

    fn copy(&mut self, slot: u32) -> Answer {
        let mut words = [0; 8];
        let at = slot * 576;
        self.responses.headers.load_words(at + 512, &mut words).expect("the line of a slot");
        let [flags, _, tag, w3, w4, w5, w6, w7] = words;
        assert!(flags <= 1 && w7 == 0 && !(46..=48).contains(&tag), "{words:?}");
        let part = Part::of(tag).unwrap_or_else(|| panic!("tag {tag}"));
        let (in_slot, in_region) = match part {
            Part::Words => (0, None),
            Part::Static => (w5, None),
            Part::Dynamic => (0, Some(w5)),
            Part::StaticHead => (w5, Some(w4)),
            Part::DynamicHead => (0, Some(w5 + w4)),
        };
        assert!(in_slot <= 512, "{words:?}");
        let mut inline = vec![0; in_slot as usize];
        self.responses.headers.snapshot(at, &mut inline).expect("512 bytes");
        let mut dynamic = vec![0; in_region.unwrap_or(0) as usize];
        if let Some(len) = in_region {
            assert!(w3.is_multiple_of(64) && len <= self.places.payloads[1].1 / 8, "{words:?}");
            let mailbox = &self.responses;
            mailbox.payload.snapshot(64 + w3, &mut dynamic).expect("inside the payload region");
            let bit = 1 << (w6 & 31);
            let sender = mailbox.payload_sender.as_atomic().load(SeqCst);
            let before = mailbox.payload_receiver.as_atomic().fetch_xor(bit, SeqCst);
            assert_eq!((sender ^ before) & bit, bit, "region {} is not live", w6 & 31);
        }
        Answer { words, inline, dynamic }
    }

    /// Polls until so many answers have come.
    ///
    /// # Panics
    ///
    /// The worker ends, or they do not come.
    pub fn wait(&mut self, count: usize) -> Vec<Answer> {
        let start = Instant::now();
        let mut answers = Vec::new();
        while answers.len() < count {
            let more = self.poll();
            if more.is_empty() {
                let ended = self.child().try_wait().expect("a child");
                assert!(ended.is_none(), "the worker has ended: {ended:?}");
                assert!(start.elapsed() < DEADLINE, "{} of {count} answers", answers.len());
                std::thread::yield_now();
            }
            answers.extend(more);
        }
        assert_eq!(answers.len(), count);
        answers
    }

    /// Makes one call and waits for its answer.
    ///
    /// # Panics
    ///
    /// There is no room, or no answer.
    pub fn call(&mut self, function: u32, call: u32, argument: &Argument) -> Answer {
        assert!(self.post(function, call, argument), "room for one call");
        let answer = self.wait(1).remove(0);
        assert_eq!(answer.call(), call);
        answer
    }

    /// Takes whatever answers there are and throws them away, unread.
    pub fn discard(&mut self) {
        let responses = &self.responses;
        self.received = responses.sender.as_atomic().load(SeqCst);
        let blocks = responses.payload_sender.as_atomic().load(SeqCst);
        responses.payload_receiver.as_atomic().store(blocks, SeqCst);
        responses.receiver.as_atomic().store(self.received, SeqCst);
    }

    /// Stores any word anywhere.
    ///
    /// # Panics
    ///
    /// It is not aligned, or outside.
    pub fn scribble(&self, at: u32, value: u32) {
        let at = WordOffset::new(at).expect("aligned");
        self.memory.word(at).expect("inside").as_atomic().store(value, SeqCst);
    }

    /// Sets or clears the bit of an abort signal.
    ///
    /// # Panics
    ///
    /// The lane has no such signal.
    pub fn abort(&self, signal: u32, set: bool) {
        let ((at, _), signals) = self.places.aborts.expect("a lane with abort bits");
        assert!(signal < signals);
        let word = WordOffset::new(at + signal / 32 * 4).expect("aligned");
        let word = self.memory.word(word).expect("inside");
        let bit = 1 << (signal % 32);
        if set {
            word.as_atomic().fetch_or(bit, SeqCst);
        } else {
            word.as_atomic().fetch_and(!bit, SeqCst);
        }
    }

    /// Whether the worker says that it sleeps.
    #[must_use]
    pub fn worker_sleeps(&self) -> bool {
        self.signals[1].as_atomic().load(SeqCst) == 0
    }

    /// Says that the host is at work, or not.
    pub fn busy(&self, busy: bool) {
        self.signals[2].as_atomic().store(busy.into(), SeqCst);
    }

    /// Bytes of the lane's memory, from `at` on.
    ///
    /// # Panics
    ///
    /// They are not all inside.
    #[must_use]
    pub fn image(&self, at: u32, len: u32) -> Vec<u8> {
        let span = Span::new(at, len).expect("aligned");
        let mut bytes = vec![0; len as usize];
        self.memory.bytes(span).expect("inside").snapshot(0, &mut bytes).expect("inside");
        bytes
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl core::fmt::Debug for Host {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Host").field("sent", &self.sent).finish_non_exhaustive()
    }
}
