//! A worker that attaches as every worker does, and then breaks the protocol in one way.
//!
//! `knit-test-villain MODE [MARKER]`: misbehaves as the first worker of lane 0; serves honestly as the
//! worker of any other lane and after a restart. MARKER is a file to be made once the damage is done.

// The sender of raw words, which the tests use against workers too.
#[path = "../../tests/pool_support/forge.rs"]
mod forge;
// Its end of the control channel.
#[path = "../../tests/pool_support/channel.rs"]
mod channel;

use channel::{Channel, NUMBER};
use forge::{Forge, Memory, header, word};
use knit_lanes::{Boot, Tasks};
use knit_proto::{
    ABORT_BITS_AT, Direction, Features, LaneState, Layout, SLOTS, Stage, Tag, WordOffset,
};
use knit_ring::{
    Doorbell, FutexBell, Mapping, Notifier, Receiver, SharedWord, Stamps, attach_segment,
};
use rustix::process::Signal;
use std::time::{Duration, Instant};

/// Exit status of the replacements of a `mortal` worker, which served honestly.
const MORTAL: i32 = 9;
/// Exit status of workers that end when they are given a call.
const LEFT: i32 = 7;
/// Exit status of a villain that nobody ended.
const IGNORED: i32 = 99;
/// How long the host may take to end a villain. After that the villain ends itself.
const PATIENCE: Duration = Duration::from_secs(3);
/// Bytes of a lane's arena that payloads can be in, with the default arena of 64 MiB.
const ARENA_DATA: u32 = (64 << 20) - 64;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let mode = arguments.next().expect("a mode");
    let boot = Boot::from_env().expect("a boot description");
    if mode == "mortal" && boot.epoch != 1 {
        std::process::exit(MORTAL);
    }
    if mode == "leaves" {
        leave(&boot);
    }
    if mode == "mortal" || boot.lane != 0 || boot.epoch != 1 {
        let mut tasks = Tasks::new();
        tasks.add("text", |text: String| text);
        tasks.add("pid", |(): ()| std::process::id());
        tasks.add("signed", |text: String| format!("{} {text}", std::process::id()));
        tasks.serve_if_worker();
    }
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL)).expect("Linux");
    let mut villain = Villain::attach();
    villain.open(&mode, boot.epoch);
    villain.misbehave(&mode);
    if let Some(marker) = arguments.next() {
        std::fs::write(marker, "").expect("the test's directory can be written");
    }
    villain.wait_for_the_end();
}

/// Says that it is ready, and ends when a request comes, without a look at it. Every worker of the pool does.
fn leave(boot: &Boot) -> ! {
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL)).expect("Linux");
    let mut villain = Villain::attach();
    villain.open("leaves", boot.epoch);
    let requests = word(&villain.memory, villain.layout.mailbox(Direction::Request).publish());
    while requests.load_acquire() == 0 {
        std::thread::yield_now();
    }
    std::process::exit(LEFT)
}

struct Villain {
    memory: Memory,
    layout: Layout,
    inbox: Receiver<Memory>,
    forge: Forge,
    notifier: Notifier<Memory>,
}

impl Villain {
    fn attach() -> Self {
        let file = rustix::stdio::stdin().try_clone_to_owned().expect("a descriptor");
        let memory = Mapping::attach(file).expect("a sealed memfd");
        let layout = attach_segment(&memory).expect("a segment");
        let (mine, theirs) = (layout.worker_control(), layout.host_control());
        Self {
            inbox: Receiver::new(&memory, layout.mailbox(Direction::Request), Stamps::On)
                .expect("inside"),
            forge: Forge::new(&memory, &layout, Direction::Response),
            notifier: Notifier::new(&memory, &mine, &theirs).expect("inside"),
            memory,
            layout,
        }
    }

    fn store(&self, at: WordOffset, value: u32) {
        word(&self.memory, at).store_release(value);
    }

