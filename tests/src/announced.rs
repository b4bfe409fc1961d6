//! A segment for both ends of one lane.

use crate::header_fields;
use knit_lanes::{HostLane, WorkerLane};
use knit_proto::{Features, HeaderFields, Layout, SLOTS, WordOffset};
use knit_ring::{HeapMemory, SharedMemory, SharedWord, create_segment};

const FITS: &str = "the layout fits the memory";

/// A small segment whose host has said that it is there, and what its ends are made with.
#[derive(Debug)]
pub struct Announced<M: SharedMemory = HeapMemory> {
    /// The segment.
    pub memory: M,
    /// Where everything is in it.
    pub layout: Layout,
    supported: Features,
}

impl Announced {
    /// Longest payload of both ends, in bytes.
    pub const MAX_PAYLOAD: u32 = 512;

    /// A segment of the process's own memory that offers `optional` and has room for `signals` abort signals. Its workers
    /// support `supported`.
    #[must_use]
    pub fn new(signals: u32, optional: Features, supported: Features) -> Self {
        let zeroed = |len| HeapMemory::zeroed(len).expect("memory for a small segment");
        Self::over(zeroed, signals, optional, supported)
    }
}

impl<M: SharedMemory> Announced<M> {
    /// The same in memory of so many bytes that `zeroed` makes.
    ///
    /// # Panics
    ///
    /// The memory is shorter.
    pub fn over(
        zeroed: impl FnOnce(u32) -> M,
        signals: u32,
        optional: Features,
        supported: Features,
    ) -> Self {
        let fields = HeaderFields { optional, ..header_fields(0, signals) };
        let layout = Layout::new(fields);
        let memory = zeroed(layout.len());
        create_segment(&memory, &fields).expect(FITS);
        HostLane::announce(&memory, &layout, 1).expect(FITS);
        Self { memory, layout, supported }
    }

    /// A worker, which sees the segment by way of `memory`.
    ///
    /// # Panics
    ///
    /// `memory` is of another segment.
    pub fn open<N: SharedMemory>(&self, memory: &N) -> WorkerLane<N> {
        let lane =
            WorkerLane::open_with(memory, &self.layout, Announced::MAX_PAYLOAD, 2, self.supported);
        lane.expect("the host has announced itself")
    }

    /// The host, which sees the segment by way of `memory`.
    ///
    /// # Panics
    ///
    /// There is no worker yet.
    pub fn connect<N: SharedMemory>(&self, memory: &N) -> HostLane<N> {
        let lane = HostLane::connect(memory, &self.layout, Announced::MAX_PAYLOAD);
        lane.expect("the worker follows the rules").expect("the worker is open")
    }

    /// Both.
    pub fn ends(&self) -> (HostLane<M>, WorkerLane<M>) {
        let worker = self.open(&self.memory);
        (self.connect(&self.memory), worker)
    }

    /// Where the journal word of a call is.
    pub fn journal_at(&self, call: u32) -> WordOffset {
        self.layout.journal().word(call % SLOTS * 4).expect("32 words")
    }

    /// The journal word of a call.
    pub fn journal(&self, call: u32) -> M::Word {
        self.memory.word(self.journal_at(call)).expect(FITS)
    }

    /// The withdrawn word, as it is now.
    pub fn withdrawn(&self) -> u32 {
        self.memory.word(self.layout.withdrawn()).expect(FITS).load_relaxed()
    }

    /// Where the deadline of a call is: low word, high word.
    pub fn deadline_at(&self, call: u32) -> [WordOffset; 2] {
        [0, 4]
            .map(|half| self.layout.deadlines().word(call % SLOTS * 8 + half).expect("32 entries"))
    }

    /// The words of the deadline of a call.
    pub fn deadline(&self, call: u32) -> [M::Word; 2] {
        self.deadline_at(call).map(|at| self.memory.word(at).expect(FITS))
    }
}