    /// Says that the worker is ready, perhaps in a way that no worker may.
    fn open(&mut self, mode: &str, epoch: u32) {
        let control = self.layout.worker_control();
        let fields = self.layout.fields();
        let features = fields.required.or(fields.optional);
        let (epoch, features, state) = match mode {
            "open-other-epoch" => (epoch + 1, features, LaneState::Open.word()),
            "open-more-features" => {
                (epoch, features.or(Features::RECORDER), LaneState::Open.word())
            }
            "open-without-required" => {
                (epoch, features.minus(fields.required), LaneState::Open.word())
            }
            "no-handles" => {
                (epoch, features.minus(Features::BUFFER_HANDLES), LaneState::Open.word())
            }
            "open-state-7" => (epoch, features, 7),
            "open-closing" => (epoch, features, LaneState::Closing.word()),
            _ => (epoch, features, LaneState::Open.word()),
        };
        self.store(control.epoch, epoch);
        self.store(control.features, features.bits());
        self.store(control.state, state);
        self.ring();
    }

    fn ring(&mut self) {
        self.notifier.advance();
        FutexBell.wake(self.notifier.bell());
    }

    /// Waits for a request; returns its call id. Its slot is released. Ends with the pool.
    fn next_call(&mut self) -> u32 {
        let host = word(&self.memory, self.layout.host_control().state);
        loop {
            if host.load_acquire() == LaneState::Closing.word() {
                std::process::exit(0);
            }
            let taken = self.inbox.take().expect("the host is honest");
            if let Some(taken) = taken {
                let [_, call, ..] = taken.header().0;
                taken.release();
                return call;
            }
            std::thread::yield_now();
        }
    }

    fn answer(&mut self, words: [u32; 7]) {
        self.forge.send(words);
        self.ring();
    }

    fn misbehave(&mut self, mode: &str) {
        if mode.starts_with("open-") {
            return;
        }
        if mode == "deaf" {
            loop {
                std::thread::park();
            }
        }
        if matches!(mode, "withdrawn-gives-back" | "withdrawn-dies" | "withdrawn-runs") {
            self.until_there_are_ten_calls();
        }
        let call = self.next_call();
        let undefined = header(0, call, Tag::UNDEFINED.0, [0; 4]);
        let control = self.layout.worker_control();
        match mode {
            "change-features" => {
                self.store(control.features, 0);
                self.ring();
            }
            "state-back" => {
                self.store(control.state, LaneState::Absent.word());
                self.ring();
            }
            "change-epoch" => {
                self.store(control.epoch, 77);
                self.ring();
            }
            "unknown-call" => self.answer(header(0, call ^ 0x40, Tag::UNDEFINED.0, [0; 4])),
            "answer-twice" => {
                self.answer(undefined);
                self.answer(undefined);
            }
            "replay" => {
                // Hands the same slot over once more when the host has given it back.
                let slot = self.forge.next_slot();
                self.answer(undefined);
                let release = self.layout.mailbox(Direction::Response).release();
                while word(&self.memory, release).load_acquire() & 1 << slot == 0 {
                    std::thread::yield_now();
                }
                self.forge.toggle(slot);
                self.ring();
            }
            "stamp-unpublished" => {
                self.forge.stamp_unpublished(undefined);
                let call = self.next_call();
                self.answer(header(0, call, Tag::UNDEFINED.0, [0; 4]));
            }
            "unassigned-tag" => self.answer(header(0, call, 13, [0; 4])),
            "huge-tag" => self.answer(header(0, call, u32::MAX, [0; 4])),
            "local-tag" => self.answer(header(0, call, 47, [0; 4])),
            "inline-length" => {
                self.answer(header(0, call, Tag::STRING_INLINE.0, [0, 0, 513, 0]));
            }
            "inline-length-65536" => {
                self.answer(header(0, call, Tag::STRING_INLINE.0, [0, 0, 65_536, 0]));
            }
            "payload-length" => {
                self.answer(header(0, call, Tag::BYTES_ARENA.0, [0, 0, (8 << 20) + 1, 0]));
            }
            "payload-length-max" => {
                self.answer(header(0, call, Tag::BYTES_ARENA.0, [0, 0, u32::MAX, 0]));
            }
            "envelope-length" => {
                let body = [0, u32::MAX, u32::MAX, 0];
                self.answer(header(0, call, Tag::ENVELOPE_TEXT_ARENA.0, body));
            }
            "arena-bounds" => {
                let start = ARENA_DATA - 64;
                self.answer(header(0, call, Tag::BYTES_ARENA.0, [start, 0, 65, 0]));
            }
            "arena-start-max" => {
                self.answer(header(0, call, Tag::BYTES_ARENA.0, [u32::MAX - 63, 0, 64, 0]));
            }
            "arena-alignment" => {
                self.answer(header(0, call, Tag::BYTES_ARENA.0, [4, 0, 64, 0]));
            }
            "answer-flags" => self.answer(header(4, call, Tag::UNDEFINED.0, [0; 4])),
            "withdrawn" => self.answer(header(2, call, Tag::UNDEFINED.0, [0; 4])),
            "withdrawn-value" => self.answer(header(2, call, Tag::NUMBER.0, [0; 4])),
            "withdrawn-rejected" => self.answer(header(3, call, Tag::UNDEFINED.0, [0; 4])),
            mode if mode.starts_with("withdrawn-") => self.be_withdrawn_from(mode, call),
            "answer-flags-all" => self.answer(header(u32::MAX, call, Tag::UNDEFINED.0, [0; 4])),
            "free-dead-block" => {
                let free = self.layout.arena(Direction::Request).free();
                let now = word(&self.memory, free).load_acquire();
                self.store(free, now ^ 1 << 31);
            }
            "ring-storm" => {
                // Honest but for a thousand wakes around each answer.
                let mut call = call;
                loop {
                    (0..1000).for_each(|_| self.ring());
                    self.forge.send(header(0, call, Tag::UNDEFINED.0, [0; 4]));
                    (0..1000).for_each(|_| self.ring());
                    call = self.next_call();
                }
            }
            "flip-all" => {
                // Every bit of both mailbox words of this side changes.
                let requests = self.layout.mailbox(Direction::Request);
                let answers = self.layout.mailbox(Direction::Response);
                for at in [answers.publish(), requests.release()] {
                    let now = word(&self.memory, at).load_acquire();
                    self.store(at, !now);
                }
                self.ring();
            }
            mode if mode.starts_with("channel-") => {
                Channel::inherited().misuse(mode);
                // The host reads the channel for the sake of a number that it does not know.
                self.answer_with_buffer(call, [NUMBER, 4096, 4096, 0, 8, 0, 0, 0]);
            }
            mode if mode.starts_with("buffer-") => self.answer_with_odd_buffers(mode, call),
            mode => match mode.strip_prefix("random-words-") {
                Some(seed) => self.random_words(seed.parse().expect("a number")),
                None => self.answer_in_an_odd_way(mode, call),
            },
        }
    }

    fn answer_with_buffer(&mut self, call: u32, words: [u32; 8]) {
        let slot = self.forge.next_slot();
        self.forge.write_inline(slot, &words.map(u32::to_le_bytes).concat());
        self.answer(header(0, call, Tag::SHARED_BUFFER.0, [0, 0, 32, 0]));
    }

    /// Names a buffer of 4096 bytes that the host has been given, in a way that does not work.
    fn answer_with_odd_buffers(&mut self, mode: &str, mut call: u32) {
        Channel::inherited().give(NUMBER);
        loop {
            let (number, start, len) = match mode {
                "buffer-number" => (NUMBER + 1, 0, 8),
                "buffer-end" => (NUMBER, 4090, 7),
                "buffer-start" => (NUMBER, 4097, 0),
                "buffer-wrap" => (NUMBER, u32::MAX, u32::MAX),
                "buffer-part" => (NUMBER, 4090, 6),
                other => panic!("no mode is called {other}"),
            };
            // The lengths that it claims would do.
            self.answer_with_buffer(call, [number, u32::MAX, u32::MAX, start, len, 9, 9, 9]);
            call = self.next_call();
        }
    }

    /// Before it has taken one: nothing is withdrawn from who has begun with nothing.
    fn until_there_are_ten_calls(&self) {
        let requests = word(&self.memory, self.layout.mailbox(Direction::Request).publish());
        // Each fills a slot of its own, whose bit changes.
        while requests.load_acquire().count_ones() < 10 {
            std::thread::yield_now();
        }
    }

    /// Waits with its first call until the calls behind it are withdrawn. Keeps the journal.
    fn be_withdrawn_from(&mut self, mode: &str, mut call: u32) {
        // Once it is done, as far as anybody can see, it may begin with the next call: it never says that it is at this one.
        self.note(call, if mode == "withdrawn-runs" { Stage::Taken } else { Stage::Done });
        let withdrawn = word(&self.memory, self.layout.withdrawn());
        while withdrawn.load_acquire() == 0 {
            std::thread::yield_now();
        }
        if mode == "withdrawn-dies" {
            std::process::exit(LEFT);
        }
        let mut answer = header(0, call, Tag::UNDEFINED.0, [0; 4]);
        loop {
            self.note(call, Stage::Done);
            self.answer(answer);
            call = self.next_call();
            if withdrawn.load_acquire() & 1 << (call % SLOTS) == 0 {
                // One that came when everything had been given back: not begun.
                std::process::exit(LEFT);
            }
            self.note(call, Stage::Taken);
            let flags = if mode == "withdrawn-runs" { 0 } else { 2 };
            answer = header(flags, call, Tag::UNDEFINED.0, [0; 4]);
        }
    }

    fn note(&self, call: u32, stage: Stage) {
        let at = self.layout.journal().word(call % SLOTS * 4).expect("inside the journal");
        self.store(at, stage.of_call(call));
    }

    /// What is odd but no violation: every call gets such an answer.
    fn answer_in_an_odd_way(&mut self, mode: &str, mut call: u32) {
        loop {
            let slot = self.forge.next_slot();
            let words = match mode {
                "garbage-error" => {
                    self.forge.write_arena(0, b"not JSON at all \xff\xfe");
                    header(1, call, Tag::ERROR.0, [0, 0, 18, 0])
                }
                "empty-error" => header(1, call, Tag::ERROR.0, [0; 4]),
                "no-handles" => header(0, call, Tag::UNDEFINED.0, [0; 4]),
                "error-of-number" => header(1, call, Tag::NUMBER.0, [0; 4]),
                "bad-utf8" => {
                    self.forge.write_inline(slot, b"ab\xff\xff");
                    header(0, call, Tag::STRING_INLINE.0, [0, 0, 4, 0])
                }
                "shared-buffer" => header(0, call, Tag::SHARED_BUFFER.0, [0, 0, 32, 0]),
                "wrong-type" => header(0, call, Tag::TRUE.0, [0; 4]),
                other => panic!("no mode is called {other}"),
            };
            self.answer(words);
            call = self.next_call();
        }
    }

    /// Writes numbers everywhere, the host's own words included, while the host works.
    fn random_words(&self, seed: u64) {
        // Header page, extension page, and the lane block up to the start of the first arena.
        let words = (self.layout.lane_block_at() + ABORT_BITS_AT) / 4 + 64;
        let mut state = 0x9e37_79b9_7f4a_7c15 ^ seed;
        for _ in 0..200_000 {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            // The high half chooses the place, the low half is the value; small ones are frequent.
            let at = (state >> 40) as u32 % words * 4;
            let value = if state & 1 << 33 == 0 { state as u32 & 63 } else { state as u32 };
            self.store(WordOffset::new(at).expect("a multiple of four"), value);
        }
    }

    /// Serves nobody until somebody ends this process.
    fn wait_for_the_end(&mut self) {
        let start = Instant::now();
        while start.elapsed() < PATIENCE {
            self.ring();
            std::thread::yield_now();
        }
        std::process::exit(IGNORED);
    }
}
